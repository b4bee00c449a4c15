"""Binary: a file that comes and goes as it is (hl7.org/fhir/R4/binary.html#rest).

Who asks for FHIR (`Accept: application/fhir+json`, `_format=json`) gets the resource with the bytes
in base64; who asks for anything else gets the bytes, with the media type they came with. Nobody has
looked into them, so a browser may only save them: they must not become a page of ours.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as NoBase64
from binascii import a2b_base64
from typing import Any

from starlette.responses import Response

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api import interactions, writing
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, Handler, endpoint, version_headers
from sokhoe.exchange.fhir_api.later import later
from sokhoe.exchange.fhir_api.negotiation import Form, is_fhir, resource_of, wanted
from sokhoe.exchange.fhir_api.searching import of_type
from sokhoe.fhir import TYPES
from sokhoe.trust import Version

UNKNOWN = "application/octet-stream"
GUARDED = {
    "Cache-Control": "no-store",
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_MEDIA = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(?:\s*;[\x20-\x7e]{1,200})?\Z", re.ASCII)
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}\Z")


def read(call: Call) -> Response:
    if _wants_fhir(call):
        return interactions.read(call)
    version = call.session.read("Binary", call.path["id"])
    if interactions.is_known(call, version):
        return Response(status_code=304, headers=version_headers(call, version))
    return _bytes(call, version)


def vread(call: Call) -> Response:
    if _wants_fhir(call):
        return interactions.vread(call)
    return _bytes(call, interactions.version_of(call))


def create(call: Call) -> Response:
    return writing.created(call, "Binary", _resource(call))


def update(call: Call) -> Response:
    resource = _resource(call)
    if not _is_resource(call):
        resource["id"] = call.path["id"]
    return writing.updated(call, "Binary", resource)


def _wants_fhir(call: Call) -> bool:
    # a Bundle's entry asks as it stands in a Bundle: for FHIR
    return wanted(call.request, None) is not Form.OTHER


def _bytes(call: Call, version: Version) -> Response:
    resource = version.resource
    try:
        content = a2b_base64(resource.get("data", ""))
    except NoBase64:  # the validator does not let it in
        content = b""
    kind = str(resource.get("contentType", ""))
    headers = {**version_headers(call, version), **GUARDED}
    headers["Content-Type"] = kind if _MEDIA.match(kind) else UNKNOWN
    return Response(content, headers=headers)


def _is_resource(call: Call) -> bool:
    """Whether the body is a Binary as FHIR: so it is for FHIR's own media types; JSON and XML in
    general may also be the file."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "fhir" in kind:
        return True
    if not is_fhir(kind):
        return False
    try:
        return resource_of(kind, call.body).get("resourceType") in TYPES
    except Invalid:
        return False


def _resource(call: Call) -> dict[str, Any]:
    """The body as a Binary. Raises Invalid, Unsupported (415)."""
    if _is_resource(call):
        return call.resource()
    kind = call.request.headers.get("content-type", "").strip()
    if not _MEDIA.match(kind):
        raise Invalid(
            "The file does not say what it is.",
            hint="Send it with its Content-Type, for example application/pdf.",
            slug="media-type",
            status=415,
        )
    if not call.body:
        raise Invalid("The file is empty.", code="required")
    made: dict[str, Any] = {
        "resourceType": "Binary",
        "contentType": kind,
        "data": b64encode(call.body).decode(),
    }
    context = call.request.headers.get("x-security-context", "").strip()
    if context:
        found = _REFERENCE.match(context)
        if found is None or found[1] not in TYPES:
            raise Invalid(
                f"X-Security-Context {context[:80]!r} is no reference.",
                hint="Write it like Patient/123.",
                code="value",
                location="X-Security-Context",
            )
        made["securityContext"] = {"reference": context}
    return made


def _of_binary(handler: Handler) -> Handler:
    """A handler for any type, called for this one."""

    def handled(call: Call) -> Response:
        call.path["type"] = "Binary"
        return handler(call)

    return handled


def routes() -> list[Endpoint]:
    """To stand before those of all types, which answer in FHIR only."""
    kept = {"PATCH": writing.patch, "DELETE": writing.delete}
    return [
        endpoint(
            "/fhir/Binary",
            {
                "GET": _of_binary(later(of_type)),
                "POST": create,
                "PUT": _of_binary(writing.update_by),
                "PATCH": _of_binary(writing.patch_by),
                "DELETE": _of_binary(writing.delete_by),
            },
        ),
        endpoint(
            "/fhir/Binary/{id}",
            {
                "GET": _of_binary(read),
                "PUT": _of_binary(update),
                **{method: _of_binary(handler) for method, handler in kept.items()},
            },
            accepts=None,
        ),
        endpoint("/fhir/Binary/{id}/_history/{version}", {"GET": _of_binary(vread)}, accepts=None),
    ]

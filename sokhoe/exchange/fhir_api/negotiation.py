"""JSON or XML? What a request brings and what it wants back (hl7.org/fhir/R4/http.html#mime-type).

`_format` decides before Accept. A server that can do neither of what is wanted says so (406); one
that is given something else says 415. Inside everything is JSON; XML is made at the very end.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir import decode, from_xml, to_xml

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"


class Form(Enum):
    JSON = "json"
    XML = "xml"
    OTHER = "other"  # what an endpoint offers beside (NDJSON, the bytes of a Binary)


_KINDS = {
    **dict.fromkeys(
        (
            *("application/fhir+json", "application/json", "text/json", "application/json+fhir"),
            # a browser's reader and "whatever you have" get what we like best
            *("*/*", "application/*", "text/html", ""),
        ),
        Form.JSON,
    ),
    **dict.fromkeys(
        ("application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"), Form.XML
    ),
}
# Who takes anything, or what only browsers ask for, is given a file as it is.
_ANYTHING = frozenset({"*/*", "application/*", "text/html", ""})
_BODIES = {kind: form for kind, form in _KINDS.items() if "*" not in kind and kind != "text/html"}


def wanted(request: Request, more: frozenset[str] | None = frozenset()) -> Form:
    """The form of the answer; `more`: media types that are offered beside, None: any. Raises
    Unsupported (406)."""
    asked = request.query_params.get("_format")
    if asked is not None:
        plain = asked.replace(" ", "+").split(";")[0].strip().lower()
        form = {"json": Form.JSON, "xml": Form.XML}.get(plain) or _KINDS.get(plain)
        if form is None and more and plain in more:
            form = Form.OTHER
    elif more is None:
        form = _accepted(request.headers.get("accept", ""), _ANYTHING) or Form.OTHER
    else:
        form = _accepted(request.headers.get("accept", ""), more)
    if form is None:
        raise Unsupported(
            "This server answers in JSON or XML.",
            hint="Accept: application/fhir+json or application/fhir+xml",
            slug="media-type",
            status=406,
        )
    return form


def _accepted(header: str, more: frozenset[str]) -> Form | None:
    """The best that is offered; of equals the first."""
    best: Form | None = None
    weight = 0.0
    for part in header.split(","):
        kind, *rest = (piece.strip().lower() for piece in part.split(";"))
        form = Form.OTHER if kind in more else _KINDS.get(kind)
        here = _weight(rest)
        if form is not None and here > weight:
            best, weight = form, here
    return best


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def is_fhir(kind: str) -> bool:
    """Whether a media type is one in which FHIR resources are sent."""
    return bool(kind) and kind in _BODIES


def resource_of(kind: str, body: bytes) -> dict[str, Any]:
    """A resource written in this media type. Raises Invalid, Unsupported (415)."""
    form = _BODIES.get(kind) if kind else None
    if form is None:
        raise Unsupported(
            f"The body is {kind or 'of no declared type'}; this server reads FHIR as JSON or XML.",
            hint="Send it with Content-Type: application/fhir+json or application/fhir+xml.",
            slug="media-type",
            status=415,
        )
    value = from_xml(body) if form is Form.XML else decode(body)
    if not isinstance(value, dict):
        raise Invalid("The body must be one FHIR resource (a JSON object).", code="structure")
    return value


def formed(response: Response, form: Form, *, pretty: bool) -> Response:
    """The answer in the form that was wanted. Headers stay."""
    plain = bytes(getattr(response, "body", b""))  # a file is sent as it is
    if response.media_type != JSON or not plain or (form is not Form.XML and not pretty):
        return response
    if form is Form.XML:
        body, kind = to_xml(decode(plain), pretty=pretty), XML
    else:
        body, kind = msgspec.json.format(plain, indent=2), JSON
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in {"content-length", "content-type"}
    }
    return Response(body, status_code=response.status_code, headers=headers, media_type=kind)

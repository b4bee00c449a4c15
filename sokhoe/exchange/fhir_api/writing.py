"""create, update, patch, delete over HTTP: from the request to a decision, from what was done to
status, headers and body (hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from sokhoe.errors import Invalid, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, answer, etag, version_headers
from sokhoe.exchange.fhir_api.deciding import (
    Decision,
    Done,
    Patch,
    carry_out_together,
    decide_create,
    decide_delete,
    decide_delete_by,
    decide_patch,
    decide_patch_by,
    decide_update,
    decide_update_by,
)
from sokhoe.exchange.fhir_api.interactions import known_type
from sokhoe.exchange.fhir_api.negotiation import is_fhir, resource_of
from sokhoe.fhir import apply_fhirpath_patch, apply_json_patch, decode
from sokhoe.trust import Version

JSON_PATCH = "application/json-patch+json"


def create(call: Call) -> Response:
    return created(call, known_type(call), call.resource())


def created(call: Call, type: str, resource: dict[str, Any]) -> Response:
    """Store this as a new resource of the type."""
    condition = call.request.headers.get("if-none-exist", "")
    done = _one(call, lambda: decide_create(call.session, type, resource, condition))
    found = done.decision.change is None
    return written(call, _version(done), status=200 if found else 201)


def update(call: Call) -> Response:
    return updated(call, known_type(call), call.resource())


def updated(call: Call, type: str, resource: dict[str, Any]) -> Response:
    """Store this under the id of the address."""
    match, none = _conditions(call)
    done = _one(
        call,
        lambda: decide_update(call.session, type, call.path["id"], resource, match, none),
    )
    return written(call, _version(done), status=201 if done.new else 200)


def update_by(call: Call) -> Response:
    """PUT Type?query"""
    type, resource, condition = known_type(call), call.resource(), _condition(call)
    given = resource.get("id")

    def decide() -> Decision:
        if given is None:
            resource.pop("id", None)  # one of ours from an earlier try
        return decide_update_by(call.session, type, condition, resource, _conditions(call)[0])

    done = _one(call, decide)
    return written(call, _version(done), status=201 if done.new else 200)


def patch(call: Call) -> Response:
    type, change = known_type(call), _patch(call)
    match, _ = _conditions(call)
    done = _one(call, lambda: decide_patch(call.session, type, call.path["id"], change, match))
    return written(call, _version(done), status=200)


def patch_by(call: Call) -> Response:
    """PATCH Type?query"""
    type, change, condition = known_type(call), _patch(call), _condition(call)
    match, _ = _conditions(call)
    done = _one(call, lambda: decide_patch_by(call.session, type, condition, change, match))
    return written(call, _version(done), status=200)


def delete(call: Call) -> Response:
    type, (match, _) = known_type(call), _conditions(call)
    done = _one(call, lambda: decide_delete(call.session, type, call.path["id"], match))
    return _deleted(call, [done])


def delete_by(call: Call) -> Response:
    """DELETE Type?query"""
    type, condition, (match, _) = known_type(call), _condition(call), _conditions(call)
    setting = call.site.settings.conditional_delete
    done = carry_out_together(
        call.session,
        lambda: decide_delete_by(call.session, type, condition, setting, match),
    )
    return _deleted(call, done)


def patch_of(media: str, body: bytes) -> Patch:
    """A patch as it was sent. Raises Unsupported (415) for a kind that is not known."""
    if media == JSON_PATCH:
        operations = decode(body)
        return lambda resource: _whole(apply_json_patch(resource, operations))
    if is_fhir(media):
        parameters = resource_of(media, body)
        return lambda resource: apply_fhirpath_patch(resource, parameters)
    raise Unsupported(
        f"A patch of type {media or 'none'} is not known here.",
        hint=f"Send {JSON_PATCH}, or Parameters (FHIRPath Patch) as application/fhir+json.",
        slug="media-type",
        status=415,
    )


def _whole(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(
            "After the patch there is no resource any more.", slug="patch-misfit", status=422
        )
    return value


def _patch(call: Call) -> Patch:
    return patch_of(call.media, call.body)


def _conditions(call: Call) -> tuple[str | None, str | None]:
    headers = call.request.headers
    return headers.get("if-match"), headers.get("if-none-match")


def _condition(call: Call) -> str:
    """The query of the address as a condition, without what only chooses the format."""
    return urlencode(call.pairs)


def _one(call: Call, decide: Callable[[], Decision]) -> Done:
    return carry_out_together(call.session, lambda: [decide()])[0]


def _version(done: Done) -> Version:
    assert done.version is not None
    return done.version


def _deleted(call: Call, done: list[Done]) -> Response:
    gone = [one.version for one in done if one.version is not None]
    headers = {"ETag": etag(gone[0])} if len(gone) == 1 else {}
    if call.prefer.get("return") == "OperationOutcome":
        names = ", ".join(version.ref for version in gone[:20]) or "Nothing"
        return answer(told(f"{names} deleted ({len(gone)})."), headers=headers)
    return Response(status_code=204, headers=headers)


def written(call: Call, version: Version, *, status: int) -> Response:
    headers = version_headers(call, version, located=True)
    wish = call.prefer.get("return")
    if wish == "minimal":
        return Response(status_code=status, headers=headers)
    if wish == "OperationOutcome":
        text = f"{version.ref} is stored as version {version.version}."
        return answer(told(text), status=status, headers=headers)
    return answer(version.body, status=status, headers=headers)


def told(text: str) -> dict[str, Any]:
    """Good news as an OperationOutcome."""
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}

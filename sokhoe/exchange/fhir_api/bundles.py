"""Transaction and batch: a Bundle of requests, all or nothing, or each for itself.

Rules: hl7.org/fhir/R4/http.html#transaction. The order of work is DELETE, POST, PUT, GET, whatever
the order in the Bundle. References to a `fullUrl` inside the Bundle are rewritten to the ids that
the server gave, before anything is written: `plan` is pure but for the look-up of conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SokhoeError, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, answer, etag, if_match, new_id
from sokhoe.exchange.fhir_api.deciding import ID, check_id, check_type, only, pairs_of
from sokhoe.exchange.fhir_api.renaming import rename
from sokhoe.fhir import TYPES
from sokhoe.trust import Change, Delete, Put, Session, Version

MAX_ENTRIES = 10_000
_METHODS = ("DELETE", "POST", "PUT", "GET")
_CONDITIONAL = re.compile(r"^([A-Z][A-Za-z]+)\?(.+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, understood: what it asks and what it is called inside the Bundle."""

    index: int
    method: str
    type: str
    id: str
    full_url: str
    resource: dict[str, Any] | None
    if_version: int | None
    standing: Version | None = None  # conditional create that found its resource
    query: str = ""


def post_bundle(call: Call) -> Response:
    """POST to the base address: carry out a Bundle."""
    bundle = call.resource()
    if bundle.get("resourceType") != "Bundle":
        raise Invalid("Only a Bundle can be posted to the base address.", location="resourceType")
    entries = entries_of(bundle)
    kind = bundle.get("type")
    if kind == "transaction":
        return answer(transaction(call, entries))
    if kind == "batch":
        return answer(batch(call, entries))
    raise Invalid(
        f"Bundle.type is {kind!r}; this address carries out 'transaction' and 'batch'.",
        location="Bundle.type",
        code="value",
    )


def entries_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a Bundle. Raises Invalid for what is no list of them, or too long."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or any(not isinstance(one, dict) for one in entries):
        raise Invalid("Bundle.entry must be a list of entries.", location="Bundle.entry")
    if len(entries) > MAX_ENTRIES:
        raise Invalid(
            f"The Bundle has {len(entries)} entries, more than {MAX_ENTRIES}.",
            hint="Send it in several Bundles.",
            slug="too-costly",
            status=413,
            code="too-costly",
        )
    return entries


def transaction(call: Call, entries: list[dict[str, Any]], first: int = 0) -> dict[str, Any]:
    """Carry out all entries or none; the answer's entries stand in the order of the request.
    `first`: the number of the first entry in its Bundle, for naming places."""
    steps = [plan(call.session, entry, index) for index, entry in enumerate(entries, first)]
    _no_twins(steps)
    names = {step.full_url: f"{step.type}/{step.id}" for step in steps if step.full_url}

    def resolve(reference: str) -> str:
        return _resolved(reference, call.session)

    for step in steps:
        if step.resource is not None:
            rename(step.resource, names, resolve)
    writes = [
        step
        for method in _METHODS[:3]
        for step in steps
        if step.method == method and step.standing is None
    ]
    try:
        receipt = call.session.commit([_change(step) for step in writes]) if writes else None
    except Invalid as error:
        raise _placed(error, writes) from error
    done: dict[int, Version] = {}
    new: set[int] = set()
    if receipt is not None:
        for step, version, changed in zip(writes, receipt.versions, receipt.changed, strict=True):
            done[step.index] = version
            if changed and version is not None and version.version == 1:
                new.add(step.index)
    answers = []
    for step in steps:
        if step.method == "GET":
            answers.append(_get(call, step))
        else:
            version = step.standing or done[step.index]
            answers.append(_response(call, step, version, step.index in new))
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}


def batch(call: Call, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Carry out each entry for itself; a failed one leaves the others standing."""
    done = {index: carry_out(call, entries[index], index) for index in order(entries)}
    answers = [done[index] for index in range(len(entries))]
    return {"resourceType": "Bundle", "type": "batch-response", "entry": answers}


def order(entries: list[dict[str, Any]]) -> list[int]:
    """The order in which a batch is worked off."""
    return sorted(range(len(entries)), key=lambda at: _rank(entries[at]))


def carry_out(call: Call, entry: dict[str, Any], index: int) -> dict[str, Any]:
    """One entry of a batch, the `index`-th; its answer, or why it was refused."""
    try:
        found: dict[str, Any] = transaction(call, [entry], index)["entry"][0]
    except SokhoeError as error:
        return {"response": {"status": str(error.status), "outcome": error.outcome()}}
    return found


def told_again(call: Call, ref: str) -> dict[str, Any]:
    """The answer of an entry that was carried out before the server stopped; `ref` is what it
    wrote."""
    type, _, id = ref.partition("/")
    try:
        version = call.session.read(type, id)
    except SokhoeError:
        return {"response": {"status": "204 No Content"}}
    response = {
        "status": "201 Created" if version.version == 1 else "200 OK",
        "location": f"{version.ref}/_history/{version.version}",
        "etag": etag(version),
        "lastModified": clock.iso(version.at),
    }
    return {"fullUrl": f"{call.base}/{version.ref}", "response": response}


def plan(session: Session, entry: dict[str, Any], index: int) -> Step:
    """Understand one entry. Raises Invalid naming its place in the Bundle."""
    place = f"Bundle.entry[{index}]"
    request = entry.get("request")
    if not isinstance(request, dict):
        raise Invalid(
            "The entry says not what to do.", location=f"{place}.request", code="required"
        )
    method, url = request.get("method"), request.get("url")
    if method not in _METHODS or not isinstance(url, str):
        raise Unsupported(
            f"The entry asks {method!r} {url!r}; known methods: {', '.join(_METHODS)}.",
            slug="method",
            location=f"{place}.request.method",
        )
    resource = entry.get("resource")
    if method in {"POST", "PUT"} and not isinstance(resource, dict):
        raise Invalid(
            f"{method} without a resource.", location=f"{place}.resource", code="required"
        )
    path, _, query = url.lstrip("/").partition("?")
    type, _, rest = path.partition("/")
    if type not in TYPES:
        raise NotFound(
            f"There is no resource type {type!r}.",
            slug="unknown-type",
            location=f"{place}.request.url",
        )
    step = Step(
        index=index,
        method=method,
        type=type,
        id=rest,
        full_url=str(entry.get("fullUrl", "")),
        resource=resource if method in {"POST", "PUT"} else None,
        if_version=if_match(request.get("ifMatch")),
        query=query,
    )
    if method == "GET":
        return step
    if query:
        raise Unsupported(
            "Conditional update and delete are not supported yet.",
            hint="Read first, then write with the id and If-Match.",
            slug="conditional",
            location=f"{place}.request.url",
        )
    return _plan_write(session, step, request.get("ifNoneExist"), place)


def _plan_write(session: Session, step: Step, condition: Any, place: str) -> Step:
    if step.method == "DELETE":
        if not ID.match(step.id):
            raise Invalid(f"{step.id!r} is not an id.", location=f"{place}.request.url")
        return step
    resource = step.resource or {}
    try:
        check_type(resource, step.type)
        if step.method == "PUT":
            check_id(resource, step.id)
            return step
    except Invalid as error:
        raise Invalid(error.message, location=f"{place}.resource") from None
    if condition:
        standing = _one_match(session, step.type, str(condition))
        if standing is not None:
            return replace(step, id=standing.id, standing=standing)
    id = new_id()
    resource["id"] = id
    return replace(step, id=id, if_version=0)


def _no_twins(steps: list[Step]) -> None:
    seen: dict[str, int] = {}
    urls: dict[str, int] = {}
    for step in steps:
        if step.method == "GET":
            continue
        ref = f"{step.type}/{step.id}"
        if ref in seen and step.standing is None:
            raise Invalid(
                f"Entries {seen[ref]} and {step.index} both write {ref}.",
                location=f"Bundle.entry[{step.index}]",
                code="duplicate",
            )
        if step.full_url and step.full_url in urls:
            raise Invalid(
                f"Entries {urls[step.full_url]} and {step.index} have the same fullUrl.",
                location=f"Bundle.entry[{step.index}].fullUrl",
                code="duplicate",
            )
        seen[ref] = step.index
        urls[step.full_url] = step.index


def _resolved(reference: str, session: Session) -> str:
    """A reference that no entry of the Bundle answers to."""
    if reference.startswith(("urn:uuid:", "urn:oid:")):
        raise Invalid(
            f"No entry of the Bundle has the fullUrl {reference}.",
            location="Bundle.entry.fullUrl",
            code="not-found",
        )
    condition = _CONDITIONAL.match(reference)
    if condition is None or condition[1] not in TYPES:
        return reference
    found = _one_match(session, condition[1], condition[2])
    if found is None:
        raise Conflict(
            f"The reference {reference} finds nothing.",
            slug="reference",
            status=412,
            code="not-found",
        )
    return found.ref


def _one_match(session: Session, type: str, condition: str) -> Version | None:
    return only(type, condition, session.match(type, pairs_of(condition))[0])


def _change(step: Step) -> Change:
    if step.method == "DELETE":
        return Delete(step.type, step.id, if_version=step.if_version)
    assert step.resource is not None
    return Put(step.resource, if_version=step.if_version)


def _placed(error: Invalid, writes: list[Step]) -> Invalid:
    """Say in which entry a resource is wrong, where the type alone leaves it open."""
    issues = []
    for issue in error.issues:
        type, _, rest = issue.location.partition(".")
        fits = [step for step in writes if step.type == type]
        if len(fits) == 1:
            where = f"Bundle.entry[{fits[0].index}].resource"
            issues.append(replace(issue, location=f"{where}.{rest}" if rest else where))
        else:
            issues.append(issue)
    return Invalid(
        error.message,
        hint=error.hint,
        slug=error.slug,
        status=error.status,
        code=error.code,
        issues=tuple(issues),
    )


def _response(call: Call, step: Step, version: Version, new: bool) -> dict[str, Any]:
    if step.method == "DELETE":
        return {"response": {"status": "204 No Content"}}
    response = {
        "status": "201 Created" if new else "200 OK",
        "location": f"{version.ref}/_history/{version.version}",
        "etag": etag(version),
        "lastModified": clock.iso(version.at),
    }
    entry: dict[str, Any] = {"fullUrl": f"{call.base}/{version.ref}", "response": response}
    if call.prefer.get("return") == "representation":
        entry["resource"] = version.resource
    return entry


def _get(call: Call, step: Step) -> dict[str, Any]:
    if step.id and not step.query:
        version = call.session.read(step.type, step.id)
        return {
            "resource": version.resource,
            "response": {"status": "200 OK", "etag": etag(version)},
        }
    page = call.session.search(step.type, parse_qsl(step.query, keep_blank_values=True))
    found: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if page.total is not None:
        found["total"] = page.total
    matches = [(one, "match") for one in page.versions] + [(o, "include") for o in page.included]
    if matches:
        found["entry"] = [
            {
                "fullUrl": f"{call.base}/{one.ref}",
                "resource": one.resource,
                "search": {"mode": mode},
            }
            for one, mode in matches
        ]
    return {"resource": found, "response": {"status": "200 OK"}}


def _rank(entry: dict[str, Any]) -> int:
    request = entry.get("request")
    method = request.get("method") if isinstance(request, dict) else None
    return _METHODS.index(method) if method in _METHODS else len(_METHODS)

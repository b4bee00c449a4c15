"""Transaction and batch: a Bundle of requests, all or nothing, or each for itself.

Rules: hl7.org/fhir/R4/http.html#transaction. The order of work is DELETE, POST, PUT and PATCH, GET,
whatever the order in the Bundle. Each write becomes a decision, as a single request does; all are
committed together. References to a `fullUrl` inside the Bundle are rewritten to the ids that the
server gave, before anything is written. When somebody else writes between look-up and commit so
that a condition means something else, the whole Bundle is decided anew.
"""

from __future__ import annotations

import re
from binascii import Error as NoBase64
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SokhoeError, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, answer, check_id, etag
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
    only,
    pairs_of,
)
from sokhoe.exchange.fhir_api.reception import check_path
from sokhoe.exchange.fhir_api.renaming import rename
from sokhoe.exchange.fhir_api.writing import patch_of, told
from sokhoe.fhir import TYPES, apply_fhirpath_patch, decode, encode
from sokhoe.trust import Put, Session, Version

MAX_ENTRIES = 10_000
_METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
_READING = frozenset({"GET", "HEAD"})
_MADE = frozenset({"POST", "PUT", "PATCH"})
_CONDITIONAL = re.compile(r"^([A-Z][A-Za-z]+)\?(.+)$")


@dataclass(slots=True)
class Step:
    """One entry, understood. `decisions`: what it writes (a conditional delete may be several);
    `twin`: the number of an earlier entry that creates the same on the same condition."""

    index: int
    method: str
    request: dict[str, Any]
    path: str
    query: str
    full_url: str
    decisions: list[Decision] = field(default_factory=list)
    twin: int | None = None
    done: list[Done] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"Bundle.entry[{self.index}]"


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
    # Decisions fill ids and names into the entries; to decide anew they are needed as they came.
    kept = encode(entries) if any(map(_depends, entries)) else b""
    steps: list[Step] = []
    writes: list[Step] = []

    def decide() -> list[Decision]:
        fresh = entries if not steps else decode(kept)
        steps[:] = _planned(call, fresh, first)
        writes[:] = [s for method in _METHODS[:4] for s in steps if s.method == method]
        return [decision for step in writes for decision in step.decisions]

    try:
        done = iter(carry_out_together(call.session, decide))
    except Invalid as error:
        raise _placed(error, writes) from error
    for step in writes:
        step.done = [next(done) for _ in step.decisions]
    answers = []
    for step in steps:
        if step.method in _READING:
            answers.append(_get(call, step))
        elif step.twin is not None:
            answers.append(_response(call, step, steps[step.twin - first].done))
        else:
            answers.append(_response(call, step, step.done))
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}


def _depends(entry: dict[str, Any]) -> bool:
    """Whether what this entry writes depends on what is there."""
    request = entry.get("request")
    if not isinstance(request, dict):
        return False
    conditional = "ifNoneExist" in request or "?" in str(request.get("url"))
    return request.get("method") == "PATCH" or conditional


def _planned(call: Call, entries: list[dict[str, Any]], first: int) -> list[Step]:
    """All entries decided, with the names of the Bundle replaced by those the server gave."""
    steps: list[Step] = []
    names: dict[str, str] = {}
    by_condition: dict[str, int] = {}
    for index, entry in enumerate(entries, first):
        step, resource = _understood(entry, index)
        condition = _condition(step)
        if step.method == "POST" and condition in by_condition:
            step.twin = by_condition[condition]
            made = steps[step.twin - first].decisions[0]
        elif step.method not in _READING:
            _decide(call, step, resource)
            made = step.decisions[0]
        steps.append(step)
        if step.method in _MADE:
            if step.full_url:
                names[step.full_url] = f"{made.type}/{made.id}"
            if condition:
                # a reference by the very condition of an entry means what that entry makes
                by_condition.setdefault(condition, index)
                names.setdefault(condition, f"{made.type}/{made.id}")
    _no_twins(steps)
    session = call.session

    def resolve(reference: str) -> str:
        return _resolved(reference, session)

    for step in steps:
        for decision in step.decisions:
            if isinstance(decision.change, Put):
                rename(decision.change.resource, names, resolve)
    return steps


def _condition(step: Step) -> str:
    """`Type?query` of a conditional create, update or patch; else nothing."""
    query = step.query if step.method in {"PUT", "PATCH"} else ""
    if step.method == "POST":
        query = str(step.request.get("ifNoneExist") or "").lstrip("?")
    return f"{step.path.partition('/')[0]}?{query}" if query else ""


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


def _understood(entry: dict[str, Any], index: int) -> tuple[Step, dict[str, Any]]:
    """What an entry asks, and its resource. Raises Invalid naming its place in the Bundle."""
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
    if method in _MADE and not isinstance(resource, dict):
        raise Invalid(
            f"{method} without a resource.", location=f"{place}.resource", code="required"
        )
    path, _, query = url.lstrip("/").partition("?")
    if method not in _READING and path.partition("/")[0] not in TYPES:
        raise NotFound(
            f"There is no resource type {path.partition('/')[0]!r}.",
            slug="unknown-type",
            location=f"{place}.request.url",
        )
    step = Step(index, method, request, path, query, str(entry.get("fullUrl", "")))
    return step, resource if isinstance(resource, dict) else {}


def _decide(call: Call, step: Step, resource: dict[str, Any]) -> None:
    try:
        step.decisions = _decisions(call, step, resource)
    except SokhoeError as error:
        error.issues = tuple(
            replace(
                one,
                location=f"{step.place}.resource"
                if one.location in {"resourceType", "id"}
                else f"{step.place}.request",
            )
            for one in error.issues
        )
        raise


def _decisions(call: Call, step: Step, resource: dict[str, Any]) -> list[Decision]:
    session, query = call.session, step.query
    type, slash, id = step.path.partition("/")
    match, none = (_header(step, name) for name in ("ifMatch", "ifNoneMatch"))
    if bool(slash) == bool(query) and step.method != "POST":
        raise Invalid(f"{step.method} wants {type}/id or {type}?query, not {step.path!r}.")
    match step.method:
        case "POST" if slash or query:
            raise Unsupported(
                f"POST to {step.path!r} cannot be part of a Bundle.",
                hint="Send it on its own.",
                slug="bundle-entry",
            )
        case "POST":
            condition = _header(step, "ifNoneExist") or ""
            return [decide_create(session, type, resource, condition)]
        case "PUT" if query:
            return [decide_update_by(session, type, query, resource, match)]
        case "PUT":
            return [decide_update(session, type, id, resource, match, none)]
        case "PATCH" if query:
            return [decide_patch_by(session, type, query, _patch(resource), match)]
        case "PATCH":
            return [decide_patch(session, type, id, _patch(resource), match)]
        case _ if query:
            setting = call.site.settings.conditional_delete
            return decide_delete_by(session, type, query, setting, match)
        case _:
            return [decide_delete(session, type, id, match)]


def _header(step: Step, name: str) -> str | None:
    value = step.request.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Invalid(f"{name} must be a text.", location=f"{step.place}.request.{name}")


def _patch(resource: dict[str, Any]) -> Patch:
    """A patch in a Bundle is a Binary that holds it (hl7.org/fhir/R4/http.html#patch), or the
    Parameters of a FHIRPath Patch."""
    if resource.get("resourceType") == "Parameters":
        return lambda before: apply_fhirpath_patch(before, resource)
    kind, data = resource.get("contentType"), resource.get("data")
    if resource.get("resourceType") != "Binary" or not isinstance(kind, str | None):
        raise Invalid(
            "A PATCH carries Parameters (FHIRPath Patch) or a Binary.", location="resourceType"
        )
    try:
        body = a2b_base64(data if isinstance(data, str) else "", strict_mode=True)
    except (NoBase64, ValueError):
        raise Invalid("The patch is not base64.", location="resourceType") from None
    return patch_of(str(kind or "").partition(";")[0].strip().lower(), body)


def _no_twins(steps: list[Step]) -> None:
    seen: dict[str, int] = {}
    urls: dict[str, int] = {}
    for step in steps:
        if step.method in _READING:
            continue
        for decision in step.decisions:
            ref = f"{decision.type}/{decision.id}"
            if decision.change is not None and seen.setdefault(ref, step.index) != step.index:
                raise Invalid(
                    f"Entries {seen[ref]} and {step.index} both write {ref}.",
                    location=step.place,
                    code="duplicate",
                )
        if step.full_url and urls.setdefault(step.full_url, step.index) != step.index:
            raise Invalid(
                f"Entries {urls[step.full_url]} and {step.index} have the same fullUrl.",
                location=f"{step.place}.fullUrl",
                code="duplicate",
            )


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


def _placed(error: Invalid, writes: Sequence[Step]) -> Invalid:
    """Say in which entry a resource is wrong, where the type alone leaves it open."""
    issues = []
    for issue in error.issues:
        type, _, rest = issue.location.partition(".")
        fits = [s for s in writes if s.method in _MADE and s.path.partition("/")[0] == type]
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


def _response(call: Call, step: Step, done: Sequence[Done]) -> dict[str, Any]:
    one, wish = done[0], call.prefer.get("return")
    version = one.version
    if step.method == "DELETE" or version is None:
        response: dict[str, Any] = {"status": "204 No Content"}
        if len(done) == 1 and version is not None:
            response["etag"] = etag(version)
        return {"response": response}
    new = one.new and step.twin is None
    response = {
        "status": "201 Created" if new else "200 OK",
        "location": f"{version.ref}/_history/{version.version}",
        "etag": etag(version),
        "lastModified": clock.iso(version.at),
    }
    if wish == "OperationOutcome":
        response["outcome"] = told(f"{version.ref} is stored as version {version.version}.")
    entry: dict[str, Any] = {"fullUrl": f"{call.base}/{version.ref}", "response": response}
    if wish == "representation":
        entry["resource"] = version.resource
    return entry


def _get(call: Call, step: Step) -> dict[str, Any]:
    """Whatever GET answers on its own, history and operations too. What was written stays written
    when it fails, so the failure stands in its entry."""
    try:
        response = _asked(call, step)
    except SokhoeError as error:
        return {"response": {"status": str(error.status), "outcome": error.outcome()}}
    headers = response.headers
    told = {"status": {200: "200 OK", 304: "304 Not Modified"}.get(response.status_code)}
    told["status"] = told["status"] or str(response.status_code)
    if "etag" in headers:
        told["etag"] = headers["etag"]
    if response.status_code == 200 and response.body and step.method == "GET":
        return {"resource": decode(bytes(response.body)), "response": told}
    return {"response": told}


@cache
def _routes() -> list[Endpoint]:
    """All addresses of this API; asked for late, since one of them leads back here."""
    from sokhoe.exchange.fhir_api import routes

    return routes()


def _asked(call: Call, step: Step) -> Response:
    """The answer of the handler that stands at this address, in JSON, for the same session."""
    headers = [(b"accept", b"application/fhir+json")]
    if (known := _header(step, "ifNoneMatch")) is not None:
        headers.append((b"if-none-match", known.encode("latin-1", "replace")))
    if call.lenient:
        headers.append((b"prefer", b"handling=lenient"))
    scope = {
        **call.request.scope,
        "method": "GET",
        "path": f"/fhir/{step.path}",
        "raw_path": b"",
        "query_string": step.query.encode(),
        "headers": headers,
        "path_params": {},
    }
    check_path(step.path)
    for route in _routes():
        match, found = route.matches(scope)
        if match is Match.FULL and "GET" in route.handlers:
            check_id(found["path_params"])
            request = Request({**scope, **found})
            return route.handlers["GET"](Call(request, b"", call.session))
    raise NotFound(f"There is nothing at /fhir/{step.path}.", location=f"{step.place}.request.url")


def _rank(entry: dict[str, Any]) -> int:
    request = entry.get("request")
    method = request.get("method") if isinstance(request, dict) else None
    return _METHODS.index(method) if method in _METHODS else len(_METHODS)

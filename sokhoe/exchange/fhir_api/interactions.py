"""read, vread, create, update, delete, search, history: one small function for each FHIR verb."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from sokhoe import clock
from sokhoe.errors import Gone, Invalid, NotFound, Unsupported
from sokhoe.exchange.fhir_api.calls import (
    Call,
    answer,
    etag,
    version_headers,
)
from sokhoe.exchange.fhir_api.reception import check_repeated, form_pairs
from sokhoe.fhir import TYPES, encode, parse_query
from sokhoe.fhir import search as searching
from sokhoe.trust import Page, Version


def known_type(call: Call) -> str:
    """The type in the path. Raises NotFound for one that R4 does not have."""
    type = call.path["type"]
    if type not in TYPES:
        raise NotFound(
            f"There is no resource type {type!r}.",
            hint="Names are as in FHIR R4, with capitals: Patient, Observation.",
            slug="unknown-type",
        )
    return type


def read(call: Call) -> Response:
    version = call.session.read(known_type(call), call.path["id"])
    headers = version_headers(call, version)
    if _known(call, version):
        return Response(status_code=304, headers=headers)
    return answer(version.body, headers=headers)


def _known(call: Call, version: Version) -> bool:
    """Whether the caller has this version already. If-None-Match counts before If-Modified-Since
    (RFC 9110 §13.2.2); a date that is none is as good as not sent."""
    tags = call.request.headers.get("if-none-match")
    if tags is not None:
        return bool({"*", etag(version)} & {tag.strip() for tag in tags.split(",")})
    try:
        since = parsedate_to_datetime(call.request.headers.get("if-modified-since", ""))
        return version.at // 1_000_000 <= since.timestamp()
    except (ValueError, OverflowError):
        return False


def vread(call: Call) -> Response:
    number = call.path["version"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound(f"There is no version {number[:40]!r}.")
    version = call.session.read(known_type(call), call.path["id"], int(number))
    if version.deleted:
        raise Gone(f"Version {number} says that {version.ref} was deleted.")
    return answer(version.body, headers=version_headers(call, version))


# -- search ------------------------------------------------------------------------------------


def search(call: Call) -> Response:
    return _search(call, known_type(call), call.pairs)


def search_by_post(call: Call) -> Response:
    if call.media != "application/x-www-form-urlencoded":
        raise Unsupported(
            "A search by POST carries a form.",
            hint="Content-Type: application/x-www-form-urlencoded",
            slug="media-type",
            status=415,
        )
    return _search(call, known_type(call), [*call.pairs, *form_pairs(call.body)])


def _search(call: Call, type: str, pairs: list[tuple[str, str]]) -> Response:
    check_repeated(pairs)
    page = call.session.search(type, pairs, lenient=call.lenient)
    shown = [pair for pair in pairs if pair[0] != "_cursor"]
    elements = _elements(type, shown, call.lenient)
    more = []
    if call.lenient and (ignored := _ignored(type, shown)):
        issue = {"severity": "warning", "code": "not-supported", "diagnostics": ignored}
        outcome = encode({"resourceType": "OperationOutcome", "issue": [issue]})
        more.append(b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}')
    return answer(searchset(call.base, type, shown, page, elements, more))


def searchset(
    base: str,
    type: str,
    shown: Sequence[tuple[str, str]],
    page: Page,
    elements: frozenset[str] | None = None,
    more: Sequence[bytes] = (),
) -> bytes:
    """The Bundle of a search. `shown`: its parameters, without a cursor; `more`: last entries."""
    here = f"{base}/{type}?{urlencode(shown)}"
    relations = [("self", here)]
    if page.next is not None:
        following = urlencode([*shown, ("_cursor", page.next)])
        relations.append(("next", f"{base}/{type}?{following}"))
    entries = [_entry(base, one, "match", elements) for one in page.versions]
    entries += [_entry(base, one, "include", None) for one in page.included]
    return _bundle("searchset", page.total, relations, [*entries, *more])


def _elements(type: str, pairs: list[tuple[str, str]], lenient: bool) -> frozenset[str] | None:
    """Top-level elements to show, None for all (mandatory ones are always shown)."""
    if type == "AuditEvent":
        return None
    elements = parse_query(type, pairs, lenient=lenient, expander=searching.Unasked()).elements
    return frozenset(elements) if elements else None


def _ignored(type: str, pairs: list[tuple[str, str]]) -> str:
    names = parse_query(type, pairs, lenient=True, expander=searching.Unasked()).ignored
    return f"Ignored, since unknown here: {', '.join(names)}" if names else ""


def _entry(base: str, version: Version, mode: str, elements: frozenset[str] | None) -> bytes:
    body = version.body
    if elements is not None:
        keep = elements | {"resourceType", "id", "meta"}
        cut = {name: value for name, value in version.resource.items() if name in keep}
        tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"}
        cut["meta"] = {
            **cut["meta"],
            "tag": [*cut["meta"].get("tag", []), {**tag, "code": "SUBSETTED"}],
        }
        body = encode(cut)
    url = f"{base}/{version.ref}".encode()
    return (
        b'{"fullUrl":"'
        + url
        + b'","resource":'
        + body
        + b',"search":{"mode":"'
        + mode.encode()
        + b'"}}'
    )


def _bundle(
    type: str, total: int | None, relations: list[tuple[str, str]], entries: list[bytes]
) -> bytes:
    """A Bundle put together from bodies as they are stored: nothing is parsed and written again."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": name, "url": url} for name, url in relations]
    start = encode(head)
    if not entries:
        return start
    return start[:-1] + b',"entry":[' + b",".join(entries) + b"]}"


# -- history -----------------------------------------------------------------------------------


def history(call: Call) -> Response:
    type = known_type(call) if "type" in call.path else None
    id = call.path.get("id")
    since, count, cursor = _history_arguments(call)
    page = call.session.history(type, id, since=since, count=count, before=cursor)
    path = "/".join(part for part in (call.base, type, id, "_history") if part)
    return answer(_history_bundle(call, page, path))


def _history_arguments(call: Call) -> tuple[int | None, int, str | None]:
    since: int | None = None
    count = 50
    cursor: str | None = None
    check_repeated(call.pairs)
    for name, value in call.pairs:
        if name == "_since":
            since = _instant(value)
        elif name == "_count" and value.isdigit():
            count = max(1, min(int(value), 1000))
        elif name == "_cursor":
            cursor = value
        else:
            raise Unsupported(
                f"Parameter {name}={value!r} is not known for history.",
                hint="Known: _since, _count",
                slug="unknown-parameter",
                location=name,
            )
    return since, count, cursor


def _instant(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise Invalid(f"_since {value!r} is not an instant.", location="_since") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=clock.zone())
    return int(moment.timestamp() * 1_000_000)


def _history_bundle(call: Call, page: Page, path: str) -> bytes:
    entries = []
    for one in page.versions:
        method = "DELETE" if one.deleted else "POST" if one.version == 1 else "PUT"
        url = one.type if method == "POST" else one.ref
        entry: dict[str, Any] = {
            "fullUrl": f"{call.base}/{one.ref}",
            "request": {"method": method, "url": url},
            "response": {
                "status": {"DELETE": "204", "POST": "201"}.get(method, "200"),
                "etag": etag(one),
                "lastModified": clock.iso(one.at),
            },
        }
        text = encode(entry)
        if not one.deleted:
            text = text[:-1] + b',"resource":' + one.body + b"}"
        entries.append(text)
    relations = [("self", path)]
    if page.next is not None:
        relations.append(("next", f"{path}?{urlencode({'_cursor': page.next})}"))
    return _bundle("history", page.total, relations, entries)

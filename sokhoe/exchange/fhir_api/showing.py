"""What an answer shows of a record: all of it, a summary, or some elements; and the Bundles that
hold several (hl7.org/fhir/R4/search.html#summary, #elements).

A record that is shown whole is sent as it is stored: nothing is parsed and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.calls import etag
from sokhoe.fhir import TYPES, encode, subset, summarised, top_elements
from sokhoe.trust import Page, Version

SHOWING = frozenset({"_summary", "_elements"})
_SUMMARIES = ("true", "text", "data", "false")


@dataclass(frozen=True, slots=True)
class Shown:
    """`summary`: true, text, data or nothing; `elements`: names, or Type.name for records of that
    type only. Nothing of both: the whole record."""

    summary: str = ""
    elements: tuple[str, ...] = ()

    def body(self, version: Version, *, included: bool = False) -> bytes:
        """The record as it is sent. What only comes along is cut when its type is named."""
        if not self.summary and not self._names(version.type, included):
            return version.body
        return encode(self.part(version.resource, included=included))

    def part(self, resource: dict[str, Any], *, included: bool = False) -> dict[str, Any]:
        """What is shown of a resource."""
        if self.summary:
            return summarised(resource, self.summary)
        names = self._names(resource["resourceType"], included)
        return subset(resource, names) if names else resource

    def _names(self, type: str, included: bool) -> set[str]:
        names = {name for name in self.elements if "." not in name and not included}
        start = f"{type}."
        return names | {one.removeprefix(start) for one in self.elements if one.startswith(start)}


WHOLE = Shown()


def shown_of(
    pairs: Iterable[tuple[str, str]],
    types: Sequence[str],
    *,
    lenient: bool = False,
    counting: bool = False,
) -> Shown:
    """What `_summary` and `_elements` ask of records of these types. `counting`: `_summary=count`
    may be asked for. Raises Invalid for a summary nobody knows and an element no type has."""
    summary, elements = "", []
    for name, value in pairs:
        if name == "_summary":
            summary = value
        elif name == "_elements":
            elements += [part.strip() for part in value.split(",") if part.strip()]
    allowed = (*_SUMMARIES, "count") if counting else _SUMMARIES
    if summary and summary not in allowed:
        raise Invalid(
            f"_summary={summary[:40]}: choose one of {', '.join(allowed)}.",
            location="_summary",
            code="value",
        )
    unknown = [one for one in elements if not _known(one, types)]
    if unknown and not lenient:
        raise Invalid(
            f"_elements: {unknown[0][:80]} is no element of {', '.join(types[:3])}.",
            hint="Name elements at the top of a resource: identifier,name or Patient.name.",
            slug="unknown-element",
            location="_elements",
        )
    elements = [one for one in elements if one not in unknown]
    summary = summary if summary in ("true", "text", "data") else ""
    if summary and elements:
        raise Invalid(
            "_summary and _elements cannot both be followed.",
            hint="Send one of them.",
            location="_elements",
        )
    return Shown(summary, tuple(elements))


def _known(element: str, types: Sequence[str]) -> bool:
    type, dot, name = element.rpartition(".")
    if dot:
        return type in TYPES and name in top_elements(type)
    return any(name in top_elements(type) for type in types)


def searchset(
    base: str,
    path: str,
    asked: Sequence[tuple[str, str]],
    page: Page,
    shown: Shown = WHOLE,
    more: Sequence[bytes] = (),
) -> bytes:
    """The Bundle of a search at this path. `asked`: its parameters, without a cursor; `more`: last
    entries."""
    here = f"{base}/{path}" if path else base
    relations = [("self", f"{here}?{urlencode(asked)}")]
    if page.next is not None:
        relations.append(("next", f"{here}?{urlencode([*asked, ('_cursor', page.next)])}"))
    entries = [_match(base, one, b"match", shown.body(one)) for one in page.versions]
    entries += [
        _match(base, one, b"include", shown.body(one, included=True)) for one in page.included
    ]
    return bundle("searchset", page.total, relations, [*entries, *more])


def _match(base: str, version: Version, mode: bytes, body: bytes) -> bytes:
    url = f"{base}/{version.ref}".encode()
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, body, mode)


def history_bundle(
    base: str, path: str, asked: Sequence[tuple[str, str]], page: Page, shown: Shown
) -> bytes:
    """The Bundle of a history, newest first; a deletion has no resource."""
    here = f"{base}/{path}"
    query = f"?{urlencode(asked)}" if asked else ""
    relations = [("self", here + query)]
    if page.next is not None:
        relations.append(("next", f"{here}?{urlencode([*asked, ('_cursor', page.next)])}"))
    entries = [_version(base, one, shown) for one in page.versions]
    return bundle("history", page.total, relations, entries)


def _version(base: str, version: Version, shown: Shown) -> bytes:
    method = "DELETE" if version.deleted else "POST" if version.version == 1 else "PUT"
    entry: dict[str, Any] = {
        "fullUrl": f"{base}/{version.ref}",
        "request": {"method": method, "url": version.type if method == "POST" else version.ref},
        "response": {
            "status": {"DELETE": "204", "POST": "201"}.get(method, "200"),
            "etag": etag(version),
            "lastModified": clock.iso(version.at),
        },
    }
    text = encode(entry)
    if version.deleted:
        return text
    return text[:-1] + b',"resource":' + shown.body(version) + b"}"


def bundle(
    type: str, total: int | None, relations: Sequence[tuple[str, str]], entries: Sequence[bytes]
) -> bytes:
    """A Bundle put together from bodies as they are stored."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": name, "url": url} for name, url in relations]
    start = encode(head)
    if not entries:
        return start
    return start[:-1] + b',"entry":[' + b",".join(entries) + b"]}"

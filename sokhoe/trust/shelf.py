"""Code systems, value sets and maps that were sent to this server, as the terminology asks for
them.

Of several with one URL: the version asked for; without one, an active before a draft before a
retired one, then the highest version number, then the newest date. What is stored is read without
a line in the audit: it is about no patient, and who asked is noted by `Session.consult`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from sokhoe.fhir import parse_query, terminology
from sokhoe.store import Store, Version

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
MOST = "200"  # resources of one URL, or maps of one code system
_STATUS = {"active": 3, "draft": 2, "unknown": 1, "retired": 0}


class _Head(msgspec.Struct):
    """What is needed of a resource to choose it, without decoding its concepts."""

    url: str = ""
    version: str = ""
    status: str = ""
    date: str = ""
    content: str = ""


_head = msgspec.json.Decoder(_Head)


class Shelf:
    """A terminology source over the memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = -1
        self._newest = 0

    def stamp(self) -> Hashable:
        """The number of the newest version of these types; one cheap look while nothing at all
        was written."""
        head = self._store.head()
        if head != self._seen:
            self._newest, self._seen = self._store.newest(TYPES), head
        return self._newest

    def find(self, kind: str, url: str, version: str) -> terminology.Found | None:
        fits = [
            (head, one)
            for head, one in self._all(kind, "url", url)
            if head.url == url and version in {"", head.version} and head.content != "supplement"
        ]
        if not fits:
            return None
        return self._found(max(fits, key=lambda pair: _order(*pair))[1])

    def supplements(self, url: str) -> Sequence[terminology.Found]:
        found = self._all("CodeSystem", "supplements", url)
        return [
            self._found(one)
            for head, one in found
            if head.content == "supplement" and head.status != "retired"
        ]

    def maps(self, system: str, *, into: bool = False) -> Sequence[terminology.Found]:
        found = self._all("ConceptMap", "target-system" if into else "source-system", system)
        return [self._found(one) for head, one in found if head.status != "retired"]

    def why_not(self, url: str) -> str:
        for kind in TYPES:
            have = sorted({head.version for head, _ in self._all(kind, "url", url)} - {""})
            if have:
                return f"Its versions here are: {', '.join(have[:10])}."
        return ""

    def _all(self, kind: str, parameter: str, value: str) -> list[tuple[_Head, Version]]:
        value = re.sub(r"([\\,$|])", r"\\\1", value)
        query = parse_query(kind, [(parameter, value), ("_count", MOST), ("_total", "none")])
        page = self._store.search(query)
        return [(_head.decode(one.body), one) for one in page.versions]

    def _found(self, one: Version) -> terminology.Found:
        type, id, number = one.type, one.id, one.version  # not the body: it may be 5 MB

        def read() -> Mapping[str, Any]:
            again = self._store.read(type, id, number)
            return again.resource if again is not None else {}

        return terminology.Found(f"stored {one.ref}/{number}", read)


def _order(head: _Head, one: Version) -> tuple[int, list[tuple[int, str]], str, int]:
    """Later in order is to be preferred."""
    parts = re.findall(r"\d+|[^\d.]+", head.version)
    number = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return _STATUS.get(head.status, 1), number, head.date, one.seq

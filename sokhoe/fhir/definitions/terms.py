"""The code systems, value sets and concept maps of R4, read one by one from `terms.bin`.

The file is made by `scripts/distil_terminology.py`; `README.md` here says from what. It is some
800 kB and stays on disk: only its table is read when the first question comes (about 1 MB), and a
definition is opened when it is asked for.

    | 8 bytes | table, zstd              | dictionary | frame | frame | frame | …
      │ │       [kind, id, url, version,               one definition each, zstd with the
      │ │        owner, maps from, to, size of frame]  dictionary, as the resource's JSON
      │ └ length of the dictionary
      └ length of the table
"""

from __future__ import annotations

import struct
import threading
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import zstandard

_FILE = Path(__file__).with_name("terms.bin")


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A definition and where it lies; `owner` of its codes where it could not be taken over."""

    kind: str
    id: str
    url: str
    version: str
    owner: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    size: int


class _Shelf:
    def __init__(self) -> None:
        with _FILE.open("rb") as file:
            head, words = struct.unpack("<II", file.read(8))
            table = zstandard.ZstdDecompressor().decompress(file.read(head))
            dictionary = zstandard.ZstdCompressionDict(file.read(words))
        self._press = zstandard.ZstdDecompressor(dict_data=dictionary)
        self._one = threading.Lock()  # a decompressor serves one thread at a time
        self.by_url: dict[tuple[str, str], tuple[Entry, int]] = {}
        self.by_id: dict[tuple[str, str], str] = {}
        at = 8 + head + words
        for one in msgspec.json.decode(table, type=list[Entry]):
            self.by_url[one.kind, one.url] = one, at
            self.by_id.setdefault((one.kind, one.id), one.url)
            at += one.size

    def body(self, at: int, size: int) -> bytes:
        with _FILE.open("rb") as file:
            file.seek(at)
            frame = file.read(size)
        with self._one:
            return self._press.decompress(frame)


@cache
def _shelf() -> _Shelf:
    return _Shelf()


def entry(kind: str, url: str) -> Entry | None:
    """What there is under this canonical URL (without version), None for nothing."""
    found = _shelf().by_url.get((kind, url))
    return found[0] if found else None


def url_of(kind: str, id: str) -> str | None:
    """The canonical URL of the definition with this id (`ValueSet`, `administrative-gender`)."""
    return _shelf().by_id.get((kind, id))


def read(kind: str, url: str) -> dict[str, Any] | None:
    """A definition as a resource; None where there is none or its codes are another's."""
    found = _shelf().by_url.get((kind, url))
    if found is None or found[0].owner:
        return None
    resource: dict[str, Any] = msgspec.json.decode(_shelf().body(found[1], found[0].size))
    return resource


def maps(system: str, *, into: bool = False) -> list[str]:
    """URLs of the concept maps that translate codes of this code system, or `into` it."""
    return [
        one.url
        for one, _ in _shelf().by_url.values()
        if one.kind == "ConceptMap" and system in (one.targets if into else one.sources)
    ]


def entries() -> list[Entry]:
    """All of them, in the order of the standard."""
    return [one for one, _ in _shelf().by_url.values()]

"""How a resource's body lies on disk: its JSON without version and time, compressed.

What is stored is only the tail behind `"meta":{`, since all before it is known from the row:

    {"resourceType":"Patient","id":"7","meta":{  +  "versionId":"2","lastUpdated":"…",  +  tail

So a body can be encoded, compressed and hashed before its version number is known, and reading
puts bytes together without parsing them. Each row names the dictionary it was compressed with
(0: none); dictionaries are never changed or removed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import zstandard

from sokhoe.clock import Instant, iso
from sokhoe.errors import Invalid
from sokhoe.fhir import TYPES, encode

LEVEL = 3
DICTIONARY_BYTES = 65_536
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


def check_name(type: object, id: object) -> None:
    """Invalid unless this is a resource type of R4 and an id that FHIR allows."""
    if type not in TYPES:
        raise Invalid(f"There is no resource type {type!r}.", location="resourceType")
    if not isinstance(id, str) or not _ID.match(id):
        raise Invalid(
            f"{type} has no usable id: {id!r}.",
            hint="An id has 1 to 64 letters, digits, - and . (hl7.org/fhir/R4/datatypes.html#id).",
            location=f"{type}.id",
        )


def tail(resource: dict[str, Any]) -> bytes:
    """What of a resource is stored, not compressed."""
    meta = resource.get("meta") or {}
    if not isinstance(meta, dict):
        raise Invalid("meta is not an object.", location=f"{resource['resourceType']}.meta")
    kept = {name: meta[name] for name in meta if name not in ("versionId", "lastUpdated")}
    rest = {name: resource[name] for name in resource if name not in _HEAD}
    # {"meta":{…},…} without its first nine bytes
    return encode({"meta": kept, **rest})[9:]


_HEAD = frozenset(("resourceType", "id", "meta"))


def head(type: str, id: str) -> bytes:
    return b'{"resourceType":"%b","id":"%b","meta":{' % (type.encode(), id.encode())


@lru_cache(maxsize=1024)  # all versions of a commit have the same time
def _stamp(at: Instant) -> bytes:
    return iso(at).encode()


def whole(type: str, id: str, version: int, at: Instant, stored: bytes) -> bytes:
    """The complete JSON of a version."""
    comma = b"" if stored[:1] == b"}" else b","
    return b'%b"versionId":"%d","lastUpdated":"%b"%b%b' % (
        head(type, id),
        version,
        _stamp(at),
        comma,
        stored,
    )


_SPLICE = re.compile(rb'"versionId":"\d+","lastUpdated":"[^"]*",?')


def content_of(type: str, id: str, body: bytes) -> bytes:
    """The content hash of a complete body as `Version.body` holds it (empty: deleted)."""
    return content(type, id, _tail_of(type, id, body) if body else None)


def bare(resource: dict[str, Any]) -> bytes:
    """A resource as it is stored, without this store's version and time: what is signed. The same
    content has the same bytes at every store."""
    name = resource["resourceType"], resource["id"]
    check_name(*name)
    return head(*name) + tail(resource)


def bare_of(type: str, id: str, body: bytes) -> bytes:
    """The same of a complete body as `Version.body` holds it."""
    return head(type, id) + _tail_of(type, id, body)


def _tail_of(type: str, id: str, body: bytes) -> bytes:
    start = len(head(type, id))
    splice = _SPLICE.match(body, start)
    if body[:start] != head(type, id) or splice is None:
        raise Invalid(f"{type}/{id}: this body was not written by a store.")
    return body[splice.end() :]


def content(type: str, id: str, stored: bytes | None) -> bytes:
    """16 bytes that say what a version holds; None: it says that the resource was deleted."""
    name = f"{type}/{id}\n".encode()
    found = blake2b(name, digest_size=16, person=b"gone" if stored is None else b"body")
    if stored is not None:
        found.update(stored)
    return found.digest()


@dataclass(frozen=True, slots=True)
class Packed:
    """Compressed bytes and the number of the dictionary that opens them."""

    dictionary: int
    data: bytes


class Packer:
    """Compresses and opens bodies; safe for many threads.

    `load` fetches a dictionary by number; it is asked once for each.
    """

    def __init__(self, load: Callable[[int], bytes]) -> None:
        self._load = load
        self._local = threading.local()
        self._known: dict[int, zstandard.ZstdCompressionDict] = {}
        self.current = 0  # set only to a dictionary that is in the store for good

    def pack(self, stored: bytes) -> Packed:
        number = self.current
        made: dict[int, zstandard.ZstdCompressor] | None = getattr(self._local, "pack", None)
        if made is None:
            made = self._local.pack = {}
        if number not in made:
            made[number] = zstandard.ZstdCompressor(
                level=LEVEL, dict_data=self._dictionary(number), write_checksum=False
            )
        return Packed(number, made[number].compress(stored))

    def open(self, number: int, data: bytes) -> bytes:
        made: dict[int, zstandard.ZstdDecompressor] | None = getattr(self._local, "open", None)
        if made is None:
            made = self._local.open = {}
        if number not in made:
            made[number] = zstandard.ZstdDecompressor(dict_data=self._dictionary(number))
        return made[number].decompress(data)

    def add(self, number: int, dictionary: bytes) -> None:
        """Compress with this one from now on; it is in the store."""
        self._known[number] = zstandard.ZstdCompressionDict(dictionary)
        self.current = number

    def _dictionary(self, number: int) -> zstandard.ZstdCompressionDict | None:
        if not number:
            return None
        if number not in self._known:
            self._known[number] = zstandard.ZstdCompressionDict(self._load(number))
        return self._known[number]


def trained(samples: Iterable[bytes]) -> bytes:
    """A dictionary made from stored bodies. It holds pieces of them, so it is as confidential."""
    return zstandard.train_dictionary(DICTIONARY_BYTES, list(samples)).as_bytes()

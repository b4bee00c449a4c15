"""The two hash chains: each commit and each audit line seals all that came before it.

Whoever changes, removes or swaps an old line would have to write every later hash anew, and the
head that is kept beside them, and every copy that other nodes hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from sokhoe.clock import Instant
from sokhoe.fhir import decode, encode
from sokhoe.store.bodies import content_of
from sokhoe.store.shapes import Commit, Entry

START = bytes(32)  # what stands before the first


def commit_hash(
    node: str,
    epoch: str,
    seq: int,
    prev: bytes,
    author: str,
    at: Instant,
    versions: Iterable[tuple[str, str, int, bytes]],
) -> bytes:
    """32 bytes over a commit. `versions`: type, id, version number and content hash of each."""
    listed = [[type, id, number, held.hex()] for type, id, number, held in versions]
    sealed = encode([node, epoch, seq, prev.hex(), author, at, listed])
    return blake2b(sealed, digest_size=32, person=b"sokhoe commit").digest()


def seal(commit: Commit) -> bytes:
    """The hash that a commit ought to have, worked out from its bodies."""
    return commit_hash(
        commit.node,
        commit.epoch,
        commit.seq,
        commit.prev,
        commit.author,
        commit.at,
        [(v.type, v.id, v.version, content_of(v.type, v.id, v.body)) for v in commit.versions],
    )


def audit_hash(seq: int, prev: bytes, body: bytes) -> bytes:
    """32 bytes over one audit line."""
    return blake2b(
        b"%d\n%b\n%b" % (seq, prev, body), digest_size=32, person=b"sokhoe audit"
    ).digest()


_FIELDS = tuple(Entry.__dataclass_fields__)


def entry_bytes(entry: Entry) -> bytes:
    """An audit entry as JSON, empty fields left out."""
    fields = ((name, getattr(entry, name)) for name in _FIELDS)
    return encode(
        {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields
            if value != "" and value != ()
        }
    )


def entry_from(body: bytes) -> Entry:
    fields: dict[str, Any] = decode(body)
    blank: dict[str, Any] = dict.fromkeys(("actor", "name", "role", "place", "purpose"), "")
    blank |= {"action": "", "outcome": ""}
    for name in ("what", "patients"):
        fields[name] = tuple(fields.get(name, ()))
    return Entry(**(blank | fields))

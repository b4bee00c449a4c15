"""Is every line still as it was sealed? Walks both chains and names the first bad place.

Found: an edited body, author, time or audit line, a removed or swapped one, and a cut-off end
(the ends are also kept in `head`). Not found: an attacker who can write every later hash anew and
`head` as well; against that other nodes hold copies of the hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sokhoe.store import bodies, chain
from sokhoe.store.bodies import Packer
from sokhoe.store.planning import TYPE_NAMES
from sokhoe.store.searching import COLUMNS, Reader
from sokhoe.store.shapes import Fault

STEP = 500


def faults(read: Reader, packer: Packer) -> Iterator[Fault]:
    """All faults, in the order of the chain; the commits first."""
    heads = {row[0]: row[1:] for row in read("SELECT kind, seq, hash FROM head", ())}
    count, end = heads["commit"]
    yield from _commits(read, packer, count, _raw(end), heads["version"][0])
    lines, last = heads["audit"]
    yield from _audit(read, lines, _raw(last))


def _commits(
    read: Reader, packer: Packer, count: int, end: bytes, versions: int
) -> Iterator[Fault]:
    prev, number, seq = chain.START, 0, 0
    while True:
        rows = read(
            "SELECT seq, node, epoch, prev, hash, author, at, first, last FROM commits "
            "WHERE seq>? ORDER BY seq LIMIT ?",
            (number, STEP),
        )
        for row in rows:
            if row[0] != number + 1:
                yield Fault(f"commit {number + 1}", "is missing")
                prev, seq = _raw(row[3]), row[7] - 1
            yield from _commit(read, packer, row, prev, seq)
            number, prev, seq = row[0], _raw(row[4]), row[8]
        if len(rows) < STEP:
            break
    if number != count or prev != end:
        yield Fault(f"commit {number + 1}", f"the end is missing: there were {count} commits")
    elif seq != versions or read("SELECT count(*) FROM res WHERE seq>?", (seq,))[0][0]:
        yield Fault(f"version {seq + 1}", "is not part of any commit")


def _commit(
    read: Reader, packer: Packer, row: tuple[Any, ...], prev: bytes, seq: int
) -> Iterator[Fault]:
    number, node, epoch, said, sealed, author, at, first, last = row
    where = f"commit {number}"
    if _raw(said) != prev:
        yield Fault(where, "does not follow from the commit before it")
    if first != seq + 1:
        yield Fault(f"version {seq + 1}", f"is not where {where} expects it")
    rows = read(
        f"SELECT {COLUMNS}, r.content FROM res r WHERE r.seq BETWEEN ? AND ? ORDER BY r.seq",
        (first, last),
    )
    if [one[0] for one in rows] != list(range(first, last + 1)):
        yield Fault(where, "has versions missing")
    listed = []
    for one in rows:
        name = f"version {one[0]} ({TYPE_NAMES.get(one[2], one[2])}/{one[3]}, version {one[4]})"
        held = _content(packer, one)
        if held != _raw(one[9]) or one[5] != at or one[1] != number:
            yield Fault(name, "was changed after it was written")
        listed.append((TYPE_NAMES.get(one[2], ""), one[3], one[4], _raw(one[9])))
    if chain.commit_hash(node, epoch, number, prev, author, at, listed) != _raw(sealed):
        yield Fault(where, "was changed after it was written")


def _content(packer: Packer, row: tuple[Any, ...]) -> bytes:
    """The content hash that a row's body really has; empty if it cannot be opened."""
    type, id = TYPE_NAMES.get(row[2], ""), row[3]
    if row[6]:
        return bodies.content(type, id, None)
    try:
        return bodies.content(type, id, packer.open(row[7], _raw(row[8])))
    except Exception:  # whatever is wrong with it, it is not what was written
        return b""


def _audit(read: Reader, count: int, end: bytes) -> Iterator[Fault]:
    prev, number = chain.START, 0
    while True:
        rows = read(
            "SELECT seq, hash, body FROM audit WHERE seq>? ORDER BY seq LIMIT ?", (number, STEP)
        )
        for seq, sealed, body in rows:
            if seq != number + 1:
                yield Fault(f"audit line {number + 1}", "is missing")
            elif chain.audit_hash(seq, prev, _raw(body)) != _raw(sealed):
                yield Fault(f"audit line {seq}", "was changed after it was written")
            number, prev = seq, _raw(sealed)
        if len(rows) < STEP:
            break
    if number != count or prev != end:
        yield Fault(f"audit line {number + 1}", f"the end is missing: there were {count} lines")


def _raw(value: object) -> bytes:
    """A column's bytes; SQLite lets anybody write a text or number there as well."""
    return value if isinstance(value, bytes) else str(value).encode()

"""Rows for PostgreSQL's COPY in binary, written with `struct`: a third of the time of a driver that
looks at the type of each value.

    signature 11 | flags 4 | extension 4                    once
    fields 2 | length 4, bytes | length 4, bytes | …        each row; length -1 is NULL
    -1 as fields                                            the end

    bigint[]: dimensions 4 = 1, has nulls 4 = 0, type 4 = 20, size 4, from 4 = 1, then (8, bigint)…

All big-endian; postgresql.org/docs/current/sql-copy.html. `tests/store/test_binary.py` reads rows
of every kind back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct

from sokhoe.store.planning import TYPE_CODES, NewVersion

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_LENGTH = Struct(">i").pack


@lru_cache(maxsize=1024)
def _list_of(count: int) -> Struct:
    return Struct(">iiiiii" + "iq" * count)


def ints(values: Sequence[int]) -> bytes:
    """A bigint[] with its length before it; an empty one is NULL."""
    count = len(values)
    if not count:
        return NULL
    pairs: list[int] = [8] * (2 * count)
    pairs[1::2] = values
    return _list_of(count).pack(20 + 12 * count, 1, 0, 20, count, 1, *pairs)


def blob(value: bytes) -> bytes:
    """A bytea or text with its length before it."""
    return _LENGTH(len(value)) + value


_RES = Struct(">hiqiqiqiqiiihihih").pack
_CUR = Struct(">hiqiq").pack
_SPAN = Struct(">ii").pack
_TYPE = Struct(">ih").pack
_FOUR = Struct(">hiqiqiqiq").pack
_NUMBER = Struct(">hiqidiq").pack
_TEXT = Struct(">hiqiq").pack
_TWO = Struct(">hiqiq").pack


def version(new: NewVersion, own: Sequence[int], body: bytes) -> bytes:
    """res(seq, txn, at, self, version, type, deleted, dict, id, content, own, body); `body`:
    compressed, sealed where there are keys."""
    made, packed = new.version, new.packed
    # fmt: off
    fixed = _RES(12, 8, made.seq, 8, made.commit, 8, made.at, 8, new.self_key, 4, made.version,
                 2, TYPE_CODES[made.type], 2, made.deleted, 2, packed.dictionary)
    # fmt: on
    return b"".join((fixed, blob(made.id.encode()), blob(new.content), ints(own), blob(body)))


def current(
    pk: int,
    order: int,
    span: int | None,
    type: int,
    keys: Sequence[int],
    links: Sequence[int],
) -> bytes:
    """cur(pk, d, span, type, keys, links)."""
    fixed = _CUR(6, 8, pk, 8, order)
    length = NULL if span is None else _SPAN(4, span)
    # an empty array is not NULL here
    found = ints(keys) if keys else _LENGTH(12) + bytes(8) + _LENGTH(20)
    return b"".join((fixed, length, _TYPE(2, type), found, ints(links)))


def date(row: tuple[int, int, int, int]) -> bytes:
    """dte(p, lo, hi, pk)."""
    p, low, high, pk = row
    return _FOUR(4, 8, p, 8, low, 8, high, 8, pk)


def number(row: tuple[int, float, int, int]) -> bytes:
    """num(p, v, pk)."""
    p, value, _, pk = row
    return _NUMBER(3, 8, p, 8, value, 8, pk)


def text(row: tuple[int, str, int, int]) -> bytes:
    """str(p, pk, v)."""
    p, value, _, pk = row
    return _TEXT(3, 8, p, 8, pk) + blob(value.encode())


def two(row: tuple[int, int]) -> bytes:
    """Two bigints."""
    return _TWO(2, 8, row[0], 8, row[1])


def line(row: tuple[int, int, bytes, bytes]) -> bytes:
    """audit(seq, at, hash, body)."""
    seq, at, sealed, body = row
    return b"".join((_TWO(4, 8, seq, 8, at), blob(sealed), blob(body)))


def copied(rows: Iterable[bytes]) -> bytes:
    """All rows as the data of one COPY."""
    return b"".join((START, *rows, END))

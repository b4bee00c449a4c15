"""A secret in shares, of which any `needed` give it back and fewer say nothing about it.

Shamir 1979, over GF(256) with the polynomial of AES (x⁸+x⁴+x³+x+1): each byte of the secret is
the value at 0 of a polynomial drawn at random, each share its value at 1, 2, 3 …

    share number x:  secret + a·x          (two are needed: a line through two points)

The tables are made from the generator 3; `tests/trust/keys/test_shamir.py` holds them against
FIPS 197 §4.2 and every way of choosing shares against the secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import reduce

from sokhoe.errors import Invalid

_EXP = [0] * 510
_LOG = [0] * 256


def _fill_tables() -> None:
    value = 1
    for power in range(255):
        _EXP[power] = _EXP[power + 255] = value
        _LOG[value] = power
        doubled = value << 1 ^ (0x11B if value & 0x80 else 0)
        value ^= doubled  # times 3, which generates the whole field


_fill_tables()


def times(a: int, b: int) -> int:
    return _EXP[_LOG[a] + _LOG[b]] if a and b else 0


def over(a: int, b: int) -> int:
    """a / b; b is not 0."""
    return _EXP[_LOG[a] + 255 - _LOG[b]] if a else 0


def split(secret: bytes, needed: int, shares: int) -> dict[int, bytes]:
    """`shares` shares by their numbers (from 1), any `needed` of which give the secret back."""
    if not 1 <= needed <= shares <= 255:
        raise ValueError("needed and shares do not fit")
    ways = [[byte, *secrets.token_bytes(needed - 1)] for byte in secret]
    return {x: bytes(_value(way, x) for way in ways) for x in range(1, shares + 1)}


def join(shares: Mapping[int, bytes]) -> bytes:
    """The secret, if these are enough shares of it; else something as good as random."""
    lengths = {len(one) for one in shares.values()}
    if not shares or len(lengths) != 1 or not all(1 <= x <= 255 for x in shares):
        raise Invalid("These shares do not belong together.", slug="sheet")
    return bytes(
        reduce(int.__xor__, (times(share[at], _weight(x, shares)) for x, share in shares.items()))
        for at in range(lengths.pop())
    )


def _value(way: list[int], x: int) -> int:
    """A polynomial's value, lowest coefficient first."""
    return reduce(lambda sum, one: times(sum, x) ^ one, reversed(way), 0)


def _weight(x: int, all_: Mapping[int, bytes]) -> int:
    """Lagrange's weight of share x for the value at 0."""
    return reduce(lambda sum, y: times(sum, over(y, y ^ x)), (y for y in all_ if y != x), 1)

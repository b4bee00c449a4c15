"""Shares of a secret: the field is AES's, enough give the secret back, fewer say nothing."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.trust.keys import shamir


def test_the_field_is_that_of_fips_197() -> None:
    assert shamir.times(0x57, 0x83) == 0xC1  # FIPS 197 §4.2
    assert shamir.times(0x57, 0x13) == 0xFE  # §4.2.1
    assert shamir.times(0x02, 0x8D) == 0x01  # 0x8D is the inverse of x


def test_the_field_is_a_field() -> None:
    for a in range(1, 256):
        assert shamir.times(shamir.over(1, a), a) == 1
        assert shamir.times(a, 1) == a and shamir.times(a, 0) == 0
    for a, b, c in itertools.product((3, 0x53, 0xCA, 255), repeat=3):
        assert shamir.times(a, b ^ c) == shamir.times(a, b) ^ shamir.times(a, c)
        assert shamir.times(shamir.times(a, b), c) == shamir.times(a, shamir.times(b, c))


def test_a_line_worked_out_by_hand() -> None:
    # secret 0x2A, slope 0x01: its values at 1, 2 and 3
    shares = {x: bytes([0x2A ^ x]) for x in (1, 2, 3)}
    for two in itertools.combinations(shares, 2):
        assert shamir.join({x: shares[x] for x in two}) == b"\x2a"


@given(st.binary(min_size=1, max_size=40), st.integers(1, 5), st.integers(0, 3))
def test_enough_shares_in_any_choice_give_the_secret(secret: bytes, needed: int, more: int) -> None:
    shares = shamir.split(secret, needed, needed + more)
    for some in itertools.combinations(shares, needed):
        assert shamir.join({x: shares[x] for x in some}) == secret
    assert shamir.join(shares) == secret


def test_one_share_says_nothing_about_the_secret() -> None:
    """Whatever the secret, each value of a share is as likely as any other."""
    for secret in (b"\x00", b"\xff"):
        seen = Counter(shamir.split(secret, 2, 3)[1][0] for _ in range(20_000))
        assert len(seen) == 256
        assert max(seen.values()) < 3 * 20_000 / 256


def test_a_changed_share_gives_something_else() -> None:
    shares = shamir.split(b"a secret of some bytes", 2, 3)
    shares[2] = bytes([shares[2][0] ^ 1]) + shares[2][1:]
    assert shamir.join({1: shares[1], 2: shares[2]}) != b"a secret of some bytes"


def test_shares_of_different_lengths_are_refused() -> None:
    with pytest.raises(Invalid):
        shamir.join({1: b"ab", 2: b"abc"})
    with pytest.raises(Invalid):
        shamir.join({0: b"ab", 2: b"ab"})

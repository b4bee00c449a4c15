"""The tree against RFC 6962's own words, written down once more the slow way, and its vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.trust import merkle

# Inputs and roots of the certificate-transparency reference tests (RFC 6962 §2.1.3's tree).
LINES = [
    bytes.fromhex(one)
    for one in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_the_standard(size: int) -> None:
    leaves = [merkle.leaf(line) for line in LINES[:size]]
    assert merkle.root_of(leaves).hex() == ROOTS[size - 1]


def tree(size: int) -> list[bytes]:
    return [merkle.leaf(b"%d" % number) for number in range(size)]


def getter(leaves: list[bytes]) -> merkle.Get:
    return lambda level, index: slow_root(leaves[index << level : index + 1 << level])


@given(st.integers(1, 70), st.data())
@settings(max_examples=150, deadline=None)
def test_a_line_is_proved_in_its_place_and_nowhere_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = tree(size)
    top = merkle.root_of(leaves)
    assert top == slow_root(leaves)
    proof = merkle.inclusion(getter(leaves), index, size)
    assert merkle.included(leaves[index], index, size, proof, top)
    wrong = data.draw(st.integers(0, size - 1).filter(lambda one: one != index or size == 1))
    if wrong != index:
        assert not merkle.included(leaves[wrong], index, size, proof, top)
        assert not merkle.included(leaves[index], wrong, size, proof, top)
    assert not merkle.included(leaves[index], index, size, [*proof, bytes(32)], top)
    if proof:
        assert not merkle.included(leaves[index], index, size, proof[:-1], top)


@given(st.integers(1, 70), st.data())
@settings(max_examples=150, deadline=None)
def test_the_older_log_is_proved_to_be_the_beginning(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    leaves = tree(size)
    before, top = slow_root(leaves[:old]), slow_root(leaves)
    proof = merkle.consistency(getter(leaves), old, size)
    assert merkle.consistent(old, size, proof, before, top)
    changed = [*leaves]
    at = data.draw(st.integers(0, old - 1))
    changed[at] = merkle.leaf(b"another")
    other = slow_root(changed)
    if old < size:
        forged = merkle.consistency(getter(changed), old, size)
        assert not merkle.consistent(old, size, forged, before, other)
    assert not merkle.consistent(old, size, proof, before, other)

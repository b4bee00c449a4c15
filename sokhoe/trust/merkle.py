"""A tree of hashes over a list that only grows (RFC 6962 §2.1): pure, no storage.

    root ── seals all lines 0 … n-1 in 32 bytes
    inclusion proof    log2(n) hashes that show: this line is number i of that root
    consistency proof  log2(n) hashes that show: the list of m lines is the beginning of that of n

`Get` gives the hash of a whole subtree: `get(level, index)` covers the 2^level lines from
index·2^level on. It is asked only for subtrees that are full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Get = Callable[[int, int], bytes]
Peaks = tuple[tuple[int, bytes], ...]  # (level, hash) of the full subtrees, the largest first

EMPTY = sha256(b"").digest()


def leaf(line: bytes) -> bytes:
    return sha256(b"\0" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def grown(peaks: Peaks, leaves: Iterable[bytes]) -> Peaks:
    """The peaks after more leaf hashes: equal neighbours join, as in counting by two."""
    stack = list(peaks)
    for one in leaves:
        level, held = 0, one
        while stack and stack[-1][0] == level:
            held = node(stack.pop()[1], held)
            level += 1
        stack.append((level, held))
    return tuple(stack)


def root(peaks: Peaks) -> bytes:
    if not peaks:
        return EMPTY
    held = peaks[-1][1]
    for _, left in reversed(peaks[:-1]):
        held = node(left, held)
    return held


def root_of(leaves: Sequence[bytes]) -> bytes:
    return root(grown((), leaves))


def over(get: Get, begin: int, end: int) -> bytes:
    """The hash of the lines begin … end-1, as they stand together in a tree."""
    count = end - begin
    if count & (count - 1) == 0:
        return get(count.bit_length() - 1, begin // count)
    middle = begin + _half(count)
    return node(over(get, begin, middle), over(get, middle, end))


def inclusion(get: Get, index: int, size: int) -> list[bytes]:
    """The proof that line `index` stands in the tree of `size` lines, from the leaf up."""
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _half(end - begin)
        if index < middle:
            proof.append(over(get, middle, end))
            end = middle
        else:
            proof.append(over(get, begin, middle))
            begin = middle
    return proof[::-1]


def consistency(get: Get, old: int, size: int) -> list[bytes]:
    """The proof that the first `old` lines of the tree of `size` are what they were."""
    proof: list[bytes] = []
    begin, end, whole = 0, size, True
    while old != end:
        middle = begin + _half(end - begin)
        if old <= middle:
            proof.append(over(get, middle, end))
            end = middle
        else:
            proof.append(over(get, begin, middle))
            begin, whole = middle, False
    if not whole:
        proof.append(over(get, begin, end))
    return proof[::-1]


def included(line: bytes, index: int, size: int, proof: Sequence[bytes], top: bytes) -> bool:
    """Does the proof hold? (RFC 9162 §2.1.3.2; `line` is the leaf's hash.)"""
    if not 0 <= index < size:
        return False
    at, last, held = index, size - 1, line
    for one in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            held = node(one, held)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            held = node(held, one)
        at, last = at >> 1, last >> 1
    return last == 0 and held == top


def consistent(old: int, size: int, proof: Sequence[bytes], before: bytes, top: bytes) -> bool:
    """Is the old tree the beginning of the new one? (RFC 9162 §2.1.4.2)"""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and before == top
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, before)
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(one, first), node(one, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, one)
        at, last = at >> 1, last >> 1
    return last == 0 and first == before and second == top


def _half(count: int) -> int:
    """The largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1

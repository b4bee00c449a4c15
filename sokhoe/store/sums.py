"""What the hashes of every record should add up to, so that one walk over an index ordered by hash
finds the records that have too many: 8 bytes a version instead of all rows in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_MASK = 2**64 - 1
_ODD = 0x9E3779B97F4A7C15


class Sums:
    """A number for each version up to `upto`: 0 where what was seen is what was expected."""

    def __init__(self, upto: int) -> None:
        self.upto = upto
        self._left = array("Q", bytes(8 * (upto + 1)))

    def expect(self, pk: int, order: int, keys: Iterable[int]) -> None:
        """These hashes of a record should be there."""
        if pk <= self.upto:
            total = sum(_mixed(key, order) for key in keys)
            self._left[pk] = (self._left[pk] - total) & _MASK

    def see(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """These (hash, order, pk) are there."""
        left, upto = self._left, self.upto
        for key, order, pk in rows:
            if 0 < pk <= upto:
                left[pk] = (left[pk] + _mixed(key, order)) & _MASK

    def wrong(self) -> list[int]:
        return [pk for pk, left in enumerate(self._left) if left]


def _mixed(key: int, order: int) -> int:
    return ((key ^ (order << 20)) * _ODD) & _MASK

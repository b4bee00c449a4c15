"""Small numbers of people are not shown, nor can they be worked out from what is.

A count from 1 to `below` - 1 is FEW ("< 5"); 0 is shown, since nobody can be pointed at. Where the
cells add up to a total that is shown, a hidden cell could be had by subtraction. Then more cells
are COVERED, the smallest first, until each FEW may still be anything from 1 to `below` - 1 for
somebody who knows the total, the shown cells and this very rule. When all cells are used up and
that is not yet so, the total is covered instead. (Complementary suppression: Hundepool et al.,
Statistical Disclosure Control, chapter 4.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Hidden(Enum):
    """Why a number is not shown."""

    FEW = "few"
    COVERED = "covered"


Count = int | Hidden


@dataclass(frozen=True, slots=True)
class Masked:
    """The cells in their order, and their total."""

    cells: tuple[Count, ...]
    total: Count


def one(count: int, below: int) -> Count:
    """A count that stands alone."""
    return Hidden.FEW if 0 < count < below else count


def adding_up(counts: Sequence[int], below: int) -> Masked:
    """Counts that are shown together with their total."""
    few = {place for place, count in enumerate(counts) if 0 < count < below}
    covered: set[int] = set()
    rest = sorted(
        (place for place, count in enumerate(counts) if count >= below),
        key=lambda place: (counts[place], place),
    )
    total = one(sum(counts), below)
    while few and isinstance(total, int) and not _open(counts, few, covered, rest, below):
        if not rest:
            total = Hidden.COVERED
            break
        covered.add(rest.pop(0))
    cells: list[Count] = list(counts)
    for place in few:
        cells[place] = Hidden.FEW
    for place in covered:
        cells[place] = Hidden.COVERED
    return Masked(tuple(cells), total)


def _open(
    counts: Sequence[int], few: set[int], covered: set[int], rest: Sequence[int], below: int
) -> bool:
    """May each FEW still be anything from 1 to below - 1? A COVERED cell is known to be at least
    `below` and at most the smallest shown one."""
    hidden = sum(counts[place] for place in few | covered)
    most = below - 1
    others = len(few) - 1
    largest = hidden - others - len(covered) * below
    if covered and not rest:
        smallest = 1  # nothing is known of how large the covered ones are
    else:
        upper = counts[rest[0]] if rest else 0
        smallest = hidden - others * most - len(covered) * upper
    return largest >= most and smallest <= 1

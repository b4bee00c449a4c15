"""What the masking promises is checked by an attacker who tries every possible table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sokhoe.warehouse.masking import Count, Hidden, Masked, adding_up, one

BELOW = 5


def test_one_to_four_people_are_few_and_nobody_is_nobody() -> None:
    assert [one(count, BELOW) for count in (0, 1, 4, 5, 17)] == [
        0,
        Hidden.FEW,
        Hidden.FEW,
        5,
        17,
    ]


def test_a_single_small_cell_takes_another_one_with_it() -> None:
    masked = adding_up([100, 3, 20, 40], BELOW)
    assert masked == Masked((100, Hidden.FEW, Hidden.COVERED, 40), 163)


def test_enough_small_cells_protect_each_other() -> None:
    masked = adding_up([2, 3, 20, 40], BELOW)
    assert masked.cells == (Hidden.FEW, Hidden.FEW, 20, 40)


def test_two_cells_of_one_that_give_themselves_away_take_a_third() -> None:
    masked = adding_up([1, 1, 20, 40], BELOW)
    assert masked.cells == (Hidden.FEW, Hidden.FEW, Hidden.COVERED, 40)


def test_the_total_is_covered_when_there_is_nobody_to_hide_behind() -> None:
    assert adding_up([4, 4], BELOW) == Masked((Hidden.FEW, Hidden.FEW), Hidden.COVERED)


def test_a_small_total_is_few() -> None:
    assert adding_up([3, 0], BELOW) == Masked((Hidden.FEW, 0), Hidden.FEW)


def test_nothing_small_means_nothing_hidden() -> None:
    assert adding_up([5, 0, 9], BELOW) == Masked((5, 0, 9), 14)
    assert adding_up([], BELOW) == Masked((), 0)


def possible(masked: Masked, counts: Sequence[int], place: int) -> set[int]:
    """What a reader who sees the masked table may still believe about one small cell."""
    hidden = [at for at, cell in enumerate(masked.cells) if isinstance(cell, Hidden)]
    shown = sum(cell for cell in masked.cells if isinstance(cell, int))
    if not isinstance(masked.total, int):
        return set(range(1, BELOW))
    rest = masked.total - shown
    # Covered cells are known to be no larger than any shown one (the rule takes the smallest).
    large = [cell for cell in masked.cells if isinstance(cell, int) and cell >= BELOW]
    most = min([rest, *large])
    ranges = [
        range(1, BELOW) if masked.cells[at] is Hidden.FEW else range(BELOW, most + 1)
        for at in hidden
    ]
    *ranges, last = ranges
    found = set()
    for values in product(*ranges):
        if rest - sum(values) in last:
            table = [*values, rest - sum(values)]
            found.add(table[hidden.index(place)])
    return found


@given(st.lists(st.integers(0, 11), min_size=1, max_size=4))
@example([1, 5, 5, 5])
@example([3, 5])
@example([1, 2, 1, 9, 14])
def test_no_small_cell_can_be_worked_out_from_the_total(counts: list[int]) -> None:
    masked = adding_up(counts, BELOW)
    for place, cell in enumerate(masked.cells):
        if cell is Hidden.FEW:
            assert possible(masked, counts, place) == set(range(1, BELOW)), (counts, masked)


@given(st.lists(st.integers(0, 500), max_size=60))
def test_what_is_shown_is_true(counts: list[int]) -> None:
    masked = adding_up(counts, BELOW)
    for count, cell in zip(counts, masked.cells, strict=True):
        if isinstance(cell, int):
            assert cell == count
        else:
            assert (cell is Hidden.FEW) == (count < BELOW)
    assert masked.total in (sum(counts), Hidden.FEW, Hidden.COVERED)


@pytest.mark.parametrize("counts", [[100, 3], [9, 8, 1], [5, 5, 5, 2]])
def test_subtracting_the_shown_cells_from_the_total_never_gives_a_small_cell(
    counts: list[int],
) -> None:
    masked = adding_up(counts, BELOW)
    hidden: list[Count] = [cell for cell in masked.cells if isinstance(cell, Hidden)]
    assert len(hidden) > 1 or masked.total is Hidden.COVERED

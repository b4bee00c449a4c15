"""One kind of result as a drawing."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from sokhoe.book.reading import Places
from sokhoe.book.results import read_all, series
from sokhoe.book.trend import HEIGHT, LEFT, MOST, WIDTH, Drawing, _steps, draw
from tests.book.papers import Paper, a_pressure, a_result


def drawn(*papers: Paper) -> Drawing | None:
    (found,) = series(read_all(papers, Places(), {"Patient/1": "1959"}))
    return draw(found)


def values(*numbers: str) -> list[Paper]:
    return [
        a_result("1", "", "Glucose", number, low="3.9", high="6.4", day=f"2026-{month:02}-01")
        for month, number in enumerate(numbers, 1)
    ]


def test_one_value_or_words_alone_are_not_drawn() -> None:
    assert drawn(*values("5")) is None
    words = values("5", "6")
    for one in words:
        del one["valueQuantity"]
        one["valueString"] = "âm tính"
    assert drawn(*words) is None


def test_points_go_left_to_right_and_higher_is_higher() -> None:
    found = drawn(*values("5", "7", "6"))
    assert found is not None
    first, second, third = found.lines[0].points
    assert first.x < second.x < third.x
    assert second.y < third.y < first.y
    assert all(LEFT <= one.x <= WIDTH and 0 <= one.y <= HEIGHT for one in (first, second, third))
    assert [str(one.band) for one in (first, second, third)] == ["normal", "high", "normal"]


def test_the_usual_range_is_a_band_behind_the_line() -> None:
    found = drawn(*values("5", "7"))
    assert found is not None
    line = found.lines[0]
    inside, outside = line.points
    assert line.band_top is not None
    assert line.band_top <= inside.y <= line.band_top + line.band_height
    assert outside.y < line.band_top


def test_a_gap_of_a_year_looks_like_one() -> None:
    papers = [a_result("1", "", "Glucose", "5", day=day)
              for day in ("2024-01-01", "2024-02-01", "2026-01-01")]  # fmt: skip
    found = drawn(*papers)
    assert found is not None
    first, second, third = (one.x for one in found.lines[0].points)
    assert third - second > 10 * (second - first)


def test_blood_pressure_has_two_lines() -> None:
    found = drawn(a_pressure("1", "", 150, 90, "2026-01-01"), a_pressure("1", "", 130, 80))
    assert found is not None
    assert len(found.lines) == 2


def test_values_in_another_unit_are_not_drawn_into_the_line() -> None:
    papers = [*values("5", "6"), a_result("1", "", "Glucose", "108", "mg/dL", day="2025-01-01")]
    found = drawn(*papers)
    assert found is not None
    assert len(found.lines[0].points) == 2


def test_many_values_are_cut_to_the_newest() -> None:
    papers = [
        a_result("1", "", "Glucose", "5", day=f"{year}-{month:02}-01")
        for year in range(2020, 2026)
        for month in range(1, 13)
    ]
    found = drawn(*papers)
    assert found is not None
    assert len(found.lines[0].points) == MOST
    assert [one.label for one in found.lines[0].points].count(True) == 1


def test_values_of_one_day_are_spread_evenly() -> None:
    papers = [a_result("1", "", "Glucose", number) for number in ("5", "6", "7")]
    found = drawn(*papers)
    assert found is not None
    first, second, third = (one.x for one in found.lines[0].points)
    assert second - first == pytest.approx(third - second)


@pytest.mark.parametrize(
    ("low", "high"),
    [("3.9", "9.8"), ("60", "165"), ("0", "0.04"), ("5", "5"), ("0", "0"), ("-3", "4"),
     ("0.001", "1200")],
)  # fmt: skip
def test_the_scale_has_few_round_steps_and_covers_the_values(low: str, high: str) -> None:
    steps = _steps(Decimal(low), Decimal(high))
    assert steps[0] <= Decimal(low)
    assert steps[-1] >= Decimal(high)
    assert 2 <= len(steps) <= 6
    assert len({b - a for a, b in pairwise(steps)}) == 1

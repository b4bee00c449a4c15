"""What to take now, what was taken before, and what stands there twice."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.book.medicines import cabinet, is_current, prescribed
from sokhoe.book.reading import Places
from tests.book.papers import a_medicine

TODAY = "2026-11-23"
PLACES = Places(
    names={"Organization/s": "Station", "Organization/h": "Hospital"},
    homes={"Patient/1": "Organization/s", "Patient/2": "Organization/h"},
)


def shelf(*papers: dict[str, Any]) -> Any:
    return cabinet(prescribed(papers, PLACES), TODAY)


@pytest.mark.parametrize(
    ("day", "days", "current"),
    [
        ("2026-11-20", 30, True),
        ("2026-11-20", 4, True),  # 20, 21, 22, 23
        ("2026-11-20", 3, False),
        ("2026-11-01", None, True),
        ("2026-09-01", None, False),
        ("2026-12-01", 30, False),
    ],
)
def test_a_medicine_is_current_until_its_last_day(
    day: str, days: int | None, current: bool
) -> None:
    (found,) = prescribed([a_medicine("1", "", "Amlodipin", day=day, days=days)], PLACES)
    assert is_current(found, TODAY) is current


def test_a_stopped_medicine_is_not_to_be_taken() -> None:
    found = shelf(a_medicine("1", "", "Amlodipin", status="stopped"))
    assert found.now == ()
    assert found.before[0].stopped


def test_an_end_by_date_or_by_supply_counts_too() -> None:
    by_date = a_medicine("1", "", "A", days=None)
    by_date["dosageInstruction"][0]["timing"] = {"repeat": {"boundsPeriod": {"end": "2026-11-22"}}}
    by_supply = a_medicine("1", "", "B", days=None)
    by_supply["dispenseRequest"] = {"expectedSupplyDuration": {"value": 3, "code": "d"}}
    assert [one.until for one in prescribed([by_date, by_supply], PLACES)] == [
        "2026-11-22",
        "2026-11-22",
    ]


def test_a_renewal_takes_the_place_of_the_one_before() -> None:
    found = shelf(
        a_medicine("1", "", "Amlodipin", day="2026-10-01"),
        a_medicine("1", "", "Amlodipin", day="2026-11-20"),
    )
    assert [one.since[:10] for one in found.now] == ["2026-11-20"]
    assert found.before == ()
    assert found.twice == frozenset()


def test_the_same_medicine_of_two_facilities_stands_side_by_side_and_is_marked() -> None:
    found = shelf(
        a_medicine("1", "", "Amlodipin 5mg", day="2026-11-20"),
        a_medicine("1", "", "Metformin", day="2026-11-15"),
        a_medicine("2", "", "AMLODIPIN 5MG", day="2026-11-10"),
    )
    assert [one.facility for one in found.now] == ["Station", "Hospital", "Station"]
    assert found.twice == {"amlodipin 5mg"}


def test_what_ended_over_a_year_ago_is_left_to_its_visit() -> None:
    found = shelf(
        a_medicine("1", "", "Cũ", day="2025-01-01"), a_medicine("1", "", "Mới", day="2026-06-01")
    )
    assert [one.name for one in found.before] == ["Mới"]


def test_a_medicine_by_reference_has_its_name() -> None:
    paper = a_medicine("1", "", "x")
    del paper["medicationCodeableConcept"]
    paper["medicationReference"] = {"reference": "Medication/1", "display": "Amlodipin"}
    assert [one.name for one in prescribed([paper], PLACES)] == ["Amlodipin"]

"""A number, its usual range, a word, and the value before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sokhoe.book import results
from sokhoe.book.reading import Places
from sokhoe.book.results import Band, Step, key_of, read, read_all, series
from tests.book.papers import a_pressure, a_result

NOWHERE = Places()
ADULT = {"Patient/1": "1959-04-12"}
CHILD = {"Patient/1": "2020-01-01"}


def sugar(value: str = "5.6", **more: Any) -> dict[str, Any]:
    return a_result("1", "", "Glucose máu", value, low="3.9", high="6.4", **more)


@pytest.mark.parametrize(
    ("value", "band"),
    [
        ("5.6", Band.NORMAL),
        ("3.9", Band.NORMAL),
        ("6.4", Band.NORMAL),
        ("6.5", Band.HIGH),
        ("3.8", Band.LOW),
    ],
)
def test_a_value_lies_in_the_range_of_its_laboratory(value: str, band: Band) -> None:
    assert read(sugar(value), NOWHERE, {}).band is band


@pytest.mark.parametrize(
    ("flag", "band"),
    [
        ("H", Band.HIGH),
        ("LL", Band.LOW),
        ("N", Band.NORMAL),
        ("A", Band.ATTENTION),
        ("POS", Band.ATTENTION),
        ("NEG", Band.NORMAL),
    ],
)
def test_the_laboratorys_own_word_goes_before_the_range(flag: str, band: Band) -> None:
    assert read(sugar("5.6", flag=flag), NOWHERE, {}).band is band


def test_a_treatment_range_is_not_the_usual_range() -> None:
    target = {
        "low": {"value": 1},
        "high": {"value": 2},
        "type": {"coding": [{"code": "treatment"}]},
    }
    paper = a_result("1", "", "Glucose máu", "5.6", referenceRange=[target])
    assert read(paper, NOWHERE, {}).band is Band.UNKNOWN


@pytest.mark.parametrize(
    ("systolic", "diastolic", "band"),
    [(120, 80, Band.NORMAL), (139, 89, Band.NORMAL), (140, 80, Band.HIGH), (120, 90, Band.HIGH),
     (85, 70, Band.LOW), (150, 55, Band.HIGH)],
)  # fmt: skip
def test_blood_pressure_of_an_adult_has_a_word_without_a_range(
    systolic: int, diastolic: int, band: Band
) -> None:
    found = read(a_pressure("1", "", systolic, diastolic), NOWHERE, ADULT)
    assert found.band is band
    assert [one.value for one in found.measures] == [Decimal(systolic), Decimal(diastolic)]
    assert all(one.assumed for one in found.measures)


@pytest.mark.parametrize("births", [CHILD, {}])
def test_a_child_or_somebody_of_unknown_age_gets_no_range_of_adults(
    births: dict[str, str],
) -> None:
    assert read(a_pressure("1", "", 85, 50), NOWHERE, births).band is Band.UNKNOWN


def test_the_range_of_the_sender_wins_over_that_of_adults() -> None:
    paper = a_result("1", "", "Mạch", "110", "/phút", code="8867-4", low="60", high="120")
    found = read(paper, NOWHERE, ADULT)
    assert found.band is Band.NORMAL
    assert not found.measures[0].assumed


def test_words_are_results_too() -> None:
    paper = a_result("1", "", "HBsAg", "0", code="5195-3", flag="POS")
    del paper["valueQuantity"]
    paper["valueCodeableConcept"] = {"text": "Dương tính"}
    found = read(paper, NOWHERE, {})
    assert (found.measures[0].words, found.band) == ("Dương tính", Band.ATTENTION)


def test_an_observation_that_says_nothing_or_was_an_error_is_no_result() -> None:
    empty = sugar()
    del empty["valueQuantity"]
    assert read_all([empty, sugar(status="entered-in-error"), sugar(status="cancelled")],
                    NOWHERE, {}) == []  # fmt: skip


def test_each_value_is_compared_with_the_one_before() -> None:
    papers = [sugar("6.0", day="2026-03-01"), sugar("5.0", day="2026-01-01"),
              sugar("6.0", day="2026-05-01")]  # fmt: skip
    found = read_all(papers, NOWHERE, {})
    assert [one.step for one in found] == [None, Step.UP, Step.SAME]
    assert [one.before for one in found] == [None, Decimal("5.0"), Decimal("6.0")]


def test_other_units_are_not_compared() -> None:
    papers = [sugar("5.0", day="2026-01-01"),
              a_result("1", "", "Glucose máu", "108", "mg/dL", day="2026-03-01")]  # fmt: skip
    assert read_all(papers, NOWHERE, {})[1].step is None


def test_series_begin_with_the_newest_and_vital_signs_stand_first() -> None:
    papers = [sugar("5.0", day="2026-01-01"), sugar("6.0", day="2026-03-01"),
              a_pressure("1", "", 120, 80),
              a_result("1", "", "Alb", "40", "g/L", code="1751-7")]  # fmt: skip
    found = series(read_all(papers, NOWHERE, {}))
    assert [one.key for one in found] == ["85354-9", "1751-7", "14749-6"]
    assert found[2].newest.measures[0].value == Decimal("6.0")


def test_results_of_midnight_are_ordered_by_local_time() -> None:
    late = sugar("6.0", effectiveDateTime="2026-01-01T23:30:00Z")  # the second, here
    early = sugar("5.0", effectiveDateTime="2026-01-02T01:00:00+07:00")
    found = read_all([late, early], NOWHERE, {})
    assert [one.measures[0].value for one in found] == [Decimal("5.0"), Decimal("6.0")]


@pytest.mark.parametrize(
    ("concept", "key"),
    [
        ({"coding": [{"code": "GLU"}, {"system": "http://loinc.org", "code": "1-1"}]}, "1-1"),
        ({"coding": [{"code": "GLU"}], "text": "Đường"}, "GLU"),
        ({"text": "Đường huyết (mao mạch)"}, "t-duong-huyet-mao-mach"),
    ],
)
def test_a_kind_of_result_has_one_name_in_addresses(concept: dict[str, Any], key: str) -> None:
    assert key_of(concept) == key


def test_only_what_lies_outside_needs_a_look() -> None:
    found = read_all([sugar("9.9"), sugar("5.0")], NOWHERE, {})
    assert [results.needs_look(one) for one in found] == [True, False]

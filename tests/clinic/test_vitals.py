"""Vital signs: what can be true, what is normal at which age, and what FHIR is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sokhoe.clinic import vitals

ADULT, BABY, CHILD = 40 * 12, 6, 8 * 12


@pytest.mark.parametrize(
    ("name", "value", "months", "level", "word"),
    [
        ("systolic", 120, ADULT, "ok", "normal"),
        ("systolic", 140, ADULT, "notice", "a little high"),
        ("systolic", 180, ADULT, "notice", "a little high"),
        ("systolic", 181, ADULT, "warning", "very high"),
        ("systolic", 221, ADULT, "danger", "dangerously high"),
        ("systolic", 79, ADULT, "danger", "dangerously low"),
        ("systolic", 120, CHILD, "ok", "normal"),
        ("systolic", 126, CHILD, "warning", "very high"),
        ("pulse", 140, BABY, "ok", "normal"),
        ("pulse", 140, ADULT, "warning", "very high"),
        ("respiration", 50, BABY, "warning", "very high"),  # WHO: fast breathing from 50
        ("respiration", 50, 1, "ok", "normal"),  # under two months: from 60
        ("respiration", 60, 1, "warning", "very high"),
        ("temperature", "37.4", ADULT, "ok", "normal"),
        ("temperature", "37.5", BABY, "notice", "a little high"),
        ("temperature", "40", None, "danger", "dangerously high"),
        ("temperature", "34.9", None, "danger", "dangerously low"),
    ],
)
def test_a_value_is_judged_by_age(
    name: str, value: Any, months: int | None, level: str, word: str
) -> None:
    found = vitals.judge(name, Decimal(value), months)
    assert found is not None
    assert (found.level, found.word) == (level, word)


def test_an_unknown_age_is_taken_as_adult() -> None:
    assert vitals.judge("pulse", Decimal(140), None) == vitals.judge("pulse", Decimal(140), ADULT)


def test_nothing_is_said_about_weight_nor_about_a_childs_index() -> None:
    assert vitals.judge("weight", Decimal(60), ADULT) is None
    assert vitals.judge("bmi", Decimal(14), CHILD) is None
    assert vitals.judge("bmi", Decimal("31"), ADULT) == vitals.Judged("warning", "very high", True)


@pytest.mark.parametrize("sign", vitals.SIGNS, ids=lambda one: one.name)
@pytest.mark.parametrize("months", [0, 1, 5, 14, 40, 100, 150, 200, 900, None])
def test_levels_get_worse_outwards(sign: vitals.Sign, months: int | None) -> None:
    """From the middle of the usual band outwards no value is ever judged milder than one nearer."""
    low, high = vitals.band(sign.name, months)
    if low is None or high is None:
        return
    order = {"ok": 0, "notice": 1, "warning": 2, "danger": 3}
    middle = (low + high) / 2
    for step in (Decimal("0.5"), Decimal("-0.5")):
        value, worst = middle, 0
        while sign.low <= value <= sign.high:
            found = vitals.judge(sign.name, value, months)
            assert found is not None and order[found.level] >= worst
            worst, value = order[found.level], value + step
        assert worst >= 2


@pytest.mark.parametrize("text", ["37,5", "37.5", " 37,5 ", "៣៧,៥"])
def test_comma_and_dot_and_khmer_digits_are_the_same(text: str) -> None:
    assert vitals.check(vitals.BY_NAME["temperature"], text) == (Decimal("37.5"), "")


@pytest.mark.parametrize("text", ["abc", "-1", "1e3", "12345", "37,555", "37..5", "NaN"])
def test_what_is_no_number_is_refused(text: str) -> None:
    value, wrong = vitals.check(vitals.BY_NAME["temperature"], text)
    assert value is None and wrong


def test_a_typing_error_is_refused_and_a_bad_value_is_not() -> None:
    assert vitals.check(vitals.BY_NAME["temperature"], "375")[0] is None
    assert vitals.check(vitals.BY_NAME["systolic"], "1200")[0] is None
    assert vitals.check(vitals.BY_NAME["systolic"], "260")[0] == 260


def test_the_pressure_is_one_observation_with_two_components() -> None:
    made = dict(vitals.observations({"systolic": Decimal(186), "diastolic": Decimal(104)}, 480, {}))
    assert list(made) == ["pressure"]
    observation = made["pressure"]
    assert observation["code"]["coding"][0]["code"] == "85354-9"
    assert "valueQuantity" not in observation
    upper, lower = observation["component"]
    assert upper["code"]["coding"][0]["code"] == "8480-6"
    assert upper["valueQuantity"] == {
        "value": 186,
        "unit": "mmHg",
        "system": "http://unitsofmeasure.org",
        "code": "mm[Hg]",
    }
    assert upper["interpretation"][0]["coding"][0]["code"] == "H"
    assert lower["code"]["coding"][0]["code"] == "8462-4"
    assert vitals.measured(observation) == {"systolic": 186, "diastolic": 104}


def test_the_index_is_computed_here() -> None:
    values = {"weight": Decimal("62.5"), "height": Decimal(160)}
    made = dict(vitals.observations(values, 480, {}))
    assert made["bmi"]["valueQuantity"]["value"] == Decimal("24.4")
    assert "bmi" not in dict(vitals.observations({"weight": Decimal(60)}, 480, {}))


def test_an_unknown_observation_measures_nothing() -> None:
    assert vitals.measured({"code": {"text": "x"}, "valueQuantity": {"value": 1}}) == {}
    assert vitals.measured({"code": {"coding": [{"code": "8867-4"}]}}) == {}


def test_the_worse_of_two_judgements_counts() -> None:
    bad = vitals.Judged("warning", "very high")
    assert vitals.worse(vitals.OK, bad) is bad
    assert vitals.worse(bad, None) is bad
    assert vitals.worse(None, None) is None

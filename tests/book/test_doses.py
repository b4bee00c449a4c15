"""When and how many: a dosage as times of day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sokhoe.book.doses import Meal, Part, Slot, read


def dosage(repeat: dict[str, Any] | None = None, amount: Any = 1, **more: Any) -> dict[str, Any]:
    return {
        "timing": {"repeat": repeat or {}},
        "doseAndRate": [{"doseQuantity": {"value": amount, "unit": "viên"}}],
        **more,
    }


@pytest.mark.parametrize(
    ("when", "parts"),
    [
        (["MORN"], [Part.MORNING]),
        (["EVE", "MORN"], [Part.MORNING, Part.NIGHT]),
        (["MORN", "NOON", "AFT", "NIGHT"], list(Part)),
        (["HS"], [Part.NIGHT]),
        (["PCM", "PCV"], [Part.MORNING, Part.AFTERNOON]),
        (["WAKE", "MORN"], [Part.MORNING]),
        (["IMD"], []),
    ],
)
def test_event_codes_are_parts_of_the_day_in_order(when: list[str], parts: list[Part]) -> None:
    found = read([dosage({"when": when})])
    assert [slot.part for slot in found.slots] == parts


def test_each_part_has_its_own_amount() -> None:
    found = read(
        [dosage({"when": ["MORN"]}, 2), dosage({"when": ["EVE"]}, Decimal("0.5"))],
    )
    assert found.slots == (
        Slot(Part.MORNING, Decimal(2), "viên"),
        Slot(Part.NIGHT, Decimal("0.5"), "viên"),
    )


def test_clock_times_are_parts_of_the_day() -> None:
    found = read([dosage({"timeOfDay": ["08:00:00", "12:30:00", "17:00:00", "21:00:00"]})])
    assert [slot.part for slot in found.slots] == list(Part)


@pytest.mark.parametrize(
    ("repeat", "per_day"),
    [
        ({"frequency": 3, "period": 1, "periodUnit": "d"}, 3),
        ({"frequency": 1, "period": 8, "periodUnit": "h"}, 3),
        ({"frequency": 2, "period": 2, "periodUnit": "d"}, 1),
        ({"frequency": 1, "period": 1, "periodUnit": "wk"}, None),
        ({"frequency": 1, "period": 0, "periodUnit": "d"}, None),
        ({}, None),
    ],
)
def test_a_frequency_is_times_a_day_where_it_comes_out_whole(
    repeat: dict[str, Any], per_day: int | None
) -> None:
    found = read([dosage(repeat)])
    assert found.per_day == per_day
    assert (found.each, found.unit) == (Decimal(1), "viên")


@pytest.mark.parametrize(
    ("when", "meal"),
    [(["AC"], Meal.BEFORE), (["PCM"], Meal.AFTER), (["CD"], Meal.WITH), (["MORN"], None)],
)
def test_before_or_after_a_meal_is_said(when: list[str], meal: Meal | None) -> None:
    assert read([dosage({"when": when})]).meal is meal


def test_the_prescribers_words_are_kept_once() -> None:
    one = dosage(text="Uống khi sốt", asNeededBoolean=True)
    found = read([one, one, dosage(text="Không quá 4 viên")])
    assert found.words == "Uống khi sốt; Không quá 4 viên"
    assert found.as_needed


def test_the_patients_own_instruction_goes_before_the_pharmacists() -> None:
    assert read([dosage(text="1-0-1", patientInstruction="Sáng 1, tối 1")]).words == "Sáng 1, tối 1"


@pytest.mark.parametrize(("value", "code", "days"), [(7, "d", 7), (2, "wk", 14), (1, "mo", 30)])
def test_for_how_long(value: int, code: str, days: int) -> None:
    found = read([dosage({"boundsDuration": {"value": value, "code": code}})])
    assert found.days == days


@pytest.mark.parametrize("nothing", [None, [], "text", [7], [{}], [{"timing": None}]])
def test_a_dosage_that_says_nothing_says_nothing(nothing: Any) -> None:
    found = read(nothing)
    assert (found.slots, found.words, found.per_day) == ((), "", None)

"""From a dosage to times of day: what a person who reads little must know is when and how many.

Pure. FHIR's event timings (hl7.org/fhir/R4/valueset-event-timing.html) become four parts of the
day; what does not fit (every 8 hours, when it hurts) stays in the prescriber's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sokhoe.book.reading import number, text


class Part(StrEnum):
    """Parts of the day, in their order."""

    MORNING = "morning"
    NOON = "noon"
    AFTERNOON = "afternoon"
    NIGHT = "night"


class Meal(StrEnum):
    BEFORE = "before"
    WITH = "with"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Slot:
    """One part of the day and how much then (None: it does not say). `unit`: tablet, packet."""

    part: Part
    amount: Decimal | None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Doses:
    """`slots`: by part of the day; `per_day` and `each` (of `unit`): where only a frequency is
    known; `words`: the prescriber's own instruction; `days`: for how long; `as_needed`: only
    then."""

    slots: tuple[Slot, ...] = ()
    per_day: Decimal | None = None
    each: Decimal | None = None
    unit: str = ""
    meal: Meal | None = None
    words: str = ""
    days: int | None = None
    as_needed: bool = False


_ORDER = {part: number for number, part in enumerate(Part)}
_PARTS: dict[str, Part] = {
    "MORN": Part.MORNING,
    "MORN.early": Part.MORNING,
    "MORN.late": Part.MORNING,
    "WAKE": Part.MORNING,
    "ACM": Part.MORNING,
    "CM": Part.MORNING,
    "PCM": Part.MORNING,
    "NOON": Part.NOON,
    "ACD": Part.NOON,
    "CD": Part.NOON,
    "PCD": Part.NOON,
    "AFT": Part.AFTERNOON,
    "AFT.early": Part.AFTERNOON,
    "AFT.late": Part.AFTERNOON,
    "EVE.early": Part.AFTERNOON,
    "ACV": Part.AFTERNOON,
    "CV": Part.AFTERNOON,
    "PCV": Part.AFTERNOON,
    "EVE": Part.NIGHT,
    "EVE.late": Part.NIGHT,
    "NIGHT": Part.NIGHT,
    "HS": Part.NIGHT,
}
_MEALS = {"AC": Meal.BEFORE, "PC": Meal.AFTER, "C": Meal.WITH}
_DAYS = {"d": Decimal(1), "wk": Decimal(7), "mo": Decimal(30), "h": Decimal(1) / 24}


def read(dosages: Any) -> Doses:
    """All dosage instructions of one medicine, together."""
    listed = [one for one in dosages if isinstance(one, dict)] if isinstance(dosages, list) else []
    slots: dict[Part, Slot] = {}
    words: list[str] = []
    rest = Doses()
    for one in listed:
        read_one = _one(one)
        for slot in read_one.slots:
            slots.setdefault(slot.part, slot)
        if read_one.words and read_one.words not in words:
            words.append(read_one.words)
        rest = _first(rest, read_one)
    return Doses(
        slots=tuple(sorted(slots.values(), key=lambda slot: _ORDER[slot.part])),
        per_day=None if slots else rest.per_day,
        each=None if slots else rest.each,
        unit="" if slots else rest.unit,
        meal=rest.meal,
        words="; ".join(words),
        days=rest.days,
        as_needed=rest.as_needed,
    )


def _first(known: Doses, more: Doses) -> Doses:
    return Doses(
        per_day=known.per_day or more.per_day,
        each=known.each or more.each,
        unit=known.unit or more.unit,
        meal=known.meal or more.meal,
        days=known.days or more.days,
        as_needed=known.as_needed or more.as_needed,
    )


def _one(dosage: dict[str, Any]) -> Doses:
    timing = dosage.get("timing") if isinstance(dosage.get("timing"), dict) else {}
    repeat = timing.get("repeat") if timing else {}
    repeat = repeat if isinstance(repeat, dict) else {}
    amount, unit = _amount(dosage.get("doseAndRate"))
    when = [str(one) for one in repeat.get("when", [])]
    parts = [_PARTS[one] for one in when if one in _PARTS]
    parts += [part for part in map(_of_clock, repeat.get("timeOfDay", [])) if part]
    words = dosage.get("patientInstruction") or dosage.get("text") or ""
    return Doses(
        slots=tuple(Slot(part, amount, unit) for part in dict.fromkeys(parts)),
        per_day=_per_day(repeat),
        each=amount,
        unit=unit,
        meal=_meal(when),
        words=str(words).strip(),
        days=_days(repeat),
        as_needed=dosage.get("asNeededBoolean") is True
        or bool(text(dosage.get("asNeededCodeableConcept"))),
    )


def _amount(rates: Any) -> tuple[Decimal | None, str]:
    for one in rates if isinstance(rates, list) else []:
        quantity = one.get("doseQuantity") or (one.get("doseRange") or {}).get("high") or {}
        value = number(quantity.get("value"))
        if value is not None:
            return value, str(quantity.get("unit") or "")
    return None, ""


def _meal(when: Sequence[str]) -> Meal | None:
    for code in when:
        for start, meal in _MEALS.items():
            if code == start or (code in _PARTS and code[:-1] == start):
                return meal
    return None


def _of_clock(time: Any) -> Part | None:
    hour = str(time)[:2]
    if not hour.isdigit():
        return None
    at = int(hour)
    if at < 4 or at >= 19:
        return Part.NIGHT
    return Part.MORNING if at < 11 else Part.NOON if at < 14 else Part.AFTERNOON


def _per_day(repeat: dict[str, Any]) -> Decimal | None:
    often, every = number(repeat.get("frequency")), number(repeat.get("period"))
    unit = _DAYS.get(str(repeat.get("periodUnit")))
    if often is None or not every or unit is None:
        return None
    found = often / (every * unit)
    whole = found.to_integral_value()
    return whole if abs(found - whole) < Decimal("0.01") and whole else None


def _days(repeat: dict[str, Any]) -> int | None:
    bounds = repeat.get("boundsDuration")
    if not isinstance(bounds, dict):
        return None
    value, unit = number(bounds.get("value")), _DAYS.get(str(bounds.get("code", "d")))
    return int(value * unit) if value is not None and unit is not None else None

"""Vital signs: what is measured, which numbers can be true, and which are normal at which age.

Three kinds of bounds, from outside in: `hard` (a typing error: refused), `danger` (red ▲, act
now), `warning` (orange ●), `notice` (outside the usual band, said without alarm). Bands for pulse
and breathing by age follow the paediatric life support tables (ALSG, APLS 6th ed., ch. 1) and
WHO's fast-breathing limits (IMCI chart booklet 2014: 60 / 50 / 40 per minute); adult pressure
the national hypertension guideline (140/90), orange from over 180/110. These colour a screen;
they do not diagnose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sokhoe.web import key

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
PRESSURE, BMI = "85354-9", "39156-5"
MONTHS = 12
ADULT = 16 * MONTHS


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing measured: field name, label (a catalogue key), LOINC code, UCUM unit, the unit as
    written on screens, and the hard bounds."""

    name: str
    label: str
    code: str
    display: str
    ucum: str
    unit: str
    low: Decimal
    high: Decimal


def _sign(
    name: str, label: str, code: str, display: str, ucum: str, unit: str, low: str, high: str
) -> Sign:
    return Sign(name, label, code, display, ucum, unit, Decimal(low), Decimal(high))


# In the order of the paper form.
SIGNS: tuple[Sign, ...] = (
    _sign("pulse", key("Pulse"), "8867-4", "Heart rate", "/min", key("beats/min"), "20", "300"),
    _sign("temperature", key("Temperature"), "8310-5", "Body temperature", "Cel", "°C", "30", "44"),
    _sign(
        "systolic",
        key("Upper blood pressure"),
        "8480-6",
        "Systolic blood pressure",
        "mm[Hg]",
        "mmHg",
        "40",
        "300",
    ),
    _sign(
        "diastolic",
        key("Lower blood pressure"),
        "8462-4",
        "Diastolic blood pressure",
        "mm[Hg]",
        "mmHg",
        "20",
        "200",
    ),
    _sign(
        "respiration",
        key("Breathing"),
        "9279-1",
        "Respiratory rate",
        "/min",
        key("breaths/min"),
        "5",
        "150",
    ),
    _sign("weight", key("Weight"), "29463-7", "Body weight", "kg", "kg", "0.3", "350"),
    _sign("height", key("Height"), "8302-2", "Body height", "cm", "cm", "20", "250"),
)
BY_NAME: Mapping[str, Sign] = {one.name: one for one in SIGNS}
BY_CODE: Mapping[str, Sign] = {one.code: one for one in SIGNS}


@dataclass(frozen=True, slots=True)
class Judged:
    """A level with its word: `level` ok, notice, warning or danger; `word` a catalogue key;
    `high` says on which side."""

    level: str
    word: str
    high: bool = False


OK = Judged("ok", key("normal"))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where each level begins: below or above the number."""

    danger_low: Decimal | None
    warning_low: Decimal | None
    notice_low: Decimal | None
    notice_high: Decimal | None
    warning_high: Decimal | None
    danger_high: Decimal | None


def _bounds(text: str) -> Bounds:
    """Six numbers as written in the table below; "-" for none."""
    six = [None if one == "-" else Decimal(one) for one in text.split()]
    return Bounds(*six)


# (months of age up to which, bounds): danger < warning < notice … notice > warning > danger.
# An age of None in the last row: from there on, and for those whose age nobody knows.
_AGES: Mapping[str, tuple[tuple[int | None, Bounds], ...]] = {
    "pulse": (
        (12, _bounds("80 90 110 160 180 220")),
        (24, _bounds("70 90 100 150 170 200")),
        (60, _bounds("60 80 95 140 160 190")),
        (144, _bounds("50 65 80 120 140 180")),
        (None, _bounds("40 50 60 100 120 150")),
    ),
    "respiration": (
        (2, _bounds("20 25 30 54 59 80")),
        (12, _bounds("15 20 25 45 49 70")),
        (60, _bounds("12 18 20 35 39 60")),
        (144, _bounds("10 14 18 25 30 50")),
        (None, _bounds("8 10 12 20 24 30")),
    ),
    "temperature": ((None, _bounds("35 35.5 36 37.4 38.4 39.9")),),
    "systolic": (
        (12, _bounds("60 70 - - 110 130")),
        (60, _bounds("65 75 - - 115 130")),
        (144, _bounds("70 80 - - 125 140")),
        (ADULT, _bounds("80 90 - 129 140 180")),
        (None, _bounds("80 90 100 139 180 220")),
    ),
    "diastolic": (
        (12, _bounds("25 30 - - 75 90")),
        (144, _bounds("30 40 - - 80 95")),
        (ADULT, _bounds("35 45 - 79 90 110")),
        (None, _bounds("40 50 60 89 110 130")),
    ),
    # Body mass index for adults (WHO Western Pacific cut-offs for Asia, 2000); below that age a
    # growth chart is needed and a bare number says nothing.
    "bmi": (
        (ADULT, _bounds("- - - - - -")),
        (None, _bounds("- 16 18.5 22.9 29.9 -")),
    ),
}


def bounds(name: str, months: int | None) -> Bounds | None:
    """The bounds of a sign at an age in months (None: unknown, taken as adult); None for signs
    without any (weight, height)."""
    table = _AGES.get(name)
    if table is None:
        return None
    for until, found in table:
        if until is None or (months is not None and months < until):
            return found
    return None  # pragma: no cover - each table ends with None


def judge(name: str, value: Decimal, months: int | None) -> Judged | None:
    """How a value is to be seen at this age; None when there is nothing to say about it."""
    found = bounds(name, months)
    if found is None or not any(
        getattr(found, one) is not None for one in Bounds.__dataclass_fields__
    ):
        return None
    for level, low, high in (
        ("danger", found.danger_low, found.danger_high),
        ("warning", found.warning_low, found.warning_high),
        ("notice", found.notice_low, found.notice_high),
    ):
        if low is not None and value < low:
            return Judged(level, _WORDS[level][0])
        if high is not None and value > high:
            return Judged(level, _WORDS[level][1], high=True)
    return OK


_WORDS = {
    "danger": (key("dangerously low"), key("dangerously high")),
    "warning": (key("very low"), key("very high")),
    "notice": (key("a little low"), key("a little high")),
}


def band(name: str, months: int | None) -> tuple[Decimal | None, Decimal | None]:
    """The usual band for a trend line."""
    found = bounds(name, months)
    return (found.notice_low, found.notice_high) if found else (None, None)


_NUMBER = re.compile(r"^\d{1,4}([.,]\d{1,2})?$")


def read_number(text: str) -> Decimal | None:
    """A number as typed, with comma or dot ("37,5", "37.5"); None when it is none."""
    text = text.strip()
    if not _NUMBER.match(text):
        return None
    return Decimal(text.replace(",", "."))


def check(sign: Sign, text: str) -> tuple[Decimal | None, str]:
    """A typed value and what is wrong with it (a catalogue key, "" when nothing is)."""
    value = read_number(text)
    if value is None:
        return None, key("Type a number, for example {example}.")
    if not sign.low <= value <= sign.high:
        return None, key("This can only be between {low} and {high} {unit}. Please check.")
    return value, ""


def body_mass_index(weight: Decimal, height: Decimal) -> Decimal:
    """kg/m², one decimal."""
    metres = height / 100
    return (weight / (metres * metres)).quantize(Decimal("0.1"))


def observations(
    values: Mapping[str, Decimal], months: int | None, shared: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """The measured values as Observations with their field name, without ids. The pressure is one
    Observation with two components (hl7.org/fhir/R4/bp.html); the index is computed here."""
    made: list[tuple[str, dict[str, Any]]] = []
    for sign in SIGNS:
        if sign.name in values and sign.name not in {"systolic", "diastolic"}:
            value = values[sign.name]
            made.append(
                (
                    sign.name,
                    {**_head(sign.code, sign.display, shared), **_value(sign, value, months)},
                )
            )
    pressure = [BY_NAME[name] for name in ("systolic", "diastolic") if name in values]
    if pressure:
        made.append(
            (
                "pressure",
                {
                    **_head(PRESSURE, "Blood pressure panel with all children optional", shared),
                    "component": [
                        {
                            "code": _code(one.code, one.display),
                            **_value(one, values[one.name], months),
                        }
                        for one in pressure
                    ],
                },
            )
        )
    if "weight" in values and "height" in values:
        index = body_mass_index(values["weight"], values["height"])
        sign = Sign("bmi", "", BMI, "Body mass index (BMI) [Ratio]", "kg/m2", "kg/m²", index, index)
        made.append(("bmi", {**_head(BMI, sign.display, shared), **_value(sign, index, months)}))
    return made


def _code(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code, "display": display}]}


def _head(code: str, display: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": _code(code, display),
        **shared,
    }


def _value(sign: Sign, value: Decimal, months: int | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "valueQuantity": {"value": value, "unit": sign.unit, "system": UCUM, "code": sign.ucum}
    }
    found = judge(sign.name, value, months)
    if found is not None:
        out["interpretation"] = [{"coding": [{"system": INTERPRETATION, "code": _letter(found)}]}]
    return out


def _letter(found: Judged) -> str:
    if found.level == "ok":
        return "N"
    letter = "H" if found.high else "L"
    return letter * 2 if found.level == "danger" else letter


def measured(observation: Mapping[str, Any]) -> dict[str, Decimal]:
    """The values of an Observation by field name (two for a pressure); unknown codes give none."""
    found: dict[str, Decimal] = {}
    for part in (observation, *observation.get("component", ())):
        codes = {one.get("code") for one in part.get("code", {}).get("coding", ())}
        value = part.get("valueQuantity", {}).get("value")
        if value is None:
            continue
        for code in codes:
            if code in BY_CODE:
                found[BY_CODE[code].name] = Decimal(value)
            elif code == BMI:
                found["bmi"] = Decimal(value)
    return found


_ORDER = {"ok": 0, "notice": 1, "warning": 2, "danger": 3}


def worse(one: Judged | None, other: Judged | None) -> Judged | None:
    """The more serious of two judgements."""
    if one is None or other is None:
        return one or other
    return one if _ORDER[one.level] >= _ORDER[other.level] else other

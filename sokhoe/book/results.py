"""Measurements and test results as a citizen reads them: a number, its usual range, a word.

Pure. An Observation becomes a `Result` with one or more `Measure`s (blood pressure has two), and
the Observations of one kind become a `Series` that can be drawn.

The word comes, in this order, from what the laboratory said (interpretation), from the range it
gave, from the usual adult range of vital signs (`names.ADULT`); else there is no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sokhoe.book.names import ADULT, ADULT_AGE, PLAIN
from sokhoe.book.reading import (
    Places,
    Resource,
    age_at,
    codes,
    codings,
    moment,
    number,
    sort_key,
    target,
    text,
    valid,
    visit,
)
from sokhoe.fhir import fold


class Band(StrEnum):
    """How a value lies. ATTENTION: the laboratory marks it, or a test is positive."""

    NORMAL = "normal"
    LOW = "low"
    HIGH = "high"
    ATTENTION = "attention"
    UNKNOWN = "unknown"


class Step(StrEnum):
    """Against the value before it."""

    UP = "up"
    DOWN = "down"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number (or word) of a result. `low`, `high`: usual range in the same `unit`;
    `assumed`: that range is the usual adult one, not the laboratory's."""

    code: str
    name: str
    plain: str
    value: Decimal | None
    words: str
    unit: str
    low: Decimal | None
    high: Decimal | None
    band: Band
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One result of one day. `key` names its kind in addresses; `plain` is a catalogue key or "";
    `before`: the earlier value, where there is one in the same unit; `vital`: measured by staff."""

    id: str
    key: str
    name: str
    plain: str
    at: str
    measures: tuple[Measure, ...]
    band: Band
    facility: str
    visit: str
    vital: bool
    preliminary: bool
    before: Decimal | None = None
    before_at: str = ""
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """All results of one kind, newest first."""

    key: str
    results: tuple[Result, ...]

    @property
    def newest(self) -> Result:
        return self.results[0]


_LOW, _HIGH = {"L", "LL", "LU", "<"}, {"H", "HH", "HU", ">"}
_ATTENTION = {"A", "AA", "POS", "DET", "R", "WR", "RR", "EX", "IND"}
_NORMAL = {"N", "NEG", "ND", "NR", "S"}
# Worse first: the word of a result with several measures is that of its worst.
_WORSE = (Band.HIGH, Band.LOW, Band.ATTENTION, Band.NORMAL, Band.UNKNOWN)
_LOINC = "http://loinc.org"
# In a row of results, the vital signs in this order, then the others by name.
_VITALS = ("85354-9", "55284-4", "8867-4", "8310-5", "2708-6", "59408-5", "9279-1", "29463-7")


def key_of(concept: Any) -> str:
    """The name of a kind of result in an address: its LOINC or first code, else its words."""
    listed = codings(concept)
    loinc = [str(one["code"]) for one in listed if one.get("system") == _LOINC and one.get("code")]
    others = [str(one["code"]) for one in listed if one.get("code")]
    found = next(iter(loinc + others), "")
    return found or "t-" + re.sub(r"[^a-z0-9]+", "-", fold(text(concept))).strip("-")


def read(observation: Resource, places: Places, births: Mapping[str, str]) -> Result:
    """An Observation as a result. `births`: birth dates by source Patient, for adult ranges."""
    at = moment(observation)
    born = births.get(target(observation.get("subject")), "")
    age = age_at(born, at) if born else None
    adult = age is not None and age >= ADULT_AGE
    parts = observation.get("component") or []
    own = _measure(observation, adult)
    inner = [_measure(one, adult) for one in parts if isinstance(one, dict)]
    measures = ((own,) if _says(own) else ()) + tuple(one for one in inner if _says(one))
    concept = observation.get("code")
    band = next(
        (band for band in _WORSE if any(one.band is band for one in measures)), Band.UNKNOWN
    )
    if own.band is not Band.UNKNOWN and not _says(own):
        band = own.band  # a panel that is judged as a whole
    return Result(
        id=str(observation.get("id", "")),
        key=key_of(concept),
        name=text(concept),
        plain=_plain(concept),
        at=at,
        measures=measures,
        band=band,
        facility=places.of(observation),
        visit=visit(observation),
        vital="vital-signs" in codes(observation.get("category")),
        preliminary=observation.get("status") in {"preliminary", "registered"},
    )


def read_all(
    observations: Iterable[Resource], places: Places, births: Mapping[str, str]
) -> list[Result]:
    """Results that say something, with the value before each (trend), oldest first."""
    found = [read(one, places, births) for one in valid(observations)]
    ordered = sorted((one for one in found if one.measures), key=lambda one: sort_key(one.at))
    last: dict[str, Result] = {}
    out = []
    for one in ordered:
        out.append(_against(one, last.get(one.key)))
        last[one.key] = one
    return out


def series(results: Sequence[Result]) -> list[Series]:
    """Results by kind, in the order of a list a person reads: vital signs, then by name."""
    kinds: dict[str, list[Result]] = {}
    for one in results:
        kinds.setdefault(one.key, []).append(one)
    found = [Series(key, tuple(reversed(kind))) for key, kind in kinds.items()]
    return sorted(found, key=lambda one: order(one.newest))


def order(result: Result) -> tuple[int, int, str]:
    """Vital signs first, in the order of a paper form; then by name."""
    place = _VITALS.index(result.key) if result.key in _VITALS else len(_VITALS)
    return (0 if result.vital else 1, place, fold(result.name))


def needs_look(result: Result) -> bool:
    """Outside the usual range, or marked by the laboratory."""
    return result.band in {Band.LOW, Band.HIGH, Band.ATTENTION}


def _against(one: Result, before: Result | None) -> Result:
    if before is None or len(one.measures) != len(before.measures):
        return one
    now, then = one.measures[0], before.measures[0]
    if now.value is None or then.value is None or now.unit != then.unit:
        return one
    step = Step.SAME
    if now.value != then.value:
        step = Step.UP if now.value > then.value else Step.DOWN
    return replace(one, before=then.value, before_at=before.at, step=step)


def _says(measure: Measure) -> bool:
    return measure.value is not None or bool(measure.words)


def _plain(concept: Any) -> str:
    return next((PLAIN[one] for one in _loincs(concept) if one in PLAIN), "")


def _loincs(concept: Any) -> list[str]:
    return [
        str(one["code"])
        for one in codings(concept)
        if one.get("code") and one.get("system", _LOINC) == _LOINC
    ]


def _measure(part: Resource, adult: bool) -> Measure:
    quantity = part.get("valueQuantity") or {}
    value = number(quantity.get("value"))
    if value is None:
        value = number(part.get("valueInteger"))
    concept = part.get("code")
    low, high = _range(part)
    assumed = False
    if low is None and high is None and adult:
        low, high = next((ADULT[one] for one in _loincs(concept) if one in ADULT), (None, None))
        assumed = low is not None or high is not None
    return Measure(
        code=key_of(concept),
        name=text(concept),
        plain=_plain(concept),
        value=value,
        words=_words(part, quantity),
        unit=str(quantity.get("unit") or quantity.get("code") or ""),
        low=low,
        high=high,
        band=_band(part, value, low, high),
        assumed=assumed,
    )


def _words(part: Resource, quantity: Mapping[str, Any]) -> str:
    """What is no number: a word, a coded answer, "less than"."""
    if quantity.get("comparator"):
        return str(quantity["comparator"])
    for name in ("valueString", "valueDateTime", "valueTime"):
        if part.get(name):
            return str(part[name])
    if isinstance(part.get("valueBoolean"), bool):
        return "Yes" if part["valueBoolean"] else "No"
    return text(part.get("valueCodeableConcept"))


def _range(part: Resource) -> tuple[Decimal | None, Decimal | None]:
    """The usual range the sender gave; ranges of another kind (treatment, critical) are not it."""
    for one in part.get("referenceRange") or []:
        kinds = codes(one.get("type"))
        if kinds and "normal" not in kinds:
            continue
        low = number((one.get("low") or {}).get("value"))
        high = number((one.get("high") or {}).get("value"))
        if low is not None or high is not None:
            return low, high
    return None, None


def _band(part: Resource, value: Decimal | None, low: Decimal | None, high: Decimal | None) -> Band:
    said = codes(part.get("interpretation") or [])
    for marks, band in (
        (_HIGH, Band.HIGH),
        (_LOW, Band.LOW),
        (_ATTENTION, Band.ATTENTION),
        (_NORMAL, Band.NORMAL),
    ):
        if said & marks:
            return band
    if value is None or (low is None and high is None):
        return Band.UNKNOWN
    if low is not None and value < low:
        return Band.LOW
    return Band.HIGH if high is not None and value > high else Band.NORMAL

"""Prescriptions as medicines: what is taken now, and what was taken before.

Pure. Two facilities that prescribe the same medicine give one line each, side by side, so that a
person (and the next doctor) sees that it might be taken twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sokhoe.book import doses
from sokhoe.book.doses import Doses
from sokhoe.book.reading import (
    Places,
    Resource,
    day,
    days_between,
    moment,
    number,
    sort_key,
    text,
    valid,
    visit,
)
from sokhoe.fhir import fold

# A prescription that does not say for how long counts as current for so many days: the usual
# supply for a long illness is one month, and people come late.
OPEN_DAYS = 45
# After so many days a finished medicine leaves the list (it stays in its visit).
SHOWN_DAYS = 365


@dataclass(frozen=True, slots=True)
class Medicine:
    """A prescribed medicine. `since` and `until` as FHIR dates ("" unknown); `current`: still to
    be taken on the day it was asked for; `stopped`: ended early by a doctor."""

    id: str
    name: str
    doses: Doses
    amount: str
    unit: str
    since: str
    until: str
    stopped: bool
    facility: str
    visit: str


@dataclass(frozen=True, slots=True)
class Cabinet:
    """`now`: to be taken today; `twice`: folded names that stand there more than once;
    `before`: ended or stopped within a year."""

    now: tuple[Medicine, ...]
    before: tuple[Medicine, ...]
    twice: frozenset[str]


def prescribed(requests: Iterable[Resource], places: Places) -> list[Medicine]:
    """Prescriptions as medicines, newest first."""
    found = [_medicine(one, places) for one in valid(requests)]
    named = [one for one in found if one.name]
    return sorted(named, key=lambda one: sort_key(one.since), reverse=True)


def _medicine(request: Resource, places: Places) -> Medicine:
    dose = doses.read(request.get("dosageInstruction") or request.get("dosage"))
    supply = request.get("dispenseRequest") or {}
    quantity = supply.get("quantity") or {}
    amount = number(quantity.get("value"))
    drug = request.get("medicationReference") or {}
    return Medicine(
        id=str(request.get("id", "")),
        name=text(request.get("medicationCodeableConcept")) or str(drug.get("display", "")),
        doses=dose,
        amount="" if amount is None else f"{amount.normalize():f}",
        unit=str(quantity.get("unit") or ""),
        since=moment(request),
        until=_until(request, dose),
        stopped=request.get("status") in {"stopped", "on-hold"},
        facility=places.of(request),
        visit=visit(request),
    )


def _until(request: Resource, dose: Doses) -> str:
    """The last day of taking it, where the prescription says so."""
    for one in request.get("dosageInstruction") or []:
        repeat = (one.get("timing") or {}).get("repeat") or {}
        end = (repeat.get("boundsPeriod") or {}).get("end")
        if end:
            return str(end)
    length = dose.days
    if length is None:
        supply = (request.get("dispenseRequest") or {}).get("expectedSupplyDuration") or {}
        value = number(supply.get("value"))
        if value is not None and supply.get("code", "d") == "d":
            length = int(value)
    return _after(moment(request), length) if length else ""


def _after(start: str, length: int) -> str:
    try:
        return str(date.fromisoformat(day(start)) + timedelta(days=length - 1))
    except ValueError:
        return ""


def is_current(medicine: Medicine, today: str) -> bool:
    """Is it to be taken today? `today` as FHIR date."""
    if medicine.stopped or day(medicine.since) > today:
        return False
    if medicine.until:
        return day(medicine.until) >= today
    gone = days_between(medicine.since, today)
    return gone is not None and gone <= OPEN_DAYS


def cabinet(medicines: Sequence[Medicine], today: str) -> Cabinet:
    """Sort a person's medicines (newest first) into now and before, the newest prescription of a
    medicine by a facility standing for its renewals."""
    newest: dict[tuple[str, str], Medicine] = {}
    for one in medicines:
        newest.setdefault((fold(one.name), one.facility), one)
    now = [one for one in newest.values() if is_current(one, today)]
    before = [
        one
        for one in newest.values()
        if one not in now and (days_between(one.since, today) or 0) <= SHOWN_DAYS
    ]
    names = [fold(one.name) for one in now]
    now.sort(key=lambda one: names.index(fold(one.name)))  # the same medicine side by side
    twice = frozenset(name for name in names if names.count(name) > 1)
    return Cabinet(tuple(now), tuple(before), twice)

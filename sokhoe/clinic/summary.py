"""The person page at a glance: what is chronic, what is being taken, how the numbers run.

Pure functions from resources (newest first, as searched) to what the page shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sokhoe.clinic import vitals
from sokhoe.clinic.visits import Diagnosis, Dose, diagnosis_of, dose_of
from sokhoe.web import key

# A prescription without a number of days counts as current for a month.
USUAL_DAYS = 30
POINTS = 8


@dataclass(frozen=True, slots=True)
class Illness:
    diagnosis: Diagnosis
    last: str
    times: int


def _is(resource: Mapping[str, Any], field: str, code: str) -> bool:
    return any(one.get("code") == code for one in resource.get(field, {}).get("coding", ()))


def problems(conditions: Sequence[Mapping[str, Any]]) -> list[Illness]:
    """Long-term illnesses: marked as such, or diagnosed at two visits or more; newest first."""
    found: dict[str, Illness] = {}
    visits: dict[str, set[str]] = {}
    for one in conditions:
        if _is(one, "verificationStatus", "entered-in-error"):
            continue
        if not _is(one, "clinicalStatus", "active"):
            continue
        diagnosis = diagnosis_of(one)
        name = diagnosis.code or diagnosis.text
        visits.setdefault(name, set()).add(one.get("encounter", {}).get("reference", one["id"]))
        known = found.get(name)
        last = one.get("recordedDate", one.get("onsetDateTime", ""))
        if known is None:
            found[name] = Illness(diagnosis, last, 1)
        else:
            lasting = known.diagnosis if known.diagnosis.lasting else diagnosis
            found[name] = Illness(
                lasting if lasting.lasting else known.diagnosis,
                max(known.last, last),
                len(visits[name]),
            )
    kept = [one for one in found.values() if one.diagnosis.lasting or one.times > 1]
    return sorted(kept, key=lambda one: (one.diagnosis.lasting, one.last), reverse=True)


@dataclass(frozen=True, slots=True)
class Taken:
    dose: Dose
    since: str
    until: str


def current(requests: Sequence[Mapping[str, Any]], today: date) -> list[Taken]:
    """Medicines that should not have run out yet; of the same medicine the newest."""
    found: dict[str, Taken] = {}
    for one in requests:
        if one.get("status") != "active":
            continue
        since = one.get("authoredOn", "")
        if len(since) < 10:
            continue
        dose = dose_of(one)
        days = int(dose.days) if dose.days.isdecimal() else USUAL_DAYS
        until = date.fromisoformat(since[:10]) + timedelta(days=days)
        name = dose.code or dose.name
        if until >= today and (name not in found or since > found[name].since):
            found[name] = Taken(dose, since, until.isoformat())
    return sorted(found.values(), key=lambda one: one.dose.name)


@dataclass(frozen=True, slots=True)
class Trend:
    """The last value of a sign and its run, oldest first."""

    name: str
    label: str
    unit: str
    value: Decimal
    second: Decimal | None
    at: str
    judged: vitals.Judged | None
    values: tuple[Decimal, ...]
    low: Decimal | None
    high: Decimal | None


def trends(observations: Sequence[Mapping[str, Any]], months: int | None) -> list[Trend]:
    """The signs in the order of the form, the two pressures as one; empty ones left out."""
    runs: dict[str, list[tuple[str, Decimal]]] = {}
    for one in observations:
        if one.get("status") == "entered-in-error":
            continue
        for name, value in vitals.measured(one).items():
            runs.setdefault(name, []).append((one.get("effectiveDateTime", ""), value))
    for run in runs.values():
        run.sort(key=lambda point: point[0])
    made = []
    for name in (*(sign.name for sign in vitals.SIGNS), "bmi"):
        if name in runs and name != "diastolic":
            made.append(_trend(name, runs, months))
    return made


LABELS = {"systolic": key("Blood pressure"), "bmi": key("Body mass index")}


def _trend(name: str, runs: Mapping[str, list[tuple[str, Decimal]]], months: int | None) -> Trend:
    at, value = runs[name][-1]
    sign = vitals.BY_NAME.get(name)
    judged = vitals.judge(name, value, months)
    second = None
    if name == "systolic":
        second = next(
            (low for when, low in reversed(runs.get("diastolic", [])) if when == at), None
        )
        lower = vitals.judge("diastolic", second, months) if second is not None else None
        judged = vitals.worse(judged, lower)
    low, high = vitals.band(name, months)
    return Trend(
        name=name,
        label=LABELS.get(name) or vitals.BY_NAME[name].label,
        unit=sign.unit if sign else "kg/m²",
        value=value,
        second=second,
        at=at,
        judged=judged,
        values=tuple(one for _, one in runs[name][-POINTS:]),
        low=low,
        high=high,
    )


def allergies(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the person must not get, in words, without those taken back or refuted."""
    found = []
    for one in resources:
        if _is(one, "verificationStatus", "entered-in-error") or _is(
            one, "verificationStatus", "refuted"
        ):
            continue
        code = one.get("code", {})
        text = code.get("text") or next(
            (each["display"] for each in code.get("coding", ()) if "display" in each), ""
        )
        reaction = next((each.get("description", "") for each in one.get("reaction", ())), "")
        if text:
            found.append(f"{text} ({reaction})" if reaction else str(text))
    return list(dict.fromkeys(found))

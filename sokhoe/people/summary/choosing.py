"""Which records stand in which section, newest first. Pure.

A summary is not a record: of the same illness, medicine or measurement only what counts now is
shown. Where that is in doubt more is shown rather than less: an allergy that one facility calls
resolved and another active is active.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

Resource = dict[str, Any]
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"

MOST = 100  # in one section
# A prescription that is finished still tells what somebody takes, for so many days.
RECENT_DAYS = 90
_WRONG = frozenset({"refuted", "entered-in-error"})
_OVER = frozenset({"inactive", "remission", "resolved"})
_FINAL = frozenset({"final", "amended", "corrected", "appended"})
# hl7.org/fhir/R4/observation-vitalsigns.html, and blood pressure measured one by one
_VITALS = frozenset(
    "85353-1 9279-1 8867-4 2708-6 59408-5 8310-5 8302-2 9843-4 29463-7 39156-5 85354-9 8480-6 "
    "8462-4 8478-0".split()
)
# IPS: pregnancy status, expected date of delivery, outcomes of earlier pregnancies
_PREGNANCY = frozenset(
    "82810-3 11778-8 11779-6 11780-4 11636-8 11637-6 11638-4 11639-2 11640-0 11612-9 11613-7 "
    "11614-5 33065-4 11996-6".split()
)
_SOCIAL = frozenset("72166-2 11367-0 74013-4 11331-6".split())  # tobacco, alcohol
# "No known allergy" and its like are statements of their own, void beside a known one.
_NONE_KNOWN = frozenset(
    {
        (SNOMED, "716186003"),
        (SNOMED, "409137002"),
        (SNOMED, "429625007"),
        (SNOMED, "428607008"),
        (SNOMED, "160244002"),
        ("http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "no-known-allergies"),
    }
)
_WHEN = (
    "effectiveDateTime effectiveInstant effectivePeriod occurrenceDateTime performedDateTime "
    "performedPeriod onsetDateTime onsetPeriod recordedDate recordedOn authoredOn dateAsserted "
    "timingDateTime timingPeriod period created date issued"
).split()
_WRITTEN = ("recordedDate", "dateAsserted", "authoredOn", "issued", *_WHEN)


def chosen(records: Iterable[Resource], today: str) -> dict[str, list[Resource]]:
    """Records by section name. `today` as 2026-11-23."""
    by_type: dict[str, list[Resource]] = {}
    for one in records:
        by_type.setdefault(one["resourceType"], []).append(one)

    def of(*types: str) -> list[Resource]:
        found = [one for type in types for one in by_type.get(type, [])]
        return sorted(found, key=lambda one: (when(one), one["id"]), reverse=True)

    conditions = _newest(filter(_holds, of("Condition")))
    observations = [one for one in of("Observation") if one.get("status") in _FINAL]
    sections = {
        "allergies": _allergies(of("AllergyIntolerance")),
        "problems": [one for one in conditions if not _over(one)],
        "past": [one for one in conditions if _over(one)],
        "medications": _medications(of("MedicationStatement", "MedicationRequest"), today),
        "immunizations": _each_once(
            [one for one in of("Immunization") if one.get("status") == "completed"],
            lambda one: (name_of(one.get("vaccineCode")), when(one)[:10]),
        ),
        "results": [
            *_newest(one for one in observations if kind(one) == "results"),
            *(one for one in of("DiagnosticReport") if _reports(one)),
        ],
        "procedures": [
            one for one in of("Procedure") if one.get("status") in {"completed", "in-progress"}
        ],
        "devices": [
            one
            for one in of("DeviceUseStatement")
            if one.get("status") in {"active", "completed", "on-hold"}
        ],
        "plan": [one for one in of("CarePlan") if one.get("status") in {"active", "on-hold"}],
    }
    for name in ("vitals", "pregnancy", "social"):
        sections[name] = _newest(one for one in observations if kind(one) == name)
    return {name: found[:MOST] for name, found in sections.items() if found}


def kind(observation: Resource) -> str:
    """The section of an observation, "" for none."""
    loinc = {code for system, code in codings(observation.get("code")) if system == LOINC}
    categories = {code for one in observation.get("category", []) for _, code in codings(one)}
    if loinc & _PREGNANCY:
        return "pregnancy"
    if loinc & _SOCIAL or "social-history" in categories:
        return "social"
    if loinc & _VITALS or "vital-signs" in categories:
        return "vitals"
    return "results" if not categories or categories & {"laboratory", "imaging"} else ""


def when(resource: Resource) -> str:
    """The day (or moment) a record speaks of, "" where it says none."""
    return _first(resource, _WHEN)


def codings(concept: Any) -> list[tuple[str, str]]:
    if not isinstance(concept, dict):
        return []
    return [(one.get("system", ""), one.get("code", "")) for one in concept.get("coding", [])]


def name_of(concept: Any) -> str:
    """What makes two concepts the same: the first code, else the text."""
    for system, code in codings(concept):
        if code:
            return f"{system}|{code}"
    return str(concept.get("text", "")).strip().casefold() if isinstance(concept, dict) else ""


def status_of(resource: Resource, element: str) -> str:
    """The code of clinicalStatus or verificationStatus, "" if there is none."""
    return next((code for _, code in codings(resource.get(element))), "")


def medicine(resource: Resource) -> str:
    reference = resource.get("medicationReference", {}).get("reference", "")
    return name_of(resource.get("medicationCodeableConcept")) or reference


def _first(resource: Resource, names: Iterable[str]) -> str:
    for name in names:
        value = resource.get(name)
        if isinstance(value, dict):
            value = value.get("end") or value.get("start")
        if isinstance(value, str):
            return value
    return ""


def _holds(resource: Resource) -> bool:
    return status_of(resource, "verificationStatus") not in _WRONG


def _over(condition: Resource) -> bool:
    ended = any(name.startswith("abatement") for name in condition)
    return ended or status_of(condition, "clinicalStatus") in _OVER


def _allergies(found: Sequence[Resource]) -> list[Resource]:
    valid = [one for one in found if _holds(one)]
    # the active ones first, so that of two records of one substance the active one stays
    valid.sort(key=lambda one: status_of(one, "clinicalStatus") in _OVER)
    known = [one for one in valid if not _NONE_KNOWN.intersection(codings(one.get("code")))]
    return _each_once(known or valid, lambda one: name_of(one.get("code")) or one["id"])


def _medications(found: Sequence[Resource], today: str) -> list[Resource]:
    since = (date.fromisoformat(today) - timedelta(days=RECENT_DAYS)).isoformat()
    taken = [one for one in found if _is_taken(one, since)]
    return _each_once(taken, lambda one: medicine(one) or one["id"])


def _is_taken(one: Resource, since: str) -> bool:
    if one.get("doNotPerform"):
        return False
    if one.get("status") in {"active", "intended", "on-hold"}:
        return True
    return one.get("status") == "completed" and when(one)[:10] >= since


def _reports(report: Resource) -> bool:
    """A report that says more than the results it lists."""
    says = report.get("conclusion") or report.get("conclusionCode")
    return report.get("status") in _FINAL and bool(says)


def _newest(found: Iterable[Resource]) -> list[Resource]:
    """Of each code the one written last (what has no code stays)."""
    ordered = sorted(found, key=lambda one: (_first(one, _WRITTEN), one["id"]), reverse=True)
    once = _each_once(ordered, lambda one: name_of(one.get("code")) or one["id"])
    return sorted(once, key=lambda one: (when(one), one["id"]), reverse=True)


def _each_once(found: Sequence[Resource], same: Callable[[Resource], Any]) -> list[Resource]:
    known: dict[Any, Resource] = {}
    for one in found:
        known.setdefault(same(one), one)
    return list(known.values())

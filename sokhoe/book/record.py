"""Fetches a citizen's record through his own session: few searches, a year at a time.

The session is bound to the citizen's linked patients by its permit, so no search here names a
patient: there is no parameter that could be forgotten or forged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from sokhoe.book.reading import Places, Resource, codes, day, moment, own, target, text
from sokhoe.book.timeline import Record
from sokhoe.clock import Instant
from sokhoe.errors import NotFound
from sokhoe.trust import Session, Version

Pairs = Sequence[tuple[str, str]]
PAGE = "1000"
MOST_PAGES = 5  # so many thousand records of one kind in one year is a machine, not a person
# How far back a value may lie that a result is compared with.
TREND_DAYS = 366
# Results and reports of a stay may be dated into the next year.
SLACK_DAYS = 45


@dataclass(frozen=True, slots=True)
class Owner:
    """The citizen as his sources know him. `patients`: the linked source Patients, as stored."""

    patients: tuple[Version, ...]
    resources: tuple[Resource, ...]
    places: Places
    births: Mapping[str, str]

    @property
    def birth_date(self) -> str:
        return max(self.births.values(), key=len, default="")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one facility has sent: how many records of a kind, and when the last one came."""

    facility: str
    at: Instant
    counts: Mapping[str, int] = field(default_factory=dict)


def owner(session: Session) -> Owner:
    """The linked Patients and their facilities."""
    found, included = every(session, "Patient", [("_include", "Patient:organization")])
    resources = tuple(one.resource for one in found)
    homes = {own(one): target(one.get("managingOrganization")) for one in resources}
    births = {own(one): str(one["birthDate"]) for one in resources if one.get("birthDate")}
    places = _with_names(Places(homes=homes), included)
    return Owner(tuple(found), resources, places, births)


def visits(session: Session, owner: Owner) -> tuple[list[Resource], Places, list[Version]]:
    """All visits (their outline, not their contents), with facilities and doctors named."""
    found, included = every(
        session,
        "Encounter",
        [("_include", "Encounter:service-provider"), ("_include", "Encounter:participant")],
    )
    listed: list[Resource] = [one.resource for one in found]
    return listed, with_visits(_with_names(owner.places, included), listed), found


def oldest(session: Session) -> str:
    """The date of the oldest record of a kind that may come without a visit; "" without any."""
    dates = []
    for type, sort in (
        ("Observation", "date"),
        ("MedicationRequest", "authoredon"),
        ("Immunization", "date"),
    ):
        page = session.search(type, [("_sort", sort), ("_count", "1")])
        dates += [moment(one.resource) for one in page.versions]
    return min((one for one in dates if one), default="")


def of_year(session: Session, owner: Owner, encounters: Record, year: int) -> Record:
    """What belongs to a year, beside the visits already fetched in `encounters`."""
    first, after = date(year, 1, 1), date(year + 1, 1, 1)
    last = after + timedelta(days=SLACK_DAYS)
    before = first - timedelta(days=TREND_DAYS)
    return replace(
        encounters,
        conditions=resources(session, "Condition"),
        medications=resources(session, "MedicationRequest", _between("authoredon", first, last)),
        observations=resources(session, "Observation", _between("date", before, last)),
        reports=resources(session, "DiagnosticReport", _between("date", first, last)),
        procedures=resources(session, "Procedure", _between("date", first, last)),
        immunizations=resources(session, "Immunization", _between("date", first, last)),
        births=owner.births,
    )


def of_visit(session: Session, owner: Owner, id: str) -> Record:
    """One visit with what belongs to it. Raises NotFound, also for somebody else's visit."""
    found, included = every(
        session,
        "Encounter",
        [
            ("_id", id),
            ("_include", "Encounter:service-provider"),
            ("_include", "Encounter:participant"),
            ("_include", "Encounter:diagnosis"),
            ("_revinclude", "Condition:encounter"),
            ("_revinclude", "MedicationRequest:encounter"),
            ("_revinclude", "Procedure:encounter"),
            ("_revinclude", "DiagnosticReport:encounter"),
        ],
    )
    if not found:
        raise NotFound("There is no such visit in your Health Book.", slug="no-visit")
    visit = found[0].resource
    kinds: dict[str, list[Resource]] = {}
    for one in included:
        kinds.setdefault(one.type, []).append(one.resource)
    start = _date(moment(visit))
    end = _date(str((visit.get("period") or {}).get("end", ""))) or start
    observations: list[Resource] = []
    immunizations: list[Resource] = []
    if start and end:
        stretch = (start - timedelta(days=1), end + timedelta(days=SLACK_DAYS))
        early = start - timedelta(days=TREND_DAYS)
        observations = resources(session, "Observation", _between("date", early, stretch[1]))
        immunizations = resources(session, "Immunization", _between("date", *stretch))
    else:
        observations = resources(session, "Observation", [("encounter", f"Encounter/{id}")])
    return Record(
        encounters=[visit],
        conditions=kinds.get("Condition", []),
        medications=kinds.get("MedicationRequest", []),
        observations=observations,
        reports=kinds.get("DiagnosticReport", []),
        procedures=kinds.get("Procedure", []),
        immunizations=immunizations,
        places=with_visits(_with_names(owner.places, included), [visit]),
        births=owner.births,
    )


def prescriptions(session: Session, owner: Owner, since: date) -> tuple[list[Resource], Places]:
    """Prescriptions written from a day on, and where."""
    found, included = every(
        session,
        "MedicationRequest",
        [("authoredon", f"ge{since}"), ("_include", "MedicationRequest:encounter")],
    )
    at = [one.resource for one in included if one.type == "Encounter"]
    providers = {target(one.get("serviceProvider")) for one in at} - set(owner.places.names)
    names = {**owner.places.names, **names_of(session, providers)}
    places = with_visits(replace(owner.places, names=names), at)
    return [one.resource for one in found], places


@dataclass(frozen=True, slots=True)
class Allergies:
    """`names`: what is not ruled out; `none_known`: somebody asked and there was none. Neither:
    nobody has recorded anything, which is not the same as having no allergy."""

    names: tuple[str, ...] = ()
    none_known: bool = False


# "No known (drug, food, environmental) allergy" of the international patient summary and SNOMED.
_NO_ALLERGY = {
    "no-known-allergies",
    "no-known-medication-allergies",
    "716186003",
    "409137002",
    "429625007",
    "428607008",
}


def allergies(session: Session) -> Allergies:
    """The allergies on record, of all facilities."""
    names = []
    none_known = False
    for one in resources(session, "AllergyIntolerance"):
        status = codes([one.get("verificationStatus"), one.get("clinicalStatus")])
        if status & {"refuted", "entered-in-error", "resolved", "inactive"}:
            continue
        if codes(one.get("code")) & _NO_ALLERGY:
            none_known = True
        else:
            names.append(text(one.get("code")))
    return Allergies(tuple(dict.fromkeys(one for one in names if one)), none_known)


def sources(session: Session, owner: Owner) -> list[Parcel]:
    """What each facility has sent and when it last did, the latest first."""
    parcels: dict[str, Parcel] = {}
    for version, patient in zip(owner.patients, owner.resources, strict=True):
        facility = owner.places.of(patient)
        last = version.at
        counts: dict[str, int] = {}
        for type in ("Encounter", "MedicationRequest", "Observation", "Immunization"):
            page = session.search(
                type,
                [
                    ("patient", version.ref),
                    ("_sort", "-_lastUpdated"),
                    ("_count", "1"),
                    ("_total", "accurate"),
                ],
            )
            counts[type] = page.total or 0
            last = max([last, *(one.at for one in page.versions)])
        known = parcels.get(facility)
        if known:
            last = max(last, known.at)
            counts = {kind: known.counts[kind] + count for kind, count in counts.items()}
        parcels[facility] = Parcel(facility, last, counts)
    return sorted(parcels.values(), key=lambda one: -one.at)


def names_of(session: Session, organizations: Iterable[str]) -> dict[str, str]:
    """Names of facilities by reference."""
    ids = sorted({one.partition("/")[2] for one in organizations} - {""})
    found: dict[str, str] = {}
    for start in range(0, len(ids), 100):
        part = ",".join(ids[start : start + 100])
        page = session.search("Organization", [("_id", part), ("_count", "100")])
        found |= {one.ref: str(one.resource.get("name", "")) for one in page.versions}
    return found


def resources(session: Session, type: str, pairs: Pairs = ()) -> list[Resource]:
    """All resources of a search."""
    return [one.resource for one in every(session, type, pairs)[0]]


def every(session: Session, type: str, pairs: Pairs = ()) -> tuple[list[Version], list[Version]]:
    """All pages of a search: what was found, and what was included with it."""
    found: list[Version] = []
    included: dict[str, Version] = {}
    asked = [*pairs, ("_count", PAGE)]
    cursor: list[tuple[str, str]] = []
    for _ in range(MOST_PAGES):
        page = session.search(type, [*asked, *cursor])
        found += page.versions
        included |= {one.ref: one for one in page.included}
        if page.next is None:
            break
        cursor = [("_cursor", page.next)]
    return found, list(included.values())


def _between(parameter: str, first: date, after: date) -> list[tuple[str, str]]:
    return [(parameter, f"ge{first}"), (parameter, f"lt{after}")]


def _date(value: str) -> date | None:
    try:
        return date.fromisoformat(day(value))
    except ValueError:
        return None


def _with_names(places: Places, included: Iterable[Version]) -> Places:
    """Places that also know the names of these Organizations and Practitioners."""
    names, staff = dict(places.names), dict(places.staff)
    for one in included:
        if one.type == "Organization":
            names[one.ref] = str(one.resource.get("name", ""))
        elif one.type == "Practitioner":
            name: dict[str, Any] = next(iter(one.resource.get("name") or []), {})
            parts = [*name.get("prefix", []), name.get("family", ""), *name.get("given", [])]
            staff[one.ref] = str(name.get("text") or " ".join(part for part in parts if part))
    return replace(places, names=names, staff=staff)


def with_visits(places: Places, encounters: Iterable[Resource]) -> Places:
    """Places that also know where these visits were."""
    known = {own(one): places.of(one) for one in encounters}
    return replace(places, visits={**places.visits, **known})

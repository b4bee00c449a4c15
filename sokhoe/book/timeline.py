"""From resources to the cards of a year: visits, and what was sent without a visit.

Pure. A visit reported by two facilities stays two cards, each with its facility: the Book shows
what was sent and does not decide for the citizen which of two papers is the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sokhoe.book import results
from sokhoe.book.medicines import Medicine, prescribed
from sokhoe.book.reading import (
    Places,
    Resource,
    codes,
    day,
    days_between,
    first_code,
    moment,
    own,
    sort_key,
    subject,
    target,
    text,
    valid,
    visit,
    year,
)
from sokhoe.book.results import Result
from sokhoe.fhir import fold


class Kind(StrEnum):
    """What sort of visit, in the patient's words."""

    VISIT = "visit"
    STAY = "stay"
    EMERGENCY = "emergency"
    HOME = "home"
    REMOTE = "remote"
    LOOSE = "loose"  # sent without a visit


@dataclass(frozen=True, slots=True)
class Diagnosis:
    text: str
    code: str
    main: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A report with a conclusion in words (an X-ray, an ultrasound)."""

    name: str
    conclusion: str


@dataclass(frozen=True, slots=True)
class Card:
    """One card of the timeline. `id`: the Encounter's, "" for what came without one; `at` and
    `until` as FHIR dates."""

    id: str
    kind: Kind
    at: str
    until: str
    facility: str
    doctor: str
    reason: str
    diagnoses: tuple[Diagnosis, ...] = ()
    medicines: tuple[Medicine, ...] = ()
    results: tuple[Result, ...] = ()
    reports: tuple[Report, ...] = ()
    done: tuple[str, ...] = ()
    vaccines: tuple[str, ...] = ()
    running: bool = False

    @property
    def to_look_at(self) -> tuple[Result, ...]:
        """Results outside the usual range, or marked."""
        return tuple(one for one in self.results if results.needs_look(one))

    @property
    def judged(self) -> tuple[Result, ...]:
        """Results that have a word at all."""
        return tuple(one for one in self.results if one.band is not results.Band.UNKNOWN)

    @property
    def says_something(self) -> bool:
        return any(
            (
                self.diagnoses,
                self.medicines,
                self.results,
                self.reports,
                self.done,
                self.vaccines,
            )
        )

    @property
    def days(self) -> int:
        """Days of a stay."""
        return (days_between(self.at, self.until) or 0) if self.until else 0


@dataclass(frozen=True, slots=True)
class Pile:
    """Resources by kind, as they were sent."""

    conditions: Sequence[Resource] = ()
    medications: Sequence[Resource] = ()
    observations: Sequence[Resource] = ()
    reports: Sequence[Resource] = ()
    procedures: Sequence[Resource] = ()
    immunizations: Sequence[Resource] = ()


@dataclass(frozen=True, slots=True)
class Record(Pile):
    """The resources of one person, of all linked source Patients."""

    encounters: Sequence[Resource] = ()
    places: Places = field(default_factory=Places)
    births: Mapping[str, str] = field(default_factory=dict)


_PILES = ("conditions", "medications", "observations", "reports", "procedures", "immunizations")
_KINDS = {
    "IMP": Kind.STAY,
    "ACUTE": Kind.STAY,
    "NONAC": Kind.STAY,
    "OBSENC": Kind.STAY,
    "SS": Kind.STAY,
    "EMER": Kind.EMERGENCY,
    "HH": Kind.HOME,
    "FLD": Kind.HOME,
    "VR": Kind.REMOTE,
}
_RUNNING = {"in-progress", "arrived", "triaged", "onleave"}
_DOCTORS = {"ATND", "PPRF", "ADM", "DIS", "CON"}


def years(encounters: Iterable[Resource], oldest: str, this_year: int) -> list[tuple[int, int]]:
    """Years with their number of visits, newest first, without gaps: a year in which nothing was
    sent is shown as such. `oldest`: the date of the oldest record of any kind."""
    counted: dict[int, int] = {}
    for one in valid(encounters):
        at = year(moment(one))
        if at:
            counted[at] = counted.get(at, 0) + 1
    first = min([*counted, year(oldest) or this_year, this_year])
    last = max([*counted, this_year])
    return [(at, counted.get(at, 0)) for at in range(last, first - 1, -1)]


def cards(record: Record, of_year: int) -> list[Card]:
    """The cards of one year, newest first."""
    reader = _Reader(record)
    visits = [reader.visit(one) for one in valid(record.encounters) if year(moment(one)) == of_year]
    found = [*visits, *reader.loose(of_year)]
    return sorted(found, key=lambda card: sort_key(card.at), reverse=True)


def card(record: Record, encounter: str) -> Card | None:
    """The card of one visit by its id; None when it is not there or was an error."""
    for one in valid(record.encounters):
        if one.get("id") == encounter:
            return _Reader(record).visit(one)
    return None


class _Reader:
    """One record while its cards are made; results are read once, since each is compared with
    the one before it."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.by_visit = _grouped(record, visit)
        self.results = {
            one.id: one
            for one in results.read_all(record.observations, record.places, record.births)
        }

    def visit(self, encounter: Resource) -> Card:
        record, places = self.record, self.record.places
        code = str((encounter.get("class") or {}).get("code", ""))
        names = [text(one) for one in encounter.get("reasonCode") or []]
        part = self.by_visit.get(own(encounter), Pile())
        return self._filled(
            Card(
                id=str(encounter.get("id", "")),
                kind=_KINDS.get(code, Kind.VISIT),
                at=moment(encounter),
                until=str((encounter.get("period") or {}).get("end", "")),
                facility=places.of(encounter),
                doctor=_doctor(encounter, places),
                reason=", ".join(one for one in names if one),
                diagnoses=_diagnoses(encounter, part.conditions, record.conditions),
                running=encounter.get("status") in _RUNNING,
            ),
            part,
        )

    def loose(self, of_year: int) -> list[Card]:
        """What was sent without a visit (or with one we do not have), by day and facility."""
        known = {own(one) for one in self.record.encounters}
        alone = [pile for ref, pile in self.by_visit.items() if ref not in known]
        named = {ref for one in self.record.encounters for ref in _ranks(one)}
        found = []
        for pile in alone:
            for sent, part in _grouped(pile, _sent).items():
                at, _, patient = sent.partition(" ")
                if year(at) == of_year:
                    facility = self.record.places.of({"subject": {"reference": patient}})
                    mine = [one for one in part.conditions if own(one) not in named]
                    listed = _diagnoses({}, mine, ())
                    card = Card("", Kind.LOOSE, at, "", facility, "", "", listed)
                    found.append(self._filled(card, part))
        return [one for one in found if one.says_something]

    def _filled(self, card: Card, part: Pile) -> Card:
        """The card with the contents of its part of the record."""
        listed = [
            self.results[str(one.get("id"))]
            for one in part.observations
            if str(one.get("id")) in self.results
        ]
        return replace(
            card,
            medicines=tuple(prescribed(part.medications, self.record.places)),
            results=tuple(sorted(listed, key=results.order)),
            reports=tuple(_reports(part.reports)),
            done=_names(part.procedures, "code"),
            vaccines=_names(part.immunizations, "vaccineCode"),
        )


def _grouped(pile: Pile, key: Callable[[Resource], str]) -> dict[str, Pile]:
    """The resources of a pile by a key, each looked at once: a year has hundreds."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for name in _PILES:
        for one in getattr(pile, name):
            found.setdefault(key(one), {}).setdefault(name, []).append(one)
    return {group: Pile(**lists) for group, lists in found.items()}


def _sent(resource: Resource) -> str:
    """The day and the source Patient by which loose papers lie together."""
    return f"{day(moment(resource))} {subject(resource)}"


def _doctor(encounter: Resource, places: Places) -> str:
    """Who saw the patient; a participant with a doctor's role before any other."""
    listed = [one for one in encounter.get("participant") or [] if isinstance(one, dict)]
    listed.sort(key=lambda one: not codes(one.get("type") or []) & _DOCTORS)
    for one in listed:
        person = one.get("individual") or {}
        name = places.staff.get(target(person)) or str(person.get("display", ""))
        if name:
            return name
    return ""


def _ranks(encounter: Resource) -> dict[str, int]:
    """The Conditions a visit names, with their rank."""
    listed = encounter.get("diagnosis") or []
    return {
        target(one.get("condition")): int(one.get("rank") or place)
        for place, one in enumerate(listed, 1)
    }


def _diagnoses(
    encounter: Resource, attached: Sequence[Resource], every: Sequence[Resource]
) -> tuple[Diagnosis, ...]:
    """Of the visit's own list and of what points at the visit, each once; the first rank leads."""
    ranks = _ranks(encounter)
    listed = [one for one in every if own(one) in ranks]
    listed += [one for one in attached if own(one) not in ranks]
    listed.sort(key=lambda one: ranks.get(own(one), 99))
    found: dict[str, Diagnosis] = {}
    for one in valid(listed):
        words = text(one.get("code"))
        if words:
            said = Diagnosis(words, first_code(one.get("code")), ranks.get(own(one)) == 1)
            found.setdefault(fold(words), said)
    return tuple(found.values())


def _reports(resources: Sequence[Resource]) -> Iterable[Report]:
    for one in valid(resources):
        words = str(one.get("conclusion") or "").strip()
        if words:
            yield Report(text(one.get("code")), words)


def _names(resources: Sequence[Resource], element: str) -> tuple[str, ...]:
    found = [text(one.get(element)) for one in valid(resources)]
    return tuple(dict.fromkeys(one for one in found if one))

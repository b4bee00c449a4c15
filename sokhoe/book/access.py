"""Who looked at my record: the audit in words a person can judge.

Pure. Lines of the audit become `Look`s: one person's looks of one day are one line with a count,
what the person himself opened is counted apart, and what the system did by itself is folded under
its own heading with an explanation. Nothing is left out of the counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe.book.reading import Resource, codes, day, target
from sokhoe.web import key

_PLACE = "urn:sokhoe:place"
_EXPORT = "110106"  # DICOM: Export


class Deed(StrEnum):
    READ = "read"
    WROTE = "wrote"
    DELETED = "deleted"
    EXPORTED = "exported"  # taken out in bulk, among the records of others
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Look:
    """What one actor did on one day for one purpose. `what`: catalogue keys of the kinds of
    record, in a fixed order, empty for a list in which the person stood among others;
    `first`, `last`: FHIR instants; `count`: lines of the audit behind it."""

    name: str
    role: str
    place: str
    purpose: str
    deed: Deed
    what: tuple[str, ...]
    first: str
    last: str
    count: int


@dataclass(frozen=True, slots=True)
class Log:
    """`people`: looks by others, newest first; `own`: lines of the person himself; `system`:
    what rooms of the system did; `oldest`: the instant of the oldest line that was read."""

    people: tuple[Look, ...]
    own: int
    system: tuple[Look, ...]
    oldest: str

    @property
    def system_count(self) -> int:
        return sum(one.count for one in self.system)


_ACTIONS = {"C": Deed.WROTE, "U": Deed.WROTE, "D": Deed.DELETED}
KINDS: dict[str, str] = {
    "Patient": key("name and birth date"),
    "Person": key("name and birth date"),
    "Encounter": key("visits"),
    "Condition": key("diagnoses"),
    "AllergyIntolerance": key("allergies"),
    "MedicationRequest": key("medicines"),
    "MedicationStatement": key("medicines"),
    "MedicationDispense": key("medicines"),
    "Observation": key("results"),
    "DiagnosticReport": key("results"),
    "Immunization": key("vaccinations"),
    "Procedure": key("treatments"),
    "AuditEvent": key("who looked"),
}
OTHER = key("other papers")
_ORDER = [*dict.fromkeys(KINDS.values()), OTHER]
# What each part of the system does with a record, by the room in `Device/<room>`.
SYSTEM: dict[str, str] = {
    "people": key("found out which records are yours"),
    "sync": key("carried your record between the station and the province"),
    "exchange": key("received what hospitals sent"),
    "warehouse": key("counted for the statistics, without names"),
    "book": key("opened your Health Book for you"),
    "ops": key("kept the copies safe"),
}


def read(events: Iterable[Resource], me: str, places: Mapping[str, str]) -> Log:
    """The log of one person. `me`: the reader's own reference; `places`: names of facilities."""
    own = 0
    oldest = ""
    people: dict[tuple[str, ...], list[Resource]] = {}
    system: dict[tuple[str, ...], list[Resource]] = {}
    for event in events:
        agent = _agent(event)
        oldest = str(event.get("recorded", "")) or oldest
        if target(agent.get("who")) == me:
            own += 1
            continue
        role = _role(agent)
        at = day(str(event.get("recorded", "")))
        group = (target(agent.get("who")), role, _place(agent), _purpose(event), _deed(event))
        if role == "machine":
            system.setdefault(group[:1], []).append(event)
        else:
            people.setdefault((*group, at), []).append(event)
    return Log(
        people=tuple(_look(group, places) for group in people.values()),
        own=own,
        system=tuple(_look(group, places) for group in system.values()),
        oldest=oldest,
    )


def _look(events: Sequence[Resource], places: Mapping[str, str]) -> Look:
    """One look from its lines, newest first."""
    newest = events[0]
    agent = _agent(newest)
    who = agent.get("who") or {}
    role = _role(agent)
    name = str(agent.get("name") or who.get("display") or "")
    if role == "machine":
        name = SYSTEM.get(target(who).partition("/")[2], name)
    kinds = {kind for event in events for kind in _kinds(event)}
    place = _place(agent)
    return Look(
        name=name,
        role=role,
        place=places.get(place, ""),
        purpose=_purpose(newest),
        deed=_deed(newest),
        what=tuple(one for one in _ORDER if one in kinds),
        first=str(events[-1].get("recorded", "")),
        last=str(newest.get("recorded", "")),
        count=len(events),
    )


def places_of(events: Iterable[Resource]) -> set[str]:
    """Facilities named in the log, to look up their names."""
    return {place for event in events if (place := _place(_agent(event)))}


def _agent(event: Resource) -> dict[str, Any]:
    return next(iter(event.get("agent") or []), {})


def _role(agent: Mapping[str, Any]) -> str:
    return next(iter(codes(agent.get("role") or [])), "")


def _place(agent: Mapping[str, Any]) -> str:
    for one in agent.get("extension") or []:
        if one.get("url") == _PLACE:
            return target(one.get("valueReference"))
    return ""


def _purpose(event: Resource) -> str:
    return next(iter(codes(event.get("purposeOfEvent") or [])), "")


def _deed(event: Resource) -> Deed:
    if event.get("outcome") not in {"0", None}:
        return Deed.REFUSED
    if event.get("type", {}).get("code") == _EXPORT:
        return Deed.EXPORTED
    return _ACTIONS.get(str(event.get("action")), Deed.READ)


def _kinds(event: Resource) -> set[str]:
    """Kinds of record an event names. The patient himself stands on every line, so he counts
    only where nothing else is named."""
    whats = [one.get("what") or {} for one in event.get("entity") or []]
    # an export names kinds of record only
    types = {target(one).partition("/")[0] or str(one.get("type", "")) for one in whats} - {""}
    others = types - {"Patient", "Person"}
    return {KINDS.get(one, OTHER) for one in (others or types)}

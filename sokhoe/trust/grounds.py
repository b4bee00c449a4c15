"""On what ground a person of the staff, a program or a relative may see whose records: treatment,
consent, an opening in an emergency, a delegation. One for each process, asked at every request.

    Consents in force ──┐
    Persons, Patients ──┼── who closes what to this actor ──► Scope.closed     (store, SQL)
    openings ───────────┘   whose records lie at his facility ► Scope.related, Scope.patients

What is known here is renewed from the log: at once when this process wrote a Consent, otherwise at
most `LOOK` seconds later, so a revocation binds everywhere within a second. Who asks nothing for
care (steward, machines) is bound by his permits alone; docs/decisions/0017 says why.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.fhir import parse_query, search
from sokhoe.store import Scope, Share, Store, Version
from sokhoe.trust import consents
from sokhoe.trust.actors import STAFF, Actor, Purpose, Role
from sokhoe.trust.closing import Asker, closed
from sokhoe.trust.consents import CARE, Given, Request, permits_whole
from sokhoe.trust.permits import DIRECTORY

LOOK = 0.25
PAGE = 200
MOST_KEPT = 1_000  # actors whose closings are remembered
OPENINGS = "emergency.opening"


@dataclass(slots=True)
class Known:
    """One person with consents: the linked patients with the facility that keeps each, and what
    was given."""

    homes: dict[str, str]
    persons: set[str]
    given: dict[str, Given]


@dataclass(frozen=True, slots=True)
class Found:
    """What consents mean for one asker until a moment. `allowed`: patients whose record as a whole
    a consent opens to him."""

    generation: int
    until: Instant
    closed: tuple[Share, ...]
    allowed: frozenset[str]


class Grounds:
    """`hub`: whether people of many facilities lie in this memory; a station's are all its own."""

    def __init__(self, store: Store, *, hub: bool) -> None:
        self._store = store
        self._hub = hub
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._head = -1
        self._seen: dict[str, int] = {"Consent": 0, "Person": 0}
        self._generation = 0
        self._given: dict[str, Given] = {}
        # both by the patient whom a consent names
        self._of: dict[str, dict[str, Given]] = {}
        self._known: dict[str, Known] = {}
        self._found: dict[tuple[Asker, str], Found] = {}

    # -- asking ----------------------------------------------------------------------------------

    def narrow(self, scope: Scope, actor: Actor, purpose: Purpose) -> Scope:
        """What is left of the bounds of a permit to read or search."""
        if actor.role not in STAFF and actor.role is not Role.SOFTWARE:
            return scope
        emergency = purpose is Purpose.ETREAT and actor.role in STAFF
        found = self._for(Asker(_names(actor), str(purpose), emergency), actor.place)
        scope = replace(scope, closed=found.closed) if found.closed else scope
        bound = scope.patients  # an app that is about one patient
        if emergency:
            opened = self.opened(actor)
            patients = opened if bound is None else opened & bound
            return replace(scope, patients=patients, open=scope.open | DIRECTORY)
        if not self._hub or actor.role not in STAFF:
            return scope
        if bound is not None:
            near = bound & found.allowed | self._treated(bound, actor.place)
            return replace(scope, patients=near)
        return replace(
            scope,
            patients=found.allowed,
            related=relation(actor.place),
            open=scope.open | DIRECTORY,
        )

    def _treated(self, patients: frozenset[str], place: str) -> frozenset[str]:
        """Those of a few patients who are or were treated at a facility."""
        own = search.type_keys("Patient").id
        named = search.Keys("_id", tuple(own ^ search.key(one) for one in sorted(patients)))
        query = search.Query("Patient", (named, *relation(place)), count=len(patients) or 1)
        return frozenset(one.ref for one in self._store.search(query).versions)

    def opened(self, actor: Actor) -> frozenset[str]:
        """The patients who are open to him in an emergency now."""
        kept = self._store.kept(OPENINGS, actor.id) or []
        now = clock.now()
        return frozenset(one for each in kept if each["until"] > now for one in each["patients"])

    def forget(self) -> None:
        """Look at the log again before the next answer."""
        self._looked = float("-inf")

    # -- knowing ---------------------------------------------------------------------------------

    def _for(self, who: Asker, place: str) -> Found:
        self._refresh()
        now = clock.now()
        found = self._found.get((who, place))
        if found is None or found.generation != self._generation or found.until <= now:
            with self._lock:
                found = self._find(who, place, now)
                if len(self._found) >= MOST_KEPT:
                    self._found.clear()
                self._found[who, place] = found
        return found

    def _find(self, who: Asker, place: str, now: Instant) -> Found:
        people = []
        allowed: set[str] = set()
        until = 2**62
        asked = Request(who.actors, who.purpose, now, "", "")
        for known in self._known.values():
            given = [one for one in known.given.values() if one.concerns(who.actors)]
            if not given:
                continue
            until = min([until, *(at for one in given for at in one.moments() if at > now)])
            own = who.purpose in CARE and bool(place)
            theirs = (one for one, home in known.homes.items() if not own or home != place)
            people.append((frozenset(theirs), given))
            if any(permits_whole(one.rule, asked) for one in given):
                allowed |= known.homes.keys()
        return Found(self._generation, until, closed(people, who, now), frozenset(allowed))

    def _refresh(self) -> None:
        if time.monotonic() - self._looked < LOOK:
            return
        with self._lock:
            if time.monotonic() - self._looked < LOOK:
                return
            looked, head = time.monotonic(), self._store.head()
            if head != self._head:
                self._learn()
                self._head = head
            self._looked = looked

    def _learn(self) -> None:
        """Take in what was written since: Consents, and Persons of whom a consent speaks."""
        if not self._seen["Person"]:  # those of today are read when a consent names them
            self._seen["Person"] = self._store.head()
        again: set[str] = set()
        for version in self._news("Consent"):
            before = self._given.pop(version.id, None)
            now = None if version.deleted else consents.read(version.resource)
            if now is not None:
                self._given[version.id] = now
            for one in (before, now):
                if one is not None:
                    again.add(one.patient)
                    theirs = self._of.setdefault(one.patient, {})
                    theirs.pop(one.id, None)
            if now is not None:
                self._of[now.patient][now.id] = now
        again |= self._relinked()
        for patient in again:
            given = self._of.get(patient)
            if given:
                self._known[patient] = self._person(patient, given)
            else:
                self._known.pop(patient, None)
                self._of.pop(patient, None)
        if again:
            self._generation += 1

    def _relinked(self) -> set[str]:
        """The patients named by consents whose links to others may have changed."""
        news = self._news("Person")
        if not news or not self._known:
            return set()
        by: dict[str, set[str]] = {}
        for named, one in self._known.items():
            for ref in (*one.homes, *one.persons):
                by.setdefault(ref, set()).add(named)
        touched = {version.ref for version in news}
        touched |= {link for one in news if not one.deleted for link in _links(one.resource)}
        return set[str]().union(*(by[ref] for ref in touched & by.keys()))

    def _person(self, patient: str, given: dict[str, Given]) -> Known:
        """The patients linked to the same person as this one, each with its facility."""
        persons = self._store.search(parse_query("Person", [("link", patient)])).versions
        linked = {patient}.union(*(_links(one.resource) for one in persons))
        found = self._store.read_many(sorted(linked))
        homes = {one: _home(found[one]) if one in found else "" for one in linked}
        return Known(homes, {one.ref for one in persons}, given)

    def _news(self, type: str) -> list[Version]:
        """Versions of a type that were written since, oldest first."""
        found: list[Version] = []
        while True:
            batch = self._store.feed(self._seen[type], PAGE, [type])
            found += batch
            if batch:
                self._seen[type] = batch[-1].seq
            if len(batch) < PAGE:
                return found


def relation(place: str) -> tuple[search.Condition, ...]:
    """Who is or was treated at a facility: registered or assigned there, seen there, referred to
    it; or linked, as the same person, to somebody who is."""
    if not place:
        return (search.Keys("", ()),)
    here = _at(place)
    same = search.Linked(
        "link", search.key(search.prefix("Person", "link")), (("Patient", (here,)),)
    )
    person = search.Pointed("link", "Person", search.key(search.prefix("Person", "link")), (same,))
    return (search.AnyOf("", ((here,), (person,))),)


def _at(place: str) -> search.Condition:
    there = search.key(place)

    def named(type: str, param: str) -> search.Keys:
        return search.Keys(param, (search.key(search.prefix(type, param)) ^ there,))

    def pointing(type: str, param: str) -> search.Pointed:
        stored = search.search_parameters(type)["patient"].stored[0]
        return search.Pointed(
            "", type, search.key(search.prefix(type, stored)), (named(type, param),)
        )

    ways = (
        named("Patient", "organization"),
        named("Patient", "general-practitioner"),
        pointing("Encounter", "service-provider"),
        pointing("EpisodeOfCare", "organization"),
        pointing("ServiceRequest", "performer"),
        pointing("Appointment", "actor"),
    )
    return search.AnyOf("", tuple((one,) for one in ways))


def _names(actor: Actor) -> frozenset[str]:
    return frozenset(one for one in (actor.id, actor.place) if one)


def _links(person: dict[str, Any]) -> set[str]:
    return {str(one["target"].get("reference", "")) for one in person.get("link", ())}


def _home(patient: Version) -> str:
    return str((patient.resource.get("managingOrganization") or {}).get("reference", ""))

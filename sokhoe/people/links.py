"""Which records are one person: links as events, never merges.

The links of a Person point at the source Patients, which are never touched. A patient is linked
to exactly one Person. A `Move` takes a patient from one Person to another; it is written as new
versions of both and one Provenance each (link, unlink: who, why, by which model), in one commit.
Undoing is the opposite move, later; nothing is forgotten, and playing the moves again up to any
point gives the state at that point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sokhoe import clock
from sokhoe.errors import Conflict
from sokhoe.people.history import LINK, UNLINK, provenance
from sokhoe.people.matching import MODEL, Facts
from sokhoe.people.persons import Link, PersonView, described, resource_of
from sokhoe.trust import Actor, Change, Put

TWICE = "The record was linked to two persons at once."


@dataclass(frozen=True, slots=True)
class Move:
    """A patient goes from one Person to another (ids; "" = not linked). `before` and `after` are
    the links it had and gets, so that the way back restores them too."""

    patient: str
    source: str
    target: str
    before: Link | None = None
    after: Link | None = None

    @property
    def back(self) -> Move:
        return Move(self.patient, self.target, self.source, self.after, self.before)


State = Mapping[str, tuple[str, Link]]  # patient → Person id and the link to it


def play(state: State, moves: Iterable[Move]) -> dict[str, tuple[str, Link]]:
    """The state after these moves. Raises Conflict when a move does not begin where the patient
    is: somebody else has moved it."""
    now = dict(state)
    for move in moves:
        place, _ = now.get(move.patient, ("", None))
        if place != move.source:
            raise Conflict(
                f"{move.patient} is no longer linked as it was.",
                hint="Open the person and look at the history.",
                slug="moved-on",
            )
        if move.target and move.after is not None:
            now[move.patient] = (move.target, move.after)
        else:
            now.pop(move.patient, None)
    return now


class Ledger:
    """Persons in the hands of one commit: what stood, what moves, and the changes that result.

    Put in what stands (`stand`), make moves (`link`, `unlink`, `refresh`), then ask for
    `changes()`; each Person is written only over the version that was read.
    """

    def __init__(self, actor: Actor, *, model: str = MODEL) -> None:
        self.actor = actor
        self.model = model
        self.moves: list[Move] = []
        self._persons: dict[str, PersonView] = {}
        self._stood: dict[str, PersonView] = {}
        self._homes: dict[str, str] = {}
        self._why: list[tuple[str, str, str, tuple[str, ...]]] = []  # person, activity, patient

    def stand(self, person: PersonView) -> None:
        """Take in a person as it is stored."""
        if person.id in self._persons:
            return
        self._persons[person.id] = self._stood[person.id] = person
        for link in person.links:
            if link.patient not in self._homes:
                self._homes[link.patient] = person.id
                continue
            # Only a foreign hand can have done this; the person who stood first keeps it, and
            # the history says so.
            rest = tuple(one for one in self._persons[person.id].links if one != link)
            self._persons[person.id] = replace(self._persons[person.id], links=rest)
            self._why.append((person.id, UNLINK, link.patient, (TWICE,)))

    def person(self, id: str) -> PersonView:
        """The person as it would now be; an empty one when there is none."""
        return self._persons.get(id) or PersonView(id)

    def home(self, patient: str) -> PersonView | None:
        """The person to whom the patient is now linked."""
        id = self._homes.get(patient)
        return self._persons[id] if id else None

    def link(
        self,
        facts: Facts,
        target: str,
        *,
        assurance: str,
        reasons: Sequence[str] = (),
        number: tuple[str, str] | None = None,
    ) -> None:
        """Link a patient to a Person, away from where it was. `number`: the citizen ID (system,
        value) of a Person that is made by this."""
        link = Link(facts.patient, facts.digest, assurance)
        self._move(facts.patient, target, link, reasons, number)

    def play(self, move: Move, reasons: Sequence[str] = ()) -> None:
        """Make a given move. Raises Conflict when the patient is not where it begins."""
        if self._homes.get(move.patient, "") != move.source:
            play({}, [replace(move, source=move.source or "?")])
        self._move(move.patient, move.target, move.after, reasons, None)

    def unlink(self, patient: str, reasons: Sequence[str] = ()) -> None:
        """Take a patient out of the index (it was deleted)."""
        self._move(patient, "", None, reasons, None)

    def refresh(self, facts: Facts) -> None:
        """The link stays, what it was judged by is new."""
        home = self._persons[self._homes[facts.patient]]
        links = tuple(
            replace(link, facts=facts.digest) if link.patient == facts.patient else link
            for link in home.links
        )
        self._persons[home.id] = replace(home, links=links)

    def _move(
        self,
        patient: str,
        target: str,
        link: Link | None,
        reasons: Sequence[str],
        number: tuple[str, str] | None,
    ) -> None:
        source = self._homes.pop(patient, "")
        before = None
        if source:
            home = self._persons[source]
            before = home.link_of(patient)
            rest = tuple(one for one in home.links if one.patient != patient)
            self._persons[source] = replace(home, links=rest)
            self._why.append((source, UNLINK, patient, tuple(reasons)))
        if target and link is not None:
            person = self.person(target)
            if number:
                person = replace(person, citizen_system=number[0], citizen_id=number[1])
            self._persons[target] = replace(person, links=(*person.links, link))
            self._homes[patient] = target
            self._why.append((target, LINK, patient, tuple(reasons)))
        self.moves.append(Move(patient, source, target, before, link))

    @property
    def touched(self) -> list[PersonView]:
        """Persons that are no longer as they stood, in the order in which they were met."""
        return [
            person for id, person in self._persons.items() if person != self._stood.get(id, None)
        ]

    @property
    def emptier(self) -> list[PersonView]:
        """Persons that lose a patient they had before."""
        return [
            person
            for person in self.touched
            if person.id in self._stood
            and not set(self._stood[person.id].patients) <= set(person.patients)
        ]

    def changes(self, sources: Mapping[str, Facts], insurance_system: str = "") -> list[Change]:
        """New versions of the touched Persons and their Provenances. `sources`: the facts of
        their patients by reference."""
        now = clock.iso(clock.now())
        found: list[Change] = []
        for person in self.touched:
            facts = [sources[ref] for ref in person.patients if ref in sources]
            body = resource_of(described(person, facts, insurance_system))
            found.append(Put(body, if_version=person.version))
        found.extend(
            Put(
                provenance(
                    person,
                    self._persons[person].version + 1,
                    activity,
                    patients,
                    actor=self.actor,
                    model=self.model,
                    recorded=now,
                ),
                if_version=0,
            )
            for (person, activity), patients in self._events().items()
        )
        return found

    def _events(self) -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
        """What is left when a patient's moves within this commit cancel out, per Person."""
        events: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        for person, activity, patient, reasons in self._why:
            stood = self._stood.get(person)
            was = stood is not None and patient in stood.patients
            if was == (patient in self._persons[person].patients):
                continue
            if was == (activity == UNLINK):
                events.setdefault((person, activity), {})[patient] = reasons
        return events

"""Links are moves: what was done can be done backwards, and playing it again gives the state."""

from __future__ import annotations

from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.errors import Conflict
from sokhoe.fhir import encode
from sokhoe.people.history import LinkEvent, event_of, replay
from sokhoe.people.links import TWICE, Ledger, Move, play
from sokhoe.people.matching import Facts
from sokhoe.people.persons import (
    BY_HAND,
    BY_NUMBER,
    NAMESPACE,
    Link,
    PersonView,
    described,
    id_of,
    person_of,
    resource_of,
)
from sokhoe.trust import Actor, Put, Role, Version

MACHINE = Actor("Device/people", "people", Role.MACHINE, room="people")
PATIENTS = [f"Patient/{n}" for n in range(4)]
PEOPLE = ["a", "b", "c"]
STEPS = st.lists(st.tuples(st.sampled_from(PATIENTS), st.sampled_from([*PEOPLE, ""])), max_size=20)


def moves_of(steps: list[tuple[str, str]]) -> list[Move]:
    """Steps (patient to person) as moves from wherever the patient then is."""
    at: dict[str, tuple[str, Link | None]] = {}
    moves = []
    for number, (patient, target) in enumerate(steps):
        source, before = at.get(patient, ("", None))
        after = Link(patient, f"facts {number}") if target else None
        moves.append(Move(patient, source, target, before, after))
        at[patient] = (target, after)
    return moves


@given(STEPS, st.integers(0, 20))
def test_moves_undone_from_the_last_give_the_earlier_state(
    steps: list[tuple[str, str]], keep: int
) -> None:
    moves = moves_of(steps)
    earlier = play({}, moves[:keep])
    later = play(earlier, moves[keep:])
    assert play(later, [move.back for move in reversed(moves[keep:])]) == earlier


def test_a_move_from_where_the_patient_is_not_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        play({}, [Move("Patient/1", "a", "b", None, Link("Patient/1"))])
    with pytest.raises(Conflict):
        Ledger(MACHINE).play(Move("Patient/1", "a", "b", None, Link("Patient/1")))


class Shelf:
    """A memory of Persons and Provenances as a ledger writes them, and nothing else."""

    def __init__(self) -> None:
        self.persons: dict[str, PersonView] = {}
        self.events: list[LinkEvent] = []
        self.versions = 0

    def ledger(self) -> Ledger:
        ledger = Ledger(MACHINE)
        for person in self.persons.values():
            ledger.stand(person)
        return ledger

    def write(self, ledger: Ledger) -> None:
        for change in ledger.changes({}):
            assert isinstance(change, Put)
            resource = change.resource
            if resource["resourceType"] == "Provenance":
                event = event_of(resource)
                assert event is not None
                self.events.append(event)
                continue
            standing = self.persons.get(resource["id"])
            assert change.if_version == (standing.version if standing else 0)
            version = (standing.version if standing else 0) + 1
            self.persons[resource["id"]] = stored(resource, version)

    @property
    def state(self) -> dict[str, str]:
        return {ref: one.ref for one in self.persons.values() for ref in one.patients}


def stored(resource: dict[str, Any], version: int) -> PersonView:
    body = encode(resource)
    return person_of(Version(1, 1, "Person", resource["id"], version, 0, False, body))


def step(shelf: Shelf, patient: str, target: str) -> Ledger:
    ledger = shelf.ledger()
    home = ledger.home(patient)
    if target and (home is None or home.id != target):
        ledger.link(Facts(patient), target, assurance=BY_NUMBER, reasons=["because"])
    elif not target and home:
        ledger.unlink(patient)
    shelf.write(ledger)
    return ledger


@given(STEPS)
def test_the_history_played_again_gives_the_links_at_every_point(
    steps: list[tuple[str, str]],
) -> None:
    shelf = Shelf()
    past: list[tuple[int, dict[str, str]]] = []
    for patient, target in steps:
        step(shelf, patient, target)
        past.append((len(shelf.events), shelf.state))
    for count, state in past:
        assert replay(shelf.events[:count]) == state


@given(STEPS, st.integers(0, 20))
def test_written_moves_played_backwards_give_the_earlier_links(
    steps: list[tuple[str, str]], keep: int
) -> None:
    shelf = Shelf()
    for patient, target in steps[:keep]:
        step(shelf, patient, target)
    earlier = {id: one.links for id, one in shelf.persons.items() if one.links}
    done = [move for patient, target in steps[keep:] for move in step(shelf, patient, target).moves]
    for move in reversed(done):
        ledger = shelf.ledger()
        ledger.play(move.back)
        shelf.write(ledger)
    now = {id: set(one.links) for id, one in shelf.persons.items() if one.links}
    assert now == {id: set(links) for id, links in earlier.items()}


@given(STEPS)
def test_a_patient_is_linked_to_at_most_one_person(steps: list[tuple[str, str]]) -> None:
    shelf = Shelf()
    for patient, target in steps:
        step(shelf, patient, target)
        linked = [ref for one in shelf.persons.values() for ref in one.patients]
        assert len(linked) == len(set(linked))


@given(STEPS)
def test_many_moves_in_one_commit_leave_the_same_links_as_one_by_one(
    steps: list[tuple[str, str]],
) -> None:
    slow, fast = Shelf(), Shelf()
    ledger = fast.ledger()
    for patient, target in steps:
        step(slow, patient, target)
        home = ledger.home(patient)
        if target and (home is None or home.id != target):
            ledger.link(Facts(patient), target, assurance=BY_NUMBER)
        elif not target and home:
            ledger.unlink(patient)
    fast.write(ledger)
    assert fast.state == slow.state == replay(fast.events)


def test_nothing_moved_writes_nothing() -> None:
    shelf = Shelf()
    step(shelf, "Patient/1", "a")
    ledger = shelf.ledger()
    ledger.refresh(Facts("Patient/1"))
    assert ledger.changes({}) == []


def test_a_patient_that_a_foreign_hand_linked_twice_is_put_right_and_told() -> None:
    ledger = Ledger(MACHINE)
    ledger.stand(PersonView("a", 3, links=(Link("Patient/1", assurance=BY_HAND),)))
    ledger.stand(PersonView("b", 1, links=(Link("Patient/1"), Link("Patient/2"))))
    home = ledger.home("Patient/1")
    assert home is not None and home.id == "a"
    found = [one.resource for one in ledger.changes({}) if isinstance(one, Put)]
    assert [one["id"] for one in found if one["resourceType"] == "Person"] == ["b"]
    said = [one for one in found if one["resourceType"] == "Provenance"]
    assert [one["reason"] for one in said] == [[{"text": TWICE}]]


def test_a_person_is_kept_whole_in_its_resource() -> None:
    person = PersonView(
        "a", 4, "urn:x", "123", "Nguyễn Văn An", "1961-03-02", "male",
        "urn:y", ("4", "5"),
        (Link("Patient/1", "abc", BY_HAND), Link("Patient/2", "def", BY_NUMBER)),
    )  # fmt: skip
    assert stored(resource_of(person), 4) == person
    assert not stored(resource_of(PersonView("a", 4, "urn:x", "123")), 4).active


SOURCES = [
    Facts("Patient/1", name="NGUYEN VAN AN", birth_date="1961", gender="unknown"),
    Facts("Patient/2", name="Nguyễn Văn An", birth_date="1961-01-01", gender="male"),
    Facts("Patient/3", name="Nguyễn An", birth_date="1961-03-02", gender=""),
]


@given(st.permutations(SOURCES))
def test_a_person_is_described_by_the_fullest_of_its_sources(sources: list[Facts]) -> None:
    person = described(PersonView("a"), sources)
    assert (person.name, person.birth_date, person.gender) == (
        "Nguyễn Văn An", "1961-03-02", "male",
    )  # fmt: skip


@given(st.text())
def test_ids_are_uuid5(text: str) -> None:
    assert id_of(text) == str(uuid5(NAMESPACE, text))


def test_a_record_linked_by_hand_only_fills_what_the_others_leave_out() -> None:
    person = PersonView("a", links=(Link("Patient/1"), Link("Patient/2", "", BY_HAND)))
    sources = [
        Facts("Patient/1", name="Nguyễn Văn An"),
        Facts("Patient/2", name="Nguyễn Văn Ân", birth_date="1961"),
    ]
    found = described(person, sources)
    assert (found.name, found.birth_date) == ("Nguyễn Văn An", "1961")

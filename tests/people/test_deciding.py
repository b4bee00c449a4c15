"""A steward decides, and takes it back; nothing is lost on the way."""

from __future__ import annotations

import pytest

from sokhoe.errors import Conflict, Forbidden, Invalid, NotFound
from sokhoe.people import deciding as desk
from sokhoe.people import link_history
from sokhoe.people.persons import BY_HAND, numbered_id
from sokhoe.people.reviews import Decision, Review
from sokhoe.trust import Actor, Role
from tests.people.conftest import CITIZEN, Here, Index, a_person

AN = "086061000001"
PERSON = numbered_id(CITIZEN, AN)


@pytest.fixture
def case(index: Index) -> Review:
    """Two records with one number whose given names differ in an accent."""
    index.arrive(a_person("a", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN, name="Nguyễn Văn Ân"))
    [found] = index.reviews()
    return found


def decide(index: Index, case: Review, decision: Decision) -> Review:
    found = desk.decide(index.desk, Here(), case.id, decision)
    index.settle()
    return found


def test_the_same_person_links_the_record_by_hand(index: Index, case: Review) -> None:
    done = decide(index, case, Decision.SAME)
    assert set(index.of(AN)) == {"a", "b"}
    link = index.home("b").link_of("Patient/b")
    assert link is not None and link.assurance == BY_HAND
    assert not index.reviews()
    assert (done.who_name, done.decision) == ("Cô Ba", Decision.SAME)
    last = link_history(index.machine, PERSON)[0]
    assert (last.activity, last.who, last.by_hand) == ("link", "Cô Ba", True)
    assert index.links == index.replayed


def test_different_people_stay_apart_and_the_case_is_closed(index: Index, case: Review) -> None:
    decide(index, case, Decision.DIFFERENT)
    assert index.of(AN) == ["a"]
    assert not index.reviews()


def test_not_sure_puts_the_case_aside_and_it_can_be_decided_later(
    index: Index, case: Review
) -> None:
    decide(index, case, Decision.UNSURE)
    assert [one.status for one in index.reviews()] == ["on-hold"]
    decide(index, case, Decision.SAME)
    assert index.together("a", "b")


@pytest.mark.parametrize("decision", list(Decision))
def test_a_decision_taken_back_gives_the_state_before(
    index: Index, case: Review, decision: Decision
) -> None:
    before = {one["id"]: one.get("link") for one in index.every("Person") if one["active"]}
    decide(index, case, decision)
    desk.undo(index.desk, Here(), case.id)
    index.settle()
    after = {one["id"]: one.get("link") for one in index.every("Person") if one["active"]}
    assert after == before
    [again] = index.reviews()
    assert (again.id, again.status, again.decision) == (case.id, "requested", None)
    assert index.links == index.replayed


def test_nothing_of_the_past_is_forgotten(index: Index, case: Review) -> None:
    versions = [index.machine.read("Person", PERSON).version]
    decide(index, case, Decision.SAME)
    versions.append(index.machine.read("Person", PERSON).version)
    desk.undo(index.desk, Here(), case.id)
    patients = [
        len(index.machine.read("Person", PERSON, version).resource["link"])
        for version in (*versions, versions[-1] + 1)
    ]
    assert patients == [1, 2, 1]


def test_pressing_twice_is_one_decision_and_a_second_steward_is_told(
    index: Index, case: Review
) -> None:
    decide(index, case, Decision.SAME)
    decide(index, case, Decision.SAME)
    assert len(link_history(index.machine, PERSON)) == 2
    with pytest.raises(Conflict):
        decide(index, case, Decision.DIFFERENT)
    other = index.gate.session(Actor("Practitioner/2", "Chú Tư", Role.STEWARD))
    with pytest.raises(Conflict):
        desk.decide(other, Here(), case.id, Decision.SAME)


def test_two_stewards_at_once_make_one_decision(
    index: Index, case: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = index.gate.session(Actor("Practitioner/2", "Chú Tư", Role.STEWARD))
    read = desk.read_review
    raced: list[bool] = []

    def slow(session: object, id: str) -> Review:
        found = read(index.desk, id)
        if not raced:
            raced.append(True)
            desk.decide(other, Here(), id, Decision.DIFFERENT)
        return found

    monkeypatch.setattr(desk, "read_review", slow)
    with pytest.raises(Conflict):
        desk.decide(index.desk, Here(), case.id, Decision.SAME)
    assert index.of(AN) == ["a"]


def test_a_decision_cannot_be_taken_back_when_the_record_has_moved_on(
    index: Index, case: Review
) -> None:
    decide(index, case, Decision.SAME)
    desk.take_apart(index.desk, Here(), PERSON, "Patient/b")
    desk.put_back(index.desk, Here(), PERSON, "Patient/b")
    index.delete("b")
    index.settle()
    with pytest.raises(Conflict):
        desk.undo(index.desk, Here(), case.id)


def test_nothing_decided_nothing_to_take_back(index: Index, case: Review) -> None:
    with pytest.raises(Conflict):
        desk.undo(index.desk, Here(), case.id)
    with pytest.raises(NotFound):
        desk.undo(index.desk, Here(), "no-such-case")


def test_a_number_in_doubt_can_be_said_to_be_right(index: Index) -> None:
    number = "086062000001"  # says 1962
    index.arrive(a_person("a", citizen_id=number))
    assert index.of(number) == []
    [case] = index.reviews()
    decide(index, case, Decision.SAME)
    assert index.of(number) == ["a"]
    index.arrive(a_person("b", citizen_id=number, name="Nguyen Van An", birth="1962-03-02"))
    assert index.of(number) == ["a", "b"]


def test_joining_two_without_a_number_joins_all_their_records(index: Index) -> None:
    index.arrive(a_person("a", insurance="4012345678"))
    index.arrive(a_person("b", insurance="4012345678"))
    [case] = index.reviews()
    decide(index, case, Decision.SAME)
    assert index.together("a", "b")
    index.arrive(a_person("c", citizen_id=AN, insurance="4012345678"))
    [case] = index.reviews()
    assert case.patient == "Patient/c"
    decide(index, case, Decision.SAME)
    assert set(index.of(AN)) == {"a", "b", "c"}
    desk.undo(index.desk, Here(), case.id)
    assert index.together("a", "b") and not index.together("a", "c")
    assert index.links == index.replayed


def test_a_record_joined_by_hand_is_not_torn_away_by_a_number_that_comes_later(
    index: Index,
) -> None:
    index.arrive(a_person("a", insurance="4012345678"))
    index.arrive(a_person("b", insurance="4012345678"))
    decide(index, index.reviews()[0], Decision.SAME)
    index.arrive(a_person("b", insurance="4012345678", citizen_id=AN))
    assert index.together("a", "b")
    [case] = index.reviews()
    assert case.person_id == PERSON
    decide(index, case, Decision.SAME)
    assert set(index.of(AN)) == {"a", "b"}


def test_a_record_taken_out_stays_out_and_can_be_put_back(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    desk.take_apart(index.desk, Here(), PERSON, "Patient/b")
    index.settle()
    assert index.of(AN) == ["a"]
    index.machine.done("people", 0)
    index.settle()
    assert index.of(AN) == ["a"]
    desk.put_back(index.desk, Here(), PERSON, "Patient/b")
    index.settle()
    assert set(index.of(AN)) == {"a", "b"}
    assert not index.reviews()


def test_taking_out_can_be_undone_and_leaves_no_case_behind(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    done = desk.take_apart(index.desk, Here(), PERSON, "Patient/b")
    desk.undo(index.desk, Here(), done.id)
    index.settle()
    assert set(index.of(AN)) == {"a", "b"}
    assert not index.reviews()


def test_the_last_record_can_leave_a_number_but_not_itself(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("x"))
    desk.take_apart(index.desk, Here(), PERSON, "Patient/a")
    assert index.of(AN) == []
    with pytest.raises(Invalid):
        desk.take_apart(index.desk, Here(), index.home("x").id, "Patient/x")
    with pytest.raises(Conflict):
        desk.take_apart(index.desk, Here(), PERSON, "Patient/a")


def test_the_first_record_of_a_person_without_a_number_can_leave_it_too(index: Index) -> None:
    index.arrive(a_person("a", insurance="4012345678"))
    index.arrive(a_person("b", insurance="4012345678"))
    decide(index, index.reviews()[0], Decision.SAME)
    desk.take_apart(index.desk, Here(), index.home("a").id, "Patient/a")
    index.settle()
    assert not index.together("a", "b")


def test_what_was_linked_by_hand_does_not_send_every_later_record_to_the_desk(
    index: Index, case: Review
) -> None:
    decide(index, case, Decision.SAME)
    index.arrive(a_person("c", citizen_id=AN, name="NGUYEN VAN AN"))
    index.arrive(a_person("d", citizen_id=AN))
    assert set(index.of(AN)) == {"a", "b", "c", "d"}
    assert not index.reviews()


def test_only_a_steward_decides(index: Index, case: Review) -> None:
    nurse = index.gate.session(Actor("Practitioner/n", "Nurse", Role.STATISTICIAN))
    with pytest.raises(Forbidden):
        desk.decide(nurse, Here(), case.id, Decision.SAME)

"""Each new or changed record finds its person, once, and never by guessing."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from sokhoe.errors import Conflict
from sokhoe.people import PeopleFollower, find_person, link_history, linked_patients, of_citizen
from sokhoe.people import deciding as desk
from sokhoe.people.persons import numbered_id
from sokhoe.people.reviews import Decision
from sokhoe.trust import Session
from tests.people.conftest import CITIZEN, WRONG_NUMBER, Here, Index, a_person

AN = "086061000001"


def test_two_facilities_one_citizen_is_one_person(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN, name="NGUYEN VAN AN", birth="1961"))
    person = of_citizen(index.machine, AN)
    assert person is not None
    assert set(person.patients) == {"Patient/a", "Patient/b"}
    assert (person.name, person.birth_date, person.gender) == (
        "Nguyễn Văn An",
        "1961-03-02",
        "male",
    )
    assert person.id == numbered_id(CITIZEN, AN)
    assert set(linked_patients(index.machine, person.ref)) == set(person.patients)
    assert not index.reviews()


def test_the_sources_are_not_touched(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    for id in "ab":
        assert index.machine.read("Patient", id).version == 1


def test_each_link_is_told_in_a_provenance(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN))
    history = link_history(index.machine, numbered_id(CITIZEN, AN))
    assert [event.patients for event in history] == [("Patient/b",), ("Patient/a",)]
    assert {event.model for event in history} == {"urn:sokhoe:match:1"}
    assert not history[0].by_hand
    assert "The citizen ID is the same." in history[0].reasons


def test_a_record_without_a_number_is_a_person_of_its_own(index: Index) -> None:
    index.arrive(a_person("a"), a_person("b"))
    assert not index.together("a", "b")
    assert not index.reviews()


def test_a_parents_card_used_for_a_child_goes_to_the_desk_and_is_not_linked(index: Index) -> None:
    index.arrive(a_person("mother", citizen_id=AN, name="Trần Thị Lan", sex="female"))
    index.arrive(
        a_person("child", citizen_id=AN, name="Nguyễn Gia Bảo", birth="2019-06-01", sex="male")
    )
    assert index.of(AN) == ["mother"]
    assert not index.together("mother", "child")
    [case] = index.reviews()
    assert (case.patient, case.person_id) == ("Patient/child", numbered_id(CITIZEN, AN))
    assert WRONG_NUMBER in case.reasons
    assert "The names are different." in case.reasons


def test_the_child_does_not_get_the_mothers_number_by_coming_first(index: Index) -> None:
    child = a_person("child", citizen_id=AN, name="Nguyễn Gia Bảo", birth="2019-06-01")
    index.arrive(child)
    assert index.of(AN) == []
    assert [case.patient for case in index.reviews()] == ["Patient/child"]
    index.arrive(a_person("mother", citizen_id=AN, name="Trần Thị Lan", sex="female"))
    assert index.of(AN) == ["mother"]


def test_twins_at_reception_with_one_card_are_not_linked(index: Index) -> None:
    index.arrive(
        a_person("minh-anh", citizen_id=AN, name="Trần Minh Anh"),
        a_person("anh-minh", citizen_id=AN, name="Trần Anh Minh"),
    )
    assert not index.together("minh-anh", "anh-minh")
    assert len(index.reviews()) == 1


def test_an_elder_known_by_the_year_alone_is_linked(index: Index) -> None:
    number = "086040000001"
    index.arrive(a_person("a", citizen_id=number, birth="1940"))
    index.arrive(a_person("b", citizen_id=number, birth="1940-01-01"))
    index.arrive(a_person("c", citizen_id=number, birth="1940-10-20"))
    assert index.together("a", "b", "c")


def test_a_bare_year_does_not_tie_two_people_of_that_year(index: Index) -> None:
    number = "086040000001"
    index.arrive(
        a_person("march", citizen_id=number, birth="1940-03-02"),
        a_person("year", citizen_id=number, birth="1940"),
        a_person("october", citizen_id=number, birth="1940-10-20"),
    )
    assert index.together("march", "year")
    assert not index.together("march", "october")
    assert [case.patient for case in index.reviews()] == ["Patient/october"]


def test_the_same_insurance_number_is_a_suggestion_from_one_side_only(index: Index) -> None:
    index.arrive(a_person("a", insurance="4012345678"))
    index.arrive(a_person("b", insurance="4012345678", name="Nguyen Van An"))
    assert not index.together("a", "b")
    [case] = index.reviews()
    assert case.patient == "Patient/b"
    index.arrive(a_person("a", insurance="4012345678", birth="1961"))
    assert len(index.reviews()) == 1


def test_the_order_of_arrival_does_not_change_who_is_one_person(tmp_path_factory: Any) -> None:
    records = [
        a_person("a", citizen_id=AN, insurance="4012345678"),
        a_person("b", citizen_id=AN, name="NGUYEN VAN AN"),
        a_person("c", insurance="4012345678"),
    ]
    for number, order in enumerate(permutations(records)):
        index = Index(tmp_path_factory.mktemp(f"order{number}"))
        for record in order:
            index.arrive(record)
        assert index.together("a", "b") and not index.together("a", "c"), order
        assert len(index.reviews()) == 1, order
        index.store.close()


def test_a_corrected_number_moves_the_record(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    other = "086061000002"
    index.arrive(a_person("b", citizen_id=other))
    assert index.of(AN) == ["a"]
    assert index.of(other) == ["b"]
    index.arrive(a_person("b"))
    assert index.of(other) == []
    assert not index.together("a", "b")
    assert index.links == index.replayed


def test_a_number_that_comes_later_links_the_record(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b"))
    assert not index.together("a", "b")
    index.arrive(a_person("b", citizen_id=AN))
    assert index.of(AN) == ["a", "b"]


def test_facts_that_come_to_contradict_part_the_record_again(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN, name="Lê Thị Hoa", sex="female"))
    assert index.of(AN) == ["a"]
    assert [case.patient for case in index.reviews()] == ["Patient/b"]


def test_correcting_the_one_record_settles_the_case_of_the_other(index: Index) -> None:
    number = "086019000001"
    index.arrive(a_person("wrong", citizen_id=number, name="Trần Thị Lan", birth="2019-02-02"))
    index.arrive(a_person("right", citizen_id=number, name="Nguyễn Gia Bảo", birth="2019-06-01"))
    assert index.of(number) == ["wrong"]
    assert [case.patient for case in index.reviews()] == ["Patient/right"]
    index.arrive(a_person("wrong", name="Trần Thị Lan", birth="2019-02-02"))
    assert index.of(number) == ["right"]
    assert not index.reviews()
    assert [case.status for case in index.reviews(all=True)] == ["cancelled"]


def test_a_deleted_record_leaves_its_person_and_comes_back(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    index.delete("a")
    index.settle()
    assert index.of(AN) == ["b"]
    index.arrive(a_person("a", citizen_id=AN))
    assert set(index.of(AN)) == {"a", "b"}


def test_a_change_that_identifies_nobody_writes_nothing(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN))
    before = index.machine.read("Person", numbered_id(CITIZEN, AN)).version
    index.arrive({**a_person("a", citizen_id=AN), "telecom": [{"system": "phone", "value": "1"}]})
    assert index.machine.read("Person", numbered_id(CITIZEN, AN)).version == before


def test_running_again_from_the_beginning_changes_nothing(index: Index) -> None:
    _mixed(index)
    head, links = index.store.head(), index.links
    index.machine.done(PeopleFollower.name, 0)
    index.settle()
    assert index.links == links
    assert index.store.head() == head


def test_a_rebuilt_index_makes_the_same_persons_and_cases(tmp_path_factory: Any) -> None:
    def built(batch: int) -> tuple[dict[str, str], set[str]]:
        index = Index(tmp_path_factory.mktemp(f"batch{batch}"))
        index.follower = PeopleFollower(index.machine, Here(), batch)
        _mixed(index)
        found = index.links, {case.id for case in index.reviews()}
        index.store.close()
        return found

    assert built(3) == built(1000)


def _mixed(index: Index) -> None:
    for record in [
        a_person("a", citizen_id=AN, insurance="4012345678"),
        a_person("b", citizen_id=AN, name="Nguyen Van An", birth="1961"),
        a_person("c", citizen_id=AN, name="Nguyễn Gia Bảo", birth="2019-06-01"),
        a_person("d", insurance="4012345678"),
        a_person("e"),
    ]:
        index.put(record)
    index.settle()


def test_killed_before_the_commit_nothing_is_done_and_the_next_run_does_it(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))

    def killed(*args: Any, **given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            index.follower.step()
    assert index.links == {}
    assert index.machine.mark_of("people") == 0
    index.settle()
    assert index.together("a", "b")


def test_killed_after_the_commit_it_is_not_done_twice(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN))
    commit = Session.commit

    def killed(session: Session, changes: Any, **given: Any) -> None:
        commit(session, changes, **given)
        if changes:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            index.follower.step()
    written = len(index.every("Provenance"))
    index.settle()
    assert index.together("a", "b")
    assert len(index.every("Provenance")) == written == 1


def test_two_followers_of_one_feed_do_the_work_once(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(a_person("a", citizen_id=AN), a_person("b", citizen_id=AN), a_person("c"))
    other = PeopleFollower(index.gate.machine("people"), Here())
    commit = Session.commit
    raced: list[bool] = []

    def slow(session: Session, changes: Any, **given: Any) -> Any:
        if changes and not raced:  # in between, the other one does the whole of it
            raced.append(True)
            index.settle(other)
        return commit(session, changes, **given)

    monkeypatch.setattr(Session, "commit", slow)
    index.settle()
    assert raced
    assert index.together("a", "b")
    assert len(index.links) == 3
    assert len(index.every("Provenance")) == 2
    assert index.links == index.replayed


def test_a_follower_with_an_old_view_cannot_link_a_record_a_second_time(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(a_person("a", citizen_id=AN))
    other = PeopleFollower(index.gate.machine("people"), Here())
    commit = Session.commit
    raced: list[bool] = []

    def slow(session: Session, changes: Any, **given: Any) -> Any:
        if changes and not raced:  # the number is corrected, and the other follower is faster
            raced.append(True)
            index.put(a_person("a", citizen_id="086061000002"))
            index.settle(other)
        return commit(session, changes, **given)

    monkeypatch.setattr(Session, "commit", slow)
    index.settle()
    assert index.of(AN) == []
    assert index.of("086061000002") == ["a"]
    assert len(index.links) == 1
    assert len(index.every("Provenance")) == 1  # and nothing had to be put right


def test_a_follower_that_always_loses_says_so(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(a_person("a"))

    def lost(*args: Any, **given: Any) -> None:
        raise Conflict("somebody was faster")

    monkeypatch.setattr(Session, "commit", lost)
    with pytest.raises(Conflict):
        index.follower.step()


def test_a_refused_link_is_not_made_again_and_a_made_one_is_not_taken_back(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN, name="Nguyễn Văn Ân"))
    index.arrive(a_person("c", citizen_id=AN, name="Nguyễn Văn Am"))
    for case in index.reviews():
        answer = Decision.SAME if case.patient == "Patient/b" else Decision.DIFFERENT
        desk.decide(index.desk, Here(), case.id, answer)
    index.machine.done(PeopleFollower.name, 0)
    index.settle()
    assert set(index.of(AN)) == {"a", "b"}
    assert not index.reviews()
    # Now the facts change: the refused one fits, the made one contradicts. Both are asked again.
    index.arrive(a_person("c", citizen_id=AN))
    index.arrive(a_person("b", citizen_id=AN, name="Lê Thị Hoa", sex="female"))
    assert set(index.of(AN)) == {"a", "b"}
    assert {case.patient for case in index.reviews()} == {"Patient/b", "Patient/c"}
    assert all("The facts have changed since the decision." in c.reasons for c in index.reviews())


def test_persons_are_found_by_name_number_and_birth_date(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN, insurance="4012345678"))
    index.arrive(a_person("b", name="Trần Thị Bưởi", birth="1950", sex="female"))

    def names(*args: Any, **given: Any) -> list[str]:
        return [one.name for one in find_person(index.machine, *args, **given)]

    assert names("nguyen van") == ["Nguyễn Văn An"]
    assert names(AN) == ["Nguyễn Văn An"]
    assert names("buoi") == ["Trần Thị Bưởi"]
    assert names("4012345678") == ["Nguyễn Văn An"]
    assert names("tran", birth_date="1950") == ["Trần Thị Bưởi"]
    assert names("tran", birth_date="1951") == []
    assert names("") == []
    assert names("9") == []
    assert names(f"{AN},1") == []  # a comma typed into the box is no "or"


def test_an_insurance_number_is_no_citizen_id(index: Index) -> None:
    index.arrive(a_person("a", insurance=AN))
    assert of_citizen(index.machine, AN) is None
    index.arrive(a_person("b", citizen_id=AN, name="Lê Hoa"))
    assert index.of(AN) == ["b"]


def test_nobody_is_found_for_an_unknown_or_empty_number(index: Index) -> None:
    assert of_citizen(index.machine, "086061000009") is None
    assert of_citizen(index.machine, "") is None
    assert of_citizen(index.machine, "1,2|3") is None
    assert linked_patients(index.machine, "Person/none") == ()

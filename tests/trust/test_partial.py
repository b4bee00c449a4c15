"""A scope with a ?query shows what the query matches, in every form, and is refused where that
cannot be told record by record. On both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.errors import Forbidden, Invalid, NotFound
from sokhoe.store import open_store
from sokhoe.trust import Actor, Gate, Put, Role, Session, scope_deeds
from tests.worlds import a_patient, a_visit, settings_in

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
LAB = f"system/Observation.rs?category={LABORATORY}"


@pytest.fixture
def gate(url: str, tmp_path: Path) -> Iterator[Gate]:
    store = open_store(url)
    made = Gate(store, settings_in(tmp_path))
    patient = a_patient("p1")
    rows = [patient]
    for number in range(4):
        observation = a_visit(patient)[1]
        del observation["encounter"]
        observation["id"] = f"o{number}"
        if number % 2:
            system, code = LABORATORY.split("|")
            observation["category"] = [{"coding": [{"system": system, "code": code}]}]
            observation["derivedFrom"] = [{"reference": f"Observation/o{number - 1}"}]
        rows.append(observation)
    made.machine("ops").commit([Put(one) for one in rows])
    yield made
    store.close()


def software(gate: Gate, *scopes: str) -> Session:
    return gate.session(Actor("Device/lab", "Lab", Role.SOFTWARE, scopes=scopes))


def test_only_what_the_query_matches_is_there(gate: Gate) -> None:
    lab = software(gate, LAB)
    page = lab.search("Observation", [("_total", "accurate")])
    assert {one.id for one in page.versions} == {"o1", "o3"}
    assert page.total == 2
    assert lab.read("Observation", "o1").id == "o1"
    with pytest.raises(NotFound):
        lab.read("Observation", "o0")
    with pytest.raises(NotFound):
        lab.read("Observation", "o0", 1)
    with pytest.raises(NotFound):
        lab.history("Observation", "o0")
    assert {one.id for one in lab.history("Observation").versions} == {"o1", "o3"}
    along = lab.search("Observation", [("_include", "Observation:derived-from")])
    assert not along.included
    assert not lab.search("Observation", [("derived-from._id", "o0")]).versions
    assert [one.id for one in lab.read_many(["Observation/o0", "Observation/o3"])] == ["o3"]
    with pytest.raises(Forbidden):
        lab.exportable()


def test_what_was_changed_is_judged_as_it_was_and_as_it_is(gate: Gate) -> None:
    lab = software(gate, LAB)
    was = lab.read("Observation", "o1").resource
    del was["category"], was["meta"]
    gate.machine("ops").commit([Put(was)])
    with pytest.raises(NotFound):
        lab.read("Observation", "o1", 1)
    assert not lab.search("Observation", [("_id", "o1")]).versions
    assert {one.id for one in lab.history("Observation").versions} == {"o3"}


def test_several_parts_add_up_and_a_whole_takes_them_in(gate: Gate) -> None:
    two = software(gate, LAB, "system/Observation.rs?_id=o0")
    assert {one.id for one in two.search("Observation").versions} == {"o0", "o1", "o3"}
    whole = software(gate, LAB, "system/Observation.rs")
    assert len(whole.search("Observation").versions) == 4


def test_a_part_for_searching_is_none_for_reading(gate: Gate) -> None:
    mixed = software(gate, "system/Observation.r", "system/Observation.s?_id=o0")
    assert mixed.read("Observation", "o2").id == "o2"
    assert {one.id for one in mixed.search("Observation").versions} == {"o0"}


@pytest.mark.parametrize(
    "scope",
    [
        "system/Observation.cruds?category=laboratory",
        "system/Observation.rs?patient.name=Lan",
        "system/Observation.rs?_has:List:item:_id=1",
        "system/Observation.rs?_sort=date",
        "system/Observation.rs?_include=Observation:subject",
        "system/Observation.rs?category=laboratory&_count=1",
        "system/Observation.rs?code:in=urn:set",
        "system/Observation.rs?nonsense=1",
        "system/Observation.rs?",
        "system/*.rs?_id=1",
    ],
)
def test_what_cannot_be_judged_record_by_record_is_not_granted(gate: Gate, scope: str) -> None:
    assert scope_deeds(scope) is None
    with pytest.raises(Invalid):
        gate.add_client("lab", "Lab", [scope], secret="a secret that is long enough")

"""What lies around a record: the same on both databases, whole, in order, and within the scope."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.fhir import search
from sokhoe.store import EVERYTHING, Delete, Page, Put, Scope, Store
from tests.contracts.conftest import a_patient, an_observation

BY = {type: search.patient_parameters(type) for type in ("Observation", "Condition", "Patient")}


def a_condition(id: str, patient: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient}"}
    return {"resourceType": "Condition", "id": id, "subject": subject}


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    store.commit([Put(a_patient("1")), Put(a_patient("2"))], author="me")
    for number in range(4):
        store.commit(
            [
                Put(an_observation(f"o{number}", "1")),
                Put(an_observation(f"x{number}", "2")),
                Put(a_condition(f"c{number}", "1")),
            ],
            author="me",
        )


def around(store: Store, *roots: str, scope: Scope = EVERYTHING, **more: Any) -> list[str]:
    found: list[str] = []
    after = 0
    for _ in range(50):
        page: Page = store.around(roots, BY, after=after, scope=scope, **more)
        found += [one.ref for one in page.versions]
        if page.next is None:
            return found
        after = int(page.next)
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("count", [1, 2, 3, 9, 50])
def test_all_that_points_at_a_record_comes_once_in_the_order_of_writing(
    store: Store, count: int
) -> None:
    own = [ref for number in range(4) for ref in (f"Observation/o{number}", f"Condition/c{number}")]
    assert around(store, "Patient/1", count=count) == ["Patient/1", *own]


def test_several_roots_are_one_answer(store: Store) -> None:
    assert len(around(store, "Patient/1", "Patient/2")) == 14


def test_what_is_replaced_moves_to_the_end_and_what_is_deleted_is_gone(store: Store) -> None:
    store.commit([Put(an_observation("o0", "1", code="1-8"))], author="me")
    store.commit([Delete("Condition", "c3")], author="me")
    found = around(store, "Patient/1", count=3)
    assert found[-1] == "Observation/o0"
    assert len(found) == len(set(found)) == 8
    store.commit([Put(an_observation("o0", "2"))], author="me")
    assert "Observation/o0" not in around(store, "Patient/1")


def test_only_what_was_written_since_then(store: Store) -> None:
    last = store.commit([Put(an_observation("new", "1"))], author="me").versions[0]
    assert around(store, "Patient/1", since=last.at)[-1] == "Observation/new"
    assert around(store, "Patient/1", since=last.at + 1) == []


def test_the_scope_binds(store: Store) -> None:
    types = frozenset({"Observation"})
    assert around(store, "Patient/1", scope=Scope(types=types)) == [
        f"Observation/o{number}" for number in range(4)
    ]
    other = Scope(patients=frozenset({"Patient/2"}))
    assert around(store, "Patient/1", scope=other) == []
    both = around(store, "Patient/1", "Patient/2", scope=other)
    assert both == ["Patient/2", *(f"Observation/x{number}" for number in range(4))]
    assert around(store, "Patient/1", scope=Scope(patients=frozenset())) == []


def test_nothing_around_nobody(store: Store) -> None:
    assert around(store, "Patient/none") == []

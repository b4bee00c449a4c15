"""What the oracle found: each disagreement in which R4 gave it right, as a test of its own."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.fhir import parse_query
from sokhoe.store import Put, Store
from tests.contracts.conftest import a_patient, an_observation


def found(store: Store, type: str, *pairs: tuple[str, str]) -> list[str]:
    return [one.id for one in store.search(parse_query(type, pairs)).versions]


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("2024", True),
        ("ap2024-02", True),  # between the first and the last
        ("2024-01-10", False),  # it does not lie in that one day
        ("gt2024-02", True),
        ("lt2024-02", True),
        ("sa2024-01-10", False),
        ("eb2024-03-10", False),
    ],
)
def test_a_timing_counts_by_its_outer_limits(store: Store, asked: str, there: bool) -> None:
    events = {"event": ["2024-01-10", "2024-03-10"]}
    one: dict[str, Any] = {**an_observation("1"), "effectiveTiming": events}
    del one["effectiveDateTime"]
    store.commit([Put(one)], author="me")
    assert found(store, "Observation", ("date", asked)) == (["1"] if there else [])


def test_of_several_names_the_one_that_comes_first_sorts(store: Store) -> None:
    for id, names in (("1", ["Bình", "Yến"]), ("2", ["Vinh", "An"]), ("3", ["Lan"])):
        written = [{"family": one} for one in names]
        store.commit([Put({**a_patient(id), "name": written})], author="me")
    assert found(store, "Patient", ("_sort", "family")) == ["2", "1", "3"]
    assert found(store, "Patient", ("_sort", "-family")) == ["1", "2", "3"]
    assert found(store, "Patient", ("_sort", "family,_id")) == ["2", "1", "3"]


def test_about_nothing_is_nothing(store: Store) -> None:
    for id, value in (("1", 0), ("2", 0.1), ("3", 11)):
        store.commit([Put(an_observation(id, valueQuantity={"value": value}))], author="me")
    assert found(store, "Observation", ("value-quantity", "ap0")) == ["1"]
    assert found(store, "Observation", ("value-quantity", "ap10")) == ["3"]


def test_observations_of_a_group_are_nobodys_by_patient(store: Store) -> None:
    """`patient` is indexed as `subject`, which may be a Group as well."""
    group = {"resourceType": "Group", "id": "1", "type": "person", "actual": True}
    of_group = {**an_observation("1"), "subject": {"reference": "Group/1"}}
    store.commit([Put(group), Put(of_group)], author="me")
    for name, refs in (("patient", []), ("subject", ["Observation/1"])):
        pairs = [("_revinclude:iterate", f"Observation:{name}")]
        page = store.search(parse_query("Group", pairs))
        assert [one.ref for one in page.included] == refs


def test_people_known_elsewhere_are_sorted_too(store: Store) -> None:
    far = {"reference": "https://far.example.vn/fhir/Patient/0"}
    store.commit([Put({**an_observation("1"), "subject": far})], author="me")
    store.commit([Put({**an_observation("2"), "subject": {"reference": "Group/1"}})], author="me")
    store.commit([Put(an_observation("3", patient="7"))], author="me")
    assert found(store, "Observation", ("_sort", "patient")) == ["3", "1", "2"]


def test_a_patient_inside_the_record_is_a_patient(store: Store) -> None:
    inside = [{"resourceType": "Patient", "id": "in"}, {"resourceType": "Group", "id": "g"}]
    for id, ref in (("1", "#in"), ("2", "#g"), ("3", "#none")):
        more = {"contained": inside, "subject": {"reference": ref}}
        store.commit([Put({**an_observation(id), **more})], author="me")
    assert found(store, "Observation", ("patient:missing", "false")) == ["1"]
    assert found(store, "Observation", ("patient:missing", "true"), ("_sort", "_id")) == ["2", "3"]


def test_who_has_died_is_sorted_as_yes_or_no(store: Store) -> None:
    for id, more in (
        ("1", {"deceasedDateTime": "2020"}),
        ("2", {}),
        ("3", {"deceasedBoolean": True}),
        ("4", {"deceasedBoolean": False}),
    ):
        store.commit([Put(a_patient(id, **more))], author="me")
    assert found(store, "Patient", ("_sort", "deceased,_id")) == ["2", "4", "1", "3"]

"""A load writes what a commit would have written, and says what it did."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.errors import Conflict, Invalid
from sokhoe.fhir import parse_query
from sokhoe.store import Carrier, Delete, Entry, Keep, Loaded, Put, Store, open_store, pack, seal
from tests.contracts.conftest import a_patient, an_observation


def load(store: Store, *resources: dict[str, Any], **more: Any) -> Loaded:
    carrier = Carrier(store.dictionary())
    carried = pack([carrier.ready(one)[0] for one in resources])
    return store.load(carried, author="Device/test", **more)


def some(count: int = 60) -> list[dict[str, Any]]:
    patients = [a_patient(f"p{n}", gender="female") for n in range(count // 2)]
    rest = [an_observation(f"o{n}", f"p{n}", code=f"c{n % 3}") for n in range(count // 2)]
    return patients + rest


def test_a_load_says_what_was_new_changed_and_the_same(store: Store) -> None:
    assert load(store, *some(10)) == Loaded(10, 10, 0)
    assert load(store, *some(10)) == Loaded(0, 0, 10)
    changed = [{**one, "language": "vi"} for one in some(10)[:3]]
    assert load(store, *changed, a_patient("new")) == Loaded(4, 1, 0)
    assert load(store, a_patient("twice"), a_patient("twice", "Trần Thị Hoa")) == Loaded(2, 1, 0)
    store.commit([Delete("Patient", "p1")], author="x")
    assert load(store, some(10)[1]) == Loaded(1, 0, 0)
    found = store.read("Patient", "p1")
    assert found is not None and found.version == 4 and not found.deleted


def test_loaded_and_committed_records_are_alike(store: Store, tmp_path: Any) -> None:
    """The plain way is a commit of the same resources: versions, search, links, totals, seals."""
    other = open_store(f"sqlite:///{tmp_path / 'plain.db'}")
    first, second = some(120), [{**one, "language": "vi"} for one in some(120)[::2]]
    for resources in (first, second):
        load(store, *resources)
        other.commit([Put(one) for one in resources], author="Device/test")
    assert store.totals() == other.totals()
    for one in some(120):
        here = store.read(one["resourceType"], one["id"])
        there = other.read(one["resourceType"], one["id"])
        assert here is not None and there is not None
        assert (here.seq, here.version) == (there.seq, there.version)
        plain = {**there.resource, "meta": {**there.resource["meta"], "lastUpdated": ""}}
        assert {**here.resource, "meta": {**here.resource["meta"], "lastUpdated": ""}} == plain
    for type, pairs in (
        ("Observation", [("code", "c1"), ("patient.gender", "female"), ("_count", "400")]),
        ("Patient", [("_count", "400"), ("name", "nguyen"), ("_sort", "_id")]),
        ("Observation", [("date", "ge2024-01"), ("subject", "Patient/p4"), ("_count", "400")]),
    ):
        query = parse_query(type, [*pairs, ("_total", "accurate")])
        here_page, there_page = store.search(query), other.search(query)
        assert {one.ref for one in here_page.versions} == {one.ref for one in there_page.versions}
        assert here_page.total == there_page.total
        assert here_page.versions
    assert list(store.verify()) == []
    assert all(seal(one) == one.hash for one in store.commits(0, max_bytes=10**8))
    other.close()


def test_mark_and_audit_line_come_with_it_or_not_at_all(store: Store) -> None:
    entry = Entry(1, "Device/x", "x", "machine", "", "HOPERAT", "U", patients=("Patient/p1",))
    load(store, a_patient("p1"), entry=entry, keeps=[Keep("load", "k", 1, expected=None)])
    with pytest.raises(Conflict):
        load(store, a_patient("p2"), entry=entry, keeps=[Keep("load", "k", 1, expected=None)])
    assert store.read("Patient", "p2") is None
    assert len(store.entries(patient="Patient/p1")) == 1


def test_what_another_program_packed_is_refused(store: Store) -> None:
    with pytest.raises(Invalid):
        store.load(b"\x93abc", author="x")


def test_a_load_compresses_with_the_store_s_dictionary(store: Store) -> None:
    for start in range(0, 2_400, 600):
        load(store, *(a_patient(f"p{n}") for n in range(start, start + 600)))
    number = store.dictionary().number
    assert number
    load(store, a_patient("after"))
    found = store.read("Patient", "after")
    assert found is not None and found.resource["name"] == a_patient("x")["name"]

"""Taking the memory out: one fixed point, whole, resumable, and whose records they were."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sokhoe import clock
from sokhoe.errors import Unsupported
from sokhoe.fhir import TYPES, decode, parse_query
from sokhoe.store import Choice, Delete, Put, Scope, Store, Sweep, sweeping
from tests.contracts.conftest import a_patient, an_observation

ALL = frozenset(TYPES)


def put(store: Store, *resources: dict[str, Any]) -> None:
    store.commit([Put(one) for one in resources], author="Device/test")


def taken(store: Store, wanted: Sweep, after: int = 0) -> dict[str, bytes]:
    """Everything a sweep brings, by reference; each record once."""
    found: dict[str, bytes] = {}
    for _ in range(1000):
        swept = store.sweep(wanted, after)
        for type, id, body in swept.taken:
            assert f"{type}/{id}" not in found, "twice"
            found[f"{type}/{id}"] = body
        assert swept.reach > after or swept.reach == wanted.upto
        after = swept.reach
        if after >= wanted.upto:
            return found
    raise AssertionError("the sweep never ended")


def everything(store: Store, **more: Any) -> Sweep:
    return Sweep(ALL, store.point().upto, **more)


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_a_sweep_brings_each_current_record_once(store: Store, window: int) -> None:
    put(store, a_patient("1"), an_observation("a"))
    put(store, a_patient("2"), a_patient("1", "Nguyễn Văn Bình"))
    store.commit([Delete("Observation", "a")], author="x")
    put(store, an_observation("b"))
    found = taken(store, everything(store, window=window))
    assert set(found) == {"Patient/1", "Patient/2", "Observation/b"}
    for ref, body in found.items():
        type, _, id = ref.partition("/")
        version = store.read(type, id)
        assert version is not None and version.body == body


def test_what_is_written_meanwhile_does_not_show(store: Store) -> None:
    put(store, a_patient("1"), a_patient("2"), a_patient("3"))
    wanted = everything(store, window=2)
    before = taken(store, wanted)
    put(store, a_patient("1", "Trần Thị Hoa"), a_patient("4"))
    store.commit([Delete("Patient", "2")], author="x")
    assert taken(store, wanted) == before


def test_only_what_was_written_since_and_what_was_deleted_since(store: Store) -> None:
    with clock.standing_at(1_700_000_000_000_000) as ahead:
        put(store, a_patient("old"), a_patient("gone"), an_observation("o", patient="gone"))
        ahead(60)
        since = clock.now()
        put(store, a_patient("new"))
        store.commit([Delete("Observation", "o")], author="x")
    point = store.point(since)
    wanted = Sweep(ALL, point.upto, since=since)
    assert set(taken(store, wanted, point.after)) == {"Patient/new"}
    deleted = replace(wanted, deleted=True)
    assert taken(store, deleted, point.after) == {"Observation/o": b""}
    assert store.sweep(deleted, point.after).people == {"Patient/gone"}
    assert store.point(since + 1_000_000_000).after == point.upto


def test_patients_own_records_and_open_types(store: Store) -> None:
    place = {"resourceType": "Organization", "id": "o"}
    put(store, a_patient("1"), a_patient("2"), an_observation("a"), place)
    put(store, an_observation("b", patient="2"))
    of_one = everything(store, patients=frozenset({"Patient/1"}))
    assert set(taken(store, of_one)) == {"Patient/1", "Observation/a"}
    with_places = replace(of_one, open=frozenset({"Organization"}))
    assert set(taken(store, with_places)) == {"Patient/1", "Observation/a", "Organization/o"}
    owned = everything(store, own=True)
    assert set(taken(store, owned)) == {"Patient/1", "Patient/2", "Observation/a", "Observation/b"}
    assert taken(store, replace(of_one, patients=frozenset())) == {}


def test_a_choice_narrows_its_own_types_only(store: Store) -> None:
    put(store, a_patient("1"), *(an_observation(f"o{n}", code=f"c{n % 3}") for n in range(9)))
    point, choice = store.choose([parse_query("Observation", [("code", "c1")])])
    wanted = Sweep(ALL, point.upto, choice=choice, window=2)
    chosen = {"Observation/o1", "Observation/o4", "Observation/o7"}
    assert set(taken(store, wanted)) == {*chosen, "Patient/1"}
    alone = replace(wanted, types=frozenset({"Observation"}))
    assert set(taken(store, alone)) == chosen
    none = replace(alone, choice=Choice(frozenset({"Observation"}), array("q")))
    assert taken(store, none) == {}
    bounded = Scope(patients=frozenset({"Patient/2"}))
    _, nothing = store.choose([parse_query("Observation", [("code", "c1")])], bounded)
    assert len(nothing.numbers) == 0


def test_too_large_a_choice_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, *(a_patient(f"p{n}") for n in range(9)))
    monkeypatch.setattr(sweeping, "MOST_CHOSEN", 5)
    monkeypatch.setattr(sweeping, "STEP", 2)
    with pytest.raises(Unsupported) as refused:
        store.choose([parse_query("Patient", [])])
    assert refused.value.code == "too-costly"


def test_large_bodies_make_a_step_shorter(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, *(a_patient(f"p{n}") for n in range(9)))
    monkeypatch.setattr(sweeping, "MOST_BYTES", 1)
    wanted = everything(store)
    assert len(store.sweep(wanted, 0).taken) == 1
    assert len(taken(store, wanted)) == 9


def test_names_are_found_however_they_are_written(store: Store) -> None:
    far = an_observation("far")
    far["subject"] = {"reference": "Patient/1/_history/3"}
    own = {**a_patient("1"), "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}]}
    group = {
        "resourceType": "Group",
        "id": "g",
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": f"Patient/{n}"}} for n in (3, 4)],
    }
    put(store, far, own, group)
    _agree(store)


def _agree(store: Store) -> None:
    """The fast way and the plain way name the same people, with and without memory."""
    sweeping_names = sweeping.Names()
    for known in (sweeping_names, sweeping_names, sweeping.Names()):
        store._names = known  # type: ignore[attr-defined]
        swept = store.sweep(everything(store), 0)
        plain = [sweeping.whose_plainly(body) for _, _, body in swept.taken if body]
        assert swept.people == frozenset[str]().union(*plain)


@given(
    people=st.lists(st.sampled_from("123456"), min_size=1, max_size=20),
    escaped=st.booleans(),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_people_named_are_those_of_the_records(
    store: Store, people: list[str], escaped: bool
) -> None:
    texts = [an_observation(f"o{n}", patient=one) for n, one in enumerate(people)]
    if escaped:
        texts[0]["note"] = [{"text": 'said "Patient/99"'}]
    put(store, *texts, a_patient(people[0]))
    _agree(store)


def test_a_body_is_json(store: Store) -> None:
    put(store, a_patient("1"))
    ((type, id, body),) = store.sweep(everything(store), 0).taken
    assert (type, id, decode(body)["id"]) == ("Patient", "1", "1")

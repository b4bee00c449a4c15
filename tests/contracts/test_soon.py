"""The fast way must answer as the plain way does, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe.fhir import compartments, parse_query
from sokhoe.store import Delete, Put, Store, open_store, soon
from tests.contracts.conftest import a_patient, an_observation
from tests.contracts.test_store import an_entry
from tests.contracts.world import World

TYPES = ("Patient", "Observation", "Condition", "Encounter", "Organization", "DocumentReference")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    store = open_store(url, tmp_path / "audit")
    store.record(an_entry())  # the journal is open, so the event loop may be asked
    yield store
    store.close()


def a_question(draw: random.Random) -> tuple[str, list[tuple[str, str]]]:
    type = draw.choice(TYPES)
    pairs = []
    if type == "Patient":
        pairs.append(("identifier", f"{draw.randrange(9)}"))
    elif type == "Organization":
        pairs.append(("_id", f"o{draw.randrange(4)}"))
    else:
        pairs.append(("patient", f"p{draw.randrange(9)}"))
    if type == "Observation" and draw.random() < 0.7:
        pairs.append(("code", draw.choice(("8480-6", "http://loinc.org|8462-4", "718-7"))))
    if draw.random() < 0.5:
        pairs.append(("_sort", draw.choice(("-date", "date", "-_lastUpdated", "_id"))))
    if draw.random() < 0.7:
        pairs.append(("_count", draw.choice(("1", "2", "7", "50", "100", "500"))))
    if draw.random() < 0.1:
        pairs.append(draw.choice((("_total", "accurate"), ("_include", f"{type}:patient"))))
    return type, pairs


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_agree(store: Store, seed: int) -> None:
    world = World(seed)
    world.fill(store)
    draw = random.Random(seed)
    answered = 0
    for _ in range(150):
        type, pairs = a_question(draw)
        try:
            query = parse_query(type, pairs)
        except Exception:
            continue
        fast = asyncio.run(store.search_soon(query))
        if fast is None:
            continue
        answered += 1
        plain = store.search(query)
        assert fast == plain, (type, pairs)
        for one in fast.versions:
            assert one.people == compartments(one.resource)
    for ref in [*world.live, "Patient/nobody", "Patient/p1"]:
        type, _, id = ref.partition("/")
        for version in (None, 1, 2, 99):
            found = asyncio.run(store.read_soon(type, id, version))
            assert found == store.read(type, id, version)
            if found is not None and not found.deleted:
                assert found.people == compartments(found.resource)
    assert answered > 40


def test_a_page_goes_on_where_the_fast_way_ended(store: Store) -> None:
    days = [f"2024-05-{day:02}" for day in range(1, 28)]
    store.commit([Put(an_observation(f"o{at}", at=at)) for at in days], author="me")
    pairs = [("patient", "1"), ("_sort", "-date"), ("_count", "10")]
    first = asyncio.run(store.search_soon(parse_query("Observation", pairs)))
    assert first is not None
    assert first.next is not None
    rest = []
    cursor: str | None = first.next
    while cursor is not None:
        query = parse_query("Observation", pairs)
        page = store.search(_from(query, cursor))
        rest += [one.id for one in page.versions]
        cursor = page.next
    assert [one.id for one in first.versions] + rest == [f"o{at}" for at in reversed(days)]


def _from(query: Any, cursor: str) -> Any:
    from dataclasses import replace

    return replace(query, cursor=cursor)


def test_what_is_too_long_to_walk_is_left_to_the_plain_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([Put(an_observation(str(n))) for n in range(30)], author="me")
    query = parse_query("Observation", [("patient", "1")])
    found = asyncio.run(store.search_soon(query))
    assert found is not None
    assert found == store.search(query)
    monkeypatch.setattr(soon, "WALKED", 29)
    assert asyncio.run(store.search_soon(query)) is None


def test_all_patients_that_a_record_concerns_are_named(store: Store) -> None:
    """However a record names them: itself, several, by address, with a version."""
    records: list[dict[str, Any]] = [
        a_patient("1", link=[{"other": {"reference": "Patient/2"}, "type": "seealso"}]),
        an_observation("a", performer=[{"reference": "Patient/3"}]),
        an_observation("b", patient="1/_history/4"),
        an_observation("c", note=[{"text": "see Patient/9"}]),
        {"resourceType": "Organization", "id": "o", "name": "Patient/1"},
    ]
    store.commit([Put(one) for one in records], author="me")
    for record in records:
        found = asyncio.run(store.read_soon(record["resourceType"], record["id"]))
        assert found is not None
        assert found.people == compartments(found.resource)


def test_what_is_deleted_is_said_to_be(store: Store) -> None:
    store.commit([Put(a_patient("1"))], author="me")
    store.commit([Delete("Patient", "1")], author="me")
    found = asyncio.run(store.read_soon("Patient", "1"))
    assert found is not None
    assert found.deleted


def test_without_a_journal_nothing_is_answered_soon(url: str) -> None:
    store = open_store(url)
    store.commit([Put(a_patient("1"))], author="me")
    assert asyncio.run(store.read_soon("Patient", "1")) is None
    assert asyncio.run(store.search_soon(parse_query("Patient", [("_id", "1")]))) is None
    store.close()

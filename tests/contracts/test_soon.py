"""The fast way must answer as the plain way does, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sokhoe.fhir import compartments, parse_query
from sokhoe.store import Delete, Keys, Put, Store, open_store, soon
from sokhoe.store.postgres import PostgresStore
from tests.contracts.conftest import a_patient, an_observation
from tests.contracts.test_store import an_entry
from tests.contracts.world import World

TYPES = ("Patient", "Observation", "Condition", "Encounter", "Organization", "DocumentReference")


@pytest.fixture
def store(url: str, keys: Keys | None, tmp_path: Path) -> Iterator[Store]:
    store = open_store(url, tmp_path / "audit", keys=keys)
    store.record(an_entry())  # the journal is open, so the event loop may be asked
    yield store
    store.close()


@pytest.fixture
def loop(store: Store) -> Iterator[asyncio.Runner]:
    """One event loop, as a server has; on PostgreSQL it has opened its connections."""
    with asyncio.Runner() as runner:
        runner.run(_until_open(store))
        yield runner


async def _until_open(store: Store) -> None:
    store.commit([Put(a_patient("first"))], author="me")
    for _ in range(200):
        if await store.read_soon("Patient", "first") is not None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the fast way never opened")


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
def test_both_ways_agree(store: Store, loop: asyncio.Runner, seed: int) -> None:
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
        fast = loop.run(store.search_soon(query))
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
            found = loop.run(store.read_soon(type, id, version))
            assert found == store.read(type, id, version)
            if found is not None and not found.deleted:
                assert found.people == compartments(found.resource)
    assert answered > 40


def test_a_page_goes_on_where_the_fast_way_ended(store: Store, loop: asyncio.Runner) -> None:
    days = [f"2024-05-{day:02}" for day in range(1, 28)]
    store.commit([Put(an_observation(f"o{at}", at=at)) for at in days], author="me")
    pairs = [("patient", "1"), ("_sort", "-date"), ("_count", "10")]
    first = loop.run(store.search_soon(parse_query("Observation", pairs)))
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
    return replace(query, cursor=cursor)


def test_what_is_too_long_to_walk_is_left_to_the_plain_way(
    store: Store, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([Put(an_observation(str(n))) for n in range(30)], author="me")
    query = parse_query("Observation", [("patient", "1")])
    found = loop.run(store.search_soon(query))
    assert found is not None
    assert found == store.search(query)
    monkeypatch.setattr(soon, "WALKED", 29)
    assert loop.run(store.search_soon(query)) is None


def test_all_patients_that_a_record_concerns_are_named(store: Store, loop: asyncio.Runner) -> None:
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
        found = loop.run(store.read_soon(record["resourceType"], record["id"]))
        assert found is not None
        assert found.people == compartments(found.resource)


def test_what_is_deleted_is_said_to_be(store: Store, loop: asyncio.Runner) -> None:
    store.commit([Put(a_patient("1"))], author="me")
    store.commit([Delete("Patient", "1")], author="me")
    found = loop.run(store.read_soon("Patient", "1"))
    assert found is not None
    assert found.deleted


def test_without_a_journal_nothing_is_answered_soon(url: str) -> None:
    store = open_store(url)
    store.commit([Put(a_patient("1"))], author="me")
    assert asyncio.run(store.read_soon("Patient", "1")) is None
    assert asyncio.run(store.search_soon(parse_query("Patient", [("_id", "1")]))) is None
    store.close()


def test_many_questions_at_once_get_their_own_answers(store: Store, loop: asyncio.Runner) -> None:
    store.commit([Put(a_patient(str(n), name=[{"text": str(n)}])) for n in range(300)], author="me")

    async def ask() -> None:
        found = await asyncio.gather(*(store.read_soon("Patient", str(n)) for n in range(200)))
        assert [one.id if one else None for one in found] == [str(n) for n in range(200)]
        queries = [parse_query("Patient", [("_id", str(n))]) for n in range(200)]
        pages = await asyncio.gather(*(store.search_soon(one) for one in queries))
        assert [page.versions[0].id for page in pages if page] == [str(n) for n in range(200)]

    for _ in range(3):
        loop.run(ask())


def test_a_lost_connection_is_made_anew(
    store: Store, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends our connections: nobody waits for ever, and the fast way comes back."""
    if isinstance(store, PostgresStore):
        monkeypatch.setattr("sokhoe.store.postgres_soon.AGAIN_AFTER", 0.05)
        with psycopg.connect(store.url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid<>%s "
                "AND application_name='sokhoe'",
                (other.info.backend_pid,),
            )

    async def ask() -> int:
        found = await asyncio.wait_for(
            asyncio.gather(*(store.read_soon("Patient", "first") for _ in range(20))), 5
        )
        return sum(one is not None for one in found)

    for _ in range(100):
        if loop.run(ask()) == 20:
            return
        loop.run(asyncio.sleep(0.05))
    raise AssertionError("the fast way did not come back")

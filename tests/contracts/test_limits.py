"""A question that takes longer than it may is refused as too costly, and does no harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.errors import Unsupported
from sokhoe.fhir import parse_query
from sokhoe.store import Put, Still, Store, bounds, open_store, ordering, postgres_soon, soon
from sokhoe.store.pieces import Sql
from tests.contracts.conftest import a_patient
from tests.contracts.test_store import an_entry

# It would run for hours.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<999999999999) "
QUERY = parse_query("Patient", [("identifier", "7")])


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    store = open_store(url, tmp_path / "audit")
    store.record(an_entry())
    store.commit([Put(a_patient("1", identifier=[{"value": "7"}]))], author="me")
    yield store
    store.close()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every page is looked for by a statement that the planner took for cheap."""
    monkeypatch.setattr(bounds, "MOST_SECONDS", 0.3)
    with monkeypatch.context() as planted:
        planted.setattr(ordering, "page", lambda *all_: Sql(f"{ENDLESS}SELECT 0, max(i) FROM n"))
        yield


def refused(store: Store) -> None:
    start = time.monotonic()
    with pytest.raises(Unsupported) as caught:
        store.search(QUERY)
    assert time.monotonic() - start < 5
    assert (caught.value.code, caught.value.status) == ("too-costly", 400)


@pytest.mark.usefixtures("endless")
def test_a_search_that_takes_too_long_is_refused(store: Store) -> None:
    refused(store)


def test_the_next_search_is_answered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as planted:
        planted.setattr(bounds, "MOST_SECONDS", 0.2)
        planted.setattr(ordering, "page", lambda *all_: Sql(f"{ENDLESS}SELECT 0, max(i) FROM n"))
        for _ in range(3):
            refused(store)
    assert [one.id for one in store.search(QUERY).versions] == ["1"]
    assert [one.id for one in store.history("Patient").versions] == ["1"]


@pytest.mark.usefixtures("endless")
def test_a_condition_that_takes_too_long_holds_up_nobody_else(store: Store) -> None:
    with pytest.raises(Unsupported) as caught:
        store.commit([Put(a_patient("2"))], author="me", stills=[Still(QUERY, frozenset())])
    assert caught.value.code == "too-costly"
    assert store.read("Patient", "2") is None
    assert store.commit([Put(a_patient("3"))], author="me").changed == (True,)


def test_in_front_of_the_event_loop_there_is_less_patience(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast way gives up without an error, and the plain way answers."""
    monkeypatch.setattr(bounds, "MOST_SECONDS_SOON", 0.2)
    columns = ", ".join(f"${n + 1}::text" for n in range(3))
    slow = f"{ENDLESS}SELECT max(i), 0, 0, 0 FROM n WHERE coalesce({columns}) IS NOT NULL"
    monkeypatch.setattr(soon, "statement", lambda *all_: f"{ENDLESS}SELECT max(i), ?, ? FROM n")
    monkeypatch.setitem(postgres_soon.SEARCHES, "by_writing", slow)

    async def ask() -> None:
        for _ in range(200):
            if await store.read_soon("Patient", "1") is not None:
                break
            await asyncio.sleep(0.05)
        for _ in range(2):
            start = time.monotonic()
            assert await store.search_soon(QUERY) is None
            assert time.monotonic() - start < 3
            found = await store.read_soon("Patient", "1")
            assert found is not None
            assert found.id == "1"

    asyncio.run(ask())
    assert [one.id for one in store.search(QUERY).versions] == ["1"]

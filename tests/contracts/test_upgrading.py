"""A store of the first layout, with records in it, is the same store after an upgrade."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from sokhoe.errors import Unavailable
from sokhoe.fhir import parse_query
from sokhoe.store import Entry, Keep, Store, open_store, upgrading
from sokhoe.store.copying import TABLES
from sokhoe.store.schema import POSTGRES, SQLITE
from sokhoe.store.sqlite import MIGRATIONS, SqliteStore
from tests import postgres
from tests.contracts.naive import Naive
from tests.contracts.world import World


@pytest.fixture
def place(request: pytest.FixtureRequest, url: str) -> str:
    """Where there is nothing yet, no tables either."""
    if url.startswith("sqlite"):
        return url
    server: postgres.Server = request.getfixturevalue("server")
    return server.new()


@pytest.fixture
def old(place: str, tmp_path: Path) -> tuple[str, World, SqliteStore]:
    """A store of the first layout at `place`, the world in it, and a store to compare it with."""
    source = SqliteStore(str(tmp_path / "source.db"))
    world = World(11)
    world.fill(source)
    source.record(Entry(1, "a", "", "", "", "", "R", patients=("Patient/p1",)))
    source.keep(Keep("account", "binh", {"n": 1}))
    (first_sqlite, first_postgres) = (SQLITE[0], POSTGRES[0])
    if place.startswith("sqlite"):
        with closing(apsw.Connection(place.removeprefix("sqlite:///"))) as file, file:
            file.execute(f"CREATE TABLE {MIGRATIONS}; {first_sqlite[1]}")
            file.execute("INSERT INTO migrations VALUES(1, ?)", (first_sqlite[0],))
            for table, columns, rows in _first_layout(source):
                marks = ", ".join("?" * len(columns.split(",")))
                file.executemany(f"INSERT INTO {table}({columns}) VALUES({marks})", rows)
            file.execute("INSERT INTO eq VALUES(1, 2, 3)")
    else:
        with psycopg.connect(place) as base:
            base.execute(f"CREATE TABLE {MIGRATIONS}")
            base.execute(first_postgres[1].encode())
            base.execute("INSERT INTO migrations VALUES(1, %s)", (first_postgres[0],))
            for table, columns, rows in _first_layout(source):
                with base.cursor().copy(f"COPY {table}({columns}) FROM STDIN".encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
            base.execute("INSERT INTO eq VALUES(1, 2, 3)")
    return place, world, source


def _first_layout(source: SqliteStore) -> Iterator[tuple[str, str, Iterable[tuple[Any, ...]]]]:
    """(table, columns, rows) as the first step has them."""
    for table, columns, _ in TABLES:
        rows = source._read(f"SELECT {columns} FROM {table}")
        if table == "res":
            columns, rows = f"{columns}, d", [(*row, 0) for row in rows]
        yield table, columns, rows


def same(store: Store, world: World, source: SqliteStore) -> None:
    assert (store.node, store.epoch) == (source.node, source.epoch)
    everything = store.commits(0, limit=1000, max_bytes=10**9)
    assert everything == source.commits(0, limit=1000, max_bytes=10**9)
    assert store.history(count=1000) == source.history(count=1000)
    assert store.entries() == source.entries()
    assert store.kept("account", "binh") == {"n": 1}
    assert store.totals() == source.totals()
    assert list(store.verify()) == []
    for _ in range(60):
        type, pairs = world.search()
        scope = world.scope()
        query = parse_query(type, [*pairs, ("_count", "1000")])
        wanted = Naive(list(world.live.values()), scope).answer(query)
        found = [version.ref for version in store.search(query, scope).versions]
        assert found == wanted, (type, pairs, scope)
        page = replace(query, count=3)
        assert [v.ref for v in store.search(page, scope).versions] == wanted[:3]


def test_an_upgraded_store_holds_and_finds_what_it_held(
    old: tuple[str, World, SqliteStore],
) -> None:
    place, world, source = old
    store = open_store(place, upgrade=True)
    same(store, world, source)
    world.fill(store, 3)
    source.close()
    store.close()
    again = open_store(place)
    assert list(again.verify()) == []
    again.close()


def test_an_upgrade_that_is_killed_begins_again(old: tuple[str, World, SqliteStore]) -> None:
    place, world, source = old
    code = (
        "import os, sys\n"
        "from sokhoe.store import indexing, open_store\n"
        "inner = indexing.again\n"
        "indexing.STEP = 5\n"
        "def dying(*all_):\n"
        "    for number, batch in enumerate(inner(*all_)):\n"
        "        if number == 3: os.kill(os.getpid(), 9)\n"
        "        yield batch\n"
        "indexing.again = dying\n"
        "open_store(sys.argv[1], upgrade=True)\n"
    )
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", code, place], check=False, cwd=root)
    assert died.returncode == -9
    store = open_store(place, upgrade=True)
    same(store, world, source)
    source.close()
    store.close()


def test_a_copy_of_an_old_file_is_kept_as_it_was(tmp_path: Path, old: Any) -> None:
    place, _, source = old
    if not place.startswith("sqlite"):
        with pytest.raises(Unavailable, match="older layout"):
            open_store(place)
        return
    path = Path(place.removeprefix("sqlite:///"))
    open_store(place).close()
    kept = Path(f"{path}.before-2")
    with closing(apsw.Connection(str(kept))) as file:
        assert file.execute("SELECT max(n) FROM migrations").get == 1
        assert file.execute("SELECT count(*) FROM eq").get == 1
        assert file.execute("SELECT count(*) FROM res").get == source.head()
    assert not Path(f"{kept}.half").exists()
    source.close()


def test_an_upgrade_without_room_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.db"
    with closing(apsw.Connection(str(path))) as file:
        file.execute(f"CREATE TABLE {MIGRATIONS}; {SQLITE[0][1]}")
        file.execute("INSERT INTO migrations VALUES(1, 'first tables')")
    before = path.read_bytes()
    monkeypatch.setattr(upgrading, "SPARE", 2**60)
    with pytest.raises(Unavailable, match="free disk"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes()[100:] == before[100:]  # all but the file's own head

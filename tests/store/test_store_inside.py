"""How the store keeps its promises: bodies, dictionaries, index, write-ahead file, migrations."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from sokhoe import clock
from sokhoe.errors import Unavailable
from sokhoe.fhir import decode, parse_query
from sokhoe.store import Delete, Entry, Put, Store, bodies, sqlstore
from sokhoe.store.pieces import sql
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.postgres import PostgresStore
from sokhoe.store.schema import POSTGRES, SQLITE
from sokhoe.store.sqlite import SqliteDialect, SqliteStore
from tests import postgres
from tests.contracts.naive import Naive
from tests.contracts.test_store import in_threads
from tests.contracts.world import World

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "1", "name": [{"text": "An"}]}
LOOKED = Entry(1, "a", "", "", "", "", "R")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()


def refs(store: Store, type: str, *pairs: tuple[str, str]) -> list[str]:
    return [one.ref for one in store.search(parse_query(type, pairs)).versions]


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"meta": {}},
        {"meta": {"versionId": "3"}},
        {"meta": {"lastUpdated": "x", "tag": [{"code": "a"}]}},
        {"contained": [{"resourceType": "Basic", "id": "x", "meta": {"versionId": "8"}}]},
        {"text": {"status": "generated", "div": '<div>"meta":{}</div>'}},
    ],
)
def test_a_body_is_put_together_as_it_was_taken_apart(more: dict[str, Any]) -> None:
    resource = {**PATIENT, **more}
    stored = bodies.tail(resource)
    whole = bodies.whole("Patient", "1", 7, 0, stored)
    wanted = {**resource, "meta": dict(resource.get("meta", {}))}
    wanted["meta"] |= {"versionId": "7", "lastUpdated": "1970-01-01T00:00:00.000Z"}
    assert decode(whole) == wanted
    assert bodies.content_of("Patient", "1", whole) == bodies.content("Patient", "1", stored)
    again = bodies.whole("Patient", "1", 8, 99, bodies.tail(decode(whole)))
    assert bodies.content_of("Patient", "1", again) == bodies.content("Patient", "1", stored)


def test_the_same_words_under_another_name_are_other_contents() -> None:
    assert bodies.content("Patient", "1", b"x") != bodies.content("Patient", "2", b"x")
    assert bodies.content("Patient", "1", b"") != bodies.content("Patient", "1", None)


def test_a_store_makes_its_own_dictionary_and_reads_with_the_old_ones(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlstore, "SAMPLES", 200)
    monkeypatch.setattr(bodies, "DICTIONARY_BYTES", 2_000)

    def some(count: int, start: int) -> list[Put]:
        name = {"family": "Nguyễn", "given": ["Văn", "Đức"], "use": "official"}
        telecom = {"system": "phone", "use": "mobile", "rank": 1}
        return [
            Put(
                {
                    "resourceType": "Patient",
                    "id": f"{n}",
                    "name": [name],
                    "active": True,
                    "telecom": [{**telecom, "value": f"{n * 7919 % 10007:010}"}],
                }
            )
            for n in range(start, start + count)
        ]

    store = SqliteStore(str(path))
    store.commit(some(199, 0), author="me")
    assert store.packer.current == 0
    plain = store._read("SELECT avg(length(body)) FROM res")[0][0]
    store.commit(some(151, 199), author="me")
    assert store.train() == 2
    store.commit(some(50, 350), author="me")
    store.close()
    again = SqliteStore(str(path))
    again.commit(some(1, 400), author="me")
    assert [version.id for version in again.feed(0, 1000)] == [str(n) for n in range(401)]
    assert list(again.verify()) == []
    sizes: dict[int, float] = dict(
        again._read("SELECT dict, avg(length(body)) FROM res GROUP BY dict ORDER BY dict")
    )
    again.close()
    # what was written before there was a dictionary has been compressed anew
    assert sorted(sizes) == [1, 2]
    assert sizes[1] < plain / 2


# --- the index -------------------------------------------------------------------------------


def test_an_index_of_other_rules_is_made_anew(path: Path) -> None:
    store = SqliteStore(str(path))
    world = World(5)
    world.fill(store)
    store.close()
    before = rows(path)
    with closing(apsw.Connection(str(path))) as file:
        file.execute("UPDATE node SET value='older' WHERE key='index'")
        file.execute("UPDATE res SET d=7")
        file.execute("DELETE FROM link")
        file.execute("UPDATE eq SET h=h+1; DELETE FROM str; DELETE FROM num WHERE pk%2=0")
    again = SqliteStore(str(path))
    assert rows(path) == before
    naive = Naive(list(world.live.values()), world.scope())
    query = parse_query("Observation", [("_count", "1000")])
    assert [one.ref for one in again.search(query, naive.scope).versions] == naive.answer(query)
    again.close()


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(apsw.Connection(str(path))) as file:
        return {
            table: sorted(file.execute(f"SELECT * FROM {table}"))
            for table in ("eq", "dte", "str", "num", "link", "totals")
        }


def test_another_local_zone_moves_the_partial_dates(path: Path) -> None:
    observation = {"resourceType": "Observation", "id": "1", "effectiveDateTime": "2024-05-01"}
    store = SqliteStore(str(path))
    store.commit([Put(observation)], author="me")
    midnight = ("date", "2024-04-30T17:00:00Z")
    assert refs(store, "Observation", ("date", "ap2024-04-30T17:00:00Z")) == ["Observation/1"]
    assert refs(store, "Observation", ("date", f"sa{midnight[1]}")) == []
    store.close()
    try:
        clock.set_offset(0)
        moved = SqliteStore(str(path))
        assert refs(moved, "Observation", ("date", f"sa{midnight[1]}")) == ["Observation/1"]
        moved.close()
    finally:
        clock.set_offset(420)


def test_after_everything_is_deleted_the_index_is_empty(store: SqliteStore, path: Path) -> None:
    world = World(3)
    world.fill(store)
    gone = [Delete(one.type, one.id) for one in world.live.values()]
    store.commit(gone, author="me")
    left = rows(path)
    assert [left[table] for table in ("eq", "dte", "str", "num")] == [[], [], [], []]
    assert store.totals() == {}


# --- on the disk -----------------------------------------------------------------------------


def test_commits_are_synced_and_the_audit_of_reads_follows_within_a_second(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []
    inner = os.fsync

    def counting(handle: int) -> None:
        synced.append(time.monotonic())
        inner(handle)

    monkeypatch.setattr(os, "fsync", counting)
    store.commit([Put(PATIENT)], author="me")

    def level() -> Any:
        return store._writer.pragma("synchronous")

    assert level() == 2
    started = time.monotonic()
    store.record(LOOKED)
    assert level() == 1
    while not synced and time.monotonic() - started < 3:
        time.sleep(0.02)
    assert synced
    assert synced[0] - started < 1
    store.record(LOOKED)
    store.commit([Put({**PATIENT, "active": True})], author="me")
    assert level() == 2
    count = len(synced)
    time.sleep(1)
    assert len(synced) == count  # the commit has synced it already


def test_a_store_that_is_closed_says_so(path: Path) -> None:
    store = SqliteStore(str(path))
    store.record(LOOKED)
    store.close()
    store.close()
    with pytest.raises(Unavailable):
        store.read("Patient", "1")


def test_a_store_of_a_newer_version_is_not_touched(path: Path) -> None:
    SqliteStore(str(path)).close()
    with closing(apsw.Connection(str(path))) as file:
        file.execute("INSERT INTO migrations VALUES(999, 'from the future')")
    with pytest.raises(Unavailable, match="newer"):
        SqliteStore(str(path))


def test_a_restored_store_gets_a_new_epoch(path: Path, store: SqliteStore) -> None:
    before = store.epoch
    store.commit([Put(PATIENT)], author="me")
    after = store.renew_epoch()
    assert after == store.epoch != before
    store.commit([Put({**PATIENT, "active": True})], author="me")
    assert [one.epoch for one in store.commits(0)] == [before, after]
    assert list(store.verify()) == []
    other = SqliteStore(str(path))
    assert other.epoch == after
    other.close()


def test_many_threads_read_without_a_connection_each(store: SqliteStore) -> None:
    store.commit([Put(PATIENT)], author="me")
    for _ in range(3):
        in_threads(40, lambda _: store.read_many(["Patient/1"]).clear())
    assert len(store._idle) <= 16


def test_a_backup_of_one_kind_goes_into_a_store_of_the_other(tmp_path: Path) -> None:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL on this machine")
    server = postgres.Server(programs)
    try:
        world = World(8)
        first = SqliteStore(str(tmp_path / "first.db"))
        world.fill(first)
        first.record(LOOKED)
        second = PostgresStore(server.new())
        second.fill_from(first)
        assert second.commits(0, limit=1000, max_bytes=10**9) == first.commits(
            0, limit=1000, max_bytes=10**9
        )
        second.backup(str(tmp_path / "third.db"))
        third = SqliteStore(str(tmp_path / "third.db"))
        for table in ("eq", "dte", "str", "num", "link", "audit_of", "keep", "dicts", "node"):
            text = f"SELECT * FROM {table} ORDER BY 1, 2, 3" if table in ("eq", "link") else ""
            text = text or f"SELECT * FROM {table}"
            if table == "keep":  # shapes belong to the index: one made anew knows living records
                text += " WHERE kind NOT LIKE 'shape %'"
            assert sorted(first._read(text)) == sorted(third._read(text)), table
        assert list(second.verify()) == list(third.verify()) == []
        for one in (first, second, third):
            one.close()
    finally:
        server.stop()


# --- words of the two databases --------------------------------------------------------------


def test_xor_is_xor_also_at_the_ends_of_64_bits() -> None:
    file = apsw.Connection(":memory:")
    edge = (0, 1, -1, 2**63 - 1, -(2**63), 0x0F0F0F0F0F0F0F0F, -0x0123456789ABCDEF)
    for left in edge:
        for right in edge:
            text = SqliteDialect().xor(left, "x")
            found = file.execute(f"SELECT {text} FROM (SELECT ? AS x)", (right,)).fetchall()
            assert found == [(left ^ right,)]
    file.close()


def test_pieces_of_sql_keep_their_values_in_order() -> None:
    inner = sql("a={} AND b={}", 1, 2)
    whole = sql("x={} AND (a={} AND b={}) AND y={}", *range(4))
    assert sql("x={} AND ({}) AND y={}", 0, inner, 3) == whole
    with pytest.raises(ValueError, match="zip"):
        sql("a={} AND b={}", 1)


def test_the_numbers_of_types_never_change() -> None:
    assert len(TYPE_CODES) == 146
    assert TYPE_CODES["Account"] == 1
    assert TYPE_CODES["Observation"] == 96
    assert TYPE_CODES["Patient"] == 103
    assert TYPE_CODES["VisionPrescription"] == 146


def test_both_databases_have_as_many_steps() -> None:
    assert len(SQLITE) == len(POSTGRES)
    assert "ROWID" not in POSTGRES[0][1]

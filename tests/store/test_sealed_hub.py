"""PostgreSQL with keys: its files show nobody, and the data key is changed while others write."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from sokhoe.errors import Unavailable
from sokhoe.fhir import parse_query
from sokhoe.store import Entry, Held, Keep, Keys, Put, Reindex, Store, open_store, restore
from sokhoe.store.resealing import left, reseal
from tests import postgres
from tests.contracts.conftest import a_patient

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
NAME, FOLDED, NUMBER = "Trương Thị Ngọc Quỳnh", "truong thi ngoc quynh", "009988776655"


def keys(*numbers: int) -> Keys:
    """With these data keys, the last of which seals."""
    numbers = numbers or (1,)
    held = {number: bytes([number]) * 32 for number in numbers}
    return Keys(Held((KEY,), KEY[::-1], held, numbers[-1]))


def fill(store: Store, start: int, count: int) -> None:
    for number in range(start, start + count):
        told = [{"system": "urn:id", "value": NUMBER}]
        patient = a_patient(f"p{number}", NAME, identifier=told)
        entry = Entry(1, "a", NAME, "", "", "", "C", query=f"identifier={NUMBER}")
        store.commit([Put(patient)], author="a", entry=entry, keeps=[Keep("x", "y", {"n": NAME})])


def finds(store: Store, name: str, value: str) -> int:
    query = parse_query("Patient", [(name, value), ("_count", "100")])
    return len(store.search(query).versions)


def leaks(server: postgres.Server) -> list[str]:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    found = []
    for path in sorted((server.folder / "data").rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        if any(one.encode() in raw for one in (NAME, FOLDED, NUMBER, "truong thi")):
            found.append(str(path.relative_to(server.folder)))
    return found


def test_a_plain_hub_is_sealed_while_others_write_and_killed_on_the_way(tmp_path: Path) -> None:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL")
    server = postgres.Server(programs)  # of its own, since all its files are looked into
    try:
        url = server.new()
        plain = open_store(url)
        fill(plain, 0, 60)
        assert finds(plain, "identifier", NUMBER) == 60
        plain.close()
        assert leaks(server), "a scan that finds nothing in the clear finds nothing at all"

        store = open_store(url, keys=keys())  # makes the index anew, blind
        first = left(url, keys())
        assert first > 60
        over = threading.Event()
        written = [0]

        def write() -> None:
            while not over.is_set():
                fill(store, 100 + written[0], 1)
                written[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        _killed_while_sealing(url, (1,), 2)
        assert sum(1 for _ in reseal(url, keys(), 20)) > 0
        _killed_while_sealing(url, (1, 2), 2)  # and over to another key
        over.set()
        writer.join()
        for _ in reseal(url, keys(1, 2)):
            pass
        store.close()
        again = open_store(url, keys=keys(1, 2))
        assert written[0] > 0 and again.head() == 60 + written[0]  # nothing was lost
        assert not list(again.verify())
        assert finds(again, "identifier", NUMBER) == min(100, again.head())
        assert finds(again, "name", "trương thị ng") == min(100, again.head())
        fill(again, 9_000, 1)
        for _ in reseal(url, keys(1, 2)):
            pass
        again.close()
        assert left(url, keys(1, 2)) <= written[0] * 3  # written with key 1 by the open store
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM FULL")
        data = [one for one in leaks(server) if "pg_wal" not in one]  # of before there were keys
        assert data == []
    finally:
        server.stop()


def _killed_while_sealing(url: str, numbers: tuple[int, ...], times: int) -> None:
    code = (
        "import sys, time\nfrom tests.store.test_sealed_hub import keys\n"
        "from sokhoe.store.resealing import reseal\nprint('go', flush=True)\n"
        f"for _ in reseal(sys.argv[1], keys(*{numbers!r}), 5): time.sleep(0.01)"
    )
    luck = random.Random(3)
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", code, url], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(luck.random() * 0.2)
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_lies_in_its_tables_shows_nobody(server: postgres.Server) -> None:
    url = server.new()
    store = open_store(url, keys=keys())
    fill(store, 0, 3)
    luck = random.Random(1)
    others = [
        a_patient(f"q{n}", f"{NAME} {luck.getrandbits(99):x}", birthDate=f"19{n % 90 + 10}-01-01")
        for n in range(400)
    ]
    store.commit([Put(one) for one in others], author="a")
    store.train()  # a dictionary holds pieces of what it was made from
    store.commit([Put({**one, "active": True}) for one in others[:50]], author="a")
    store.close()
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname=current_schema()"
        ).fetchall()
        assert len(tables) > 10
        for (table,) in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                raw = b"".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
                assert not any(one.encode() in raw for one in (NAME, FOLDED, NUMBER)), table


def test_a_backup_of_a_hub_is_an_encrypted_file_and_becomes_a_hub_again(
    server: postgres.Server, tmp_path: Path
) -> None:
    store = open_store(server.new(), keys=keys())
    fill(store, 0, 3)
    store.backup(str(tmp_path / "copy"))
    store.close()
    raw = (tmp_path / "copy").read_bytes()
    assert NAME.encode() not in raw and not raw.startswith(b"SQLite")
    with pytest.raises(Unavailable):
        open_store(f"sqlite:///{tmp_path / 'copy'}")
    url = server.new()
    restore(str(tmp_path / "copy"), url, keys())
    assert left(url, keys()) == 0
    again = open_store(url, keys=keys())
    assert finds(again, "identifier", NUMBER) == 3 and not list(again.verify())
    assert again.reindex(Reindex(None, again.head())).differences == ()  # the index is as it should
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE str SET v='x' WHERE pk=1")
        connection.execute("UPDATE cur SET keys=keys[1:3] WHERE pk=2")
    assert len(again.reindex(Reindex(None, again.head())).differences) == 2
    assert again.reindex(Reindex(None, again.head())).differences == ()
    assert finds(again, "name", "quynh") == finds(again, "identifier", NUMBER) == 3
    again.close()


def test_without_the_data_key_records_are_not_read(server: postgres.Server) -> None:
    url = server.new()
    store = open_store(url, keys=keys())
    fill(store, 0, 1)
    store.close()
    stranger = open_store(url, keys=Keys(Held((KEY,), KEY[::-1], {9: OTHER}, 9)))
    with pytest.raises(Unavailable, match="Data key 1 is not in the ring"):
        stranger.read("Patient", "p0")
    stranger.close()

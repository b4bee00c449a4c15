"""What encryption costs: `python -m bench.keys` writes, reads and scans one store in the clear and
under each cipher, in turns, and prints the CPU time of each as a ratio to the store in the clear.

The first table is SQLite alone (where the cipher is all there is), the second a whole store as a
station has it: prepare, compress, index, commit; read; search. SQLCipher is measured as its own
format inside the same library, and by its own wheel where that is installed.
"""

from __future__ import annotations

import importlib
import random
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import apsw

from sokhoe.fhir import parse_query
from sokhoe.store import Held, Keys, Put, open_store, opening
from tests import postgres
from tests.contracts.world import World

ROWS, ROUNDS = 40_000, 3
RAW = secrets.token_hex(32)
SETUPS: dict[str, list[str]] = {
    "in the clear": [],
    "chacha20 (default)": ["PRAGMA cipher='chacha20'", f"PRAGMA key='raw:{RAW}'"],
    "aegis": ["PRAGMA cipher='aegis'", f"PRAGMA key='raw:{RAW}'"],
    "aes256cbc, no tag": ["PRAGMA cipher='aes256cbc'", f"PRAGMA hexkey='{RAW}'"],
    "sqlcipher 4 format": ["PRAGMA cipher='sqlcipher'", f"PRAGMA key='raw:{RAW}'"],
}
Times = tuple[float, float, float]


def bare(execute: Callable[..., Any], many: Callable[..., Any]) -> Times:
    """CPU seconds of writes, point reads and scans."""
    luck = random.Random(1)
    for one in ("page_size=4096", "journal_mode=wal", "synchronous=full", "cache_size=-8192"):
        execute(f"PRAGMA {one}")
    data = [(n, luck.randbytes(24), luck.randbytes(180)) for n in range(ROWS)]
    start = time.process_time()
    execute("CREATE TABLE res(seq INTEGER PRIMARY KEY, content BLOB, body BLOB)")
    execute(
        "CREATE TABLE eq(h INTEGER, d INTEGER, pk INTEGER, PRIMARY KEY(h, d, pk)) WITHOUT ROWID"
    )
    for at in range(0, ROWS, 500):
        execute("BEGIN IMMEDIATE")
        many("INSERT INTO res VALUES(?, ?, ?)", data[at : at + 500])
        keys = [(luck.getrandbits(62), -n, n) for n, _, _ in data[at : at + 500] for _ in range(6)]
        many("INSERT INTO eq VALUES(?, ?, ?)", sorted(keys))
        execute("COMMIT")
    written = time.process_time()
    for _ in range(ROWS):
        execute("SELECT body FROM res WHERE seq=?", (luck.randrange(ROWS),)).fetchone()
    read = time.process_time()
    for _ in range(5):
        execute("SELECT sum(length(body)), count(*) FROM res").fetchall()
    return written - start, read - written, time.process_time() - read


def sqlite(folder: Path, setup: list[str]) -> Times:
    connection = apsw.Connection(str(folder / "bare.db"), statementcachesize=300)
    for one in setup:
        connection.execute(one)
    try:
        return bare(connection.execute, connection.executemany)
    finally:
        connection.close()


def sqlcipher(folder: Path) -> Times | None:
    """By the wheel sqlcipher3-binary, if it is here."""
    try:
        module = importlib.import_module("sqlcipher3.dbapi2")
    except ImportError:
        return None
    connection = module.connect(str(folder / "cipher.db"), isolation_level=None)
    connection.execute(f"PRAGMA key=\"x'{RAW}'\"")
    try:
        return bare(connection.execute, connection.executemany)
    finally:
        connection.close()


def station(folder: Path, keys: Keys | None) -> Times:
    """A whole store: commits of some 13 records, reads by id, searches."""
    store = open_store(f"sqlite:///{folder / 'station.db'}", folder / "audit", keys=keys)
    world = World(3)
    changes = [[Put(world.a_record()) for _ in range(13)] for _ in range(250)]
    start = time.process_time()
    for some in changes:
        store.commit(some, author="bench")
    written = time.process_time()
    names = [(put.resource["resourceType"], put.resource["id"]) for some in changes for put in some]
    for type, id in names:
        store.read(type, id)
    read = time.process_time()
    for _ in store.verify():
        pass
    walked = time.process_time()
    store.close()
    return written - start, read - written, walked - read


def hub(url: str, keys: Keys | None) -> Times:
    """The same on PostgreSQL; the CPU of our process alone, the server's does not differ."""
    store = open_store(url, keys=keys)
    world = World(3)
    changes = [[Put(world.a_record()) for _ in range(13)] for _ in range(200)]
    start = time.process_time()
    for some in changes:
        store.commit(some, author="bench")
    written = time.process_time()
    names = [(put.resource["resourceType"], put.resource["id"]) for some in changes for put in some]
    for type, id in names:
        store.read(type, id)
    read = time.process_time()
    for value in range(400):
        store.search(parse_query("Patient", [("identifier", str(value % 9)), ("name", "ng")]))
    found = time.process_time()
    store.close()
    return written - start, read - written, found - read


def shown(title: str, columns: str, found: dict[str, list[Times]]) -> None:
    middle = {
        name: [median(one[at] for one in of) for at in range(3)] for name, of in found.items()
    }
    base = next(iter(middle.values()))
    print(f"\n| {title} | {columns} |\n|---|---|---|---|")
    for name, of in middle.items():
        ratios = " | ".join(f"{one / first:.2f} ×" for one, first in zip(of, base, strict=True))
        print(f"| {name} | {ratios} |")


def main() -> None:
    bares: dict[str, list[Times]] = defaultdict(list)
    stations: dict[str, list[Times]] = defaultdict(list)
    hubs: dict[str, list[Times]] = defaultdict(list)
    programs = postgres.programs()
    server = postgres.Server(programs) if programs else None
    held = Keys(
        Held((secrets.token_bytes(32),), secrets.token_bytes(32), {1: secrets.token_bytes(32)}, 1)
    )
    for _ in range(ROUNDS):
        for name, setup in SETUPS.items():
            with tempfile.TemporaryDirectory() as place:
                bares[name].append(sqlite(Path(place), setup))
        with tempfile.TemporaryDirectory() as place:
            if (own := sqlcipher(Path(place))) is not None:
                bares["sqlcipher3 wheel"].append(own)
        for cipher in ("", "chacha20", "aegis"):
            opening.CIPHER = cipher or opening.CIPHER
            with tempfile.TemporaryDirectory() as place:
                found = station(Path(place), held if cipher else None)
            stations[cipher or "in the clear"].append(found)
        for name, keys in (("in the clear", None), ("sealed and blind", held)):
            if server is not None:
                hubs[name].append(hub(server.new(), keys))
    if server is not None:
        server.stop()
        shown("a hub on PostgreSQL, CPU of ours", "commit | read by id | search", hubs)
    shown("SQLite alone, CPU", "write | read by id | scan", bares)
    shown("a whole store, CPU", "commit | read by id | verify all", stations)


if __name__ == "__main__":
    main()

"""`make bench`: figures of this machine, printed as the table of docs/performance.md.

Each row is the whole way over HTTP on loopback: token, validation, index of every search parameter,
history, audit, durable commit.

    make bench                                   our own servers on SQLite and PostgreSQL
    make bench ARGS="--growth 1000,4000,16000"   how thirty searches fare as the population grows
    make bench ARGS="--fhir http://localhost:8080/fhir --token X"    another server, the same work
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path

from bench import codes, rows
from bench.mix import transaction
from bench.servers import Server, running_postgres, serving
from sokhoe import clock, country
from sokhoe.fhir import decode
from tests.postgres import programs

Row = tuple[str, str, str, str]


def main() -> None:
    arguments = _arguments()
    name, bodies, total = bundles(arguments.bundles, arguments.people)
    table: list[Row] = []
    work = Path(tempfile.mkdtemp(prefix="sokhoe-bench-"))
    try:
        if not arguments.fhir and not arguments.growth:
            table += station(work / "station")
        for server in _servers(arguments, work):
            with server as one:
                if arguments.growth:
                    sizes = [int(size) for size in arguments.growth.split(",")]
                    rows.growth(one, bodies, sizes)
                else:
                    rows.importing(one, name, bodies, total)
                    sized(one, total)
                    rows.reading(one, arguments.seconds)
                    rows.creating(one)
                    codes.asking(one, arguments.seconds)
                table += [(what, one.memory, value, note) for what, value, note in one.rows]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report(table, name, total)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundles", default="", help="folder of transaction bundles")
    parser.add_argument("--people", type=int, default=600, help="of the invented province")
    parser.add_argument("--seconds", type=float, default=5, help="for each kind of read")
    parser.add_argument("--growth", default="", help="sizes of the population: 1000,16000")
    parser.add_argument("--only", default="", choices=("", "sqlite", "postgres"))
    parser.add_argument("--fhir", default="", help="base address of another server on loopback")
    parser.add_argument("--token", default="", help="its access token, if it wants one")
    parser.add_argument("--pid", type=int, default=0, help="its process, to count its CPU")
    return parser.parse_args()


def _servers(arguments: argparse.Namespace, work: Path) -> Iterator[AbstractContextManager[Server]]:
    if arguments.fhir:
        yield _given(arguments)
        return
    if arguments.only != "postgres":
        yield serving(work / "hub", "hub")
    binaries = programs() if arguments.only != "sqlite" else None
    if binaries is not None:
        yield _on_postgres(binaries, work / "pg")
    elif arguments.only != "sqlite":
        print("PostgreSQL is left out: none found")


@contextmanager
def _given(arguments: argparse.Namespace) -> Iterator[Server]:
    yield Server("other", arguments.fhir.rstrip("/"), arguments.token, pid=arguments.pid)


@contextmanager
def _on_postgres(binaries: Path, folder: Path) -> Iterator[Server]:
    with (
        running_postgres(binaries) as (database, pid),
        serving(folder, "hub", database, pid) as hub,
    ):
        yield hub


def station(folder: Path) -> list[Row]:
    with serving(folder, "station") as server:
        time.sleep(2)
        return [
            ("station memory", "SQLite", f"{server.pss():.0f} MB", "PSS, idle after start"),
            ("station start to first answer", "SQLite", f"{server.start_seconds:.1f} s", ""),
        ]


def sized(server: Server, total: int) -> None:
    if server.folder is None:
        return
    note = f"history, indexes, audit; with warehouse and all else {server.bytes() / total:,.0f} B"
    value = f"{server.store_bytes() / total:,.0f} B"
    server.rows.append(("bytes per resource", value, note))


def bundles(source: str, people: int) -> tuple[str, list[bytes], int]:
    """Transaction bundles: Synthea's where they lie beside the project, else our own province."""
    folder = Path(source) if source else Path(__file__).parents[2] / "shared/data/synthea"
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if files:
        bodies = [one.read_bytes() for one in files]
        return "Synthea", bodies, sum(len(decode(one)["entry"]) for one in bodies)
    world = country.load("vietnam", "vinh_long").seam("world")
    bodies, total = [], 0
    for batch in world.batches(86, people, date(2026, 11, 23)):
        if batch.resources:
            bodies.append(transaction(batch.resources))
            total += len(batch.resources)
    return "invented province", bodies, total


def report(table: list[Row], name: str, total: int) -> None:
    cores = os.cpu_count()
    version = platform.python_version()
    print(f"\n{clock.today()} · {platform.machine()}, {cores} cores, Python {version}")
    print(f"{total:,} resources of {name}; client and server share the machine\n")
    print("| what | memory | figure | |\n|---|---|---|---|")
    for row in table:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()

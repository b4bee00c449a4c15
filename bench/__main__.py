"""`make bench`: the first figures of this machine, printed as the table of docs/performance.md.

Each row is the whole way over HTTP on loopback: token, validation, index of every search parameter,
history, audit, durable commit. The server runs in its own process; its CPU time is read from the
kernel, so that a noisy machine still gives a figure worth comparing (CPU per operation).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from bench.client import Result, request, run
from sokhoe import clock, country
from sokhoe.fhir import decode, encode
from sokhoe.settings import load
from sokhoe.store import open_store
from sokhoe.trust import Gate
from tests.postgres import Server as PostgresServer
from tests.postgres import programs

TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 4


@dataclass
class Server:
    url: str
    token: str
    process: subprocess.Popen[bytes]
    start_seconds: float
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def cpu(self) -> float:
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / TICKS

    def memory(self) -> float:
        """Proportional set size in MB."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_postgres(binaries: Path) -> Iterator[str]:
    """A fresh PostgreSQL with fsync on, as in service; the URL of an empty schema."""
    server = PostgresServer(binaries, sync=True)
    try:
        yield server.new()
    finally:
        server.stop()


@contextlib.contextmanager
def serving(folder: Path, role: str, database: str = "") -> Iterator[Server]:
    """A server in its own process, with a client that may do everything."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = load({"role": role, "data": str(folder), "port": port, "database": database})
    store = open_store(settings.database_url)
    gate = Gate(store, settings)
    secret = gate.add_client("bench", "Benchmark", ["system/*.cruds"])
    store.close()
    command = [sys.executable, "-m", "sokhoe", "serve", "--role", role, "--data", str(folder)]
    command += ["--port", str(port)] + (["--database", database] if database else [])
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.02)
        took = time.perf_counter() - begun
        form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": secret}
        token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
        yield Server(url, token, process, took)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


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
            bodies.append(_transaction(batch.resources))
            total += len(batch.resources)
    return "invented province", bodies, total


def _transaction(resources: tuple[dict[str, Any], ...]) -> bytes:
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def measure(server: Server, name: str, bodies: list[bytes], total: int, seconds: float) -> None:
    fhir = f"{server.url}/fhir"

    def row(what: str, result: Result, each: int, unit: str, cpu: float) -> None:
        if result.failures:
            raise SystemExit(f"{what}: {result.failures} of {result.requests} failed")
        server.rows.append(
            (
                what,
                f"{each / result.seconds:,.0f} {unit}/s",
                f"CPU {cpu / each * 1e6:,.0f} µs each; p50 {result.p50:.1f} ms, "
                f"p95 {result.p95:.1f} ms; {CLIENTS} clients",
            )
        )

    before = server.cpu()
    posts = [request("POST", fhir, server.token, body) for body in bodies]
    result = run(server.url, posts, CLIENTS)
    row(f"import, transaction bundles ({name})", result, total, "resources", server.cpu() - before)

    come_to_rest(server)
    headers = {"Authorization": f"Bearer {server.token}"}
    page = httpx.get(f"{fhir}/Patient?_count=200", headers=headers).json()
    patients = [one["resource"] for one in page["entry"]]
    numbers = [one["identifier"][0]["value"] for one in patients if one.get("identifier")]
    page = httpx.get(f"{fhir}/Observation?_count=500", headers=headers).json()
    codes = sorted({one["resource"]["code"]["coding"][0]["code"] for one in page["entry"]})
    for what, urls in (
        ("read by id", [f"{fhir}/Patient/{one['id']}" for one in patients]),
        ("search Patient?identifier=", [f"{fhir}/Patient?identifier={n}" for n in numbers]),
        (
            "search Observation?patient=&code=&_sort=-date&_count=50",
            [
                f"{fhir}/Observation?patient={one['id']}&code={codes[at % len(codes)]}"
                "&_sort=-date&_count=50"
                for at, one in enumerate(patients)
            ],
        ),
    ):
        gets = [request("GET", url, server.token) for url in urls]
        before = server.cpu()
        result = run(server.url, gets, CLIENTS, seconds)
        row(what, result, result.requests, "requests", server.cpu() - before)


def come_to_rest(server: Server) -> None:
    """Wait for the followers (people, warehouse): a read is measured on a server at rest."""
    for _ in range(600):
        state = httpx.get(f"{server.url}/health").json()
        if all(mark >= state["head"] for mark in state["marks"].values()):
            time.sleep(2)
            return
        time.sleep(0.2)
    print("the followers did not come to rest; reads are measured beside their work")


def size_of(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--bundles", default="", help="folder of transaction bundles")
    parser.add_argument("--people", type=int, default=600, help="of the invented province")
    parser.add_argument("--seconds", type=float, default=5, help="for each kind of read")
    parser.add_argument("--no-postgres", action="store_true")
    arguments = parser.parse_args()
    name, bodies, total = bundles(arguments.bundles, arguments.people)
    rows: list[tuple[str, str, str, str]] = []
    work = Path(tempfile.mkdtemp(prefix="sokhoe-bench-"))
    try:
        with serving(work / "station", "station") as station:
            time.sleep(2)
            note = "PSS, idle after start"
            rows.append(("station memory", "SQLite", f"{station.memory():.0f} MB", note))
            seconds = f"{station.start_seconds:.1f} s"
            rows.append(("station start to first answer", "SQLite", seconds, ""))
        with serving(work / "hub", "hub") as hub:
            measure(hub, name, bodies, total, arguments.seconds)
            rows += [(what, "SQLite", value, note) for what, value, note in hub.rows]
        each = size_of(work / "hub") / total
        note = "whole data folder: history, indexes, audit, warehouse"
        rows.append(("bytes per resource", "SQLite", f"{each:,.0f} B", note))
        binaries = None if arguments.no_postgres else programs()
        if binaries is None:
            print("PostgreSQL is left out (none found, or --no-postgres)")
        else:
            with (
                running_postgres(binaries) as database,
                serving(work / "pg", "hub", database) as hub,
            ):
                measure(hub, name, bodies, total, arguments.seconds)
                rows += [(what, "PostgreSQL", value, note) for what, value, note in hub.rows]
                rows.append(("bytes per resource", "PostgreSQL", _pg_size(database, total), ""))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report(rows, name, total)


def _pg_size(database: str, total: int) -> str:
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return f"{row[0] / total:,.0f} B"


def report(rows: list[tuple[str, str, str, str]], name: str, total: int) -> None:
    cores = os.cpu_count()
    version = platform.python_version()
    print(f"\n{clock.today()} · {platform.machine()}, {cores} cores, Python {version}")
    print(f"{total:,} resources of {name}; client and server share the machine\n")
    print("| what | memory | figure | |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()

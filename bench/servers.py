"""Servers to be measured: our own, each in its own process with an empty store, or anybody's.

CPU time is read from the kernel, for a server and all its children (and for the database beside
it), so that a noisy machine still gives a figure worth comparing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sokhoe.settings import load
from sokhoe.store import open_store
from sokhoe.trust import Gate
from tests.postgres import Server as PostgresServer

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """`fhir` is the base address; `pid` 0 for a server whose processes we do not see; `counter`
    a file in which our own server counts its durable transactions."""

    memory: str
    fhir: str
    token: str
    pid: int = 0
    database_pid: int = 0
    database: str = ""
    folder: Path | None = None
    counter: Path | None = None
    start_seconds: float = 0.0
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.fhir.removesuffix("/fhir")

    def cpu(self) -> float:
        """Seconds of CPU of the server and its children so far."""
        return sum(_cpu(pid) for pid in _family(self.pid)) if self.pid else 0.0

    def database_cpu(self) -> float:
        return sum(_cpu(pid) for pid in _family(self.database_pid)) if self.database_pid else 0.0

    def pss(self) -> float:
        """Proportional set size in MB, children included."""
        return sum(_pss(pid) for pid in _family(self.pid))

    def transactions(self) -> int:
        return int.from_bytes(self.counter.read_bytes()[:8], "little") if self.counter else 0

    def bytes(self) -> int:
        """What all data takes: the whole data folder, or the database and the folder beside it."""
        held = 0
        if self.folder is not None:
            held = sum(one.stat().st_size for one in self.folder.rglob("*") if one.is_file())
        return held + (_database_size(self.database) if self.database else 0)

    def store_bytes(self) -> int:
        """What the memory alone takes, without warehouse and keys."""
        if self.database:
            return _database_size(self.database)
        if self.folder is None:
            return 0
        found = [one for one in self.folder.iterdir() if one.name.startswith("sokhoe.db")]
        return sum(one.stat().st_size for one in found)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _cpu(pid: int) -> float:
    parts = _stat(pid)
    # own and waited-for children: a short-lived child's time is not lost
    return sum(int(part) for part in parts[11:15]) / TICKS if parts else 0.0


def _pss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parts := _stat(int(entry.name))):
            parents.setdefault(int(parts[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _database_size(database: str) -> int:
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
            "WHERE c.relnamespace=current_schema()::regnamespace AND c.relkind='r'"
        ).fetchone()
    assert row is not None
    return int(row[0] or 0)


@contextlib.contextmanager
def running_postgres(binaries: Path) -> Iterator[tuple[str, int]]:
    """A fresh PostgreSQL with fsync on, as in service; the URL of an empty schema and its pid."""
    server = PostgresServer(binaries, sync=True)
    try:
        yield server.new(), int((server.folder / "data/postmaster.pid").read_text().split()[0])
    finally:
        server.stop()


@contextlib.contextmanager
def serving(folder: Path, role: str, database: str = "", database_pid: int = 0) -> Iterator[Server]:
    """A server of ours in its own process, with a client that may do everything."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    settings = load({"role": role, "data": str(folder), "port": port, "database": database})
    store = open_store(settings.database_url)
    gate = Gate(store, settings)
    secret = gate.add_client("bench", "Benchmark", ["system/*.cruds"])
    store.close()
    counter = folder.with_suffix(".count")
    counter.write_bytes(bytes(8))
    command = [sys.executable, "-m", "bench.counted", str(counter), "serve", "--role", role]
    command += ["--data", str(folder), "--port", str(port)]
    command += ["--database", database] if database else []
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process)
        took = time.perf_counter() - begun
        form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": secret}
        token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
        yield Server(
            "PostgreSQL" if database else "SQLite",
            f"{url}/fhir",
            token,
            process.pid,
            database_pid,
            database,
            folder,
            counter,
            took,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1500):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").status_code == 200:
                return
        if process.poll() is not None:
            raise SystemExit("the server did not start")
        time.sleep(0.02)
    raise SystemExit("the server did not answer within 30 s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def come_to_rest(server: Server) -> None:
    """Wait for the followers (people, warehouse): a read is measured on a server at rest."""
    if server.folder is None:
        return  # not ours: it has no followers that we could ask
    for _ in range(1500):
        state = httpx.get(f"{server.url}/health", timeout=60).json()
        if all(mark >= state["head"] for mark in state["marks"].values()):
            time.sleep(2)
            return
        time.sleep(0.2)
    print("the followers did not come to rest; reads are measured beside their work")

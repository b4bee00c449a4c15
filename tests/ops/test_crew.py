"""A hub in several processes: they share the port, one follows, whichever dies is started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sokhoe.errors import Invalid
from sokhoe.ops.crew import web_processes
from sokhoe.settings import load
from sokhoe.store import open_store
from sokhoe.trust import Gate
from tests.demos import free_ports
from tests.postgres import Server

ROOT = Path(__file__).parents[2]


def children(pid: int) -> dict[int, str]:
    """Process numbers with their command lines."""
    found = {}
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found[int(one)] = Path(f"/proc/{one}/cmdline").read_text()
    return found


def crew_of(pid: int) -> list[int]:
    return sorted(one for one, words in children(pid).items() if "spawn_main" in words)


@contextmanager
def a_crew(url: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "sokhoe", "serve", "--role", "hub", "--database", url]
    command += ["--port", str(port), "--data", str(folder), "--web-processes", "2"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0


def asked(base: str, path: str, token: str = "") -> httpx.Response:
    """The answer; a connection that dies with its process is tried again."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for _ in range(200):
        try:
            return httpx.get(base + path, headers=headers, timeout=20)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("nobody answers")


def until(true: Any) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 30 s")


@pytest.mark.slow
@pytest.mark.postgres
def test_whichever_process_dies_the_hub_goes_on(server: Server, tmp_path: Path) -> None:
    url, port = server.emptied(), free_ports()
    base = f"http://127.0.0.1:{port}"
    settings = load({"role": "hub", "data": str(tmp_path), "port": port, "database": url})
    store = open_store(url)
    secret = Gate(store, settings).add_client("vendor", "A vendor", ["system/*.cruds"])
    store.close()
    with a_crew(url, tmp_path, port) as parent:
        assert asked(base, "/health").json()["status"] == "ok"
        until(lambda: len(crew_of(parent.pid)) == 3)
        form = {
            "grant_type": "client_credentials",
            "client_id": "vendor",
            "client_secret": secret,
        }
        token = httpx.post(f"{base}/oauth/token", data=form).json()["access_token"]
        saved = []
        for number in range(3):
            victim = crew_of(parent.pid)[number]
            os.kill(victim, signal.SIGKILL)
            until(lambda gone=victim: gone not in crew_of(parent.pid))
            until(lambda: len(crew_of(parent.pid)) == 3)
            record = {"resourceType": "Patient", "name": [{"text": f"Lê Thị {number}"}]}
            saved.append(written(base, record, token))
        for id in saved:
            assert asked(base, f"/fhir/Patient/{id}", token).status_code == 200
        # the followers, started anew too, come to the end of the feed
        until(lambda: followed(asked(base, "/health").json()))
    assert list(lines_of(url)) == []


def written(base: str, record: dict[str, Any], token: str) -> str:
    for _ in range(100):
        try:
            answer = httpx.post(
                f"{base}/fhir/Patient",
                json=record,
                headers={"Authorization": f"Bearer {token}"},
                timeout=20,
            )
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])
    raise AssertionError("nobody takes it")


def followed(health: dict[str, Any]) -> bool:
    assert set(health["followers"].values()) == {"ok"}, health
    return all(mark >= health["head"] for mark in health["marks"].values())


def lines_of(url: str) -> Iterator[Any]:
    store = open_store(url)
    yield from store.verify()
    store.close()


def test_several_processes_need_a_database_that_takes_several(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="PostgreSQL") as refused:
        web_processes(load({"data": str(tmp_path), "web_processes": 2}))
    assert refused.value.slug == "web-processes"
    assert web_processes(load({"data": str(tmp_path)})) == 1
    here = load({"data": str(tmp_path), "database": "postgresql://x/y"})
    assert 1 <= web_processes(here) <= 4

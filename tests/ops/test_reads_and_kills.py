"""Whoever got an answer stands in the audit, whenever the server is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from sokhoe.store import Put, open_store
from sokhoe.trust import Gate
from tests.worlds import a_patient, settings_in

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("SOKHOE_KILLS", "1"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Reader(threading.Thread):
    """Reads one record again and again until the server is gone; counts whole answers."""

    def __init__(self, url: str, token: str, number: int) -> None:
        super().__init__(daemon=True)
        paths = [f"/fhir/Patient/p{number}", f"/fhir/Patient?_id=p{number}"]
        self.path = paths[number % 2]
        self.ref = f"Patient/p{number}"
        self.answered = 0
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})

    def run(self) -> None:
        with self._client, contextlib.suppress(httpx.HTTPError):
            while self._client.get(self.path).status_code == 200:
                self.answered += 1


def started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sokhoe", "serve", "--role", "station"]
    command += ["--data", str(folder), "--port", str(port), "--country", "none"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return process
        assert process.poll() is None, "the server did not start"
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize("seconds", [0.7 + 0.37 * n for n in range(KILLS)])
def test_every_answered_read_is_in_the_audit_after_a_kill(tmp_path: Path, seconds: float) -> None:
    settings = settings_in(tmp_path, role="station")
    store = open_store(settings.database_url)
    secret = Gate(store, settings).add_client("reader", "Reader", ["system/*.rs"])
    store.commit([Put(a_patient(f"p{n}")) for n in range(4)], author="me")
    store.close()
    port = free_port()
    server = started(tmp_path, port)
    try:
        url = f"http://127.0.0.1:{port}"
        form = {"grant_type": "client_credentials", "client_id": "reader", "client_secret": secret}
        token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
        readers = [Reader(url, token, n) for n in range(4)]
        for one in readers:
            one.start()
        time.sleep(seconds)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait(10)
    for one in readers:
        one.join(10)
    assert sum(one.answered for one in readers) > 10
    store = open_store(settings.database_url, settings.journals)
    lines: Counter[str] = Counter()
    before = None
    while page := store.entries(count=1000, before=before):
        lines.update(ref for one in page for ref in one.entry.what)
        before = page[-1].seq
    for one in readers:
        # the request that the kill took may have its line, but no answer
        assert one.answered <= lines[one.ref] <= one.answered + 1
    assert list(store.verify()) == []
    store.close()

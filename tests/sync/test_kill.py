"""The hub's process is killed with -9 at the worst moments, over real HTTP: still exactly once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.sync.world import HubEnd, StationEnd, a_pair, a_patient, contents, order

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def hub_process(folder: Path, port: int, where: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running hub; on leaving it is gone."""
    command = [sys.executable, "-m", "tests.sync.hub_process", str(folder), str(port), where]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        _until_it_listens(process, port)
        yield process
    finally:
        process.kill()
        process.wait(10)


def _until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        assert process.poll() is None, "the hub did not start"
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the hub does not listen")


def push_until(station: StationEnd, process: subprocess.Popen[bytes]) -> None:
    """Push until the hub has died of it."""
    for _ in range(100):
        station.sender.send_now()
        station.sender.step()
        if process.poll() is not None:
            return
    raise AssertionError("the hub outlived it")


@pytest.mark.parametrize("where", ["answer", "1", "7"])
def test_a_hub_that_dies_between_storing_and_answering_stores_exactly_once(
    folder: Path, where: str
) -> None:
    with a_pair(folder) as (hub, station):
        hub.store.close()
        for number in range(15):
            # The same resource each time: a commit taken twice would show as more versions.
            station.save(a_patient("p1", f"tên {number}"), a_patient())
        port = free_port()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            station.client = client
            station.restart()
            with hub_process(hub.folder, port, where) as process:
                push_until(station, process)
            assert not station.line.status().up
            assert station.line.state().acked == 0  # nothing was promised
            with hub_process(hub.folder, port, "never"):
                station.send()
        hub.start()
        _equal(hub, station)


def _equal(hub: HubEnd, station: StationEnd) -> None:
    assert order(hub.store) == order(station.store)
    assert contents(hub.store) == contents(station.store)
    assert list(hub.store.verify()) == []

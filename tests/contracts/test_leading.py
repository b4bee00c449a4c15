"""One of several processes leads; when it ends, however it ends, the next one does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sokhoe.store import Put, Store, open_store
from sokhoe.store.sqlstore import SAMPLES, SqlStore

ROOT = Path(__file__).parents[2]
LEADER = """
import sys, time
from sokhoe.store import open_store
lead = open_store(sys.argv[1]).lead()
print(lead.held(), flush=True)
time.sleep(60)
"""


def within(seconds: float, wished: bool, lead: object) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if lead.held() is wished:  # type: ignore[attr-defined]
            return True
        time.sleep(0.05)
    return False


def test_the_first_who_asks_leads_until_it_lets_go(url: str) -> None:
    one, other = open_store(url), open_store(url)
    first, second = one.lead(), other.lead()
    assert first.held()
    assert not second.held()
    assert first.held()
    first.close()
    assert within(5, True, second)
    second.close()
    one.close()
    other.close()


def test_a_leader_that_is_killed_is_followed_by_the_next(url: str) -> None:
    store = open_store(url)
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    lead = store.lead()
    assert not lead.held()
    process.kill()
    process.wait(timeout=20)
    process.stdout.close()
    assert within(10, True, lead)
    lead.close()
    store.close()


def test_a_leader_whose_connection_is_cut_notices(url: str) -> None:
    if not url.startswith("postgres"):
        pytest.skip("a file lock has no connection")
    store = open_store(url)
    lead = store.lead()
    assert lead.held()
    lead._connection.close()  # type: ignore[attr-defined]
    other = store.lead()
    assert within(5, True, other)
    assert within(5, False, lead)
    other.close()
    lead.close()
    store.close()


def patients(start: int, count: int) -> list[Put]:
    return [
        Put({"resourceType": "Patient", "id": f"p{n}", "name": [{"text": f"Lê Văn {n}"}]})
        for n in range(start, start + count)
    ]


def test_two_processes_that_want_the_first_dictionary_share_one(url: str) -> None:
    """Each trained its own, under the same number: what one had compressed the other could not
    read, or the commit was refused."""
    one, other = open_store(url), open_store(url)
    assert isinstance(one, SqlStore) and isinstance(other, SqlStore)
    one.commit(patients(0, SAMPLES), author="me")
    other.commit(patients(SAMPLES, 5), author="me")
    one.commit(patients(SAMPLES + 5, 5), author="me")
    assert one.packer.current == other.packer.current == 1
    assert_all_is_read(one, SAMPLES + 10)
    assert_all_is_read(other, SAMPLES + 10)
    one.close()
    other.close()


def assert_all_is_read(store: Store, count: int) -> None:
    assert [one.id for one in store.feed(0, 10_000)] == [f"p{n}" for n in range(count)]


def test_a_dictionary_that_cannot_be_kept_refuses_nobody(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(url)
    assert isinstance(store, SqlStore)

    def broken(*, first: bool = False) -> int:
        raise OSError("no")

    monkeypatch.setattr(store, "train", broken)
    receipt = store.commit(patients(0, SAMPLES + 1), author="me")
    assert len(receipt.versions) == SAMPLES + 1
    assert store.packer.current == 0
    monkeypatch.undo()
    store.commit(patients(SAMPLES + 1, 1), author="me")
    assert store.packer.current == 1
    assert_all_is_read(store, SAMPLES + 2)
    store.close()

"""Several processes of one hub write to one memory: one sequence without gaps, whoever dies.

Each writer is a process of its own and says on its output what was acknowledged. One of them is
killed in the middle, again and again; the turn it may have held must pass to another at once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sokhoe.store import open_store

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from sokhoe.store import Put, open_store
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url)
for number in range(count):
    same = {"resourceType": "Patient", "id": "shared", "name": [{"text": f"{name} {number}"}]}
    own = {"resourceType": "Patient", "id": f"{name}-{number}", "name": [{"text": "Lê An"}]}
    receipt = store.commit([Put(own), Put(same)], author=f"Device/{name}")
    print(receipt.versions[0].id, receipt.versions[0].seq, flush=True)
store.close()
"""
WRITERS, EACH, KILLED = 3, 25, 4


def writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def acknowledged(process: subprocess.Popen[str]) -> dict[str, int]:
    assert process.stdout is not None
    with process.stdout as output:
        lines = [line.split() for line in output.read().splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}


def test_processes_take_turns_and_a_killed_one_stops_nobody(url: str) -> None:
    store = open_store(url)
    steady = [writer(url, f"steady{number}", EACH) for number in range(WRITERS)]
    said: dict[str, int] = {}
    seen: list[int] = []
    for number in range(KILLED):
        victim = writer(url, f"victim{number}", 10_000)
        assert victim.stdout is not None
        first = victim.stdout.readline().split()  # it writes: now it may die at any moment
        said[first[0]] = int(first[1])
        time.sleep(0.05 * number)
        victim.kill()
        victim.wait(timeout=20)
        said |= acknowledged(victim)
        # a follower reads on meanwhile and must never step over a number that comes later
        seen += [one.seq for one in store.feed(seen[-1] if seen else 0, 10_000)]
    for process in steady:
        said |= acknowledged(process)
        assert process.wait(timeout=60) == 0
    seen += [one.seq for one in store.feed(seen[-1] if seen else 0, 100_000)]
    assert seen == list(range(1, store.head() + 1))
    assert sum(one.startswith("steady") for one in said) == WRITERS * EACH
    kept = {one.id: one.seq for one in store.feed(0, 100_000)}
    assert {id: kept.get(id) for id in said} == said
    numbers = [one.version for one in store.history("Patient", "shared", count=1_000).versions]
    assert numbers == sorted(numbers, reverse=True)
    assert list(store.verify()) == []
    store.close()

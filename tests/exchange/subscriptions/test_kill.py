"""Killed without warning, again and again: all that was committed is told, and in order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.exchange.subscriptions.asking import plain, settle, subscribe
from tests.exchange.subscriptions.receiver import Receiver
from tests.testland import Pack
from tests.worlds import Hub

ROUNDS = 5
SERVER = """
import sys, threading
from pathlib import Path
from tests.exchange.subscriptions.asking import an_observation, followers
from tests.testland import Pack
from tests.worlds import Hub

folder, url, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
hub = Hub(folder, Pack(), database=url, subscription_hosts="127.0.0.1")

def write():
    for number in range(first, first + 100_000):
        hub.put(an_observation(f"o{number:06d}"))
        print(number, flush=True)

threading.Thread(target=write, daemon=True).start()
follower = followers(hub)
while True:
    follower.step()
"""


def test_kill_9_between_any_two_steps_loses_nothing(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    chance = random.Random(7)
    with Receiver() as receiver:
        with Hub(folder, Pack(), database=url, subscription_hosts="127.0.0.1") as hub:
            subscribe(hub, hub.software(), plain(receiver))
        done: list[int] = []
        for _ in range(ROUNDS):
            first = done[-1] + 1 if done else 0
            process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(folder), url, str(first)],
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[3],
            )
            assert process.stdout is not None
            done.append(int(process.stdout.readline()))
            time.sleep(chance.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            done += [int(line) for line in process.stdout.read().split()]
            process.stdout.close()
            process.wait(timeout=10)
        with Hub(folder, Pack(), database=url, subscription_hosts="127.0.0.1") as hub:
            settle(hub)
        firsts = list(dict.fromkeys(receiver.refs))
    written = [f"Observation/o{number:06d}" for number in sorted(set(done))]
    assert len(written) > 20
    assert set(written) <= set(firsts)
    assert firsts == sorted(firsts)

"""Check 27: small inputs that want to become large ones, and bodies that never end.

Each must be refused (4xx) within a second of CPU, and the process may not grow by 100 MB meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hardening import Outcome
from hardening.asking import Answer, Request, ask
from hardening.explosives import Bomb, bombs
from hardening.fuzz import listening
from hardening.worlds import hubs
from sokhoe.exchange.fhir_api import calls
from sokhoe.web import asking
from tests.worlds import Hub

MOST_CPU = 1.0  # seconds
MOST_GROWTH = 100_000_000  # bytes
PATIENCE = 0.3  # seconds in which a body must come; 30 in life


@dataclass(frozen=True, slots=True)
class Blast:
    """What a bomb did: the answer, seconds of CPU, bytes by which the process grew at its peak."""

    answer: Answer
    cpu: float
    growth: int

    def faults(self) -> Iterator[str]:
        if self.answer.failure:
            yield f"the app failed: {self.answer.failure}"
        elif not 400 <= self.answer.status < 500:
            yield f"status {self.answer.status}"
        if self.cpu > MOST_CPU:
            yield f"{self.cpu:.1f} s of CPU"
        if self.growth > MOST_GROWTH:
            yield f"grew by {self.growth // 1_000_000} MB"


def explode(hub: Hub, bomb: Bomb, token: str) -> Blast:
    """Send one, and measure."""
    headers = ((b"authorization", f"Bearer {token}".encode()), *bomb.headers)
    request = Request(bomb.method, bomb.target, headers, bomb.body, bomb.stream)
    gc.collect()
    _forget_peak()
    memory, cpu = _memory("VmRSS"), time.process_time()
    answer = asyncio.run(ask(hub.app, request))
    return Blast(answer, time.process_time() - cpu, _memory("VmHWM") - memory)


def _memory(name: str) -> int:
    """VmRSS: bytes of memory now; VmHWM: at the peak since `_forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return int(line.split()[1]) * 1024


def _forget_peak() -> None:
    """proc(5): 5 written to clear_refs sets the peak to what is used now."""
    Path("/proc/self/clear_refs").write_text("5")


def run(n: int = 0, seed: int = 27) -> Outcome:
    """Every bomb once on each database; `n` and `seed` change nothing: they are all listed."""
    bad: list[str] = []
    tried = 0
    with hubs() as servers, listening() as heard, mock.patch.object(asking, "PATIENCE", PATIENCE):
        for number, hub in enumerate(servers):
            token = hub.software().headers["Authorization"].partition(" ")[2]
            for bomb in bombs():
                if number and not bomb.asks_the_store:
                    continue
                tried += 1
                heard.said.clear()
                blast = explode(hub, bomb, token)
                wrong = [*blast.faults(), *heard.said]
                if wrong:
                    bad.append(f"{bomb.name}: {'; '.join(wrong)} {blast.answer.body[:200]!r}")
        caught = _with_a_fault(servers[0])
    return Outcome("27 bombs", tried, len(bad), caught, seed, tuple(bad[:30]))


def _with_a_fault(hub: Hub) -> bool:
    """A body that is unpacked whole before anybody looks how large it is."""
    token = hub.software().headers["Authorization"].partition(" ")[2]
    bomb = next(one for one in bombs() if one.name == "gzip of 200 MB of spaces")

    def careless(coding: str, body: bytes, most: int) -> bytes:
        return gzip.decompress(body)

    with mock.patch.object(calls, "unpacked", careless):
        return bool(list(explode(hub, bomb, token).faults()))

"""One writer at a time, and many commits to one fsync.

A caller lays its work into the tray and waits for its turn. Whoever gets the turn writes all that
lies in the tray as one transaction; those whose work was done meanwhile leave at once. So a lone
caller pays for no thread switch, and 64 callers share one fsync.

    caller A   prepare ── tray ── turn: begin, plan A B C, write, fsync ── return
    caller B        prepare ── tray ──────────── waits ─────────────────── return
    caller C             prepare ── tray ─────── waits ─────────────────── return

In a crowd (the last group had several commits) whoever has the turn lets the others arrive first,
as long as they keep coming: they are at work meanwhile, so nothing stands still, and 64 callers
share one fsync between nine and more where they shared it between four or five.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sokhoe.errors import Unavailable
from sokhoe.store.planning import Work

MOST_WORKS = 512
MOST_CHANGES = 4_000
CROWD = 4  # so many commits in the last group make it worth waiting
PATIENCE = 0.02  # seconds at most
LULL = 0.003  # seconds in which nobody came


class Tray:
    """The waiting work. `write` gets a group and must mark each work of it as done."""

    def __init__(self, write: Callable[[Sequence[Work]], None]) -> None:
        self._write = write
        self._waiting: deque[Work] = deque()
        self._turn = threading.Lock()
        self._crowd = 0

    def put(self, work: Work) -> None:
        """Return when the work is on disk; raise what refused it."""
        self._waiting.append(work)
        with self._turn:
            if not work.done and self._crowd >= CROWD:
                self._gather()
            while not work.done:
                self._do(self._group())
        if work.error is not None:
            raise work.error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody writes meanwhile."""
        with self._turn:
            yield

    def _gather(self) -> None:
        until, seen = time.monotonic() + PATIENCE, 0
        while seen < len(self._waiting) < MOST_WORKS and time.monotonic() < until:
            seen = len(self._waiting)
            time.sleep(LULL)

    def _do(self, group: list[Work]) -> None:
        """Whatever ends the writing, an interrupt too, nobody of the group may wait for ever."""
        self._crowd = sum(1 for work in group if work.changes)
        try:
            self._write(group)
        finally:
            for work in group:
                if not work.done:
                    work.error, work.done = Unavailable("The writing was interrupted."), True

    def _group(self) -> list[Work]:
        group: list[Work] = []
        changes = 0
        while self._waiting and len(group) < MOST_WORKS and changes < MOST_CHANGES:
            work = self._waiting.popleft()
            group.append(work)
            changes += len(work.changes)
        return group

"""A hub in several processes: some answer requests, one beside them does what follows a change.

    parent ── listens, starts the others, starts anew whichever ends, passes on the end
      ├─ web 1 … n    the socket of the parent; nothing is kept in them but caches
      └─ followers    links, numbers, notifications, the seal of the audit; no socket

One interpreter uses one core. Several need a PostgreSQL: the memory on SQLite has one writer, in
one process. Of several machines with a crew each, the followers of one lead (`store.lead`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from sokhoe.app import build
from sokhoe.errors import Invalid
from sokhoe.ops.serving import serve, tune
from sokhoe.settings import Settings
from sokhoe.trust import open_memory

MOST_BY_ITSELF = 4
BACKLOG = 2_048
PATIENCE = 10.0  # seconds until a child that was told to end is killed
# A child that ends at once, again and again, must not keep the machine busy.
SOON, LONGEST_PAUSE = 5.0, 30.0
_SPAWN = multiprocessing.get_context("spawn")


def web_processes(settings: Settings) -> int:
    """How many processes answer requests: the setting, or as many as there are cores (at most 4)
    on PostgreSQL and one on SQLite. Raises Invalid for several on SQLite."""
    wished = int(settings.web_processes)
    postgres = settings.database_url.startswith("postgres")
    if wished > 1 and not postgres:
        raise Invalid(
            f"{wished} processes need a PostgreSQL; the memory on SQLite has one writer.",
            hint="Set SOKHOE_DATABASE to postgresql://…, or leave web_processes out.",
            slug="web-processes",
            location="web_processes",
        )
    if wished:
        return wished
    return min(MOST_BY_ITSELF, os.cpu_count() or 1) if postgres else 1


@dataclass
class Child:
    name: str
    start: Callable[[], BaseProcess]
    process: BaseProcess | None = None
    begun: float = 0.0
    pause: float = 0.0
    due: float = 0.0

    def look(self, now: float) -> None:
        """Start it when it is due; note when it has ended."""
        if self.process is not None and not self.process.is_alive():
            quick = now - self.begun < SOON
            self.pause = min(max(1.0, 2 * self.pause), LONGEST_PAUSE) if quick else 0.0
            self.process, self.due = None, now + self.pause
        if self.process is None and now >= self.due:
            self.process, self.begun = self.start(), now


class Crew:
    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._over = threading.Event()

    def run(self) -> None:
        """Until SIGINT or SIGTERM; all children have ended when it returns."""
        open_memory(self._settings).close()  # one upgrades the tables, before the others come
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._over.set())
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ours.bind((self._settings.host, self._settings.port))
            ours.listen(BACKLOG)
            children = self._children(ours)
            try:
                while not self._over.is_set():
                    for child in children:
                        child.look(time.monotonic())
                    self._over.wait(0.3)
            finally:
                end([one.process for one in children if one.process is not None])

    def _children(self, ours: socket.socket) -> list[Child]:
        def started(target: Callable[..., None], *more: Any) -> BaseProcess:
            process = _SPAWN.Process(target=target, args=(self._settings, *more))
            process.start()
            return process

        web = [
            Child(f"web {number}", lambda: started(answering, ours))
            for number in range(1, self._count + 1)
        ]
        return [*web, Child("followers", lambda: started(following))]


def end(processes: list[BaseProcess]) -> None:
    for one in processes:
        one.terminate()
    until = time.monotonic() + PATIENCE
    for one in processes:
        one.join(max(0.1, until - time.monotonic()))
        if one.is_alive():
            one.kill()
            one.join()


def answering(settings: Settings, ours: socket.socket) -> None:
    """A child that answers requests. Lines of reads are sealed by the other."""
    _end_with_parent()
    store = open_memory(settings, carries=False)
    serve(build(settings, store=store, followers=False), settings, ours)


def following(settings: Settings) -> None:
    """The child that works off the feed."""
    _end_with_parent()
    tune()
    app = build(settings)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())

    async def live() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(over.wait)

    asyncio.run(live())


def _end_with_parent() -> None:
    """A parent that was killed outright takes its children with it, else they keep the port."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()

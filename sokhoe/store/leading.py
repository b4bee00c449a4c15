"""Which of several processes does the work that only one may do: followers, seals.

The first that asks leads until it ends or loses its lock; then the next that asks. On PostgreSQL
that is an advisory lock of a connection of its own, which the database takes back when the
connection is gone; on SQLite a lock on a file beside the database, which the kernel takes back.

Whoever has lost the lock notices it within `LOOK` seconds and may have begun one more step by then:
what followers do is either written in the same transaction as their mark or harmless when repeated.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

LOOK = 1.0  # seconds for which an answer is taken as still true


class Lead(ABC):
    """A claim to lead. Ask `held` before each step; it may be asked from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held = False
        self._looked = 0.0

    def held(self) -> bool:
        """Whether this process leads now; it does from now on if nobody else does."""
        with self._turn:
            if time.monotonic() - self._looked >= LOOK or not self._looked:
                self._held = self._look()
                self._looked = time.monotonic()
            return self._held

    @abstractmethod
    def _look(self) -> bool: ...

    @abstractmethod
    def close(self) -> None:
        """Let another lead."""


class FileLead(Lead):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._handle: int | None = None

    def _look(self) -> bool:
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def close(self) -> None:
        with self._turn:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
            self._looked = 0.0

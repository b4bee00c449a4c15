"""A follower that forgets what is over: tokens, codes, grants, sign-ins, spent numbers; and makes
the next signing key when it is time. It follows no feed, only the clock."""

from __future__ import annotations

import time

from sokhoe.trust import Gate

PAUSE = 600.0  # seconds


class Tidier:
    name = "tidy"
    follows = False

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._next = time.monotonic() + PAUSE

    def step(self) -> bool:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PAUSE
            self._gate.tidy()
        return False

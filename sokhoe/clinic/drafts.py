"""Visits that are still being written, so that a closed window or an ended sign-in loses nothing.

In this process's memory, one per writer and person, gone after a day or a restart: a draft is not
a record, goes nowhere, and is nobody's business but the writer's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from sokhoe import clock
from sokhoe.clinic.visits import Typed

DAY = 24 * 3600 * 1_000_000
MOST = 500


@dataclass(frozen=True, slots=True)
class Draft:
    typed: Typed
    at: clock.Instant


class Drafts:
    """All drafts of one server. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str], Draft] = OrderedDict()

    def keep(self, actor: str, patient: str, typed: Typed) -> Draft:
        """Keep what is typed; the oldest draft gives way when there are too many."""
        draft = Draft(typed, clock.now())
        with self._lock:
            self._kept.pop((actor, patient), None)
            if not typed.empty:
                self._kept[actor, patient] = draft
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return draft

    def find(self, actor: str, patient: str) -> Draft | None:
        with self._lock:
            draft = self._kept.get((actor, patient))
        return draft if draft and draft.at > clock.now() - DAY else None

    def drop(self, actor: str, patient: str) -> None:
        with self._lock:
            self._kept.pop((actor, patient), None)

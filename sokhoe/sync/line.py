"""What the station knows of its line to the province, and what the pages may ask of it.

The state is one small record in the drawer `mail`. It only repeats what the hub said last: how far
it has stored this station's history. After a restart the sender asks the hub again, so a record
that is old, or gone, costs one question and no mail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sokhoe.clock import Instant
from sokhoe.store import Keep, Store
from sokhoe.sync.wire import START
from sokhoe.trust import Version
from sokhoe.web import LineStatus

RECENT = 20


def file_cut(path: Path | str) -> Callable[[], bool]:
    """A line that is cut as long as this file exists: demo and drills pull the plug with it."""
    file = Path(path)
    return file.exists


def never_cut() -> bool:
    """The line of a real station: nobody here can know that it is cut."""
    return False


@dataclass(frozen=True, slots=True)
class LineState:
    """`acked`: number and hash of the last commit that the hub has stored; `reach`: the newest
    version in it; `up`, `since`: the line as it was last seen; `last`: when something last
    arrived; `note`: why it is down (a catalogue key); `skew`: how far our clock is ahead of the
    hub's, in seconds; `arrivals`: (number up to which, when) of the last pages, newest last."""

    acked: int = 0
    hash: str = START.hex()
    reach: int = 0
    hub_epoch: str = ""
    up: bool = False
    since: Instant = 0
    last: Instant = 0
    note: str = ""
    skew: int = 0
    arrivals: tuple[tuple[int, Instant], ...] = ()

    def turned(self, up: bool, note: str, now: Instant) -> LineState:
        """The line went up or down, or stayed: `since` moves only when it turned."""
        turned = up != self.up or not self.since
        return replace(self, up=up, note=note, since=now if turned else self.since)


class LineMemory:
    """The state on disk and in hand; pages read it without touching the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        kept = store.kept("mail", "state")
        self.state = _state(kept) if kept else LineState()

    def set(self, state: LineState) -> None:
        """Keep the state if it changed (one fsync)."""
        if state != self.state:
            self._store.keep(Keep("mail", "state", asdict(state)))
            self.state = state


def _state(kept: dict[str, Any]) -> LineState:
    arrivals = tuple((int(seq), int(at)) for seq, at in kept.get("arrivals", ()))
    return LineState(**{**kept, "arrivals": arrivals})


@dataclass(frozen=True, slots=True)
class Sent:
    """One commit that arrived: number, when it was saved, how many records, when it arrived
    (0: too long ago to know). Nothing about whom it concerns."""

    seq: int
    saved: Instant
    records: int
    arrived: Instant


class Wakes(Protocol):
    def send_now(self) -> None: ...


class StationLine:
    """The header's line state and each record's "at the province" (web/seams.py, Line)."""

    def __init__(self, store: Store, memory: LineMemory, sender: Wakes) -> None:
        self._store = store
        self._memory = memory
        self._sender = sender
        self._oldest: tuple[int, Instant | None] = (-1, None)

    def status(self) -> LineStatus:
        state = self._memory.state
        waiting = max(0, self._store.head() - state.reach)
        return LineStatus(
            configured=True,
            up=state.up,
            since=state.since,
            waiting=waiting,
            oldest=self._saved_after(state.reach) if waiting else None,
            note=state.note,
        )

    def arrived(self, version: Version) -> bool:
        return version.commit <= self._memory.state.acked

    def send_now(self) -> None:
        self._sender.send_now()

    def state(self) -> LineState:
        return self._memory.state

    def sent(self, count: int = RECENT) -> list[Sent]:
        """The last commits that arrived, newest first."""
        state = self._memory.state
        after = max(0, state.acked - count)
        commits = self._store.commits(after, limit=count, max_bytes=64 * 1024 * 1024)
        return [
            Sent(one.seq, one.at, len(one.versions), _arrived(one.seq, state))
            for one in reversed(commits)
            if one.seq <= state.acked
        ]

    def _saved_after(self, reach: int) -> Instant | None:
        """When the first version that waits was saved; read once, since pages ask all the time."""
        if self._oldest[0] != reach:
            first = self._store.feed(reach, 1)
            if not first:
                return None
            self._oldest = (reach, first[0].at)
        return self._oldest[1]


def _arrived(seq: int, state: LineState) -> Instant:
    return next((at for upto, at in state.arrivals if upto >= seq), 0)


def with_arrival(state: LineState, seq: int, now: Instant) -> LineState:
    """Note that everything up to `seq` arrived now."""
    arrivals = (*state.arrivals, (seq, now))[-RECENT:]
    return replace(state, last=now, arrivals=arrivals)

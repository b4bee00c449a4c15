"""What is to be sent and what was: kept beside the records, so that a crash loses nothing.

    exchange.granted     id → the version of the Subscription whose status we wrote ourselves
    exchange.numbered    id → {events: how many so far, from: seq since when it is watched}
    exchange.events.ID   chunk → [[number, type, id, version, method, at], …]  a hundred in each
    exchange.sent        id → {sent: the last number delivered, tries, next, since, last, error}
    exchange.dead        "id number" → an event the receiver refused, and why
    exchange.again       id → true: somebody asked for what is dead to be sent again

Events are numbered from 1 for each Subscription and written in one transaction with the watcher's
mark: a version of the feed becomes an event exactly once. They are struck off (`sent`) only after
the receiver has said yes: it gets each at least once, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sokhoe.trust import Keep, Session

CHUNK = 100
# So many delivered events are kept, for who asks for them again ($events).
REMEMBERED = 1_000
GRANTED, NUMBERED, SENT, DEAD, AGAIN = (
    f"exchange.{name}" for name in ("granted", "numbered", "sent", "dead", "again")
)


@dataclass(frozen=True, slots=True)
class Event:
    """One change that a Subscription tells of. `method`: POST, PUT or DELETE; `at` microseconds."""

    number: int
    type: str
    id: str
    version: int
    method: str
    at: int

    @property
    def ref(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def name(self) -> tuple[str, str, int]:
        return self.type, self.id, self.version

    def kept(self) -> list[Any]:
        return [self.number, self.type, self.id, self.version, self.method, self.at]


@dataclass(frozen=True, slots=True)
class Numbered:
    """`start`: only versions with a higher seq are watched; None: none are."""

    events: int = 0
    start: int | None = None

    def keep(self, id: str) -> Keep:
        return Keep(NUMBERED, id, {"events": self.events, "from": self.start})


@dataclass(frozen=True, slots=True)
class Sent:
    """How far delivery has come. `tries` since the last success, `since` when those began; `next`:
    not before; `last`: when something was last delivered. Times in microseconds, 0 for never."""

    sent: int = 0
    tries: int = 0
    next: int = 0
    since: int = 0
    last: int = 0
    error: str = ""

    def keep(self, id: str) -> Keep:
        return Keep(SENT, id, asdict(self))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    subscription: str
    event: Event
    error: str

    def keep(self) -> Keep:
        value = {"event": self.event.kept(), "error": self.error}
        return Keep(DEAD, _dead_key(self.subscription, self.event.number), value)

    def gone(self) -> Keep:
        return Keep(DEAD, _dead_key(self.subscription, self.event.number), None)


class Ledger:
    """The drawers, by name. `session` is the room's own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def granted(self, id: str) -> int:
        return int(self._session.kept(GRANTED, id) or 0)

    def numbered(self, id: str) -> Numbered:
        return _numbered(self._session.kept(NUMBERED, id))

    def all_numbered(self) -> dict[str, Numbered]:
        return {id: _numbered(one) for id, one in self._session.all_kept(NUMBERED).items()}

    def sent(self, id: str) -> Sent:
        return Sent(**(self._session.kept(SENT, id) or {}))

    def all_sent(self) -> dict[str, Sent]:
        return {id: Sent(**one) for id, one in self._session.all_kept(SENT).items()}

    def asked_again(self) -> frozenset[str]:
        return frozenset(self._session.all_kept(AGAIN))

    def dead(self, id: str = "") -> list[DeadLetter]:
        """Dead letters of one Subscription or of all, oldest first."""
        found = self._session.all_kept(DEAD)
        return [
            DeadLetter(key.partition(" ")[0], Event(*one["event"]), one["error"])
            for key, one in found.items()
            if not id or key.startswith(f"{id} ")
        ]

    def events(self, id: str, first: int, last: int) -> list[Event]:
        """Events by number, as far as they are still known."""
        found: list[Event] = []
        for chunk in range((max(first, 1) - 1) // CHUNK, (last - 1) // CHUNK + 1):
            rows = self._session.kept(_kind(id), _chunk_key(chunk)) or []
            found += [Event(*row) for row in rows if first <= row[0] <= last]
        return found

    def appended(self, id: str, old: Numbered, events: Sequence[Event]) -> list[Keep]:
        """What to keep so that these events follow the `old` ones; they are numbered here."""
        numbered = [replace(one, number=old.events + at) for at, one in enumerate(events, 1)]
        keeps: list[Keep] = []
        by_chunk: dict[int, list[Any]] = {}
        for one in numbered:
            by_chunk.setdefault((one.number - 1) // CHUNK, []).append(one.kept())
        for chunk, rows in by_chunk.items():
            standing = self._session.kept(_kind(id), _chunk_key(chunk)) or []
            keeps.append(Keep(_kind(id), _chunk_key(chunk), [*standing, *rows]))
        return [*keeps, replace(old, events=old.events + len(numbered)).keep(id)]

    def delivered(self, id: str, before: Sent, after: Sent) -> None:
        """Move on, and forget what was delivered long ago."""
        old = range(
            max(0, before.sent - REMEMBERED) // CHUNK, max(0, after.sent - REMEMBERED) // CHUNK
        )
        gone = [Keep(_kind(id), _chunk_key(chunk), None) for chunk in old]
        self._session.keep(after.keep(id), *gone)

    def keep(self, *keeps: Keep) -> None:
        self._session.keep(*keeps)

    def forget(self, id: str) -> list[Keep]:
        """What to keep so that nothing of a deleted Subscription remains."""
        keeps = [Keep(kind, id, None) for kind in (GRANTED, NUMBERED, SENT, AGAIN)]
        keeps += [Keep(_kind(id), key, None) for key in self._session.all_kept(_kind(id))]
        return [*keeps, *(one.gone() for one in self.dead(id))]


def ask_again(ids: Iterable[str]) -> list[Keep]:
    return [Keep(AGAIN, id, True) for id in ids]


def asked(id: str) -> Keep:
    return Keep(AGAIN, id, None)


def granted(id: str, version: int) -> Keep:
    return Keep(GRANTED, id, version)


def _numbered(value: Any) -> Numbered:
    return Numbered(value["events"], value["from"]) if value else Numbered()


def _kind(id: str) -> str:
    return f"exchange.events.{id}"


def _chunk_key(chunk: int) -> str:
    return f"{chunk:09d}"


def _dead_key(id: str, number: int) -> str:
    return f"{id} {number:012d}"

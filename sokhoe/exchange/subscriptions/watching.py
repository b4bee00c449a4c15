"""The watcher: goes along the change feed and notes for each Subscription what it must tell of.

It sends nothing, so no receiver can hold it up. Its mark and the events it found are one
transaction: whatever kills it, each change becomes an event exactly once.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property

from sokhoe.errors import Conflict, SokhoeError
from sokhoe.exchange.subscriptions.board import Board, Subscribed
from sokhoe.exchange.subscriptions.ledger import Event, Numbered
from sokhoe.exchange.subscriptions.wishes import Filter
from sokhoe.fhir import IndexRows, extract, search
from sokhoe.trust import Keep, Session, Version

FOLLOWER = "exchange.subscriptions"
BATCH = 1000


class Seen:
    """A version of the feed, with what it says worked out at most once for all Subscriptions."""

    def __init__(self, version: Version, session: Session) -> None:
        self.version = version
        self._session = session

    @cached_property
    def rows(self) -> IndexRows | None:
        """Of a deletion: those of what was deleted; None when nobody knows what that was."""
        version = self.version
        if version.deleted:
            if version.version < 2:
                return None
            version = self._session.read(version.type, version.id, version.version - 1)
            if version.deleted:
                return None
        return extract(version.resource)

    @property
    def method(self) -> str:
        if self.version.deleted:
            return "DELETE"
        return "POST" if self.version.version == 1 else "PUT"


class Watcher:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._session = board.session
        self._ledger = board.ledger

    def step(self) -> bool:
        """Go through one batch of the feed; True when there may be more."""
        standing = self._board.all()
        types = frozenset(one.wish.type for one in standing.values() if one.wish and one.live)
        before = self._session.mark_of(FOLLOWER)
        if before == 0 and not self._ledger.all_numbered():
            # started for the first time: nobody can have asked to be told of what lies behind
            before = self._first_mark()
        versions, reach = self._session.follow(FOLLOWER, BATCH, types=types | {"Subscription"})
        if reach == before:
            return False
        found: dict[str, list[Event]] = {}
        numbered: dict[str, Numbered] = {}
        gone: list[Keep] = []
        for version in versions:
            if version.type == "Subscription":
                gone += self._changed(version, numbered)
                standing = self._board.all()
                now = {one.wish.type for one in standing.values() if one.wish and one.live}
                if not now <= types:  # what lies behind was not fetched for this new type
                    reach = version.seq
                    break
                continue
            seen = Seen(version, self._session)
            for one in standing.values():
                if self._tells(one, seen, numbered):
                    event = Event(0, version.type, version.id, version.version, seen.method,
                                  version.at)  # fmt: skip
                    found.setdefault(one.id, []).append(event)
        keeps = [Keep("mark", FOLLOWER, reach, expected=before or None), *gone]
        for id, old in numbered.items():
            keeps += (
                self._ledger.appended(id, old, found[id])
                if id in found
                else [old.keep(id)] * (old != self._ledger.numbered(id))
            )
        with suppress(Conflict):  # another process of this server has done this stretch
            self._ledger.keep(*keeps)
        return True

    def _first_mark(self) -> int:
        head = self._session.head()
        if head:  # a mark is never 0: that stands for none
            with suppress(Conflict):
                self._ledger.keep(Keep("mark", FOLLOWER, head, expected=None))
        return self._session.mark_of(FOLLOWER)

    def _changed(self, version: Version, numbered: dict[str, Numbered]) -> list[Keep]:
        """A Subscription was written: it is watched from here on, or no longer."""
        one = self._board.refresh(version.id)
        if one is None:
            numbered.pop(version.id, None)
            return self._ledger.forget(version.id)
        old = numbered.get(one.id) or self._ledger.numbered(one.id)
        start = (old.start if old.start is not None else version.seq) if one.live else None
        numbered[one.id] = Numbered(old.events, start)
        return []

    def _tells(self, one: Subscribed, seen: Seen, numbered: dict[str, Numbered]) -> bool:
        wish = one.wish
        if wish is None or not one.live or wish.type != seen.version.type:
            return False
        if one.id not in numbered:
            numbered[one.id] = self._ledger.numbered(one.id)
        start = numbered[one.id].start
        if start is None or seen.version.seq <= start:
            return False
        if seen.version.deleted and not wish.topic:
            return False
        answers = [decided(one, seen) for one in wish.filters] or [True]
        if not any(answer is not False for answer in answers):
            return False  # so most end here, without a question to the memory
        subscriber = self._board.subscriber(one)
        if subscriber is None:
            return False
        found = True in answers or any(
            found_by(filter, seen, subscriber)
            for filter, answer in zip(wish.filters, answers, strict=True)
            if answer is None
        )
        return found and subscriber.sees(seen.version)


def decided(filter: Filter, seen: Seen) -> bool | None:
    """Whether a version meets a search, None where other records must be looked at."""
    if seen.rows is None:
        return False
    answer = search.matches(filter.query.where, seen.rows, seen.version.at)
    return False if answer is None and seen.version.deleted else answer


def found_by(filter: Filter, seen: Seen, subscriber: Session) -> bool:
    """Whether the subscriber's own search finds it: he learns no more than by asking."""
    try:
        pairs = [*filter.pairs, ("_id", seen.version.id)]
        return bool(subscriber.search(filter.query.type, pairs).versions)
    except SokhoeError:
        return False

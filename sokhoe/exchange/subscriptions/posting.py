"""The postman: takes events to their receivers, each Subscription for itself.

Every Subscription that has something to send gets a thread of its own for as long as that takes,
so a receiver that is slow or dead holds up nobody else. An event is struck off only after the
receiver's yes: it comes at least once, in order, also when this process is killed in between.

    2xx                      delivered
    410                      the receiver wants no more: off
    other 4xx and 3xx        refused: three times, then this event is put aside (dead letter)
    all else, no answer      tried again after 1 s, 2 s, 4 s … 15 min, each a little by chance;
                             from the third time the status is `error`; after three days `off`
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import httpx

from sokhoe import clock
from sokhoe.errors import SokhoeError, Unavailable
from sokhoe.exchange.subscriptions import notices
from sokhoe.exchange.subscriptions.board import Board, State, Subscribed
from sokhoe.exchange.subscriptions.ledger import DeadLetter, Event, Sent, asked
from sokhoe.exchange.subscriptions.notices import Kind, Notice, notification
from sokhoe.exchange.subscriptions.wishes import Channel, Wish
from sokhoe.trust import Deed, Version, outside

log = logging.getLogger("sokhoe.exchange")
SECOND = 1_000_000
MOST_AT_ONCE = 256  # Subscriptions that are being delivered at the same time
TURN = 200  # notifications one Subscription sends before its thread looks at the board again
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 900.0  # seconds between tries
TRIES_UNTIL_ERROR = 3
REFUSALS = 3
HANDSHAKES = 5
GIVE_UP_AFTER = 72 * 3600 * SECOND
MOST_DEAD = 1_000  # a receiver that refuses so many events does not want them
MOST_WAITING = 100_000  # events; who is so far behind must fetch the records anew


class Result(Enum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Reply:
    result: Result
    words: str = ""
    wait: float = 0.0  # seconds the receiver asked us to wait


class Postman:
    """`guard`: where may be sent to; `base`: our own FHIR address."""

    def __init__(self, board: Board, base: str, guard: outside.Guard) -> None:
        self._board = board
        self._ledger = board.ledger
        self._base = base
        self._guard = guard
        self._news = threading.Condition()
        self._busy: set[str] = set()

    def step(self) -> bool:
        """Set going what is due, and come back at once; True while something is under way."""
        sent, numbered = self._ledger.all_sent(), self._ledger.all_numbered()
        again = self._ledger.asked_again()
        now = clock.now()
        for one in self._board.all().values():
            own = sent.get(one.id, Sent())
            waiting = numbered[one.id].events - own.sent if one.id in numbered else 0
            if _is_due(one, own, waiting, now) or (one.id in again and one.live):
                self._start(one.id)
        with self._news:
            return bool(self._busy)

    def rest(self, timeout: float) -> None:
        """Wait a moment for something that is under way."""
        with self._news:
            if self._busy:
                self._news.wait(timeout)

    def _start(self, id: str) -> None:
        with self._news:
            if id in self._busy or len(self._busy) >= MOST_AT_ONCE:
                return
            self._busy.add(id)
        threading.Thread(target=self._work, args=(id,), name=f"send-{id}", daemon=True).start()

    def _work(self, id: str) -> None:
        try:
            one = self._board.look(id)  # as it is now, whatever the board of this process says
            if one is not None:
                Turn(self, one).take()
        except Exception:  # the others go on, and so will this one after a pause
            log.exception("subscription %s failed", id)
            self._pause_after_accident(id)
        finally:
            with self._news:
                self._busy.discard(id)
                self._news.notify_all()

    def _pause_after_accident(self, id: str) -> None:
        try:
            now = clock.now()
            own = self._ledger.sent(id)
            own = replace(own, next=now + int(LONGEST_PAUSE * SECOND), error="failure on our side")
            self._ledger.keep(own.keep(id))
        except Exception:
            log.exception("subscription %s cannot be put off", id)

    # -- for a turn ------------------------------------------------------------------------

    def post(self, wish: Wish, notice: Notice) -> Reply:
        """Send one request to the endpoint and understand the answer."""
        try:
            url = wish.endpoint.rstrip("/") + notice.path if notice.path else wish.endpoint
            place = outside.check(url, self._guard)
        except Unavailable as error:
            return Reply(Result.FAILED, error.message)
        except SokhoeError as error:
            return Reply(Result.GONE, f"{error.message} {error.hint}".strip())
        headers = list(wish.headers)
        if notice.body:
            headers.append(("Content-Type", notices.JSON))
        try:
            with (
                outside.client(place, wish.timeout) as client,
                client.stream(
                    notice.method,
                    place.url,
                    headers=headers,
                    content=notice.body,
                    extensions={"sni_hostname": place.name},
                ) as answer,
            ):
                return _understood(answer)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Reply(Result.FAILED, f"{type(error).__name__}: {error}"[:300])


class Turn:
    """One Subscription's thread, from the first to the last thing it has to do now."""

    def __init__(self, postman: Postman, one: Subscribed) -> None:
        self._board, self._ledger = postman._board, postman._ledger
        self._base, self._post = postman._base, postman.post
        self.one = one
        self.sent = self._ledger.sent(one.id)

    def take(self) -> None:
        one = self.one
        wish = one.wish
        again = one.id in self._ledger.asked_again()
        # looked at once more: who started this turn may have seen what was before the last one
        if one.state is State.OFF or (self.sent.next > clock.now() and not again):
            return
        if wish is None:
            self._end(one.fault)
            return
        subscriber = self._board.subscriber(one)
        if subscriber is None or not subscriber.may(Deed.READ, wish.type):
            self._end(f"The client may not read {wish.type}.")
        elif wish.end is not None and wish.end <= clock.now():
            self._end("The Subscription has come to its end.")
        elif one.state is State.REQUESTED:
            self._activate(wish)
        elif wish.channel is Channel.REST:
            if again:
                self._dead_again(wish)
            self._deliver(wish)

    # -- from requested to active ----------------------------------------------------------

    def _activate(self, wish: Wish) -> None:
        reply = self._handshake(wish)
        if reply.result is Result.DELIVERED:
            self._save(Sent(self.sent.sent, last=clock.now()))
            self._board.set_state(self.one, State.ACTIVE)
            return
        tries = self.sent.tries + 1
        if reply.result is Result.GONE or tries >= HANDSHAKES:
            self._end(f"The handshake failed: {reply.words}")
        else:
            self._put_off(reply)

    def _handshake(self, wish: Wish) -> Reply:
        if wish.channel is Channel.WEBSOCKET:
            return Reply(Result.DELIVERED)
        if wish.topic:
            total = self._ledger.numbered(self.one.id).events
            bundle = notification(self._base, self.one, wish, Kind.HANDSHAKE, total)
            return self._post(wish, notices.of_topic(bundle))
        return Reply(Result.DELIVERED)

    # -- events ----------------------------------------------------------------------------

    def _deliver(self, wish: Wish) -> None:
        for _ in range(TURN):
            total = self._ledger.numbered(self.one.id).events
            if total - self.sent.sent > MOST_WAITING:
                self._end("The receiver is too far behind; it must fetch the records anew.")
                return
            if total <= self.sent.sent:
                self._heartbeat(wish, total)
                return
            first = self.sent.sent + 1
            events = self._ledger.events(self.one.id, first, first + wish.most - 1)
            if not self._send(wish, events, total):
                return

    def _send(self, wish: Wish, events: Sequence[Event], total: int) -> bool:
        """True when the next ones may follow."""
        reply = self._tell(wish, events, total)
        last = events[-1].number
        if reply.result is Result.DELIVERED:
            self._delivered(last)
            return True
        if reply.result is Result.GONE:
            self._end(reply.words)
            return False
        if reply.result is Result.REFUSED and self.sent.tries + 1 >= REFUSALS:
            return self._put_aside(events, reply)
        self._put_off(reply)
        return False

    def _tell(self, wish: Wish, events: Sequence[Event], total: int) -> Reply:
        """Send these events as far as the subscriber may see them at this moment."""
        subscriber = self._board.subscriber(self.one)
        if subscriber is None:
            return Reply(Result.GONE, "The client is no longer registered.")
        told = subscriber.tell([one.name for one in events], f"Subscription/{self.one.id}")
        versions = {(one.type, one.id, one.version): one for one in told}
        shown = [one for one in events if one.name in versions]
        if not shown:
            return Reply(Result.DELIVERED)
        return self._post(wish, self._notice(wish, shown, versions, total))

    def _notice(
        self,
        wish: Wish,
        events: Sequence[Event],
        versions: dict[tuple[str, str, int], Version],
        total: int,
    ) -> Notice:
        if not wish.topic:
            return notices.plain(wish, versions[events[0].name])
        bundle = notification(self._base, self.one, wish, Kind.EVENTS, total, events, versions)
        return notices.of_topic(bundle)

    def _heartbeat(self, wish: Wish, total: int) -> None:
        if not wish.topic or not _heart_is_due(wish, self.sent, clock.now()):
            return
        bundle = notification(self._base, self.one, wish, Kind.HEARTBEAT, total)
        reply = self._post(wish, notices.of_topic(bundle))
        if reply.result is Result.DELIVERED:
            self._delivered(self.sent.sent)
        elif reply.result is Result.GONE:
            self._end(reply.words)
        else:
            self._put_off(reply)

    # -- what became of it -----------------------------------------------------------------

    def _delivered(self, last: int) -> None:
        before, self.sent = self.sent, Sent(last, last=clock.now())
        self._ledger.delivered(self.one.id, before, self.sent)
        if self.one.state is State.ERROR:
            self._state(State.ACTIVE)

    def _put_off(self, reply: Reply) -> None:
        """Try again later; say so in the status when it goes on, and stop after three days."""
        now = clock.now()
        tries = self.sent.tries + 1
        since = self.sent.since or now
        pause = max(pause_before(tries + 1), min(reply.wait, LONGEST_PAUSE))
        self._save(
            replace(
                self.sent,
                tries=tries,
                next=now + int(pause * SECOND),
                since=since,
                error=reply.words,
            )
        )
        if now - since > GIVE_UP_AFTER:
            self._end(f"Given up after three days: {reply.words}")
        elif tries >= TRIES_UNTIL_ERROR and self.one.state is State.ACTIVE:
            self._state(State.ERROR, reply.words)

    def _put_aside(self, events: Sequence[Event], reply: Reply) -> bool:
        """Keep what the receiver will not take as dead letters, and go on with the next."""
        letters = [DeadLetter(self.one.id, event, reply.words) for event in events]
        self.sent = replace(self.sent, sent=events[-1].number, tries=0, next=0, since=0)
        self._ledger.keep(self.sent.keep(self.one.id), *(one.keep() for one in letters))
        log.warning("subscription %s: %d events refused", self.one.id, len(letters))
        if len(self._ledger.dead(self.one.id)) > MOST_DEAD:
            self._end(f"The receiver refuses too much: {reply.words}")
            return False
        return True

    def _dead_again(self, wish: Wish) -> None:
        """Somebody asked for the dead letters: each once more; what is refused stays dead."""
        self._ledger.keep(asked(self.one.id))
        self.sent = replace(self.sent, next=0)
        total = self._ledger.numbered(self.one.id).events
        for letter in self._ledger.dead(self.one.id):
            reply = self._tell(wish, [letter.event], total)
            if reply.result is not Result.DELIVERED:
                return
            self._ledger.keep(letter.gone())

    def _save(self, sent: Sent) -> None:
        self.sent = sent
        self._ledger.keep(sent.keep(self.one.id))

    def _state(self, state: State, error: str = "") -> None:
        self.one = self._board.set_state(self.one, state, error) or self.one

    def _end(self, words: str) -> None:
        log.warning("subscription %s is off: %s", self.one.id, words)
        self._save(replace(self.sent, tries=0, next=0, since=0, error=words))
        self._state(State.OFF, words)


def _is_due(one: Subscribed, own: Sent, waiting: int, now: int) -> bool:
    if one.state is State.OFF or own.next > now:
        return False
    wish = one.wish
    if wish is None or one.state is State.REQUESTED:
        return True
    if wish.end is not None and wish.end <= now:
        return True
    if wish.channel is not Channel.REST:
        return False
    return waiting > 0 or _heart_is_due(wish, own, now)


def _heart_is_due(wish: Wish, own: Sent, now: int) -> bool:
    return wish.heartbeat > 0 and now - own.last >= wish.heartbeat * SECOND


def pause_before(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before this attempt (the second is the first one after a pause): twice as long each
    time, and between three quarters and five quarters of that by chance, so that receivers which
    failed together are not asked together."""
    pause = min(FIRST_PAUSE * 2.0 ** min(attempt - 2, 20), LONGEST_PAUSE)
    return pause * (0.75 + chance() / 2)


def _understood(answer: httpx.Response) -> Reply:
    status = answer.status_code
    words = f"The receiver answered {status}."
    if 200 <= status < 300:
        return Reply(Result.DELIVERED)
    if status == 410:
        return Reply(Result.GONE, words)
    if 300 <= status < 500 and status not in {408, 423, 425, 429}:
        return Reply(Result.REFUSED, words)
    wait = answer.headers.get("retry-after", "")
    return Reply(Result.FAILED, words, float(wait) if wait.isdigit() else 0.0)

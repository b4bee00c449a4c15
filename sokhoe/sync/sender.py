"""The station's postman: brings what was saved here to the hub, in order, for as long as it takes.

A step is one question or one page. What the hub has stored is whatever it says it has: each answer
carries the last number and hash it holds, and the next page begins behind it. So nothing has to
survive here but the records themselves: not a session, not a cursor, not the process. A hub that
fell back to a backup says a lower number, and gets again what it lacks.

An answer counts only if its hash is that of our own commit of this number. What answers on a bad
line is not always the hub: the sign-in page of a Wi-Fi must not pass for "stored".

Line, clock and chance are given from outside, so a simulator drives the same code.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import msgspec

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Invalid
from sokhoe.store import Commit, Store
from sokhoe.sync.enrol import enrolment_of
from sokhoe.sync.keys import NodeKey
from sokhoe.sync.line import LineMemory, LineState, never_cut, with_arrival
from sokhoe.sync.pace import LONGEST_WAIT, PageSize, idle_after, wait_after
from sokhoe.sync.wire import MEDIA, PROTOCOL, START, Head, pack
from sokhoe.web import key

log = logging.getLogger("sokhoe.sync")
PUSH, STATE = "/sync/v1/push", "/sync/v1/state"
# One page may have this many commits: it bounds what the hub does for one request.
MOST_COMMITS = 2000
SECOND = 1_000_000

NOT_ENROLLED = key("This station has not been enrolled at the province yet.")
UNREACHABLE = key("The province cannot be reached.")
CUT = key("The line is cut.")
STRANGER = key("Something on the line answers in place of the province.")
BUSY = key("The server of the province is busy.")
UNKNOWN = key("The province does not know this station. It needs a new code.")
CLOSED = key("The province has closed this station's access.")
STOPPED = key("The province holds another history of this station and has stopped its mail.")
RESTORED = key("This station was restored from a backup. It needs a new code from the province.")
AHEAD = key("The province holds more of this station than the station itself: call support.")
OLD = key("The programs of station and province are too far apart: one needs an upgrade.")
REFUSED = key("The province refuses what this station sends: call support.")
BY_SLUG = {
    "not-signed": UNKNOWN,
    "node-unknown": UNKNOWN,
    "node-revoked": CLOSED,
    "node-fenced": STOPPED,
    "fork": STOPPED,
    "epoch": RESTORED,
    "protocol": OLD,
}


class NoMail(Exception):
    """Nothing went through this time; says why, in a sentence for the page."""

    def __init__(self, note: str, detail: str = "") -> None:
        super().__init__(detail or note)
        self.note = note


@dataclass(frozen=True, slots=True)
class Ack:
    """The hub's answer, as far as the station needs it."""

    seq: int
    hash: str
    hub_epoch: str
    at: Instant


class Sender:
    """A follower of the commit log (app.py runs it). `every`: the setting sync_seconds;
    `load_key`: the node's key, asked again until there is one."""

    name = "sync"

    def __init__(
        self,
        store: Store,
        memory: LineMemory,
        client: httpx.Client,
        load_key: Callable[[], NodeKey | None],
        *,
        every: float = 5.0,
        is_cut: Callable[[], bool] = never_cut,
        pages: PageSize = PageSize(),  # noqa: B008  frozen
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._memory = memory
        self.client = client
        self._load_key = load_key
        self._every = every
        self._is_cut = is_cut
        self._chance = chance
        self._key: NodeKey | None = None
        self._pages = pages
        self._failures = 0
        self._asked = False  # has the hub told this process how far it is?
        self._due: Instant = 0
        self._idle_due: Instant = 0
        self._wake = threading.Event()
        self._flight = threading.Lock()

    def send_now(self) -> None:
        """Try at the next step, whatever the waiting time says."""
        self._wake.set()

    def step(self) -> bool:
        """One page or one question, if one is due; True when there is more to send at once."""
        if not self._flight.acquire(blocking=False):
            return False  # a page is on its way already
        try:
            return self._step()
        finally:
            self._flight.release()

    # -- inside ----------------------------------------------------------------------------

    def _step(self) -> bool:
        if self._is_cut():
            # Seen without sending a packet, as a pulled plug is. It is due at once afterwards.
            self._turn(False, CUT)
            self._due = self._idle_due = 0
            return False
        woken = self._wake.is_set()
        self._wake.clear()
        behind = self._store.head() > self._memory.state.reach
        now = clock.now()
        wanted = behind or _is_due(self._idle_due, now)
        if not woken and not (wanted and _is_due(self._due, now)):
            return False
        try:
            ahead = self._page() if behind and self._asked else self._ask()
        except NoMail as trouble:
            self._failed(trouble)
            return False
        self._failures = 0
        now = clock.now()
        self._idle_due = now + int(idle_after(self._every) * SECOND)
        self._due = now if ahead else now + int(self._every * SECOND)
        return ahead

    def _ask(self) -> bool:
        """Ask how far the hub is; True when it lacks something."""
        ack = self._answer("GET", STATE, b"")
        self._take(ack, None)
        self._asked = True
        return self._store.head() > self._memory.state.reach

    def _page(self) -> bool:
        """Send one page; True when more waits behind it."""
        state = self._memory.state
        commits = self._store.commits(state.acked, limit=MOST_COMMITS, max_bytes=self._pages.raw)
        if not commits:
            return False
        last = commits[-1]
        # The true end of the chain may be further; this says where this page stands.
        page = pack(self._store.node, self._store.epoch, commits, Head(last.seq, last.hash))
        started = clock.now()
        try:
            ack = self._answer("POST", PUSH, page.body)
        except NoMail:
            self._pages = self._pages.failed()
            raise
        seconds = max(0, clock.now() - started) / SECOND
        if ack.seq == state.acked:  # the hub never answers so; without this line we would not rest
            raise NoMail(REFUSED, f"no step beyond {ack.seq}")
        self._pages = self._pages.went(seconds, page.raw, len(page.body))
        self._take(ack, last if last.seq == ack.seq else None)
        return self._store.head() > self._memory.state.reach

    def _answer(self, method: str, path: str, body: bytes) -> Ack:
        """Send one signed request. Raises NoMail."""
        headers = self._node_key().headers(self._store.node, method, path, body, clock.now())
        if body:
            headers["Content-Type"] = MEDIA
        try:
            response = self.client.request(method, path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NoMail(UNREACHABLE, f"{type(error).__name__}: {error}") from error
        if response.status_code == 200:
            return _ack(response.content)
        raise _refusal(response)

    def _node_key(self) -> NodeKey:
        if enrolment_of(self._store) is None:
            raise NoMail(NOT_ENROLLED)
        if self._key is None:
            try:
                self._key = self._load_key()
            except Invalid as error:
                raise NoMail(UNKNOWN, error.message) from error
        if self._key is None:
            raise NoMail(UNKNOWN, "the key file is gone")
        return self._key

    def _take(self, ack: Ack, commit: Commit | None) -> None:
        """Believe the hub's answer, if it speaks of our history. Raises NoMail."""
        before = self._memory.state
        reach = self._reach_of(ack, commit, before)
        state = replace(
            before,
            acked=ack.seq,
            hash=ack.hash,
            reach=reach,
            hub_epoch=ack.hub_epoch,
            skew=_skew(before, clock.now() - ack.at),
        )
        if ack.seq > before.acked:
            state = with_arrival(state, ack.seq, clock.now())
        self._memory.set(state.turned(True, "", clock.now()))

    def _reach_of(self, ack: Ack, commit: Commit | None, before: LineState) -> int:
        """The newest version that the hub holds, by our own log."""
        if ack.seq == before.acked and ack.hash == before.hash:
            return before.reach
        if ack.seq == 0 and ack.hash == START.hex():
            return 0
        if commit is None:
            found = self._store.commits(ack.seq - 1, limit=1)
            commit = found[0] if found else None
        if commit is None or commit.seq != ack.seq:
            raise NoMail(AHEAD, f"the hub is at {ack.seq}")
        if commit.hash.hex() != ack.hash:
            raise NoMail(STOPPED, f"number {ack.seq} has another hash at the hub")
        return commit.versions[-1].seq

    def _failed(self, trouble: NoMail) -> None:
        self._failures += 1
        wait = wait_after(self._failures, self._every, self._chance())
        self._due = clock.now() + int(wait * SECOND)
        self._idle_due = self._due
        if trouble.note == UNKNOWN:
            self._key = None  # enrolling anew may have made another
        if trouble.note != self._memory.state.note:
            log.warning("no mail to the province: %s", trouble)
        self._turn(False, trouble.note)

    def _turn(self, up: bool, note: str) -> None:
        self._memory.set(self._memory.state.turned(up, note, clock.now()))


def _is_due(at: Instant, now: Instant) -> bool:
    """Has the time come? A time further off than we ever wait means that the clock was set
    back, perhaps by years: then it has come too."""
    return now >= at or at - now > 2 * LONGEST_WAIT * SECOND


def _skew(before: LineState, difference: int) -> int:
    """Seconds; small wavering (the way of the answer) is no change worth a write."""
    seconds = round(difference / SECOND)
    return before.skew if abs(seconds - before.skew) < 30 else seconds


@dataclass(frozen=True, slots=True)
class _AckSeq:
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class _Answer:
    protocol: tuple[int, int]
    hub_epoch: str
    at: int
    ack: _AckSeq


_read_answer = msgspec.json.Decoder(_Answer)


def _ack(content: bytes) -> Ack:
    try:
        answer = _read_answer.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoMail(STRANGER, str(error)) from None
    if not answer.protocol[0] <= PROTOCOL <= answer.protocol[1]:
        raise NoMail(OLD, f"the hub speaks protocol {answer.protocol}")
    return Ack(answer.ack.seq, answer.ack.hash, answer.hub_epoch, answer.at)


def _refusal(response: httpx.Response) -> NoMail:
    try:
        said: Any = msgspec.json.decode(response.content)
        slug, detail = str(said["error"]), f"{said['error']}: {said['message']}"
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        # No answer of ours: a proxy, a portal, or a hub that is starting.
        return NoMail(
            BUSY if response.status_code >= 500 else STRANGER, f"HTTP {response.status_code}"
        )
    if response.status_code in {429, 500, 503}:
        return NoMail(BUSY, detail)
    return NoMail(BY_SLUG.get(slug, REFUSED), detail)

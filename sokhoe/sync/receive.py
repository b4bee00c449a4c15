"""The hub's letter box: takes pages of commits, each commit exactly once and in order.

For every station the hub keeps one small record, the head: the last number and hash it has stored.
A commit and the step of the head onto it are one transaction, and the step is a compare-and-set.
That one line is what makes the box safe: whether a page comes twice, two come at once, or the power
goes between storing and answering, the second attempt finds the head moved and the commit counts
as a duplicate. The answer leaves only after the transaction is on disk.

Per commit one of:
    accepted      stored as one commit of the hub, in the name of its author
    duplicate     number and hash are known already
    quarantined   it cannot be stored as it is; it is kept whole (quarantine.py), the head moves on

A number that is known with another hash, or a commit that does not follow the head, means that two
histories exist under one name (a restored or copied disk): a fork. The station is fenced.

What arrives is stored as it was sent: no mark is added to a resource (meta.source stays what the
station made it), so its content hash is the same there and here, a signature over it stays good,
and a page sent again after a restore changes nothing. Where a commit came from stands in the audit
(facility, node, number) and in the drawer `received`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid
from sokhoe.store import Commit, Store, seal
from sokhoe.sync import quarantine
from sokhoe.sync.applying import attempt, not_theirs
from sokhoe.sync.heads import NodeHead, commit_key, head_of, is_known, step
from sokhoe.sync.registry import (
    MOST_SKEW,
    Node,
    NodeState,
    Request,
    seen,
    set_state,
    who_asks,
)
from sokhoe.sync.wire import RANGE, Page, unpack
from sokhoe.trust import Gate, Purpose, Session

log = logging.getLogger("sokhoe.sync")
PATIENCE = 5  # attempts at one commit that the store could not write


class Result(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one commit."""

    seq: int
    result: Result
    reason: str = ""


class LetterBox:
    """The hub's end of the protocol. One per process; safe to call from many threads."""

    def __init__(self, gate: Gate, store: Store) -> None:
        self._gate = gate
        self._store = store
        self._refused: dict[str, int] = {}  # commit → how often the store was too busy for it

    def push(self, request: Request) -> dict[str, Any]:
        """`POST /sync/v1/push`: take a page; the answer says how far everything is stored.

        Raises SignIn, Forbidden (who_asks), Invalid (page, chain), Conflict (epoch, fork), and
        Busy or Unavailable when the hub itself cannot write: nothing is lost, send again.
        """
        node, skew = who_asks(self._store, request)
        page = unpack(request.body)
        if page.node != node.id:
            raise Forbidden("A station sends its own mail only.", slug="other-node")
        if page.epoch != node.epoch:
            raise Conflict(
                "This station's history began anew since it was enrolled.",
                hint="It was restored from a backup. Enrol it again with a new code.",
                slug="epoch",
            )
        check_chain(page)
        taken = self._take_all(node, page)
        seen(self._store, node, skew)
        return self._answer(node, skew, taken)

    def state(self, request: Request) -> dict[str, Any]:
        """`GET /sync/v1/state`: the same answer without a page; an idle station asks for it."""
        node, skew = who_asks(self._store, request)
        seen(self._store, node, skew)
        return self._answer(node, skew, ())

    # -- inside ----------------------------------------------------------------------------

    def _answer(self, node: Node, skew: int, taken: Sequence[Taken]) -> dict[str, Any]:
        head = head_of(self._store, node)
        answer: dict[str, Any] = {
            "protocol": RANGE,
            "hub_epoch": self._store.epoch,
            "at": clock.now(),
            "ack": {"seq": head.seq, "hash": head.hash},
            "expected": head.seq + 1,
            # Up to where a copy in another house covers it; nothing is known of one yet.
            "backed_up_seq": 0,
        }
        if abs(skew) > MOST_SKEW:
            answer["may_sign"] = False
        if taken:
            answer["results"] = ranges(taken)
        return answer

    def _take_all(self, node: Node, page: Page) -> list[Taken]:
        session = self._gate.session(node.actor, Purpose.HOPERAT)
        taken: list[Taken] = []
        for commit in page.commits:
            one = self._take(session, node, commit)
            if one is None:  # a gap: `expected` in the answer says what is missing
                break
            taken.append(one)
        return taken

    def _take(self, session: Session, node: Node, commit: Commit) -> Taken | None:
        while True:
            head = head_of(self._store, node)
            if commit.seq > head.seq + 1:
                return None
            if commit.seq <= head.seq:
                if not is_known(self._store, node, commit):
                    raise self._fork(node, commit.seq)
                return Taken(commit.seq, Result.DUPLICATE)
            if commit.prev.hex() != head.hash:
                raise self._fork(node, commit.seq)
            try:
                return self._store_one(session, node, commit, head)
            except Conflict:
                if head_of(self._store, node) == head:
                    raise Busy("The hub could not store this page now.", slug="hub-busy") from None
                # Another push of the same station was faster: look again.

    def _store_one(self, session: Session, node: Node, commit: Commit, head: NodeHead) -> Taken:
        reason = quarantine.behind(self._store, node, commit) if head.held else ""
        reason = reason or not_theirs(self._store, node, commit)
        if not reason:
            reason = self._attempt(session, node, commit, head)
        if not reason:
            return Taken(commit.seq, Result.ACCEPTED)
        fresh = quarantine.not_yet_held(self._store, node, commit)
        self._store.keep(
            *step(node, head, commit, Result.QUARANTINED, held=len(fresh)),
            *quarantine.put_aside(node, commit, reason, fresh),
        )
        quarantine.report(self._store, node, commit, reason)
        return Taken(commit.seq, Result.QUARANTINED, reason)

    def _attempt(self, session: Session, node: Node, commit: Commit, head: NodeHead) -> str:
        """A store that is busy gets the commit again. One commit that it never swallows, although
        it can write (else putting it aside fails as well), must not hold up the rest for ever."""
        key = commit_key(node, commit.seq)
        try:
            reason = attempt(session, commit, step(node, head, commit, Result.ACCEPTED))
        except Busy as error:
            self._refused[key] = self._refused.get(key, 0) + 1
            if self._refused[key] < PATIENCE:
                raise
            reason = f"{error.slug}: {error.message}"
        self._refused.pop(key, None)
        return reason

    def _fork(self, node: Node, seq: int) -> Conflict:
        why = f"two different histories came under one name (at number {seq})"
        set_state(self._store, node.id, NodeState.FENCED, why, by="")
        log.error("node %s (%s) is fenced: %s", node.id, node.name, why)
        return Conflict(
            f"This station's mail is stopped: {why}.",
            hint="Its disk was restored or copied. Nothing is lost; ask the province.",
            slug="fork",
        )


def check_chain(page: Page) -> None:
    """Work out every hash of a page anew, contents included. Raises Invalid at the first that
    differs from what its station says."""
    before: Commit | None = None
    for commit in page.commits:
        linked = before is None or commit.prev == before.hash
        if not linked or seal(commit) != commit.hash:
            raise Invalid(
                f"Commit {commit.seq} of this page is not what its station wrote.",
                hint="Run at the station: sokhoe doctor",
                slug="tampered",
            )
        before = commit


def ranges(taken: Sequence[Taken]) -> list[dict[str, Any]]:
    """What became of each commit; neighbours with the same fate stand together, since a page may
    have thousands: `{"from": 7, "to": 900, "result": "accepted"}`."""
    out: list[dict[str, Any]] = []
    for one in taken:
        fate = {"result": str(one.result), **({"reason": one.reason} if one.reason else {})}
        if out and {**out[-1], "from": 0, "to": 0} == {"from": 0, "to": 0, **fate}:
            out[-1]["to"] = one.seq
        else:
            out.append({"from": one.seq, "to": one.seq, **fate})
    return out

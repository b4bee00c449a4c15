"""Commits that the hub could not store: kept whole, with the reason, without stopping the rest.

What comes later and touches one of the same resources waits behind them, in order, since it was
written on top of them; everything else goes by. When the cause is gone (the hub was upgraded, a
rule was put right), `release` stores them in order as if they had just come.

    quarantine   node/epoch/number → {commit, reason, at, refs}
    held         node/Type/id      → number of the first commit in quarantine that touches it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Conflict
from sokhoe.store import Commit, Keep, Store
from sokhoe.sync.applying import attempt, not_theirs
from sokhoe.sync.heads import commit_key, head_of, moved
from sokhoe.sync.registry import Node, note
from sokhoe.sync.wire import commit_from_text, commit_text
from sokhoe.trust import Gate, Purpose, Session

KIND, HELD = "quarantine", "held"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One commit in quarantine, without its contents."""

    key: str
    seq: int
    reason: str
    at: Instant
    refs: tuple[str, ...]


def refs_of(commit: Commit) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.ref for one in commit.versions))


def behind(store: Store, node: Node, commit: Commit) -> str:
    """ "", or behind which commit in quarantine this one has to wait."""
    for ref in refs_of(commit):
        first = store.kept(HELD, _held_key(node, ref))
        if first is not None:
            return f"behind: {ref} waits for number {first}"
    return ""


def not_yet_held(store: Store, node: Node, commit: Commit) -> tuple[str, ...]:
    """Resources of this commit that nothing in quarantine has touched so far."""
    return tuple(ref for ref in refs_of(commit) if store.kept(HELD, _held_key(node, ref)) is None)


def put_aside(node: Node, commit: Commit, reason: str, fresh: Sequence[str]) -> list[Keep]:
    """What puts a commit into quarantine; goes into one transaction with the head's step."""
    value = {
        "commit": commit_text(commit),
        "reason": reason,
        "at": clock.now(),
        "refs": list(refs_of(commit)),
    }
    return [
        Keep(KIND, commit_key(node, commit.seq), value),
        *(Keep(HELD, _held_key(node, ref), commit.seq) for ref in fresh),
    ]


def report(store: Store, node: Node, commit: Commit, reason: str) -> None:
    """An audit line for a commit that went into quarantine (its reason may name a value: no)."""
    slug = reason.partition(":")[0]
    note(store, node, f"sync number {commit.seq} quarantined: {slug}", outcome="8")


def waiting(store: Store, node: Node) -> list[Quarantined]:
    """What lies in quarantine of this station, in the order in which it came."""
    prefix = f"{node.id}/{node.epoch}/"
    return [
        Quarantined(key, int(key.rpartition("/")[2]), one["reason"], one["at"], tuple(one["refs"]))
        for key, one in sorted(store.all_kept(KIND).items())
        if key.startswith(prefix)
    ]


def release(gate: Gate, store: Store, node: Node) -> tuple[int, int]:
    """Try everything in this station's quarantine once more, in order.

    Returns how many were stored and how many stay. Each is one transaction with its removal from
    quarantine, so that stopping half way leaves nothing twice.
    """
    session = gate.session(node.actor, Purpose.HOPERAT)
    lying = waiting(store, node)
    stored = sum([_release(session, store, node, one) for one in lying])
    if stored:
        note(store, node, f"sync released {stored} from quarantine")
    return stored, len(lying) - stored


def _release(session: Session, store: Store, node: Node, one: Quarantined) -> bool:
    while True:
        # Read before all else and changed with the rest: when a page of this station arrives in
        # between, or another release, everything is looked at again.
        head = head_of(store, node)
        value = store.kept(KIND, one.key)
        first = all(store.kept(HELD, _held_key(node, ref)) == one.seq for ref in one.refs)
        if value is None or not first:
            return False
        commit = commit_from_text(node.id, value["commit"])
        if not_theirs(store, node, commit):
            return False
        later = [each for each in waiting(store, node) if each.seq > one.seq]
        following = {
            ref: next((each.seq for each in later if ref in each.refs), None) for ref in one.refs
        }
        free = sum(1 for next_one in following.values() if next_one is None)
        changed = replace(head, held=head.held - free, quarantined=head.quarantined - 1)
        steps = [
            Keep(KIND, one.key, None, expected=value),
            moved(node, head, changed),
            *(Keep(HELD, _held_key(node, ref), seq) for ref, seq in following.items()),
        ]
        try:
            return not attempt(session, commit, steps)
        except Conflict:
            if head_of(store, node) == head and store.kept(KIND, one.key) == value:
                raise


def _held_key(node: Node, ref: str) -> str:
    return f"{node.id}/{ref}"

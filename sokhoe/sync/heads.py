"""How far each station's history is stored at the hub: one small record per station.

The head is the last number and hash that the hub has stored of a station. It moves by
compare-and-set in the same transaction that stores the commit, which is what makes every commit
take effect exactly once (receive.py).

    mail-head   node/epoch          → NodeHead
    received    node/epoch/number   → {hash, at, result}: to know a commit again, and a fork
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.store import Commit, Keep, Store
from sokhoe.sync.registry import Node
from sokhoe.sync.wire import START

HEADS, RECEIVED = "mail-head", "received"


@dataclass(frozen=True, slots=True)
class NodeHead:
    """How far a station's history is stored; `at`: when it last moved (0: never); `held`:
    resources that wait behind something in quarantine; `quarantined`: commits that lie there."""

    epoch: str
    seq: int
    hash: str
    at: Instant = 0
    held: int = 0
    quarantined: int = 0
    # As it lies in the drawer, to compare with: another release may have kept other fields.
    kept: Any = field(default=None, compare=False, repr=False)


def head_of(hub: Store, node: Node) -> NodeHead:
    """How far this station's history is stored at this hub."""
    kept = hub.kept(HEADS, _key(node))
    return NodeHead(**kept, kept=kept) if kept else NodeHead(node.epoch, 0, START.hex())


def moved(node: Node, standing: NodeHead, new: NodeHead) -> Keep:
    """The step from one head to the next; Conflict if somebody else moved it meanwhile."""
    value = {name: one for name, one in asdict(new).items() if name != "kept"}
    return Keep(HEADS, _key(node), value, expected=standing.kept)


def step(
    node: Node, standing: NodeHead, commit: Commit, result: str, *, held: int = 0
) -> list[Keep]:
    """The step onto a commit: goes into the transaction that stores it, or puts it aside."""
    aside = result != "accepted"
    new = replace(
        standing,
        seq=commit.seq,
        hash=commit.hash.hex(),
        at=clock.now(),
        held=standing.held + held,
        quarantined=standing.quarantined + aside,
    )
    line = {"hash": commit.hash.hex(), "at": commit.at, "result": result}
    return [moved(node, standing, new), Keep(RECEIVED, commit_key(node, commit.seq), line)]


def is_known(hub: Store, node: Node, commit: Commit) -> bool:
    """Was exactly this commit stored under its number?"""
    known = hub.kept(RECEIVED, commit_key(node, commit.seq))
    return known is not None and known["hash"] == commit.hash.hex()


def commit_key(node: Node, seq: int) -> str:
    """Sorts as the numbers do."""
    return f"{node.id}/{node.epoch}/{seq:012d}"


def _key(node: Node) -> str:
    return f"{node.id}/{node.epoch}"

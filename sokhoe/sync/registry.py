"""The hub's list of stations: which key belongs to which facility, and whether it may still send.

Kept in the drawer `node`. A station is active, closed by an operator (its server was stolen or
replaced), or fenced by the hub itself because two different histories came under one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Forbidden, NotFound, SignIn
from sokhoe.store import Entry, Keep, Store
from sokhoe.sync.keys import read_signed, signature_fits
from sokhoe.trust import Actor, Purpose, Role

NODES = "node"
SEEN = "node-seen"
MINUTE = 60_000_000
# Beyond this nothing may be signed at the station, since the time would stand in the signature.
# Care and sending go on: a wrong clock is no reason to turn anybody away.
MOST_SKEW = 24 * 60 * MINUTE


class NodeState(StrEnum):
    ACTIVE = "active"
    REVOKED = "revoked"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Node:
    """A station as the hub knows it. `facility` is its reference (`Organization/…`), `key` the
    public key, `epoch` the incarnation of its log; `why` says what closed or fenced it."""

    id: str
    facility: str
    name: str
    key: str
    epoch: str
    since: Instant
    state: NodeState = NodeState.ACTIVE
    why: str = ""

    def kept(self, expected: object = ...) -> Keep:
        return Keep(NODES, self.id, {**asdict(self), "state": str(self.state)}, expected)

    @property
    def actor(self) -> Actor:
        """Who stands in the audit for what this station sends: the facility, by its name."""
        return Actor(
            id=f"Device/{self.id}",
            name=self.name,
            role=Role.MACHINE,
            place=self.facility,
            place_name=self.name,
            room="sync",
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What a station asked: the parts of it that are signed, and from where it came."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    address: str = ""


def node_of(store: Store, id: str) -> Node | None:
    kept = store.kept(NODES, id)
    return Node(**{**kept, "state": NodeState(kept["state"])}) if kept else None


def nodes(store: Store) -> list[Node]:
    """All stations, by the name of their facility."""
    found = (node_of(store, id) for id in store.all_kept(NODES))
    return sorted((one for one in found if one), key=lambda one: (one.name, one.since))


def who_asks(store: Store, request: Request) -> tuple[Node, int]:
    """The station that signed this request, and how far its clock is ahead (microseconds).

    Raises SignIn (unsigned, unknown, wrong signature) and Forbidden (closed, fenced). A time that
    is far off is no refusal: a page sent twice takes effect once, so an old one does no harm.
    """
    signed = read_signed(request.headers)
    node = node_of(store, signed.node)
    if node is None or not signature_fits(
        node.key, signed, request.method, request.path, request.body
    ):
        raise SignIn(
            "The province does not know this station or its signature.",
            hint="Enrol the station again with a new code from the province.",
            slug="node-unknown",
        )
    if node.state is NodeState.REVOKED:
        raise Forbidden(
            "The province has closed this station's access.",
            hint="Ask the province; a new code opens it again.",
            slug="node-revoked",
        )
    if node.state is NodeState.FENCED:
        raise Forbidden(
            f"This station's mail is stopped: {node.why}",
            hint="Nothing is lost. Ask the province to compare both histories.",
            slug="node-fenced",
        )
    return node, signed.at - clock.now()


def seen(store: Store, node: Node, skew: int) -> None:
    """Note that this station was heard, at most once a minute (each note is an fsync)."""
    standing = store.kept(SEEN, node.id)
    now = clock.now()
    fresh = standing is not None and 0 <= now - standing["at"] < MINUTE
    if fresh and abs(standing["skew"] - skew) < MINUTE:
        return
    store.keep(Keep(SEEN, node.id, {"at": now, "skew": skew}))


def set_state(
    store: Store, id: str, state: NodeState, why: str, by: str, by_name: str = ""
) -> Node:
    """Close, fence or reopen a station; effective with its next request. Raises NotFound."""
    node = node_of(store, id)
    if node is None:
        raise NotFound(f"There is no station {id}.", slug="no-node")
    changed = replace(node, state=state, why=why)
    store.keep(changed.kept())
    note(store, changed, f"sync node {state}: {why}", by=by, by_name=by_name, outcome="4")
    return changed


def revoke(store: Store, id: str, why: str, by: str, by_name: str = "") -> Node:
    """Close a station's access (stolen, replaced). A new code enrols it again."""
    return set_state(store, id, NodeState.REVOKED, why, by, by_name)


def note(
    store: Store, node: Node, what: str, *, by: str = "", by_name: str = "", outcome: str = "0"
) -> None:
    """A line in the audit about a station itself."""
    store.record(
        Entry(
            at=clock.now(),
            actor=by or node.actor.id,
            name=by_name or node.name,
            role=str(Role.OPERATOR if by else Role.MACHINE),
            place=node.facility,
            purpose=str(Purpose.HSYSADMIN),
            action="E",
            what=(node.actor.id,),
            outcome=outcome,
            note=what,
        )
    )

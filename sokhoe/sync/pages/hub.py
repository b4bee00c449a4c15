"""/sync/stations at the hub: which stations send, which are silent, and what lies in quarantine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import NotFound
from sokhoe.store import Store
from sokhoe.sync import quarantine
from sokhoe.sync.enrol import LIFE_MINUTES, make_code
from sokhoe.sync.heads import NodeHead, head_of
from sokhoe.sync.registry import SEEN, Node, NodeState, node_of, nodes, revoke
from sokhoe.trust import Role
from sokhoe.web import Ask, page

PATH = "/sync/stations"
ROLES = frozenset({Role.OPERATOR, Role.STATISTICIAN, Role.AUDITOR})
OPERATOR = frozenset({Role.OPERATOR})
SILENT: Instant = 24 * 3600 * 1_000_000
ODD_CLOCK: Instant = 120 * 1_000_000
MOST_FACILITIES = "1000"


@dataclass(frozen=True, slots=True)
class Row:
    """One station as the page shows it; times 0: never; `fast_minutes` its clock against ours."""

    node: Node
    head: NodeHead
    heard: Instant
    fast_minutes: int
    kind: str  # of badge


def routes(store: Store) -> list[Route]:
    """The routes of these pages at a hub."""
    return [
        page(PATH, _with(show, store), roles=ROLES),
        page(f"{PATH}/code", _with(code, store), methods=("POST",), roles=OPERATOR),
        page(f"{PATH}/close", _with(close, store), methods=("POST",), roles=OPERATOR),
        page(f"{PATH}/release", _with(release, store), methods=("POST",), roles=OPERATOR),
    ]


def _with(handler: Callable[[Ask, Store], Response], store: Store) -> Callable[[Ask], Response]:
    return lambda ask: handler(ask, store)


def rows(store: Store) -> list[Row]:
    """All stations, those that need a look first."""
    seen = store.all_kept(SEEN)
    found = []
    for node in nodes(store):
        heard = seen.get(node.id, {"at": 0, "skew": 0})
        fast = heard["skew"] // 60_000_000 if abs(heard["skew"]) > ODD_CLOCK else 0
        head = head_of(store, node)
        found.append(Row(node, head, heard["at"], fast, _kind(node, head, heard["at"])))
    order = ["danger", "warning", "waiting", "good", ""]
    return sorted(found, key=lambda row: (order.index(row.kind), row.node.name))


def _kind(node: Node, head: NodeHead, heard: Instant) -> str:
    if node.state is NodeState.FENCED:
        return "danger"
    if node.state is NodeState.REVOKED:
        return ""
    if not heard:
        return "waiting"
    return "warning" if head.quarantined or clock.now() - heard > SILENT else "good"


def show(
    ask: Ask, store: Store, new_code: str = "", facility: str = "", said: str = ""
) -> Response:
    """GET /sync/stations"""
    may_act = ask.actor.role in OPERATOR
    facilities: list[tuple[str, str]] = []
    if may_act:
        page_of = ask.session.search(
            "Organization", [("_sort", "name"), ("_count", MOST_FACILITIES)]
        )
        facilities = [(one.ref, str(one.resource.get("name", one.id))) for one in page_of.versions]
    table = rows(store)
    return ask.render(
        "sync/hub.html",
        rows=table,
        active=[
            (row.node.id, f"{row.node.name} · {row.node.id[:8]}")
            for row in table
            if row.node.state is NodeState.ACTIVE
        ],
        may_act=may_act,
        may_release=may_act and any(row.head.quarantined for row in table),
        facilities=facilities,
        facility=facility,
        facility_name=dict(facilities).get(facility, ""),
        new_code=new_code,
        minutes=LIFE_MINUTES,
        said=said,
    )


def code(ask: Ask, store: Store) -> Response:
    """POST /sync/stations/code: a one-time code, shown this once."""
    facility = ask.field("facility")
    return show(ask, store, make_code(store, facility, ask.actor.id), facility)


def close(ask: Ask, store: Store) -> Response:
    """POST /sync/stations/close: end a station's access (stolen, replaced)."""
    why = ask.field("why")[:200] or ask.t("closed by the operator")
    revoke(store, _node(ask, store).id, why, ask.actor.id, ask.actor.name)
    return ask.go(PATH)


def release(ask: Ask, store: Store) -> Response:
    """POST /sync/stations/release: try a station's quarantine once more."""
    stored, left = quarantine.release(ask.site.gate, store, _node(ask, store))
    said = ask.t("Stored now: {stored}. Still in quarantine: {left}.", stored=stored, left=left)
    return show(ask, store, said=said)


def _node(ask: Ask, store: Store) -> Node:
    node = node_of(store, ask.field("node"))
    if node is None:
        raise NotFound("There is no such station.", slug="no-node")
    return node

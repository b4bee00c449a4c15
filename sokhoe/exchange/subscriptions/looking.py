"""For the subscriber: where his Subscription stands, and events once more."""

from __future__ import annotations

from typing import Any

from sokhoe.exchange.subscriptions.board import Board, Subscribed
from sokhoe.exchange.subscriptions.notices import Kind, notification, status_parameters
from sokhoe.exchange.subscriptions.wishes import Content
from sokhoe.trust import Session


def status_of(board: Board, base: str, one: Subscribed, kind: Kind) -> dict[str, Any]:
    """The status Parameters; `one.wish` must be there."""
    assert one.wish is not None
    total = board.ledger.numbered(one.id).events
    error = board.ledger.sent(one.id).error
    return status_parameters(base, one, one.wish, kind, total, error=error)


def events_again(
    board: Board,
    session: Session,
    base: str,
    one: Subscribed,
    first: int,
    last: int,
    content: Content | None = None,
    kind: Kind = Kind.QUERY_EVENTS,
) -> dict[str, Any]:
    """A notification Bundle of these events, as far as they are kept and the session may see
    them. `content`: more or less than the Subscription says; never more than reading shows."""
    assert one.wish is not None
    total = board.ledger.numbered(one.id).events
    last = min(last, total)
    events = board.ledger.events(one.id, first, last) if first <= last else []
    told = session.tell([event.name for event in events], f"Subscription/{one.id}")
    versions = {(version.type, version.id, version.version): version for version in told}
    shown = [event for event in events if event.name in versions]
    return notification(base, one, one.wish, kind, total, shown, versions, content)

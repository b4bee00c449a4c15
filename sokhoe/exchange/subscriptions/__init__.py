"""Subscriptions: foreign software is told of changes instead of asking again and again.

    feed ──watcher──→ events (kept) ──postman──→ rest-hook of each receiver
                                    └─websocket─→ whoever listens

The watcher is a follower of the feed; the postman sends what it noted. docs/subscriptions.md
"""

from __future__ import annotations

from sokhoe.exchange.subscriptions.board import Board, State, Subscribed
from sokhoe.exchange.subscriptions.care import Overview, overview, send_again
from sokhoe.exchange.subscriptions.listening import routes
from sokhoe.exchange.subscriptions.looking import events_again, status_of
from sokhoe.exchange.subscriptions.notices import Kind
from sokhoe.exchange.subscriptions.posting import Postman
from sokhoe.exchange.subscriptions.watching import FOLLOWER, Watcher
from sokhoe.trust import outside
from sokhoe.web import Site

__all__ = [
    "FOLLOWER",
    "Board",
    "Kind",
    "Overview",
    "State",
    "Subscribed",
    "Subscriptions",
    "events_again",
    "overview",
    "routes",
    "send_again",
    "status_of",
]
MOMENT = 0.05  # seconds to wait for deliveries under way before the feed is looked at again


class Subscriptions:
    """The follower: watches, and keeps the postman going."""

    name = FOLLOWER

    def __init__(self, site: Site, look_up: outside.Resolve = outside.resolve) -> None:
        self.board = Board(site.gate)
        self._watcher = Watcher(self.board)
        hosts = outside.listed(site.settings.subscription_hosts)
        if site.settings.is_demo:
            hosts |= outside.THIS_MACHINE
        guard = outside.Guard(hosts, "subscription_hosts", "Subscription.channel.endpoint", look_up)
        self._postman = Postman(self.board, f"{site.settings.url}/fhir", guard)

    def step(self) -> bool:
        more = self._watcher.step()
        under_way = self._postman.step()
        if under_way and not more:
            self._postman.rest(MOMENT)
        return more or under_way

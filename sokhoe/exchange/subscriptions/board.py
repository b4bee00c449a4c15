"""The Subscriptions there are at this moment, understood, in memory: for the watcher, the postman
and the websockets of this process.

A Subscription's status is ours to say. What a client writes into it counts as a request: only the
version that we wrote ourselves (`exchange.granted`) is taken at its word.

    requested ──handshake──→ active ⇄ error      delivery fails, and is tried again
        ↑  └─refused─→ off ←──────────┘          for three days, or the client may no longer
        └──the client, or `sokhoe subscriptions --resend`
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe.errors import Gone, NotFound, SokhoeError
from sokhoe.exchange.subscriptions.ledger import Ledger, granted
from sokhoe.exchange.subscriptions.wishes import Wish, read_wish
from sokhoe.trust import Gate, Put, Session, Version


class State(StrEnum):
    REQUESTED = "requested"
    ACTIVE = "active"
    ERROR = "error"
    OFF = "off"


LIVE = frozenset({State.ACTIVE, State.ERROR})


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A Subscription of this moment. `wish` None: it cannot be served, `fault` says why.
    `owner`: reference of the client that wrote it, under whose permits everything is sent."""

    id: str
    version: int
    state: State
    owner: str
    wish: Wish | None
    fault: str = ""

    @property
    def live(self) -> bool:
        return self.state in LIVE and self.wish is not None


class Board:
    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.session = gate.machine("exchange")
        self.ledger = Ledger(self.session)
        self._lock = threading.Lock()
        self._all: dict[str, Subscribed] | None = None

    def all(self) -> dict[str, Subscribed]:
        """By id; read from the records at the first call."""
        with self._lock:
            if self._all is None:
                self._all = {one.id: one for one in map(self._understood, self._every())}
            return dict(self._all)

    def refresh(self, id: str) -> Subscribed | None:
        """Look at one again; None when it is no longer there."""
        self.all()
        found = self.look(id)
        with self._lock:
            assert self._all is not None
            if found is None:
                self._all.pop(id, None)
            else:
                self._all[id] = found
        return found

    def look(self, id: str) -> Subscribed | None:
        try:
            return self._understood(self.session.read("Subscription", id))
        except (NotFound, Gone):
            return None

    def subscriber(self, one: Subscribed) -> Session | None:
        """The client's session with what it is granted now."""
        return self.gate.software(one.owner)

    def set_state(self, one: Subscribed, state: State, error: str = "") -> Subscribed | None:
        """Write a status into the Subscription; nothing if it was written meanwhile."""
        try:
            version = self.session.read("Subscription", one.id)
        except (NotFound, Gone):
            return self.refresh(one.id)
        if version.version == one.version:
            resource = version.resource
            new = {**resource, "status": str(state)}
            new.pop("error", None)
            if error:
                new["error"] = error[:1000]
            try:
                self._write(one, resource, new, version.version)
            except SokhoeError as problem:  # the client was faster, or it cannot be written at all
                if problem.status != 409 and problem.status != 412:
                    raise
        return self.refresh(one.id)

    def ask_for(self, one: Subscribed) -> None:
        """Request it anew, in its owner's name: the next handshake decides."""
        version = self.session.read("Subscription", one.id)
        resource = {**version.resource, "status": str(State.REQUESTED)}
        resource.pop("error", None)
        change = Put(resource, if_version=version.version)
        self.session.commit([change], author=one.owner, note="subscription")
        self.refresh(one.id)

    def _write(
        self, one: Subscribed, old: dict[str, Any], new: dict[str, Any], version: int
    ) -> None:
        if old == new:
            self.ledger.keep(granted(one.id, version))
            return
        self.session.commit(
            [Put(new, if_version=version)],
            author=one.owner,
            keeps=[granted(one.id, version + 1)],
            note="subscription",
        )

    def _every(self) -> list[Version]:
        found: list[Version] = []
        pairs = [("_count", "500"), ("_sort", "_id")]
        page = self.session.search("Subscription", pairs)
        found += page.versions
        while page.next is not None:
            page = self.session.search("Subscription", [*pairs, ("_cursor", page.next)])
            found += page.versions
        return found

    def _understood(self, version: Version) -> Subscribed:
        resource = version.resource
        said = State(resource["status"])
        ours = self.ledger.granted(version.id) == version.version
        state = said if ours or said is State.OFF else State.REQUESTED
        owner = self.gate.author_of(version)
        try:
            wish, fault = read_wish(resource), ""
        except SokhoeError as error:
            wish, fault = None, f"{error.message} {error.hint}".strip()
        return Subscribed(version.id, version.version, state, owner, wish, fault)

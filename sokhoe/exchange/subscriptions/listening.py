"""The websocket at /fhir/websocket: for who cannot be reached from outside.

    plain     the socket is opened with the client's token (Authorization: Bearer …)
              → bind 7                 ← bound 7        ← ping 7      ask for what is new
    topics    → bind-with-token TOKEN  ← handshake      ← notifications (Bundles, as text)

Nothing is acknowledged here: what was sent while the line was down is fetched with `$events`.
hl7.org/fhir/R4/subscription.html#2.46.7.2, subscriptions-backport "Websockets"
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sokhoe.errors import Forbidden, Invalid, SignIn, SokhoeError
from sokhoe.exchange.subscriptions.board import Board, Subscribed
from sokhoe.exchange.subscriptions.looking import events_again
from sokhoe.exchange.subscriptions.notices import Kind, notification
from sokhoe.exchange.subscriptions.wishes import Channel
from sokhoe.fhir import encode
from sokhoe.trust import Deed, Session
from sokhoe.web import Site

LOOK = 0.5  # seconds between looks for new events
PATIENCE = 30.0  # seconds for a socket on which nothing is bound
MOST_SOCKETS, MOST_BOUND = 200, 20
MOST_AT_ONCE = 100  # events in one Bundle
LONGEST_WORD = 4096
_TOO_MANY, _NOT_ALLOWED = 1013, 1008  # close codes (RFC 6455 §7.4.1 and its registry)


@dataclass(frozen=True, slots=True)
class Bound:
    """A Subscription that is listened to; `seen`: the last event this socket was told of."""

    id: str
    seen: int


class Listener:
    """One socket. The pure part is `heard` and `news`: texts in, texts out."""

    def __init__(self, site: Site, session: Session | None) -> None:
        self._board = Board(site.gate)
        self._gate = site.gate
        self._base = f"{site.settings.url}/fhir"
        self._session = session
        self.bound: dict[str, Bound] = {}

    def heard(self, words: str) -> list[str]:
        """Answer what the client said. Raises Forbidden, Invalid."""
        verb, _, rest = words.strip().partition(" ")
        if verb == "bind" and rest:
            if self._session is None:
                raise SignIn("Open the socket with a token, or bind with one.")
            self._bind(rest, self._session.actor.id)
            return [f"bound {rest}"]
        if verb == "bind-with-token" and rest:
            note = self._gate.unseal(rest)
            if "bind" not in note:
                raise Forbidden("This token is for something else.")
            return [self._handshake(self._bind(id, note["client"])) for id in note["bind"]]
        raise Invalid("Say: bind ID, or bind-with-token TOKEN.")

    def news(self) -> list[str]:
        """What has happened since the last look, for all that is bound."""
        found: list[str] = []
        for bound in list(self.bound.values()):
            total = self._board.ledger.numbered(bound.id).events
            if total <= bound.seen:
                continue
            one = self._board.look(bound.id)
            subscriber = self._subscriber(one)
            if one is None or one.wish is None or subscriber is None or not one.live:
                self.bound.pop(bound.id)
                found.append(f"unbound {bound.id}")
                continue
            last = min(total, bound.seen + MOST_AT_ONCE)
            if one.wish.topic:
                bundle = events_again(
                    self._board, subscriber, self._base, one, bound.seen + 1, last,
                    kind=Kind.EVENTS,
                )  # fmt: skip
                found.append(encode(bundle).decode())
            else:
                last = total
                found.append(f"ping {bound.id}")
            self.bound[bound.id] = replace(bound, seen=last)
        return found

    def _bind(self, id: str, client: str) -> Subscribed:
        one = self._board.look(id)
        if one is None or one.owner != client or self._subscriber(one) is None:
            raise Forbidden(f"There is no Subscription {id[:64]} of this client.")
        if one.wish is None or one.wish.channel is not Channel.WEBSOCKET or not one.live:
            raise Forbidden(f"Subscription {id} is {one.state}, or not for a websocket.")
        if len(self.bound) >= MOST_BOUND:
            raise Forbidden(f"No more than {MOST_BOUND} Subscriptions on one socket.")
        self.bound[id] = Bound(id, self._board.ledger.numbered(id).events)
        return one

    def _handshake(self, one: Subscribed) -> str:
        assert one.wish is not None
        total = self.bound[one.id].seen
        bundle = notification(self._base, one, one.wish, Kind.HANDSHAKE, total)
        return encode(bundle).decode()

    def _subscriber(self, one: Subscribed | None) -> Session | None:
        """The client's session, if it may still read what it listens to."""
        if one is None or one.wish is None:
            return None
        session = self._board.subscriber(one)
        return session if session and session.may(Deed.READ, one.wish.type) else None


_open: set[WebSocket] = set()


async def listen(socket: WebSocket) -> None:
    site: Site = socket.app.state.site
    try:
        listener = Listener(site, await run_in_threadpool(_session, site, socket))
    except SokhoeError:
        await socket.close(_NOT_ALLOWED)
        return
    if len(_open) >= MOST_SOCKETS:
        await socket.close(_TOO_MANY)
        return
    await socket.accept()
    _open.add(socket)
    try:
        await _talk(socket, listener)
    except WebSocketDisconnect:
        pass
    except SokhoeError as error:
        await socket.close(_NOT_ALLOWED, error.message[:120])
    finally:
        _open.discard(socket)


async def _talk(socket: WebSocket, listener: Listener) -> None:
    """Hear and tell by turns; there is one task that receives, so that no word is lost."""
    hearing = asyncio.ensure_future(socket.receive_text())
    silent = 0.0
    try:
        while True:
            silent = 0.0 if listener.bound else silent + LOOK
            if silent > PATIENCE:
                raise Invalid("Nothing is bound.")
            done, _ = await asyncio.wait({hearing}, timeout=LOOK)
            texts: list[str] = []
            if done:
                words = hearing.result()
                if len(words) > LONGEST_WORD:
                    raise Invalid("That is too long.")
                texts += await run_in_threadpool(listener.heard, words)
                hearing = asyncio.ensure_future(socket.receive_text())
            texts += await run_in_threadpool(listener.news)
            for text in texts:
                await socket.send_text(text)
    finally:
        hearing.cancel()


def _session(site: Site, socket: WebSocket) -> Session | None:
    """Of the token the socket was opened with; None without one. Raises SignIn for a bad one."""
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    if not token:
        return None
    if scheme.lower() != "bearer":
        raise SignIn("Only a Bearer token opens this.")
    return site.gate.bearer(token.strip(), socket.client.host if socket.client else "")


def routes() -> list[WebSocketRoute]:
    return [WebSocketRoute("/fhir/websocket", listen)]

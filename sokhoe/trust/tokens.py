"""Access tokens: made, understood, ended.

    token  sha256(token) → {actor…, purpose, until, client, grant}

A token is 256 bits drawn at random that mean nothing by themselves: what it opens lies in the
drawer, so that ending it, its grant or its client ends it in every process, within half a second
where the event loop has just found it good. `client` is "" for a gateway's account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sokhoe import clock
from sokhoe.errors import SignIn
from sokhoe.store import Keep, Store
from sokhoe.trust.actors import USUAL_PURPOSE, Actor, Level, Purpose, Role
from sokhoe.trust.agreements import Agreements
from sokhoe.trust.clients import Clients, covered
from sokhoe.trust.passwords import digest, draw
from sokhoe.trust.session import Session
from sokhoe.trust.soon import SoonSession

DRAWER, GRANT = "token", "grant"
SECOND = 1_000_000
# For so many seconds a token that was good is taken as good by the event loop: an end that another
# process put to it binds after that at the latest (the law of the house says one second).
FRESH = 0.5
MOST_FRESH = 4_096

Open = Callable[[Actor, Purpose, str], SoonSession]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token for software, as OAuth 2 answers it (RFC 6749 §5.1)."""

    access_token: str
    seconds: int
    scope: str
    refresh_token: str = ""
    id_token: str = ""
    context: Mapping[str, Any] | None = None  # SMART's launch context: patient, need_patient_banner


@dataclass(frozen=True, slots=True)
class Standing:
    """What a living token is: for whom, through which client, until when."""

    actor: Actor
    purpose: Purpose
    client: str
    grant: str
    until: clock.Instant
    agreement: str = ""


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A token found good at `checked` (monotonic seconds); it ends at `until`."""

    session: SoonSession
    checked: float
    until: int
    agreement: str  # whose quota its requests count against; "" for none


class Tokens:
    """`open` makes the session of an actor."""

    def __init__(self, store: Store, clients: Clients, agreements: Agreements, open: Open) -> None:
        self._store = store
        self._clients = clients
        self._agreements = agreements
        self._open = open
        self._fresh: dict[tuple[str, str], _Fresh] = {}

    def issue(
        self,
        actor: Actor,
        seconds: int,
        *,
        client: str = "",
        grant: str = "",
        keeps: Sequence[Keep] = (),
    ) -> Token:
        """A new token. `keeps`: what is to be kept with it, all or nothing; raises Conflict when
        one of them meets another value than it expects."""
        token = draw()
        value = {
            "actor": kept(actor),
            "purpose": str(USUAL_PURPOSE[actor.role]),
            "until": clock.now() + seconds * SECOND,
            "client": client,
            "grant": grant,
        }
        used = [self._clients.use(client)] if client else []
        self._store.keep(Keep(DRAWER, digest(token), value), *used, *keeps)
        return Token(token, seconds, " ".join(actor.scopes))

    def standing(self, token: str) -> Standing | None:
        """What a token is now, within what its client may today; None when it is unknown, over
        or ended."""
        value = self._store.kept(DRAWER, digest(token))
        if value is None or value["until"] <= clock.now():
            return None
        grant = value.get("grant", "")
        if grant and self._store.kept(GRANT, grant) is None:
            return None
        actor, purpose = actor_of(value["actor"]), Purpose(value["purpose"])
        client_id = value.get("client", "")
        if not client_id:
            return Standing(actor, purpose, "", grant, value["until"])
        client = self._clients.find(client_id)
        if client is None or not client.active:
            return None
        # what was taken from the client since, or from its agreement, is taken from its tokens
        rights = self._clients.rights(client)
        actor = replace(actor, scopes=tuple(one for one in actor.scopes if covered(one, rights)))
        agreement = self._agreements.find(client.agreement)
        if agreement is not None and actor.role is Role.SOFTWARE:
            purpose = agreement.purpose
        return Standing(actor, purpose, client_id, grant, value["until"], client.agreement)

    def bearer(self, token: str, address: str = "") -> Session:
        """The session of an access token, for one request. Raises SignIn when it is unknown or
        over, Forbidden (`agreement-over`) and Busy (`over-quota`) as its agreement says."""
        found = self.standing(token)
        if found is None:
            raise SignIn(
                "The access token is unknown or has ended.",
                hint="Ask for a new one at /oauth/token.",
                slug="invalid_token",
            )
        counted = bool(found.agreement) and self._agreements.spend(found.agreement)
        session = self._open(found.actor, found.purpose, address)
        if len(self._fresh) >= MOST_FRESH:
            self._fresh.clear()
        fresh = _Fresh(session, time.monotonic(), found.until, found.agreement if counted else "")
        self._fresh[digest(token), address] = fresh
        return session

    def bearer_soon(self, token: str, address: str = "") -> SoonSession | None:
        """`bearer` for the event loop, where the token was found good a moment ago; None where
        the plain way must look."""
        found = self._fresh.get((digest(token), address))
        if found is None or found.until <= clock.now():
            return None
        if time.monotonic() - found.checked >= FRESH:
            return None
        if found.agreement and not self._agreements.spend_soon(found.agreement):
            return None
        return found.session

    def revoke(self, token: str) -> None:
        """End an access token: here at once, in every other process within half a second."""
        self._store.keep(Keep(DRAWER, digest(token), None))
        self.forget()

    def forget(self) -> None:
        """Believe no token that was looked at before now."""
        self._fresh.clear()

    def over(self) -> list[Keep]:
        """Tokens that have ended by themselves."""
        now = clock.now()
        return [
            Keep(DRAWER, key, None)
            for key, value in self._store.all_kept(DRAWER).items()
            if value["until"] < now
        ]


def kept(actor: Actor) -> dict[str, Any]:
    said = {"role": str(actor.role), "scopes": list(actor.scopes), "level": int(actor.level)}
    return {**asdict(actor), **said}


def actor_of(value: Mapping[str, Any]) -> Actor:
    level = Level(value.get("level", Level.NONE))
    read = {"role": Role(value["role"]), "scopes": tuple(value["scopes"]), "level": level}
    return Actor(**{**value, **read})

"""The gate of one running server: accounts and sign-ins of people; it hands out Sessions.

Everything is kept in the store's drawers (`account`, `signin`), so that ending a sign-in ends it in
every process at once, and a restart loses nobody. Software is in `clients`, its tokens in `tokens`.

    account  username → {hash, role, name, actor, place, place_name, active, scopes}
    signin   sha256(cookie) → {actor…, purpose, csrf, since, seen}
    failures username|address → {count, until}
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, SignIn
from sokhoe.fhir import decode, encode, terminology
from sokhoe.settings import Settings
from sokhoe.store import Entry, Fault, Keep, Store, Version
from sokhoe.trust import assertions, outside
from sokhoe.trust.actors import USUAL_PURPOSE, Actor, Purpose, Role
from sokhoe.trust.clients import Client, Clients, Kind, Proof, covered
from sokhoe.trust.passwords import DEMO_PASSWORD, digest, draw, hash_password, password_fits, same
from sokhoe.trust.session import Session
from sokhoe.trust.shelf import Shelf
from sokhoe.trust.soon import SoonSession
from sokhoe.trust.tokens import Token, Tokens, actor_of, kept

MINUTE = 60_000_000
# After so many wrong passwords from one address for one account, that address waits; the owner
# of the account, elsewhere, does not: nobody can lock another out.
TRIES = 5
WAIT_MINUTES = 5
# A token got with a signed word lives at most so long (SMART backend services).
SHORT = 300
_USERNAME = re.compile(r"^[a-z0-9][a-z0-9._-]{1,63}$")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A living sign-in: the cookie's secret is known to the browser alone."""

    session: Session
    csrf: str
    key: str


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    name: str
    role: Role
    actor: str
    place: str
    place_name: str
    active: bool


class Gate:
    """Opens Sessions on one store. One per process."""

    def __init__(
        self, store: Store, settings: Settings, lists: Sequence[terminology.Source] = ()
    ) -> None:
        """`lists`: code lists that a country brings; what is stored here comes before them."""
        self._store = store
        self._settings = settings
        self.library = terminology.Library([Shelf(store), *lists, terminology.Standard()])
        secret = store.kept("secret", "server")
        if secret is None:
            secret = draw()
            try:
                store.keep(Keep("secret", "server", secret, expected=None))
            except Conflict:  # another process was first: take its secret
                secret = store.kept("secret", "server")
        self._secret = str(secret).encode()
        hosts = outside.listed(settings.key_hosts)
        if settings.is_demo:
            hosts |= outside.THIS_MACHINE
        self.clients = Clients(store, outside.Guard(hosts, "key_hosts", "jwks_uri"))
        self.tokens = Tokens(store, self.clients, self._soon)

    @property
    def memory(self) -> Store:
        """The store itself, for the rooms that may ask it (sync, ops); a test sees to that."""
        return self._store

    # -- sessions --------------------------------------------------------------------------

    def machine(self, room: str, purpose: Purpose = Purpose.HOPERAT, name: str = "") -> Session:
        """A room's own session; the audit shows the room as the actor."""
        actor = Actor(f"Device/{room}", name or f"sokhoe {room}", Role.MACHINE, room=room)
        return self._session(actor, purpose)

    def session(self, actor: Actor, purpose: Purpose | None = None, address: str = "") -> Session:
        """A session for somebody whose identity is already established."""
        why = purpose or USUAL_PURPOSE[actor.role]
        return self._session(actor, why, address)

    def _session(self, actor: Actor, purpose: Purpose, address: str = "") -> Session:
        return Session(
            self._store,
            actor,
            purpose,
            secret=self._secret,
            address=address,
            library=self.library,
        )

    def _soon(self, actor: Actor, purpose: Purpose, address: str) -> SoonSession:
        return SoonSession(
            self._store,
            actor,
            purpose,
            secret=self._secret,
            address=address,
            library=self.library,
        )

    # -- accounts --------------------------------------------------------------------------

    def add_account(
        self,
        username: str,
        password: str,
        *,
        role: Role,
        name: str,
        actor: str,
        place: str = "",
        place_name: str = "",
        scopes: Sequence[str] = (),
    ) -> None:
        """Create an account. Raises Invalid (name, short password), Conflict (name taken)."""
        if not _USERNAME.match(username):
            raise Invalid(
                "A user name has 2 to 64 of the letters a-z, digits, dot, dash, underscore.",
                location="username",
            )
        if len(password) < 8:
            raise Invalid("The password must have at least 8 characters.", location="password")
        value = {
            "hash": hash_password(password),
            "role": str(role),
            "name": name,
            "actor": actor,
            "place": place,
            "place_name": place_name,
            "active": True,
            "scopes": list(scopes),
        }
        self._store.keep(Keep("account", username, value, expected=None))

    def accounts(self) -> list[Account]:
        return [
            Account(
                name,
                one["name"],
                Role(one["role"]),
                one["actor"],
                one["place"],
                one["place_name"],
                one["active"],
            )
            for name, one in sorted(self._store.all_kept("account").items())
        ]

    def set_active(self, username: str, active: bool) -> None:
        """Close or reopen an account; closing ends its sign-ins and tokens everywhere."""
        account = self._store.kept("account", username)
        if account is None:
            raise Invalid(f"There is no account {username!r}.", location="username")
        keeps = [Keep("account", username, {**account, "active": active})]
        if not active:
            for kind in ("signin", "token"):
                for key, value in self._store.all_kept(kind).items():
                    if value["actor"]["username"] == username:
                        keeps.append(Keep(kind, key, None))
        self._store.keep(*keeps)
        self.tokens.forget()

    def _check_password(self, username: str, password: str, address: str) -> Actor:
        username = username.strip().lower()
        bucket = f"{username}|{address}"
        failures = self._store.kept("failures", bucket) or {"count": 0, "until": 0}
        if failures["until"] > clock.now():
            wait = (failures["until"] - clock.now()) // MINUTE + 1
            raise Busy(
                f"Too many wrong passwords. Try again in {wait} minutes.",
                slug="too-many-tries",
                status=429,
            )
        account = self._store.kept("account", username)
        good = password_fits(account["hash"] if account else None, password)
        if password == DEMO_PASSWORD and not self._settings.is_demo:
            good = False
        if account is None or not good or not account["active"]:
            count = failures["count"] + 1
            until = clock.now() + WAIT_MINUTES * MINUTE if count >= TRIES else 0
            kept = {"count": 0 if until else count, "until": until}
            self._store.keep(Keep("failures", bucket, kept))
            self._note(username, "sign-in refused", address, outcome="4")
            raise SignIn("The user name or the password is wrong.", slug="wrong-password")
        if failures["count"]:
            self._store.keep(Keep("failures", bucket, None))
        return Actor(
            id=account["actor"],
            name=account["name"],
            role=Role(account["role"]),
            place=account["place"],
            place_name=account["place_name"],
            username=username,
            scopes=tuple(account["scopes"]),
        )

    def sign_in(self, username: str, password: str, address: str = "") -> str:
        """Check a password; returns the new secret for the cookie. Raises SignIn, Busy."""
        actor = self._check_password(username, password, address)
        if actor.role is Role.SOFTWARE:
            raise SignIn("This account is for software, not for people.", slug="wrong-password")
        self._note(actor.username, "sign-in", address, actor=actor)
        return self.admit(actor, address)

    def admit(self, actor: Actor, address: str = "") -> str:
        """Open a sign-in for somebody whom another authority vouches for (an e-ID)."""
        cookie = draw()
        now = clock.now()
        value = {
            "actor": kept(actor),
            "purpose": str(USUAL_PURPOSE[actor.role]),
            "csrf": secrets.token_urlsafe(24),
            "since": now,
            "seen": now,
        }
        self._store.keep(Keep("signin", digest(cookie), value))
        return cookie

    def signed_in(self, cookie: str, address: str = "") -> SignedIn | None:
        """The living sign-in of a cookie, or None when there is none or it has ended."""
        key = digest(cookie)
        value = self._store.kept("signin", key)
        if value is None:
            return None
        actor = actor_of(value["actor"])
        idle = (
            self._settings.citizen_idle_minutes
            if actor.role is Role.CITIZEN
            else self._settings.idle_minutes
        )
        now = clock.now()
        over = now > value["since"] + self._settings.session_hours * 60 * MINUTE
        if over or now > value["seen"] + idle * MINUTE:
            self._store.keep(Keep("signin", key, None))
            return None
        if now > value["seen"] + MINUTE:  # not at every click: each keep is an fsync
            self._store.keep(Keep("signin", key, {**value, "seen": now}))
        session = self.session(actor, Purpose(value["purpose"]), address)
        return SignedIn(session, value["csrf"], key)

    def sign_out(self, cookie: str) -> None:
        """End a sign-in, everywhere."""
        self._store.keep(Keep("signin", digest(cookie), None))

    # -- software --------------------------------------------------------------------------

    def add_client(
        self,
        client_id: str,
        name: str,
        scopes: Sequence[str],
        place: str = "",
        secret: str | None = None,
    ) -> str:
        """Register software with a secret; returns it (see `Clients.add`)."""
        client = Client(client_id, name, scopes=tuple(scopes), place=place)
        return self.clients.add(client, secret)

    def client_token(self, client_id: str, secret: str, scope: str, address: str = "") -> Token:
        """`software_token` for a client that sends its secret."""
        return self.software_token(Proof(client_id, secret), scope, address)

    def software_token(self, proof: Proof, scope: str = "", address: str = "") -> Token:
        """OAuth 2 client credentials (RFC 6749 §4.4, SMART backend services). `scope` empty: all
        that is granted. Raises SignIn (`invalid_client`), Forbidden (`invalid_scope`)."""
        client = self.proved(proof, address)
        if client.kind is Kind.PUBLIC:
            raise Forbidden(
                "An app without a secret acts for its user only.",
                slug="unauthorized_client",
                status=400,
            )
        asked = tuple(dict.fromkeys(scope.split())) or client.system_scopes
        more = [one for one in asked if not covered(one, client.system_scopes)]
        if more or not asked:
            raise Forbidden(
                f"This client has not been granted: {' '.join(more) or 'any system/ scope'}",
                slug="invalid_scope",
                status=400,
            )
        actor = replace(client.actor, scopes=asked)
        seconds = int(self._settings.token_minutes) * 60
        if client.kind is Kind.KEY:
            seconds = min(seconds, SHORT)
        return self.tokens.issue(actor, seconds, client=client.id)

    def proved(self, proof: Proof, address: str = "") -> Client:
        """The client that has proved who it is; a refusal stands in the audit. Raises SignIn."""
        try:
            return self.clients.prove(proof)
        except SignIn:
            self._note(proof.client_id, "token refused", address, outcome="4")
            raise

    def password_token(
        self, username: str, password: str, address: str = ""
    ) -> tuple[Token, Actor]:
        """A token for a software account that signs in with a password (foreign gateways)."""
        actor = self._check_password(username, password, address)
        if actor.role is not Role.SOFTWARE:
            raise SignIn("This account is for people, not for software.", slug="wrong-password")
        return self.tokens.issue(actor, self._settings.gateway_token_seconds), actor

    def bearer(self, token: str, address: str = "") -> Session:
        """The session of an access token. Raises SignIn when it is unknown or over."""
        return self.tokens.bearer(token, address)

    def bearer_soon(self, token: str, address: str = "") -> SoonSession | None:
        """`bearer` for the event loop; None where the plain way must look."""
        return self.tokens.bearer_soon(token, address)

    def author_of(self, version: Version) -> str:
        """Reference of who wrote a version (`Device/…` for software)."""
        return self._store.commits(version.commit - 1, limit=1)[0].author

    def software(self, reference: str) -> Session | None:
        """A session of registered software (`Device/client`) with what it is granted at this
        moment, for what is sent to it unasked; None when it is not (or no longer) registered."""
        client = self.clients.find(reference.removeprefix("Device/"))
        if client is None or not client.active or reference != client.actor.id:
            return None
        return self.session(client.actor)

    def revoke(self, token: str) -> None:
        """End an access token: here at once, in every other process within half a second."""
        self.tokens.revoke(token)

    def tidy(self) -> int:
        """Forget tokens, sign-ins and spent numbers that are over; returns how many."""
        now = clock.now()
        longest = self._settings.session_hours * 60 * MINUTE
        old = [*self.tokens.over(), *assertions.spent_and_over(self._store)]
        old += [
            Keep("signin", key, None)
            for key, value in self._store.all_kept("signin").items()
            if value["since"] + longest < now
        ]
        if old:
            self._store.keep(*old)
        return len(old)

    def verify_audit(self) -> list[Fault]:
        """Walk both hash chains; the first fault first, none when all is as it was written."""
        return list(self._store.verify())

    # -- sealed notes ----------------------------------------------------------------------

    def seal(self, value: dict[str, Any], seconds: int) -> str:
        """A note to ourselves that travels through a browser: readable there, not changeable."""
        body = encode({**value, "until": clock.now() + seconds * 1_000_000})
        text = urlsafe_b64encode(body).decode()
        return f"{text}.{self._tag(text)}"

    def unseal(self, token: str) -> dict[str, Any]:
        """Read a sealed note. Raises Invalid when it was changed or is too old."""
        text, _, tag = token.rpartition(".")
        if not same(tag, self._tag(text)):
            raise Invalid("This form or link is damaged.", slug="seal")
        value: dict[str, Any] = decode(urlsafe_b64decode(text))
        if value["until"] < clock.now():
            raise Invalid("This form or link is too old. Start again.", slug="seal-old")
        return value

    # -- inside ----------------------------------------------------------------------------

    def _tag(self, text: str) -> str:
        return hmac.new(self._secret, b"note\n" + text.encode(), sha256).hexdigest()

    def _note(
        self,
        username: str,
        what: str,
        address: str,
        *,
        actor: Actor | None = None,
        outcome: str = "0",
    ) -> None:
        self._store.record(
            Entry(
                at=clock.now(),
                actor=actor.id if actor else f"account/{username[:64]}",
                name=actor.name if actor else username[:64],
                role=str(actor.role) if actor else "",
                place=actor.place if actor else "",
                purpose=str(Purpose.HSYSADMIN),
                action="E",
                outcome=outcome,
                address=address,
                note=what,
            )
        )

"""The gate of one running server: accounts and sign-ins of people; it hands out Sessions.

Everything is kept in the store's drawers (`account`, `signin`), so that ending a sign-in ends it in
every process at once, and a restart loses nobody. Software is in `clients`, its tokens in `tokens`.

    account, signin, device, tries: see accounts.py, signins.py, devices.py, tries.py
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict, Forbidden, Invalid, SignIn
from sokhoe.fhir import SearchParameters, decode, encode, terminology
from sokhoe.settings import Settings
from sokhoe.store import Fault, Keep, Store, Version
from sokhoe.trust import assertions, outside
from sokhoe.trust.accounts import CLOSED, IDLE, Accounts
from sokhoe.trust.actors import USUAL_PURPOSE, Actor, Level, Purpose, Role
from sokhoe.trust.agreements import Agreements
from sokhoe.trust.breakglass import BreakGlass
from sokhoe.trust.clients import Client, Clients, Kind, Proof, covered, listed_scopes
from sokhoe.trust.devices import Devices
from sokhoe.trust.entrance import Entrance, is_recent
from sokhoe.trust.factors import Factors
from sokhoe.trust.grants import Grants, Wish
from sokhoe.trust.grounds import Grounds
from sokhoe.trust.holders import Holders
from sokhoe.trust.issuer import Issuer
from sokhoe.trust.notes import note
from sokhoe.trust.passwords import digest, draw, same
from sokhoe.trust.registrar import Registrar
from sokhoe.trust.session import Session
from sokhoe.trust.shelf import Shelf
from sokhoe.trust.signins import Origin, SignIns, Stage
from sokhoe.trust.soon import SoonSession
from sokhoe.trust.tokens import Token, Tokens, actor_of
from sokhoe.trust.tries import Tries

# A token got with a signed word lives at most so long (SMART backend services).
SHORT = 300


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A living sign-in: the cookie's secret is known to the browser alone."""

    session: Session
    csrf: str
    key: str
    fresh: int = 0  # when the person last proved who it is, wholly
    how: str = ""  # by which proof: password, code, passkey, pin, eid
    shared: bool = False  # several people have a PIN on this device


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
        self.grounds = Grounds(store, hub=settings.role == "hub")
        self.tries = Tries(store)
        self.accounts = Accounts(store, settings)
        self.signins = SignIns(store, settings)
        self.devices = Devices(store)
        self.factors = Factors(store, settings, self._secret)
        self.holders = Holders(store, self.factors, self.signins)
        self.entrance = Entrance(
            store,
            settings,
            self.accounts,
            self.signins,
            self.devices,
            self.factors,
            self.tries,
        )
        hosts = outside.listed(settings.key_hosts)
        if settings.is_demo:
            hosts |= outside.THIS_MACHINE
        self.agreements = Agreements(store)
        guard = outside.Guard(hosts, "key_hosts", "jwks_uri")
        self.clients = Clients(store, guard, self.agreements)
        self.tokens = Tokens(store, self.clients, self.agreements, self._soon)
        self.grants = Grants(
            store,
            settings,
            self.clients,
            self.tokens,
            self._alive,
            self._today,
            self._note_trouble,
        )
        self.issuer = Issuer(store, self._secret)
        self.registrar = Registrar(store, self.clients, self.agreements, self.grants, self.tokens)
        self.emergencies = BreakGlass(self.machine("emergency"), self.session)

    @property
    def memory(self) -> Store:
        """The store itself, for the rooms that may ask it (sync, ops); a test sees to that."""
        return self._store

    def parameters(self) -> SearchParameters:
        """The search parameters there are, for who describes this server; no personal data."""
        return self._store.parameters()

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
            grounds=self.grounds,
        )

    def _soon(self, actor: Actor, purpose: Purpose, address: str) -> SoonSession:
        return SoonSession(
            self._store,
            actor,
            purpose,
            secret=self._secret,
            address=address,
            library=self.library,
            grounds=self.grounds,
        )

    # -- people ----------------------------------------------------------------------------

    def add_account(self, username: str, password: str, **about: Any) -> None:
        """Create an account; see `Accounts.add`."""
        self.accounts.add(username, password, **about)

    def set_active(self, username: str, active: bool, why: str = CLOSED) -> None:
        """Close or reopen an account; closing ends its sign-ins and tokens everywhere."""
        keeps = self.accounts.set_active(username, active, why)
        self._store.keep(*keeps, *([] if active else self.signins.ends(username)))
        self.tokens.forget()

    def sign_in(
        self, username: str, password: str, address: str = "", device: str = "", agent: str = ""
    ) -> str:
        """Check a password; returns the new secret for the cookie. Raises SignIn, Busy."""
        return self.entrance.sign_in(username, password, Origin(address, device, agent))

    def admit(
        self,
        actor: Actor,
        address: str = "",
        device: str = "",
        agent: str = "",
        how: str = "eid",
    ) -> str:
        """Open a sign-in for somebody whom another authority vouches for (an e-ID), or who holds
        a key that was given in person (`how`: passkey, pin)."""
        origin = Origin(address, device, agent)
        return self.signins.open(actor, origin, how=how, strong=how == "eid")

    def signed_in(self, cookie: str, address: str = "") -> SignedIn | None:
        """The living sign-in of a cookie, or None when there is none or it has ended."""
        value = self.signins.living(cookie, self.devices.is_shared)
        if value is None or value.get("stage", Stage.IN) != Stage.IN:
            return None
        actor = actor_of(value["actor"])
        if actor.level is Level.SEEN and is_recent(value.get("fresh", 0)):
            actor = replace(actor, level=Level.PROVED)
        account = self.accounts.kept(actor.username) if actor.username else None
        if account is not None and not account["active"]:
            self.signins.end(cookie)
            return None
        session = self.session(actor, Purpose(value["purpose"]), address)
        return SignedIn(
            session,
            value["csrf"],
            digest(cookie),
            value.get("fresh", 0),
            value.get("how", ""),
            self.devices.is_shared(value.get("device", "")),
        )

    def idle_minutes(self, signed_in: SignedIn) -> int:
        """After how many minutes without a click this sign-in ends."""
        return self.signins.idle_minutes(signed_in.session.actor.role, signed_in.shared)

    def reset(self, username: str) -> str:
        """A new password on paper; second factors are taken off and all sign-ins end: the way back
        for who forgot the password or lost the phone. Returns the password."""
        password = self.accounts.give_password(username)
        self._store.keep(*self.factors.clear(username), *self.signins.ends(username))
        self.tokens.forget()
        return password

    def note(self, actor: Actor, what: str, address: str) -> None:
        """A line of the audit about accounts and keys."""
        note(self._store, actor.username, what, address, actor=actor)

    def note_refused(self, who: str, what: str, address: str) -> None:
        """A line of the audit about somebody who was not let in."""
        note(self._store, who, what, address, outcome="4")

    def sign_out_everywhere(self, who: str, but: str = "") -> int:
        """End all sign-ins and tokens of an account's user name or a citizen's reference, except
        the sign-in of key `but`; returns how many."""
        ends = self.signins.ends(who, but)
        if ends:
            self._store.keep(*ends)
        self.tokens.forget()
        return len(ends)

    def _alive(self, key: str) -> bool:
        """Whether this sign-in still lives; an app that is used instead of it keeps it alive."""
        value = self._store.kept("signin", key)
        longest = int(self._settings.session_hours) * 3_600_000_000
        return value is not None and clock.now() <= value["since"] + longest

    def _today(self, actor: Actor) -> Actor | None:
        """Somebody whom an app acts for, with the role and place he has today; None when his
        account is closed. A citizen has no account: the e-ID vouched for him."""
        if actor.role is Role.CITIZEN:
            return actor
        account = self.accounts.kept(actor.username)
        if account is None or not account["active"] or account["actor"] != actor.id:
            return None
        return replace(
            actor,
            role=Role(account["role"]),
            place=account["place"],
            place_name=account["place_name"],
        )

    def sign_out(self, cookie: str) -> None:
        """End a sign-in, everywhere."""
        self.signins.end(cookie)

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
        if client.agreement:
            self.agreements.standing(client.agreement)
        rights = tuple(one for one in self.clients.rights(client) if one.startswith("system/"))
        asked = listed_scopes(scope) or rights
        if client.agreement:  # system/*.rs means all that is agreed
            wide = [one for one in asked if covered(one, client.system_scopes) and "/*." in one]
            asked = tuple(one for one in asked if one not in wide)
            asked += self.agreements.narrowed(wide, client.agreement)
        more = [one for one in asked if not covered(one, rights)]
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

    def let_in(
        self, wish: Wish, actor: Actor, signin: str, client: Client, address: str = ""
    ) -> str:
        """Somebody says yes to an app: the code it gets (see `Grants`); noted in the audit."""
        code = self.grants.grant(wish, actor, signin, client.name)
        self._note(actor.username, f"let in the app {client.id}", address, actor=actor)
        return code

    def proved(self, proof: Proof, address: str = "") -> Client:
        """The client that has proved who it is; a refusal stands in the audit. Raises SignIn."""
        try:
            return self.clients.prove(proof)
        except SignIn:
            self._note(proof.client_id or "a signed word", "token refused", address, outcome="4")
            raise

    def password_token(
        self, username: str, password: str, address: str = ""
    ) -> tuple[Token, Actor]:
        """A token for a software account that signs in with a password (foreign gateways)."""
        actor = self.entrance.check_password(username, password, Origin(address))
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
        scopes = tuple(one for one in self.clients.rights(client) if one.startswith("system/"))
        return self.session(replace(client.actor, scopes=scopes))

    def revoke(self, token: str) -> None:
        """End an access token: here at once, in every other process within half a second."""
        self.tokens.revoke(token)

    def tidy(self) -> int:
        """Forget tokens, sign-ins, spent numbers and counters that are over, close accounts that
        nobody uses; returns how many. Once an hour is enough."""
        for username in self.accounts.idle():
            self.set_active(username, False, IDLE)
            self._note(username, "account closed: not used", "")
        old = [*self.tokens.over(), *assertions.spent_and_over(self._store)]
        old += [*self.signins.old(), *self.tries.old(), *self.factors.old()]
        old += [*self.grants.over(), *self.issuer.over(), *self.agreements.over()]
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

    def _note_trouble(self, actor: Actor, what: str) -> None:
        self._note(actor.username, what, "", actor=actor, outcome="4")

    def _note(
        self,
        username: str,
        what: str,
        address: str,
        *,
        actor: Actor | None = None,
        outcome: str = "0",
    ) -> None:
        note(self._store, username, what, address, actor=actor, outcome=outcome)

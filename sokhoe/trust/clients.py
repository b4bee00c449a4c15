"""The software that may ask for tokens: who it is, how it proves that, where its users come back
to, and what it may at most.

    client       client_id → {name, kind, hash, jwks, jwks_uri, redirects, launch, scopes, place,
                              agreement, active, since}
    client-used  client_id → {at, count}     when it last got a token

Kinds (RFC 6749 §2.1, hl7.org/fhir/smart-app-launch): `secret` keeps a secret that we drew, `key`
signs with a key of its own (`private_key_jwt`), `public` is an app on somebody's phone or in a
browser, which can keep nothing and has PKCE alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Invalid, NotFound, SignIn
from sokhoe.store import Keep, Store
from sokhoe.trust import assertions, outside
from sokhoe.trust.actors import Actor, Role
from sokhoe.trust.agreements import Agreements, narrow
from sokhoe.trust.passwords import digest, draw, same
from sokhoe.trust.permits import scope_deeds

DRAWER, USED = "client", "client-used"
MOST_REDIRECTS, MOST_SCOPES, MOST_KEYS = 10, 200, 10
# Words of SMART and OpenID that are no right to data (smart-app-launch/scopes-and-launch-context).
WORDS = frozenset(
    {"openid", "fhirUser", "launch", "launch/patient", "offline_access", "online_access"}
)
# A server that keeps data of its own may ask what the tokens of others are (RFC 7662).
INTROSPECTION = "introspection"
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Kind(StrEnum):
    SECRET = "secret"  # noqa: S105
    KEY = "key"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Client:
    """A piece of software. `redirects`: where its users are sent back to, letter by letter;
    `launch`: where it is opened from a person's page; `place`: the facility it belongs to ("" for
    the province); `agreement`: the id of the one it works under; `since`: when it came."""

    id: str
    name: str
    kind: Kind = Kind.SECRET
    scopes: tuple[str, ...] = ()
    hash: str = ""
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    redirects: tuple[str, ...] = ()
    launch: str = ""
    place: str = ""
    agreement: str = ""
    active: bool = True
    since: Instant = 0

    @property
    def actor(self) -> Actor:
        """The software itself, acting for nobody but its owner."""
        return Actor(
            id=f"Device/{self.id}",
            name=self.name,
            role=Role.SOFTWARE,
            place=self.place,
            username=self.id,
            scopes=self.system_scopes,
        )

    @property
    def system_scopes(self) -> tuple[str, ...]:
        return tuple(one for one in self.scopes if one.startswith("system/"))


@dataclass(frozen=True, slots=True)
class Proof:
    """How a request says which software it comes from. `audience`: our addresses that a signed
    word may be meant for."""

    client_id: str = ""
    secret: str = ""
    assertion: str = ""
    audience: tuple[str, ...] = ()


class Clients:
    """The registry over one memory. `guard`: where key sets may be fetched from; `agreements`:
    those that clients work under."""

    def __init__(self, store: Store, guard: outside.Guard, agreements: Agreements) -> None:
        self._store = store
        self._agreements = agreements
        self._published = assertions.Published(guard)

    # -- the register ----------------------------------------------------------------------

    def find(self, client_id: str) -> Client | None:
        value = self._store.kept(DRAWER, client_id)
        return None if value is None else _client(client_id, value)

    def get(self, client_id: str) -> Client:
        """Raises NotFound."""
        found = self.find(client_id)
        if found is None:
            raise NotFound(f"There is no client {client_id!r}.", slug="no-client")
        return found

    def all(self) -> list[Client]:
        """All of them, by name."""
        found = [_client(id, value) for id, value in self._store.all_kept(DRAWER).items()]
        return sorted(found, key=lambda one: (one.name.casefold(), one.id))

    def launchable(self) -> list[Client]:
        """Apps that can be opened from a person's page."""
        return [one for one in self.all() if one.active and one.launch and "launch" in one.scopes]

    def used(self) -> dict[str, tuple[Instant, int]]:
        """When each last got a token, and how many it has got."""
        return {id: (one["at"], one["count"]) for id, one in self._store.all_kept(USED).items()}

    def add(self, client: Client, secret: str | None = None) -> str:
        """Register software. Returns the secret of one that has a secret (shown this once), else
        "". `secret`: one that was drawn elsewhere, so that the same software is known to several
        servers. Raises Invalid naming the field, Conflict when the id is taken."""
        check(client)
        self._check_agreement(client)
        if client.kind is Kind.SECRET:
            secret = secret or draw()
            client = replace(client, hash=digest(secret))
        client = replace(client, since=client.since or clock.now())
        self._store.keep(Keep(DRAWER, client.id, _kept(client), expected=None))
        return secret if secret and client.kind is Kind.SECRET else ""

    def change(self, client_id: str, change: Callable[[Client], Client]) -> Client:
        """Change what is registered. Raises NotFound, Invalid; Conflict when somebody else
        changed it at the same moment."""
        value = self._store.kept(DRAWER, client_id)
        if value is None:
            raise NotFound(f"There is no client {client_id!r}.", slug="no-client")
        changed = change(_client(client_id, value))
        check(changed)
        self._check_agreement(changed)
        self._store.keep(Keep(DRAWER, client_id, _kept(changed), expected=value))
        return changed

    def rights(self, client: Client) -> tuple[str, ...]:
        """The scopes it may have today: what it was granted, within its agreement."""
        return self._agreements.narrowed(client.scopes, client.agreement)

    def asked(self, client: Client, scopes: Sequence[str]) -> tuple[str, ...]:
        """What it asks for, in the terms of its agreement: a wildcard is all that is agreed."""
        return self._agreements.narrowed(scopes, client.agreement)

    def _check_agreement(self, client: Client) -> None:
        """What lies outside the agreement is refused at once, not first when it is used. A
        wildcard means all that is agreed. Raises Invalid."""
        agreement = self._agreements.find(client.agreement)
        if agreement is None:
            if client.agreement:
                raise Invalid("There is no such agreement.", slug="agreement", location="agreement")
            return
        inside = narrow(client.scopes, agreement)
        more = [one for one in client.scopes if "/*." not in one and one not in inside]
        if more:
            raise Invalid(
                f"Outside the data agreed on: {' '.join(more)[:200]}",
                slug="agreement-data",
                location="scope",
            )

    def use(self, client_id: str) -> Keep:
        """That it got a token now; to be kept with the token."""
        before = self._store.kept(USED, client_id) or {"count": 0}
        return Keep(USED, client_id, {"at": clock.now(), "count": before["count"] + 1})

    # -- who is it? ------------------------------------------------------------------------

    def prove(self, proof: Proof) -> Client:
        """The software that has proved who it is, in the way it is registered for and no other.
        Raises SignIn (`invalid_client`)."""
        client_id = proof.client_id
        if proof.assertion:
            named = assertions.claimed_client(proof.assertion)
            if proof.secret or client_id not in {"", named}:
                raise refused("two proofs are sent at once, or two names")
            client_id = named
        client = self.find(client_id)
        if client is None:
            same("no such client", digest(proof.secret))  # takes as long as a wrong secret
            raise refused()
        if client.kind is Kind.SECRET:
            if proof.assertion or not same(client.hash, digest(proof.secret)):
                raise refused()
        elif client.kind is Kind.KEY:
            if not proof.assertion:
                raise refused("this client must send a client_assertion")
            self._check_assertion(client, proof)
        elif proof.secret or proof.assertion:
            raise refused("this client is registered as public")
        if not client.active:
            raise refused("its access was ended")
        return client

    def _check_assertion(self, client: Client, proof: Proof) -> None:
        """A signed word, once (the drawer sees to that for all processes)."""
        keys = self._published.finder(client.jwks_uri) if client.jwks_uri else None
        agreement = self._agreements.find(client.agreement)
        jwks = client.jwks or (agreement.jwks if agreement else None)
        claims = assertions.opened(
            proof.assertion, client.id, proof.audience, jwks, keys, jku=client.jwks_uri
        )
        assertions.spend(self._store, client.id, claims)


def refused(why: str = "") -> SignIn:
    """One sentence for all that is wrong, so that nobody learns which clients there are."""
    hint = f"Say who you are as you are registered: {why}." if why else ""
    return SignIn("The client or its secret is wrong.", hint=hint, slug="invalid_client")


def check(client: Client) -> None:
    """Can this be registered? Raises Invalid naming the field."""
    if not _ID.match(client.id):
        raise Invalid(
            "A client's name in addresses has 1 to 64 letters a-z, digits, dots, dashes.",
            slug="client-id",
            location="id",
        )
    if not 0 < len(client.name.strip()) <= 100:
        raise Invalid("Give it a name that people know it by.", slug="client-name", location="name")
    _check_scopes(client)
    _check_keys(client)
    if len(client.redirects) > MOST_REDIRECTS:
        raise Invalid("Too many addresses.", slug="redirect", location="redirects")
    for one in (*client.redirects, *([client.launch] if client.launch else [])):
        check_redirect(one, client.kind)
    if client.kind is Kind.PUBLIC and not client.redirects:
        raise Invalid(
            "An app without a secret needs an address to come back to.",
            slug="redirect",
            location="redirects",
        )


def _check_scopes(client: Client) -> None:
    words = WORDS | {INTROSPECTION}
    bad = [one for one in client.scopes if one not in words and scope_deeds(one) is None]
    if bad or len(client.scopes) > MOST_SCOPES:
        raise Invalid(
            f"Not a scope this server can grant: {' '.join(bad)[:200]}",
            slug="scope-unknown",
            location="scope",
        )
    alone = (*client.system_scopes, *({INTROSPECTION} & set(client.scopes)))
    if client.kind is Kind.PUBLIC and alone:
        raise Invalid(
            "An app without a secret cannot act alone: no system/ scopes.",
            slug="scope-unknown",
            location="scope",
        )


def _check_keys(client: Client) -> None:
    if client.kind is not Kind.KEY:
        return
    if not client.jwks and not client.jwks_uri and client.agreement:
        return  # the partner's keys stand in the agreement
    if bool(client.jwks) == bool(client.jwks_uri):
        raise Invalid("Give its public keys, or the address of them.", slug="jwks", location="jwks")
    if client.jwks_uri:
        if urlsplit(client.jwks_uri).scheme not in {"https", "http"}:
            raise Invalid("That is no address of keys.", slug="jwks", location="jwks")
        return
    listed = (client.jwks or {}).get("keys")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise Invalid('Keys look like {"keys": [...]}.', slug="jwks", location="jwks")
    for one in listed:
        assertions.check_public(one)


def check_redirect(url: str, kind: Kind) -> None:
    """https; http on the user's own machine; an app's own scheme (`org.example.app:/back`) for a
    public one (RFC 8252 §7). No fragment, no user name. Raises Invalid."""
    wrong = Invalid(
        f"{url[:100]!r} is no address an app can be opened at.",
        slug="redirect",
        location="redirects",
    )
    if not url or len(url) > 500 or set(url) & set(' \t\r\n\\"<>*'):
        raise wrong
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    if parts.fragment or "#" in url or parts.username is not None or ".." in parts.path.split("/"):
        raise wrong
    own_scheme = kind is Kind.PUBLIC and "." in parts.scheme
    if not (
        (parts.scheme == "https" and host)
        or (parts.scheme == "http" and host in _LOOPBACK)
        or own_scheme
    ):
        raise wrong


def listed_scopes(text: str) -> tuple[str, ...]:
    """The scopes of a request, each once: separated by spaces (RFC 6749 §3.3), not by whatever
    else looks like one."""
    return tuple(dict.fromkeys(one for one in text.split(" ") if one))


def covered(asked: str, granted: Sequence[str]) -> bool:
    """Is all that a scope asks for within one that was granted? `system/Observation.r` is within
    `system/*.rs`; a word (`openid`) and a scope with a ?query only within themselves."""
    if asked in granted:
        return True
    wanted = scope_deeds(asked)
    if wanted is None:
        return False
    level = asked.partition("/")[0]
    for one in granted:
        given = scope_deeds(one)
        if given is None or "?" in one or one.partition("/")[0] != level:
            continue
        if given[0] in {"*", wanted[0]} and wanted[1] <= given[1]:
            return True
    return False


def _client(id: str, value: Mapping[str, Any]) -> Client:
    return Client(
        id=id,
        name=value["name"],
        kind=Kind(value.get("kind", "secret")),
        scopes=tuple(value["scopes"]),
        hash=value.get("hash", ""),
        jwks=value.get("jwks"),
        jwks_uri=value.get("jwks_uri", ""),
        redirects=tuple(value.get("redirects", ())),
        launch=value.get("launch", ""),
        place=value.get("place", ""),
        agreement=value.get("agreement", ""),
        active=value.get("active", True),
        since=value.get("since", 0),
    )


def _kept(client: Client) -> dict[str, Any]:
    return {
        "name": client.name,
        "kind": str(client.kind),
        "scopes": list(client.scopes),
        "hash": client.hash,
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "redirects": list(client.redirects),
        "launch": client.launch,
        "place": client.place,
        "agreement": client.agreement,
        "active": client.active,
        "since": client.since,
    }

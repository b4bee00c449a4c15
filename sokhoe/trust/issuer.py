"""The server's own word about who signed in: id_tokens, and the keys to check them by.

    signing-key  kid → {key (a private JWK), since}

OpenID Connect Core §2, §10.1.1: RS256, which every OpenID library knows. A key signs for 90 days;
its follower is published at once and signs a day later, so that programs which read our keys once a
day know it by then; a key that signs no more stays published for another day.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

from sokhoe import clock
from sokhoe.errors import Conflict
from sokhoe.fhir import encode
from sokhoe.store import Keep, Store

DRAWER = "signing-key"
ALGORITHM = "RS256"
SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
SIGNS_FOR = 90 * DAY
LEAD = DAY  # published before it signs, and after it signed last
ID_TOKEN_SECONDS = 300


class Issuer:
    """`secret` makes the pairwise names of people."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self._store = store
        self._secret = secret

    def id_token(self, issuer: str, client: str, person: str, **claims: Any) -> str:
        """A signed word for an app about the person (a reference) who is using it. `claims` that
        are "" are left out."""
        now = clock.now() // SECOND
        said = {
            "iss": issuer,
            "sub": self.subject(client, person),
            "aud": client,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
            **{name: value for name, value in claims.items() if value != ""},
        }
        kid, key = self._signing()
        header = {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}
        return jws.serialize_compact(header, encode(said), key, algorithms=[ALGORITHM])

    def subject(self, client: str, person: str) -> str:
        """What an app calls a person: another name in every app, so that two cannot compare."""
        return hmac.new(self._secret, f"sub\n{client}\n{person}".encode(), sha256).hexdigest()[:40]

    def jwks(self) -> dict[str, Any]:
        """The public keys, for all to read."""
        self._signing()
        keys = [RSAKey.import_key(value["key"]) for _, value in self._all()]
        return {"keys": [key.as_dict(private=False) for key in keys]}

    def rotate(self) -> str:
        """Publish a new key now; it signs a day later. Returns its kid."""
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        kid = str(key.kid)
        first = not self._all()
        # the very first key signs at once: nobody can know another
        value = {"key": key.as_dict(private=True), "since": clock.now() + (0 if first else LEAD)}
        marker = Keep(DRAWER, "first", {"kid": kid}, expected=None)
        self._store.keep(Keep(DRAWER, kid, value), *([marker] if first else []))
        return kid

    def over(self) -> list[Keep]:
        """Keys that nobody needs any more; makes the next one when it is time."""
        found = self._all()
        if found and found[-1][1]["since"] + SIGNS_FOR - LEAD < clock.now():
            self.rotate()
        found = self._all()
        gone = []
        for (kid, _), (_, follower) in pairwise(found):
            if follower["since"] + LEAD < clock.now():
                gone.append(Keep(DRAWER, kid, None))
        return gone

    def _all(self) -> list[tuple[str, dict[str, Any]]]:
        """Keys by the moment from which they sign."""
        found = {kid: v for kid, v in self._store.all_kept(DRAWER).items() if kid != "first"}
        return sorted(found.items(), key=lambda pair: pair[1]["since"])

    def _signing(self) -> tuple[str, RSAKey]:
        found = self._all()
        if not found:
            with suppress(Conflict):  # another process was first
                self.rotate()
            found = self._all()
        signing = [one for one in found if one[1]["since"] <= clock.now()] or found[:1]
        kid, value = signing[-1]
        return kid, RSAKey.import_key(value["key"])

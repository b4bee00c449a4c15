"""A provider that lies: it answers as a real one does, with a token the test has made."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from sokhoe import clock
from sokhoe.book import Attempt, Provider

ISSUER = "https://eid.test"
CLIENT = "book"
CALLBACK = "https://hub.test/book/callback"
Key = RSAKey | ECKey | OKPKey | OctKey


class _Anything(jws.JWSRegistry):
    """Signs with whatever it is told to."""

    def check_header(self, header: Any) -> None:
        return None

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def an_ec_key(kid: str = "one") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


def signed(claims: dict[str, Any], key: Key, alg: str = "ES256", **header: Any) -> str:
    """A token, signed with whatever is asked for, the forbidden things too."""
    kid = key.as_dict().get("kid")
    head = {"alg": alg, **({"kid": kid} if kid else {}), **header}
    return jws.serialize_compact(head, json.dumps(claims), key, registry=_Anything())


def unsigned(claims: dict[str, Any], alg: str = "none", tail: str = "") -> str:
    def part(value: dict[str, Any]) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': alg})}.{part(claims)}.{tail}"


class Liar(httpx.BaseTransport):
    """`token`: makes the id_token from honest claims; `metadata`, `keys` as it publishes them."""

    def __init__(self) -> None:
        self.key = an_ec_key()
        self.keys: list[dict[str, Any]] = [self.key.as_dict(private=False)]
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
        }
        self.token: Callable[[dict[str, Any]], Any] = lambda claims: signed(claims, self.key)
        self.answers: dict[str, httpx.Response] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.claims: dict[str, Any] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = urlsplit(str(request.url)).path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path.endswith("openid-configuration"):
            return httpx.Response(200, json=self.metadata)
        if path == "/jwks":
            return httpx.Response(200, json={"keys": self.keys})
        if path == "/token":
            self.forms.append(dict(parse_qsl(request.read().decode())))
            return httpx.Response(
                200, json={"access_token": "a", "id_token": self.token(dict(self.claims))}
            )
        return httpx.Response(404)

    def provider(self, **given: Any) -> Provider:
        http = httpx.Client(transport=self)
        return Provider(ISSUER, CLIENT, "secret", CALLBACK, http=http, **given)

    def attempt(self, provider: Provider) -> Attempt:
        """Begin, so that the claims can answer."""
        _, attempt = provider.begin()
        now = clock.now() // 1_000_000
        self.claims = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "abc",
            "nonce": attempt.nonce,
            "iat": now,
            "exp": now + 300,
            "citizen_id": "086159000123",
        }
        return attempt

    def finish(self, provider: Provider, **answer: str) -> dict[str, Any]:
        attempt = self.attempt(provider)
        return provider.finish({"code": "c", "state": attempt.state, **answer}, attempt)

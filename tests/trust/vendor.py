"""A vendor's side of tokens: keys, signed words good and forged."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from sokhoe import clock

Key = RSAKey | ECKey | OctKey
AUDIENCE = "http://127.0.0.1:8600/oauth/token"


class Anything(jws.JWSRegistry):
    """Signs with whatever it is told to, the forbidden things too."""

    def check_header(self, header: Any) -> None:
        return None

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


@cache
def an_ec_key(kid: str = "ec") -> ECKey:
    return ECKey.generate_key("P-384", {"kid": kid})


@cache
def an_rsa_key(kid: str = "rsa") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


def public(*keys: Key) -> dict[str, Any]:
    """The key set that a vendor registers or publishes."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims(client: str, **more: Any) -> dict[str, Any]:
    """What an honest word says; `more` replaces, None takes away."""
    now = clock.now() // 1_000_000
    said = {
        "iss": client,
        "sub": client,
        "aud": AUDIENCE,
        "exp": now + 240,
        "iat": now,
        "jti": str(uuid4()),
        **more,
    }
    return {name: value for name, value in said.items() if value is not None}


def signed(said: Any, key: Key, alg: str = "", **header: Any) -> str:
    """A word, signed with whatever is asked for; a header that is None is left out."""
    alg = alg or ("RS384" if isinstance(key, RSAKey) else "ES384")
    head = {"alg": alg, "kid": key.as_dict().get("kid"), "typ": "JWT", **header}
    head = {name: value for name, value in head.items() if value is not None}
    text = said if isinstance(said, str) else json.dumps(said)
    return jws.serialize_compact(head, text, key, registry=Anything())


def part(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(said: Any, alg: str = "none", tail: str = "", **header: Any) -> str:
    return f"{part({'alg': alg, **header})}.{part(said)}.{tail}"

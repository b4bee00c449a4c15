"""A vendor's side of tokens: keys, signed words good and forged."""

from __future__ import annotations

import hmac
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


# Those of the library, the forbidden ones too; it would refuse to put them into a word.
_algorithms: Any = jws.JWSRegistry().algorithms


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
    body = said if isinstance(said, str) else json.dumps(said)
    text = f"{part(head)}.{coded(body.encode())}"
    return f"{text}.{coded(_algorithms[alg].sign(text.encode(), key))}"


def part(value: Any) -> str:
    return coded(json.dumps(value).encode())


def coded(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def unsigned(said: Any, alg: str = "none", tail: str = "", **header: Any) -> str:
    return f"{part({'alg': alg, **header})}.{part(said)}.{tail}"


def signed_with_a_secret(said: Any, secret: bytes, alg: str, **header: Any) -> str:
    """Signed with any bytes as a shared secret; libraries refuse a public key as one, thieves do
    not."""
    text = f"{part({'alg': alg, **header})}.{part(said)}"
    kind = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
    tag = hmac.new(secret, text.encode(), kind).digest()
    return f"{text}.{coded(tag)}"

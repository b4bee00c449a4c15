"""Is an id_token what it says it is? OpenID Connect Core §3.1.3.7, and nothing taken on trust.

Only asymmetric signatures from a list: `none` and shared-secret algorithms are in no list that
gets here, and symmetric keys in a provider's key set are passed over, so that nobody can sign with
a public key as if it were a secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir import decode

SECOND = 1_000_000
SKEW = 60  # seconds by which the provider's clock may differ from ours
OLDEST = 600  # seconds since it was issued
SAFE_ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA", "Ed25519"})


class Signatures(jws.JWSRegistry):
    """The library warns at the name EdDSA, which providers still use; here the list decides."""

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        super().__init__(algorithms=[one for one in algorithms if one in SAFE_ALGORITHMS])

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise wrong(f"it is signed with {name!r}")
        return self.algorithms[name]


def opened(token: Any, signatures: Signatures, keys: Callable[[Any], KeySet]) -> dict[str, Any]:
    """The claims of a token with a good signature. `keys`: the provider's keys, given the wanted
    key's id. Raises Invalid (`eid-answer`)."""
    if not isinstance(token, str):
        raise wrong("it is missing")
    try:
        signed = jws.extract_compact(token.encode("ascii"), registry=signatures)
        headers = signed.headers()
        signatures.get_alg(str(headers.get("alg")))  # before anything is fetched for it
        if not jws.validate_compact(signed, keys(headers.get("kid")), registry=signatures):
            raise wrong("its signature is wrong")
        claims = decode(signed.payload)
    except (JoseError, ValueError, Invalid) as error:
        if isinstance(error, Invalid) and error.slug == "eid-answer":
            raise
        raise wrong(f"it cannot be verified ({type(error).__name__})") from None
    if not isinstance(claims, dict):
        raise wrong("it is no set of claims")
    return claims


def check(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str) -> None:
    """Is it from this issuer, for this client, now, and the answer to this question? Raises
    Invalid (`eid-answer`) saying what is wrong."""
    if claims.get("iss") != issuer:
        raise wrong("it is from another issuer")
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    if client_id not in meant:
        raise wrong("it is for another client")
    if (len(meant) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise wrong("it was given to another client")
    now = clock.now() // SECOND
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if expires <= now - SKEW:
        raise wrong("it has expired")
    if issued > now + SKEW or issued < now - OLDEST:
        raise wrong("it was not issued just now")
    if "nbf" in claims and _moment(claims, "nbf") > now + SKEW:
        raise wrong("it is not valid yet")
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise wrong("it answers another sign-in")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise wrong("it names nobody")


def public_key(data: Any) -> RSAKey | ECKey | OKPKey | None:
    """A key we can check signatures with; others (symmetric ones too) are passed over."""
    if not isinstance(data, dict) or data.get("use", "sig") != "sig":
        return None
    try:
        if data.get("kty") == "RSA" and len(str(data.get("n", ""))) >= 342:  # 2,048 bits
            return RSAKey.import_key(data)
        if data.get("kty") == "EC" and data.get("crv") == "P-256":
            return ECKey.import_key(data)
        if data.get("kty") == "OKP" and data.get("crv") == "Ed25519":
            return OKPKey.import_key(data)
    except (JoseError, ValueError, TypeError):
        return None
    return None


def _moment(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong(f"its {name} is no time")
    return int(value)


def wrong(what: str) -> Invalid:
    """An id_token that must not be believed, and why (for the operator, not the citizen)."""
    return Invalid(f"The e-ID's answer is not accepted: {what}.", slug="eid-answer")

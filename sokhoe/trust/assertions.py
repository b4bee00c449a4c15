"""A client's signed word: `private_key_jwt` as SMART backend services use it.

hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html, RFC 7523, RFC 8725: RS384 or
ES384 and nothing else, by a key that the client registered; issuer and subject are the client; the
audience is our token address or our name, alone; at most five minutes long; each `jti` once.

Nothing in the header is believed except which of the registered keys it names: a key that travels
with the word (`jwk`, `x5c`) or an address of one (`jku`, `x5u`) proves nothing, and is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, SignIn, SokhoeError
from sokhoe.fhir import decode
from sokhoe.store import Keep, Store
from sokhoe.trust import outside

SECOND = 1_000_000
ALGORITHMS = ("RS384", "ES384")
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = 300  # seconds it may be valid, counted from now
SKEW = 30  # seconds by which the client's clock may differ from ours
LONGEST = 8_192  # characters
SPENT = "jti"
FRESH = 600.0  # seconds for which a fetched key set is used
PAUSE = 30.0  # seconds before it is fetched anew for a key that is not in it
MOST_SETS = 256
_SMALLEST_N = 342  # base64url characters of an RSA modulus of 2,048 bits
_HEADERS = frozenset({"alg", "kid", "typ", "jku"})

Key = RSAKey | ECKey
Keys = Callable[[str], Sequence[Any]]


def claimed_client(assertion: str) -> str:
    """Who the word says it is from, before anything is believed. Raises SignIn."""
    claims = _parts(assertion)[1]
    said = claims.get("sub")
    if not isinstance(said, str) or said != claims.get("iss") or len(said) > 64:
        raise wrong("iss and sub must both be the client_id")
    return said


def opened(
    assertion: str,
    client_id: str,
    audience: Sequence[str],
    jwks: Mapping[str, Any] | None,
    published: Keys | None,
    *,
    jku: str = "",
) -> dict[str, Any]:
    """The claims of a word that is this client's, meant for us and of now. `published`: finds its
    key set where that lies elsewhere, at `jku`. Raises SignIn (`invalid_client`)."""
    header, claims = _parts(assertion)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise wrong(f"it must be signed with {' or '.join(ALGORITHMS)}")
    if not isinstance(kid, str) or not kid:
        raise wrong("its header must name the key (kid)")
    if set(header) - _HEADERS or header.get("typ", "JWT") not in {"JWT", "jwt"}:
        raise wrong("its header may hold alg, kid and typ only")
    if "jku" in header and (not jku or header["jku"] != jku):
        raise wrong("its jku is not the registered address of keys")
    listed = published(kid) if published is not None else (jwks or {}).get("keys", ())
    if not any(_verifies(assertion, algorithm, one) for one in listed if _fits(one, kid)):
        raise wrong("no registered key of this name has signed it")
    _check(claims, client_id, audience)
    return claims


def spend(store: Store, client_id: str, claims: Mapping[str, Any]) -> None:
    """Use up the word's number; of two processes that get the same word one wins. Raises SignIn."""
    key = sha256(f"{client_id}\n{claims['jti']}".encode()).hexdigest()
    try:
        store.keep(Keep(SPENT, key, int(claims["exp"]) + 2 * SKEW, expected=None))
    except Conflict:
        raise wrong("its jti was used before") from None


def spent_and_over(store: Store) -> list[Keep]:
    """Numbers that need not be remembered: the words they belong to are too old by themselves."""
    now = clock.now() // SECOND
    return [Keep(SPENT, key, None) for key, until in store.all_kept(SPENT).items() if until < now]


def check_public(data: Any) -> None:
    """Is this a public key that a client may register? Raises Invalid."""
    if isinstance(data, dict) and {"d", "k", "p", "q"} & set(data):
        raise Invalid(
            "This is a private key. Keep it to yourself, and register its public part.",
            slug="jwks-private",
            location="jwks",
        )
    if not isinstance(data, dict) or not isinstance(data.get("kid"), str) or _key(data) is None:
        raise Invalid(
            "A key must be RSA of 2048 bits or more, or EC P-384, with a kid.",
            slug="jwks",
            location="jwks",
        )


# -- inside --------------------------------------------------------------------------------------


class _Signatures(jws.JWSRegistry):
    def __init__(self) -> None:
        super().__init__(algorithms=list(ALGORITHMS))

    def check_header(self, header: Any) -> None:
        """Checked above, and more strictly."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


_signatures = _Signatures()


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they are written, unverified."""
    if len(assertion) > LONGEST or assertion.count(".") != 2:
        raise wrong("it is no signed JWT")
    try:
        signed = jws.extract_compact(assertion.encode("ascii"), registry=_signatures)
        header, claims = dict(signed.protected), decode(signed.payload)
    except (JoseError, ValueError, SokhoeError, RecursionError, TypeError):
        raise wrong("it is no signed JWT") from None
    if not isinstance(claims, dict):
        raise wrong("it is no set of claims")
    return header, claims


def _key(data: Mapping[str, Any]) -> Key | None:
    """A key we can check with; symmetric and private ones never."""
    if data.get("use", "sig") != "sig" or {"d", "k", "p", "q"} & set(data):
        return None
    if "key_ops" in data and "verify" not in data["key_ops"]:
        return None
    try:
        if data.get("kty") == "RSA" and len(str(data.get("n", ""))) >= _SMALLEST_N:
            return RSAKey.import_key({"kty": "RSA", "n": data["n"], "e": data["e"]})
        if data.get("kty") == "EC" and data.get("crv") == "P-384":
            return ECKey.import_key({"kty": "EC", "crv": "P-384", "x": data["x"], "y": data["y"]})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _fits(data: Any, kid: str) -> bool:
    return isinstance(data, dict) and data.get("kid") == kid


def _verifies(assertion: str, algorithm: str, data: Mapping[str, Any]) -> bool:
    key = _key(data)
    if key is None or data.get("alg", algorithm) != algorithm:
        return False
    if isinstance(key, RSAKey) is not algorithm.startswith("RS"):
        return False
    try:
        signed = jws.extract_compact(assertion.encode("ascii"), registry=_signatures)
        return bool(jws.validate_compact(signed, key, registry=_signatures))
    except (JoseError, ValueError, TypeError):
        return False


def _check(claims: Mapping[str, Any], client_id: str, audience: Sequence[str]) -> None:
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise wrong("iss and sub must both be the client_id")
    meant = claims.get("aud")
    if isinstance(meant, list) and len(meant) == 1:
        meant = meant[0]
    # one audience alone: a word for two could be carried from one to the other
    if not isinstance(meant, str) or meant not in audience:
        raise wrong(f"aud must be {audience[0]}")
    now = clock.now() // SECOND
    expires = _moment(claims, "exp")
    if expires <= now - SKEW:
        raise wrong("it has expired")
    if expires > now + LIFE + SKEW:
        raise wrong(f"exp may be at most {LIFE} seconds ahead")
    for name in ("iat", "nbf"):
        if name in claims and _moment(claims, name) > now + SKEW:
            raise wrong("it is not valid yet")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255:
        raise wrong("it needs a jti of its own")


def _moment(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or abs(int(value)) > 10**12:
        raise wrong(f"its {name} is no time")
    return int(value)


def wrong(what: str) -> SignIn:
    """A word that is not believed; what it lacks is told, since that is no secret."""
    return SignIn(f"The client_assertion is refused: {what}.", slug="invalid_client")


# -- keys that lie elsewhere ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Set:
    keys: Sequence[Any]
    fetched: float  # monotonic seconds


class Published:
    """Key sets that clients publish at an address, kept for ten minutes."""

    def __init__(self, guard: outside.Guard) -> None:
        self._guard = guard
        self._sets: dict[str, _Set] = {}

    def finder(self, url: str) -> Keys:
        """The keys at this address, when asked for one by its name. It raises SignIn."""

        def find(kid: str) -> Sequence[Any]:
            known = self._sets.get(url)
            age = time.monotonic() - known.fetched if known else FRESH
            missing = known is None or not any(_fits(one, kid) for one in known.keys)
            if known is None or age >= FRESH or (missing and age >= PAUSE):
                known = self._fetched(url)
            return known.keys

        return find

    def _fetched(self, url: str) -> _Set:
        listed: Any = None
        try:
            body = decode(outside.fetch(url, self._guard))
            listed = body.get("keys") if isinstance(body, dict) else None
        except SokhoeError as error:
            self._keep(url, ())  # not asked again at every forged word
            raise wrong(f"its keys cannot be fetched: {error.message}") from None
        if not isinstance(listed, list) or len(listed) > 100:
            self._keep(url, ())
            raise wrong("what lies at its jwks_uri is no key set")
        return self._keep(url, listed)

    def _keep(self, url: str, keys: Sequence[Any]) -> _Set:
        if len(self._sets) >= MOST_SETS:
            self._sets.clear()
        self._sets[url] = _Set(keys, time.monotonic())
        return self._sets[url]

"""Our side of OpenID Connect: send the citizen to the e-ID and read what it answers.

Authorization code with PKCE (RFC 7636, S256), `state` against forged answers, `nonce` against
replayed ones, `iss` in the answer against a mixed-up provider (RFC 9207). What must be remembered
between leaving and coming back is an `Attempt`; it travels in a sealed cookie of the browser that
began, so an answer carried to another browser opens nothing, and no table of ours fills up.
The answer itself is judged in `id_token`.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from ipaddress import ip_address
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from joserfc.jwk import KeySet

from sokhoe import clock
from sokhoe.book import id_token
from sokhoe.errors import Busy, Invalid, SokhoeError, Unavailable
from sokhoe.fhir import decode

SECOND = 1_000_000
ATTEMPT_SECONDS = 600  # time to find the phone, read the code, type the password
KEPT = 3600  # seconds for which discovery and keys are kept
KEY_PAUSE = 30  # seconds between looks for a key we do not know: a forger cannot make us hammer
LARGEST = 262_144  # bytes of any answer of the provider
# So many sign-ins may wait for a slow provider at once; the other threads go on serving pages.
WAITING = 8
PATIENCE = 2.0  # seconds for which one more waits for his turn


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in between leaving and coming back. `back`: the page the citizen wanted."""

    state: str
    nonce: str
    verifier: str
    back: str = ""

    def note(self) -> dict[str, str]:
        """As a note to seal."""
        return asdict(self)

    @staticmethod
    def of(note: Mapping[str, Any]) -> Attempt:
        """From a sealed note. Raises Invalid when the note is about something else."""
        try:
            return Attempt(*(str(note[name]) for name in ("state", "nonce", "verifier", "back")))
        except KeyError:
            raise Invalid("This is not a note of a sign-in.", slug="seal") from None


class Provider:
    """The e-ID provider of the settings. One per process; safe for many threads."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        *,
        scope: str = "openid profile",
        algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA"),
        http: httpx.Client | None = None,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._scope = scope
        self._signatures = id_token.Signatures(algorithms)
        self._http = http or httpx.Client(
            timeout=httpx.Timeout(5.0, connect=3.0),
            follow_redirects=False,
            trust_env=not _is_this_machine(issuer),
            headers={"accept": "application/json"},
        )
        self._places: dict[str, Any] | None = None
        self._places_at = 0
        self._keys: KeySet | None = None
        self._keys_at = 0
        self._turn = BoundedSemaphore(WAITING)

    # -- leaving ---------------------------------------------------------------------------

    def begin(self, back: str = "") -> tuple[str, Attempt]:
        """Where to send the browser, and what to remember. Raises Unavailable."""
        attempt = Attempt(
            secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), back
        )
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
            # A phone is shared in the family: the last person's e-ID must not open this Book.
            "prompt": "login",
        }
        where = self._place("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", attempt

    # -- coming back -----------------------------------------------------------------------

    def finish(self, answer: Mapping[str, str], attempt: Attempt) -> dict[str, Any]:
        """The verified claims for the answer that came to our callback.

        Raises Invalid (`eid-state`, `eid-code`, `eid-answer`), Unavailable (`eid-down`), and
        SokhoeError with slug `eid-denied` when the citizen said no.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise Invalid("This answer belongs to another sign-in.", slug="eid-state")
        if answer.get("iss", self.issuer) != self.issuer:
            raise Invalid("This answer comes from another provider.", slug="eid-state")
        if "error" in answer:
            raise _refusal(answer["error"])
        code = answer.get("code", "")
        if not code or len(code) > 2048:
            raise Invalid("The e-ID sent no code.", slug="eid-code")
        given = self._redeem(code, attempt)
        claims = self.verify(given.get("id_token"), attempt.nonce)
        return self._with_userinfo(claims, given.get("access_token"))

    def verify(self, token: Any, nonce: str) -> dict[str, Any]:
        """The claims of an id_token that is what it says. Raises Invalid (`eid-answer`)."""
        claims = id_token.opened(token, self._signatures, self._keys_with)
        id_token.check(claims, self.issuer, self._client_id, nonce)
        return claims

    # -- inside ----------------------------------------------------------------------------

    def _redeem(self, code: str, attempt: Attempt) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        methods = self._metadata().get("token_endpoint_auth_methods_supported")
        if isinstance(methods, list) and "client_secret_basic" not in methods:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        else:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        status, body = self._call("POST", self._place("token_endpoint"), data=form, headers=headers)
        if status == 200:
            return body
        if body.get("error") == "invalid_grant":
            raise Invalid("This code was used already or is too old.", slug="eid-code")
        raise Unavailable(
            f"The e-ID refused our client ({status}, {body.get('error', 'no reason')}).",
            hint="Check SOKHOE_OIDC_CLIENT_ID and SOKHOE_OIDC_CLIENT_SECRET with the provider.",
            slug="eid-down",
        )

    def _with_userinfo(self, claims: dict[str, Any], access: Any) -> dict[str, Any]:
        """Claims that the provider gives only on a second question. What is signed wins."""
        where = self._metadata().get("userinfo_endpoint")
        if not isinstance(where, str) or not isinstance(access, str):
            return claims
        status, more = self._call("GET", where, headers={"authorization": f"Bearer {access}"})
        if status != 200 or more.get("sub") != claims["sub"]:
            return claims
        return {**more, **claims}

    def _metadata(self) -> dict[str, Any]:
        now = clock.now()
        if self._places is not None and now < self._places_at + KEPT * SECOND:
            return self._places
        base = self.issuer.rstrip("/")
        status, body = self._call("GET", f"{base}/.well-known/openid-configuration")
        if status != 200 or body.get("issuer") != self.issuer:
            raise Unavailable(
                f"{self.issuer} does not describe itself as the e-ID provider we expect.",
                hint="SOKHOE_OIDC_ISSUER must be the provider's `issuer`, letter by letter.",
                slug="eid-down",
            )
        self._places, self._places_at = body, now
        return body

    def _place(self, name: str) -> str:
        place = self._metadata().get(name)
        if not isinstance(place, str) or not place.startswith(("https://", "http://")):
            raise Unavailable(f"The e-ID provider names no {name}.", slug="eid-down")
        if place.startswith("http://") and not self.issuer.startswith("http://"):
            raise Unavailable(f"The e-ID provider's {name} is not protected.", slug="eid-down")
        return place

    def _keys_with(self, kid: Any) -> KeySet:
        """The provider's keys, fetched anew for a key we do not know (it may have rotated)."""
        now = clock.now()
        keys = self._keys
        old = keys is None or now > self._keys_at + KEPT * SECOND
        unknown = keys is not None and kid is not None and all(k.kid != kid for k in keys)
        if keys is None or old or (unknown and now > self._keys_at + KEY_PAUSE * SECOND):
            status, body = self._call("GET", self._place("jwks_uri"))
            listed = body.get("keys")
            if status != 200 or not isinstance(listed, list):
                raise Unavailable("The e-ID provider shows no keys.", slug="eid-down")
            keys = KeySet([key for key in map(id_token.public_key, listed) if key is not None])
            self._keys, self._keys_at = keys, now
        return keys

    def _call(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """One question to the provider. Raises Unavailable when it is down or talks nonsense."""
        if not self._turn.acquire(timeout=PATIENCE):
            raise Busy("Many people are signing in just now.", slug="eid-busy")
        try:
            with self._http.stream(method, url, **more) as response:
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        raise Unavailable("The e-ID's answer is too large.", slug="eid-down")
                status = response.status_code
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The e-ID provider does not answer ({type(error).__name__}).",
                hint="Look whether this server reaches SOKHOE_OIDC_ISSUER.",
                slug="eid-down",
            ) from None
        finally:
            self._turn.release()
        if status >= 500:
            raise Unavailable(f"The e-ID provider has a failure ({status}).", slug="eid-down")
        try:
            said = decode(body) if body else {}
        except (Invalid, ValueError):
            said = None
        if not isinstance(said, dict):
            raise Unavailable("The e-ID provider's answer is no JSON object.", slug="eid-down")
        return status, said


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")


def _refusal(error: str) -> SokhoeError:
    if error in {"access_denied", "login_required", "interaction_required", "consent_required"}:
        return Invalid("The citizen did not agree at the e-ID.", slug="eid-denied")
    if error in {"temporarily_unavailable", "server_error"}:
        return Unavailable("The e-ID provider cannot answer now.", slug="eid-down")
    return Unavailable(
        "The e-ID provider refuses our question.",
        hint="Check client id, redirect address and scope with the provider.",
        slug="eid-down",
    )


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

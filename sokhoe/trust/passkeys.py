"""Passkeys: the words of WebAuthn (w3.org/TR/webauthn-3) between a browser and us.

py_webauthn reads CBOR, COSE keys and signatures; here stands what we ask for and what we accept:
no attestation (we do not choose people's phones), a key that asks for finger, face or PIN, our own
address and no other, a counter that never runs back. The library is loaded at its first use: it
takes half a second, which a station should not spend at each start.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sokhoe.errors import Invalid, SignIn
from sokhoe.fhir import decode, encode

LARGEST = 32_768  # characters of an answer
ALGORITHMS = (-8, -7, -257)  # EdDSA, ES256, RS256 (IANA COSE)
TIMEOUT = 120_000  # milliseconds the browser waits for the finger


@dataclass(frozen=True, slots=True)
class Place:
    """The site that keys are bound to: `rp_id` its host name, `origin` its whole address."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey: credential id and public key in base64url, and its counter."""

    id: str
    key: str
    count: int


def site_of(url: str) -> Place | None:
    """The site of this server's address; None where browsers allow no passkeys: an address
    without a name, or without HTTPS (only localhost may)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ip_address(host)
        return None
    except ValueError:
        pass
    if parts.scheme != "https" and host != "localhost":
        return None
    return Place(host, f"{parts.scheme}://{parts.netloc}")


def making(
    place: Place, challenge: bytes, handle: str, name: str, shown: str, known: Sequence[str]
) -> str:
    """Options for navigator.credentials.create, as JSON (WebAuthn §5.4)."""
    options = {
        "rp": {"id": place.rp_id, "name": "Sổ Khoẻ"},
        "user": {"id": _text(handle.encode()), "name": name, "displayName": shown},
        "challenge": _text(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
        "timeout": TIMEOUT,
        "excludeCredentials": [_described(one) for one in known],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }
    return encode(options).decode()


def made(place: Place, answer: str, challenge: bytes) -> Made:
    """The passkey that the browser made. Raises Invalid (`passkey-answer`)."""
    import webauthn
    from webauthn.helpers import exceptions

    try:
        found = webauthn.verify_registration_response(
            credential=_whole(answer),
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except (exceptions.WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Invalid(
            f"This passkey could not be kept: {type(error).__name__}.", slug="passkey-answer"
        ) from None
    return Made(_text(found.credential_id), _text(found.credential_public_key), found.sign_count)


def asking(place: Place, challenge: bytes, known: Sequence[str]) -> str:
    """Options for navigator.credentials.get, as JSON (WebAuthn §5.5)."""
    options = {
        "challenge": _text(challenge),
        "timeout": TIMEOUT,
        "rpId": place.rp_id,
        "allowCredentials": [_described(one) for one in known],
        "userVerification": "required",
    }
    return encode(options).decode()


def proved(place: Place, answer: str, challenge: bytes, key: str, count: int) -> int:
    """The passkey's new counter. Raises SignIn (`passkey-wrong`)."""
    import webauthn
    from webauthn.helpers import exceptions

    try:
        found = webauthn.verify_authentication_response(
            credential=_whole(answer),
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
            credential_public_key=_bytes(key),
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except (exceptions.WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise wrong(type(error).__name__) from None
    return found.new_sign_count


def challenge_in(answer: str) -> bytes:
    """The challenge that an answer says it is to. Raises SignIn (`passkey-wrong`)."""
    try:
        said: Any = decode(_bytes(_whole(answer)["response"]["clientDataJSON"]))
        return _bytes(said["challenge"])
    except (Invalid, ValueError, TypeError, KeyError):
        raise wrong("it cannot be read") from None


def id_in(answer: str) -> str:
    """The credential that answers, in base64url."""
    try:
        return _text(_bytes(_whole(answer)["rawId"]))
    except (Invalid, ValueError, TypeError, KeyError):
        raise wrong("it cannot be read") from None


def wrong(why: str) -> SignIn:
    """One sentence for the user, whatever was wrong; the reason is for the log."""
    return SignIn(f"This passkey was not accepted: {why}.", slug="passkey-wrong")


def _whole(answer: str) -> dict[str, Any]:
    found: Any = decode(answer.encode()) if len(answer) <= LARGEST else None
    if not isinstance(found, dict):
        raise Invalid("This is no answer of a passkey.", slug="passkey-answer")
    return found


def _described(id: str) -> dict[str, str]:
    return {"type": "public-key", "id": id}


def _bytes(text: str) -> bytes:
    if not isinstance(text, str) or len(text) > LARGEST:
        raise ValueError("no base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")

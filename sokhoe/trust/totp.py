"""Codes of an authenticator app (TOTP, RFC 6238): six digits that change every thirty seconds.

SHA-1, six digits and thirty seconds are what every app understands; HMAC-SHA-1 is not touched by
the collisions of SHA-1 (RFC 6238 §1.2, RFC 4226 appendix B).
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32decode, b32encode
from hashlib import sha1
from urllib.parse import quote, urlencode

from sokhoe.clock import Instant

SECONDS = 30
DIGITS = 6
DRIFT = 1  # steps by which the phone's clock may be off, either way
SECRET_BYTES = 20  # RFC 4226 §4: 160 bits recommended


def draw_secret() -> str:
    """A new secret as apps and people read it: base 32."""
    return b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def step_at(instant: Instant) -> int:
    """The number of the thirty seconds in which an instant lies."""
    return instant // 1_000_000 // SECONDS


def code_of(secret: str, step: int, digits: int = DIGITS) -> str:
    """The code of one step (RFC 4226 §5.3: dynamic truncation)."""
    seal = hmac.new(b32decode(secret), step.to_bytes(8, "big"), sha1).digest()
    at = seal[-1] & 15
    number = int.from_bytes(seal[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def fitting_step(secret: str, code: str, instant: Instant, last: int) -> int | None:
    """The step whose code this is, later than the last one used; None for a wrong code. A code
    that was used once is wrong from then on (RFC 6238 §5.2)."""
    now = step_at(instant)
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):  # all, so that each answer takes as long
        if hmac.compare_digest(code_of(secret, step).encode(), code.encode()) and step > last:
            found = step
    return found


def address(secret: str, username: str, issuer: str = "So Khoe") -> str:
    """What the QR code says to the app (the key URI format that authenticator apps share)."""
    label = quote(f"{issuer}:{username}", safe="")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer})}"

"""Passwords and secrets: argon2id for what people choose, a plain hash for what machines draw.

A drawn secret has 256 bits: nobody can guess it, so its SHA-256 is enough and costs no 50 ms at
every token. A chosen password gets argon2id with the library's current parameters (RFC 9106).
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from sokhoe.settings import DEMO_PASSWORD

__all__ = ["DEMO_PASSWORD", "digest", "draw", "hash_password", "password_fits", "same"]

_hasher = PasswordHasher()
# Checked when the account does not exist, so that both answers take the same time.
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def password_fits(hashed: str | None, password: str) -> bool:
    """Does the password belong to this hash? None (no such account) costs the same time."""
    try:
        return _hasher.verify(hashed or _NOBODY, password) and hashed is not None
    except (Argon2Error, InvalidHashError):
        return False


def draw() -> str:
    """A new secret of 256 bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a drawn secret."""
    return sha256(secret.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())

"""Passwords and secrets: argon2id for what people choose, a plain hash for what machines draw.

A drawn secret has 256 bits: nobody can guess it, so its SHA-256 is enough and costs no 50 ms at
every token. A chosen password gets argon2id with the library's current parameters (RFC 9106).

The rules for a chosen password are those of NIST SP 800-63B §3.1.1.2: long enough, and not one of
those that are tried first (`commonest.txt`). No rule of signs and capitals, no end after 90 days:
both make people write passwords down.
"""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from sokhoe.errors import Busy, Invalid
from sokhoe.fhir import fold

_hasher = PasswordHasher()
# Checked when the account does not exist, so that both answers take the same time.
_NOBODY = _hasher.hash("nobody has this password")
LEAST = 8  # whatever the settings say
MOST = 128  # characters: nobody types more, and hashing a novel costs us time
# Each hashing takes 64 MB for some 50 ms: a crowd at the door must not take the whole machine.
AT_ONCE = 4
PATIENCE = 10.0  # seconds one more waits for its turn
_turn = BoundedSemaphore(AT_ONCE)
# Crockford's letters: none that is mistaken for another (I, L, O), none for words (U).
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def hash_password(password: str) -> str:
    _take_turn()
    try:
        return _hasher.hash(password)
    finally:
        _turn.release()


def password_fits(hashed: str | None, password: str) -> bool:
    """Does the password belong to this hash? None (no such account) costs the same time."""
    _take_turn()
    try:
        return _hasher.verify(hashed or _NOBODY, password[: MOST + 1]) and hashed is not None
    except (Argon2Error, InvalidHashError):
        return False
    finally:
        _turn.release()


def _take_turn() -> None:
    if not _turn.acquire(timeout=PATIENCE):
        raise Busy("Many people are signing in just now.", slug="sign-in-busy", wait=5)


def check_rules(password: str, username: str = "", least: int = 10) -> None:
    """Refuse a password that would be guessed. Raises Invalid naming the rule (`password-…`)."""
    least = max(least, LEAST)
    if len(password) < least:
        raise Invalid(
            f"The password must have at least {least} characters.",
            hint="Three or four words that do not belong together are easy to keep in mind.",
            slug="password-short",
            location="password",
        )
    if len(password) > MOST:
        raise Invalid(
            f"The password must have at most {MOST} characters.",
            slug="password-long",
            location="password",
        )
    plain = fold(password).replace(" ", "")
    stem = plain.strip("0123456789!@#$%^&*()-_=+.,?~")
    own = fold(username)
    if {plain, stem} & commonest() or stem in {"", own} or len(set(plain)) < 4:
        raise Invalid(
            "This password is one of those that are tried first.",
            hint="Three or four words that do not belong together are easy to keep in mind.",
            slug="password-common",
            location="password",
        )


@cache
def commonest() -> frozenset[str]:
    """The passwords that are tried first, folded."""
    lines = Path(__file__).with_name("commonest.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def draw() -> str:
    """A new secret of 256 bits."""
    return secrets.token_urlsafe(32)


def draw_code(letters: int) -> str:
    """A code to be read from paper and typed: 5 bits a letter, in groups of four."""
    drawn = "".join(secrets.choice(CROCKFORD) for _ in range(letters))
    return "-".join(drawn[at : at + 4] for at in range(0, letters, 4))


def read_code(typed: str) -> str:
    """A typed code as it was drawn, without its dashes: small letters and O for 0 do no harm."""
    kept = "".join(one for one in typed[:64].upper() if one.isalnum())
    return kept.translate(_MISREAD)


def digest(secret: str) -> str:
    """What is kept of a drawn secret."""
    return sha256(secret.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())

"""The seam of signing: a device holds a key, unlocked it is a signer; and what checking one tells.

    Device   where the key lies: nowhere, in a file (demo), on a token, at a trust service
    Signer   the unlocked device: a certificate chain and `sign`

The formats (`pdf`, `xml`, `jws`) know only `Signer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sokhoe.errors import Unsupported

Chain = tuple[x509.Certificate, ...]


class Algorithm(StrEnum):
    """All with SHA-256; names of RFC 7518."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"


class Signer(Protocol):
    """An unlocked key. `label` is for people; `chain` begins with the signer's own certificate."""

    @property
    def label(self) -> str: ...

    @property
    def chain(self) -> Chain: ...

    @property
    def algorithm(self) -> Algorithm: ...

    def sign(self, payloads: Sequence[bytes]) -> list[bytes]:
        """A signature of each (the device hashes, or is given the hash): PKCS #1 or PSS bytes, for
        ES256 the DER pair r, s. Many at once, since a PIN or a code may be good for one call."""


class Device(Protocol):
    """`label` says in words what it is; `ready` False: there is none; `unlock` raises Unavailable
    or Forbidden (wrong-pin)."""

    label: str
    ready: bool

    def unlock(self, pin: str, code: str = "") -> AbstractContextManager[Signer]: ...


class Status(StrEnum):
    GOOD = "good"  # unchanged, by a certificate that was good at a proven time
    WAITING = "waiting"  # unchanged and so far good; time stamp or certificate status to come
    CHANGED = "changed"  # what was signed is not what is here
    REVOKED = "revoked"  # the certificate had been revoked when this was signed
    EXPIRED = "expired"  # the certificate was not valid then, or nothing proves that it was
    UNTRUSTED = "untrusted"  # no authority that we know stands behind it
    MISUSED = "misused"  # the certificate is not for signing documents
    BROKEN = "broken"  # not a signature, or not one by this rule


ACCEPTED = frozenset({Status.GOOD, Status.WAITING})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking a signature found. `level`: B-B (signed), B-T (time proven), B-LT (certificate
    status kept with it), B-LTA (all of it under a later time stamp). `at`: the proven time, or what
    the signer says (`proven` False). `why` is one sentence in English for whoever looks closer."""

    status: Status
    level: str = ""
    name: str = ""
    organisation: str = ""
    at: datetime | None = None
    proven: bool = False
    why: str = ""
    certificate: x509.Certificate | None = None

    @property
    def accepted(self) -> bool:
        return self.status in ACCEPTED


def algorithm_of(certificate: x509.Certificate, *, pss: bool = False) -> Algorithm:
    """What a key of this certificate signs with. Unsupported for keys that are none of ours."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return Algorithm.PS256 if pss else Algorithm.RS256
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return Algorithm.ES256
    raise Unsupported(
        "This certificate's key is neither RSA of 2048 bits or more nor P-256.",
        slug="signing-key",
    )


def words_of(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """One part of a certificate's name; "" if it is not in it."""
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""

"""A passkey in software, for tests: what a phone does when it is asked (WebAuthn §6)."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 1, 4, 64


def b64(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One key. Whatever a forger would change can be changed: origin, counter, flags."""

    origin: str
    count: int = 0
    flags: int = PRESENT | VERIFIED
    rp_id: str = ""
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: str) -> str:
        """The answer to navigator.credentials.create."""
        asked = json.loads(options)
        numbers = self.key.public_key().public_numbers()
        cose = {
            1: 2,
            3: -7,
            -1: 1,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        about = self._about(asked["rp"]["id"], self.flags | ATTESTED) + attested
        told = {"fmt": "none", "attStmt": {}, "authData": about}
        return self._answer(
            {
                "clientDataJSON": b64(self._client("webauthn.create", asked["challenge"])),
                "attestationObject": b64(cbor2.dumps(told)),
            }
        )

    def prove(self, options: str) -> str:
        """The answer to navigator.credentials.get."""
        asked = json.loads(options)
        self.count += 1
        client = self._client("webauthn.get", asked["challenge"])
        about = self._about(asked["rpId"], self.flags)
        signed = self.key.sign(about + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(about),
                "signature": b64(signed),
                "userHandle": None,
            }
        )

    def _about(self, rp_id: str, flags: int) -> bytes:
        named = sha256((self.rp_id or rp_id).encode()).digest()
        return named + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, what: str, challenge: str) -> bytes:
        said = {"type": what, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        whole = {
            "id": b64(self.id),
            "rawId": b64(self.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
        return json.dumps(whole)

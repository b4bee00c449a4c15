"""The node's own key: an Ed25519 pair made at enrolment, whose private half never leaves the disk.

Every request to the hub is signed with it, so there is no shared password to steal or to renew.
It proves which server speaks, not which person signs: it is no legal signature.

What is signed, line by line (so that a request can be moved neither to another address nor time):

    sokhoe sync 1
    POST /sync/v1/push
    <node>
    <time, microseconds>
    <sha256 of the body, hex>
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sokhoe.clock import Instant
from sokhoe.errors import Invalid, SignIn

KEY_FILE = "node.key"
NODE, TIME, SIGNATURE = "X-Node", "X-Time", "X-Signature"


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed a request, and when by that server's own clock."""

    node: str
    at: Instant
    signature: bytes


class NodeKey:
    """The private key of this server."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def draw(cls) -> NodeKey:
        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> str:
        """The public half, base64 of its 32 bytes, as the hub registers it."""
        return b64encode(self._key.public_key().public_bytes_raw()).decode()

    def headers(
        self, node: str, method: str, path: str, body: bytes, at: Instant
    ) -> dict[str, str]:
        """The three headers that sign a request."""
        signature = self._key.sign(_said(node, method, path, body, at))
        return {NODE: node, TIME: str(at), SIGNATURE: b64encode(signature).decode()}

    def pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(folder: Path) -> NodeKey | None:
    """The key of this data folder, or None before enrolment. Raises Invalid when it is damaged."""
    file = folder / KEY_FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = load_pem_private_key(content, password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(
            f"{file} is not the key of a server.",
            hint="Move it away and enrol this station again with a new code from the province.",
            slug="node-key",
        )
    return NodeKey(key)


def make_key(folder: Path) -> NodeKey:
    """The key of this data folder; a new one is written first (readable by its owner alone).

    A key that is there is kept: enrolling again must not lose the name under which the hub knows
    this server. It is on disk, name and content, before anybody hears of it.
    """
    standing = load_key(folder)
    if standing is not None:
        return standing
    key = NodeKey.draw()
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{KEY_FILE}.new"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key.pem())
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(folder / KEY_FILE)
    if os.name == "posix":  # Windows cannot open a folder to flush it
        place = os.open(folder, os.O_RDONLY)
        os.fsync(place)
        os.close(place)
    return key


def read_signed(headers: Mapping[str, str]) -> Signed:
    """The three headers of a request. Raises SignIn when one is missing or no number or base64."""
    try:
        at = int(headers[TIME.lower()])
        signature = b64decode(headers[SIGNATURE.lower()], validate=True)
        return Signed(headers[NODE.lower()], at, signature)
    except (KeyError, ValueError):
        raise SignIn(
            "This request is not signed by a server of this province.", slug="not-signed"
        ) from None


def signature_fits(public: str, signed: Signed, method: str, path: str, body: bytes) -> bool:
    """Was this request signed with the private half of this public key?"""
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        key.verify(signed.signature, _said(signed.node, method, path, body, signed.at))
    except (InvalidSignature, ValueError):
        return False
    return True


def good_public_key(public: str) -> bool:
    """Is this the base64 of an Ed25519 public key?"""
    try:
        Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
    except ValueError:
        return False
    return True


def _said(node: str, method: str, path: str, body: bytes, at: Instant) -> bytes:
    digest = sha256(body).hexdigest()
    return f"sokhoe sync 1\n{method} {path}\n{node}\n{at}\n{digest}".encode()

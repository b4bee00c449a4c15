"""A signed statement "my log has n lines and this root", as text that anybody can keep.

Format: C2SP tlog-checkpoint and signed-note (c2sp.org/tlog-checkpoint), Ed25519:

    <node>/audit                     the log's name
    20852063                         how many lines
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     the root, base64
    at 2026-11-23T10:00:00+07:00     when

    — <node>/audit <base64 of 4 bytes key hash and 64 bytes signature>

A checkpoint that lies elsewhere (with a neighbour, on paper) is what convicts a server that writes
its own past anew with its own keys.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sokhoe import clock
from sokhoe.errors import Invalid

ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes
    at: str = ""

    @property
    def text(self) -> str:
        lines = [self.origin, str(self.size), b64encode(self.root).decode()]
        return "\n".join([*lines, *([f"at {self.at}"] if self.at else [])]) + "\n"


def stamp(origin: str, size: int, root: bytes) -> Checkpoint:
    return Checkpoint(origin, size, root, clock.iso(clock.now()))


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    name = checkpoint.origin
    seal = _key_hash(name, key.public_key()) + key.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n— {name} {b64encode(seal).decode()}\n"


def verifier(origin: str, key: Ed25519PublicKey) -> str:
    """The public key as text: name+hash+key (signed-note's form)."""
    raw = b64encode(ED25519 + key.public_bytes_raw()).decode()
    return f"{origin}+{_key_hash(origin, key).hex()}+{raw}"


def opened(note: str, key: Ed25519PublicKey) -> Checkpoint:
    """A note's checkpoint. Raises Invalid if it is not signed by that key."""
    text, gap, seals = note.partition("\n\n")
    lines = text.split("\n")
    try:
        found = Checkpoint(lines[0], int(lines[1]), b64decode(lines[2], validate=True))
        name, _, seal = seals.strip().removeprefix("— ").rpartition(" ")
        raw = b64decode(seal, validate=True)
        if not gap or name != found.origin or raw[:4] != _key_hash(name, key):
            raise ValueError("another key")
        key.verify(raw[4:], (text + "\n").encode())
    except (ValueError, IndexError, InvalidSignature) as error:
        raise Invalid("This checkpoint is damaged or signed by another key.") from error
    at = next((line[3:] for line in lines[3:] if line.startswith("at ")), "")
    return Checkpoint(found.origin, found.size, found.root, at)


def _key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + key.public_bytes_raw()).digest()[:4]

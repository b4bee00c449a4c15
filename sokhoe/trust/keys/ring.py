"""The ring: every key of one server in `keys.json` of its data folder, wrapped by the master key.

    {format, ring, salt, current, masters: [name…],
     keys: [{kind, number, made, wrapped: {name: …}}…]}

    kind   file   of the whole database file of a station (SQLite3 Multiple Ciphers)
           data   seals bodies, audit lines and drawers of a hub, and the audit journal; numbered,
                  `current` seals, the others still open what they sealed
           blind  of the search index: never changed, since every entry would have to be

A wrapped key is AES-256-GCM under the master key, bound to its ring, kind and number. While the
master key is being changed each key is wrapped twice, so whenever the power fails one of the two
master keys opens all. The file is replaced whole. It is useless without the master key, so a copy
goes with each backup.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound
from sokhoe.store import Held

FILE = "keys.json"
FORMAT = 1
BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """One wrapped key."""

    kind: str
    number: int
    made: str
    wrapped: dict[str, str]

    def about(self, ring: str) -> bytes:
        return f"sokhoe {ring} {self.kind} {self.number}".encode()


@dataclass(frozen=True, slots=True)
class Ring:
    ring: str
    salt: str
    current: int
    masters: tuple[str, ...]
    keys: tuple[Key, ...]

    @property
    def mark(self) -> bytes:
        """Two bytes that tell the paper sheets of one ring from those of another."""
        return bytes.fromhex(self.ring)[:2]

    def of(self, kind: str) -> list[Key]:
        """Keys of a kind, the newest first."""
        return sorted((one for one in self.keys if one.kind == kind), key=lambda one: -one.number)

    def fits(self, master: bytes) -> bool:
        return _name(self.ring, master) in self.masters

    def held(self, master: bytes) -> Held:
        """All keys, opened. Invalid if this is not the master key."""
        data = {one.number: self._opened(one, master) for one in self.of("data")}
        files = tuple(self._opened(one, master) for one in self.of("file"))
        blind = self._opened(self.of("blind")[0], master)
        return Held(files, blind, data, self.current)

    def _opened(self, key: Key, master: bytes) -> bytes:
        name = _name(self.ring, master)
        try:
            raw = b64decode(key.wrapped[name], validate=True)
            return AESGCM(master).decrypt(raw[:12], raw[12:], key.about(self.ring))
        except KeyError:
            raise Invalid(
                "This master key does not open these keys.",
                hint="Is it the key of another server, or an older one? Two paper sheets bring the "
                "right one back: sokhoe keys recover",
                slug="master-key",
            ) from None
        except (InvalidTag, ValueError):
            raise Invalid(
                f"Key {key.kind} {key.number} in {FILE} is damaged.",
                hint=f"Put back the copy of {FILE} that lies beside the last backup.",
                slug="keys",
            ) from None

    def grown(self, kind: str, masters: list[bytes]) -> Ring:
        """With one more key of a kind; the newest data key seals from now on."""
        number = max((one.number for one in self.of(kind)), default=0) + 1
        new = Key(kind, number, _today(), {})
        raw = secrets.token_bytes(BYTES)
        new = self._wrap(new, raw, masters)
        current = number if kind == "data" else self.current
        return replace(self, keys=(*self.keys, new), current=current)

    def without(self, kind: str, numbers: set[int]) -> Ring:
        """Without keys that nothing needs any more. Never the newest of a kind."""
        newest = self.of(kind)[0].number
        gone = numbers - {newest}
        kept = tuple(one for one in self.keys if one.kind != kind or one.number not in gone)
        return replace(self, keys=kept)

    def also_under(self, old: bytes, new: bytes, salt: str = "") -> Ring:
        """Wrapped by both master keys: the first step of changing it."""
        keys = tuple(self._wrap(one, self._opened(one, old), [old, new]) for one in self.keys)
        names = (_name(self.ring, old), _name(self.ring, new))
        return replace(self, masters=names, keys=keys, salt=salt)

    def only_under(self, master: bytes) -> Ring:
        """The last step: what the other master key opened is gone."""
        name = _name(self.ring, master)
        keys = tuple(replace(one, wrapped={name: one.wrapped[name]}) for one in self.keys)
        return replace(self, masters=(name,), keys=keys)

    def _wrap(self, key: Key, raw: bytes, masters: list[bytes]) -> Key:
        wrapped = {}
        for master in masters:
            nonce = secrets.token_bytes(12)
            sealed = nonce + AESGCM(master).encrypt(nonce, raw, key.about(self.ring))
            wrapped[_name(self.ring, master)] = b64encode(sealed).decode()
        return replace(key, wrapped=wrapped)


def new(master: bytes, salt: str = "") -> Ring:
    name = secrets.token_hex(8)
    ring = Ring(name, salt, 0, (_name(name, master),), ())
    for kind in ("file", "blind", "data"):
        ring = ring.grown(kind, [master])
    return ring


def path_of(folder: Path) -> Path:
    return folder / FILE


def load(folder: Path) -> Ring | None:
    """The ring of a data folder; None: nothing is encrypted here."""
    try:
        raw = path_of(folder).read_bytes()
    except FileNotFoundError:
        return None
    return parsed(raw, str(path_of(folder)))


def parsed(raw: bytes, where: str) -> Ring:
    try:
        found: dict[str, Any] = json.loads(raw)
        if found.pop("format") != FORMAT:
            raise ValueError("format")
        keys = tuple(Key(**one) for one in found.pop("keys"))
        return Ring(keys=keys, masters=tuple(found.pop("masters")), **found)
    except (ValueError, KeyError, TypeError):
        raise Invalid(
            f"{where} is not a ring of keys.",
            hint=f"Put back the copy of {FILE} that lies beside the last backup.",
            slug="keys",
        ) from None


def written(ring: Ring) -> bytes:
    return json.dumps({"format": FORMAT, **asdict(ring)}, indent=1).encode() + b"\n"


def save(folder: Path, ring: Ring) -> None:
    """Replace the ring; the old one or the new one is on disk, whatever happens."""
    beside = folder / f"{FILE}.new"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(written(ring))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path_of(folder))
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def existing(folder: Path) -> Ring:
    """As `load`. NotFound where there is none."""
    found = load(folder)
    if found is None:
        raise NotFound(
            f"There are no keys in {folder}.",
            hint="Nothing is encrypted yet. To begin: sokhoe keys init",
            slug="keys",
        )
    return found


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Alone with the ring. Conflict while somebody else changes it."""
    handle = os.open(folder / f"{FILE}.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict("Somebody else is changing the keys just now.", slug="keys") from None
    finally:
        os.close(handle)


def _name(ring: str, master: bytes) -> str:
    """By this a master key is known; says nothing about it."""
    return sha256(b"sokhoe master key\n" + ring.encode() + master).hexdigest()[:16]


def _today() -> str:
    return clock.iso(clock.now())

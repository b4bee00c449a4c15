"""What is kept secret on disk, and how: the store's own view of the keys.

    sealed    mark 4 │ number of the data key 2 │ nonce 12 │ AES-256-GCM of the rest, tag 16

The mark tells it from all that stands in the clear (zstd begins with 0x28, JSON with ASCII; hashes
are shorter). So both may lie side by side, and encryption is switched on while the store works.
Keys come from whoever opens the store (`trust`); nothing here reads a key from disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sokhoe.errors import Unavailable

MARK = b"\xe1sk1"
_HEAD = len(MARK) + 2
_NONCE = 12
OVERHEAD = _HEAD + _NONCE + 16  # bytes that sealing adds
LOOK_EVERY = 1.0  # seconds between looks whether another process rotated the keys


@dataclass(frozen=True, slots=True)
class Held:
    """Opened keys: of the whole file, the newest first (the others: while it is being changed);
    of the index; of data by number, and which of them seals."""

    files: tuple[bytes, ...]
    blind: bytes
    data: Mapping[int, bytes] = field(repr=False)
    current: int


class Keys:
    """Seals and opens. `again` gives the keys anew when they may have changed, None if not."""

    def __init__(self, held: Held, again: Callable[[], Held | None] | None = None) -> None:
        self._again = again
        self._until = time.monotonic() + LOOK_EVERY
        self._take(held)

    def _take(self, held: Held) -> None:
        self.held = held
        self._ciphers = {number: AESGCM(key) for number, key in held.data.items()}

    def refresh(self) -> None:
        """See whether another process rotated the keys."""
        self._until = time.monotonic() + LOOK_EVERY
        found = self._again() if self._again else None
        if found is not None:
            self._take(found)

    @property
    def current(self) -> int:
        if time.monotonic() > self._until:
            self.refresh()
        return self.held.current

    def seal(self, plain: bytes) -> bytes:
        number = self.current
        nonce = os.urandom(_NONCE)
        head = MARK + number.to_bytes(2, "big")
        return head + nonce + self._ciphers[number].encrypt(nonce, plain, head)

    def knows(self, data: bytes) -> bool:
        """Whether the key that sealed this is here."""
        if number_of(data) not in self._ciphers:
            self.refresh()
        return number_of(data) in self._ciphers

    def open(self, data: bytes) -> bytes:
        """What was sealed; what was not comes as it is. Unavailable without the key, or when the
        bytes were changed."""
        if not is_sealed(data):
            return data
        number = number_of(data)
        if not self.knows(data):
            raise Unavailable(
                f"Data key {number} is not in the ring.",
                hint="Restore keys.json that belongs to this store; look with: sokhoe keys status",
                slug="data-key",
            )
        try:
            return self._ciphers[number].decrypt(
                data[_HEAD : _HEAD + _NONCE], data[_HEAD + _NONCE :], data[:_HEAD]
            )
        except InvalidTag:
            raise Unavailable(
                f"What data key {number} sealed was changed on disk, or is of another store.",
                hint="Run: sokhoe audit verify. It names the record.",
                slug="data-key",
            ) from None


def is_sealed(data: bytes) -> bool:
    return data[:4] == MARK and len(data) >= OVERHEAD


def number_of(data: bytes) -> int:
    """The number of the key that sealed this; 0: it stands in the clear."""
    return int.from_bytes(data[4:6], "big") if is_sealed(data) else 0

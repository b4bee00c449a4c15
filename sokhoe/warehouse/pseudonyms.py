"""The keyed names under which people and records stand in the warehouse.

HMAC-SHA-256 with a key that never leaves this folder (file `key`, readable by the server alone):
the same person has the same pseudonym in every table, and nobody without the key can find out
which one a given record has, not even by trying all numbers of a kind. A lost key makes every
pseudonym new: the warehouse is then loaded again from the feed.
"""

from __future__ import annotations

import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from sokhoe.errors import Unavailable

KEY_FILE = "key"
KEY_BYTES = 32
# 96 bits: with a billion records the chance that two share a pseudonym is below 1 in 10^10.
BYTES = 12
# Houses, not people: their references stay readable, since they are what numbers are shown by.
OPEN_TYPES = frozenset({"Organization", "Location"})


class Pseudonyms:
    """The keyed names of one warehouse folder."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # The same patient and visit are named many times in a row; 20,000 names are some 5 MB.
        self.of = lru_cache(20_000)(self._of)

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart without telling the key."""
        return hmac.digest(self._key, b"fingerprint", "sha256")[:8].hex()

    def _of(self, reference: str) -> str:
        """The pseudonym of `Patient/3`: 24 hexadecimal digits."""
        return hmac.digest(self._key, reference.encode(), "sha256")[:BYTES].hex()

    def reference(self, text: str) -> str | None:
        """A reference with its id replaced (`Patient/9f…`); houses stay. None for what names no
        record here (`#contained`, `urn:uuid:…`)."""
        parts = text.split("/")
        if "_history" in parts:
            parts = parts[: parts.index("_history")]
        if len(parts) < 2 or not parts[-2].isalpha() or not parts[-1]:
            return None
        type, id = parts[-2:]
        return f"{type}/{id}" if type in OPEN_TYPES else f"{type}/{self.of(f'{type}/{id}')}"


def open_key(folder: Path) -> Pseudonyms:
    """The key of a folder, drawn on the first call. Raises Unavailable for a damaged key file."""
    file = folder / KEY_FILE
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = _draw(file)
    if len(key) != KEY_BYTES:
        raise Unavailable(
            f"The warehouse key {file} is damaged ({len(key)} bytes instead of {KEY_BYTES}).",
            hint="Put it back from the backup, or delete the folder: it is loaded again.",
            slug="warehouse-key",
        )
    return Pseudonyms(key)


def _draw(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, key)
        os.fsync(handle)
    finally:
        os.close(handle)
    return key

"""Where the master key comes from. It opens the ring and never lies in the data folder.

    master_key_file     a file of the operating system's, readable by its owner alone (0600)
    master_key          the key itself, from the environment (a secret store puts it there)
    master_passphrase   a sentence people remember; argon2id makes the key of it (RFC 9106)

A key is written as 64 hexadecimal digits. There is no default. A demo may have the demo's key; no
other server takes it (see `sokhoe.settings`).
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw

from sokhoe.errors import Conflict, Invalid, NotFound
from sokhoe.settings import Settings, refuse_demo

BYTES = 32
# RFC 9106 §4, the second recommended choice: for machines with little memory
PASSES, MEMORY_KB, LANES = 3, 64 * 1024, 4
SHORTEST = 16  # letters of a passphrase


def find(settings: Settings, salt: str) -> bytes:
    """The master key by the settings, for a ring with this salt ("": no passphrase).

    NotFound when no setting names one; Invalid when what is named is no key or not kept well.
    """
    if text := settings.master_key:
        return read(text, "SOKHOE_MASTER_KEY")
    if path := settings.master_key_file:
        key = from_file(Path(path), settings.folder)
        refuse_demo(key.hex(), path, demo=settings.is_demo)
        return key
    if phrase := settings.master_passphrase:
        return from_passphrase(phrase, salt)
    raise NotFound(
        f"The keys of {settings.folder} are locked, and no setting says where the master key is.",
        hint="Set SOKHOE_MASTER_KEY_FILE, or give SOKHOE_MASTER_PASSPHRASE. Is it lost? Two of the "
        "three paper sheets bring it back: sokhoe keys recover",
        slug="master-key",
    )


def read(text: str, where: str) -> bytes:
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""
    if len(found) != BYTES or len(set(found)) < 8:
        raise Invalid(
            f"What {where} holds is no master key.",
            hint="It has 64 hexadecimal digits, drawn at random: sokhoe keys init makes one.",
            slug="master-key",
        )
    return found


def from_file(path: Path, data: Path) -> bytes:
    """The key in a file: outside the data folder, its owner's alone."""
    _outside(path, data)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(200)
    except OSError as error:
        raise NotFound(
            f"The master key {path} cannot be read ({error.strerror}).",
            hint="Put the file back (USB stick, safe), or run: sokhoe keys recover",
            slug="master-key",
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise Invalid(
            f"Others than its owner may read the master key {path}.",
            hint=f"chmod 600 {path}",
            slug="master-key",
        )
    return read(text.decode("ascii", "replace"), str(path))


def from_passphrase(phrase: str, salt: str) -> bytes:
    if not salt:
        raise Invalid(
            "This ring is locked with a key in a file, not with a passphrase.",
            hint="Set SOKHOE_MASTER_KEY_FILE.",
            slug="master-key",
        )
    raw = phrase.strip().encode()
    return hash_secret_raw(raw, bytes.fromhex(salt), PASSES, MEMORY_KB, LANES, BYTES, Type.ID)


def check_passphrase(phrase: str) -> None:
    """Invalid for one that is soon guessed."""
    if len(phrase.strip()) < SHORTEST or len(set(phrase)) < 8:
        raise Invalid(
            f"The passphrase is too short: take {SHORTEST} letters or more.",
            hint="Five or six words drawn from a list are long enough and easy to keep.",
            slug="master-key",
        )


def draw() -> bytes:
    return secrets.token_bytes(BYTES)


def write(path: Path, key: bytes, data: Path) -> None:
    """A new key file; on disk when it returns. Conflict if there is one."""
    _outside(path, data)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(
            f"{path} is there already; nothing was changed.", slug="master-key"
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, key: bytes) -> None:
    """Another key in the same file; the old one or the new one is there, whatever happens."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _outside(path: Path, data: Path) -> None:
    if path.resolve().is_relative_to(data.resolve()):
        raise Invalid(
            f"The master key may not lie in the data folder {data}: who takes one takes both.",
            hint="Name a place outside: /etc/sokhoe/master.key, a USB stick.",
            slug="master-key",
        )

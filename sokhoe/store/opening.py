"""SQLite files, opened with their key: every connection of the house is made here.

With keys a new file is encrypted as a whole, page by page, write-ahead file included (SQLite3
Multiple Ciphers; decision 19 says why this cipher). A file that stood in the clear before there
were keys is opened as it is until `sokhoe keys encrypt` has gone over it.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import apsw

from sokhoe.errors import Conflict, Unavailable
from sokhoe.store.keying import Keys

CIPHER = "chacha20"
PLAIN = b"SQLite format 3\0"


def is_plain(path: str | Path) -> bool:
    """Whether a file is there that stands in the clear."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(PLAIN)) == PLAIN
    except FileNotFoundError:
        return False


def key_for(path: str, keys: Keys | None) -> bytes | None:
    """The key of a file; None: it stands in the clear, or will. Unavailable without the right
    one."""
    file = Path(path)
    held = keys.held.files if keys else ()
    if not file.exists() or file.stat().st_size == 0:
        return held[0] if held else None
    if is_plain(path):
        return None
    if not held:
        raise Unavailable(
            f"{path} is encrypted, or no store of sokhoe.",
            hint="Its keys are in keys.json of the data folder. Look with: sokhoe keys status",
            slug="store-locked",
        )
    for key in held:
        if _opens(path, key):
            return key
    raise Unavailable(
        f"The keys of this server do not open {path}.",
        hint="Is it of another server? A backup has its keys beside it: FILE.keys.json",
        slug="store-locked",
    )


def _opens(path: str, key: bytes) -> bool:
    connection = connect(path, key)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except apsw.NotADBError:
        return False
    finally:
        connection.close()
    return True


def connect(path: str, key: bytes | None, *, statements: int = 100) -> apsw.Connection:
    """A connection, with this key or in the clear."""
    connection = apsw.Connection(path, statementcachesize=statements)
    if key is not None:
        _unlock(connection, "key", key)
    return connection


def _unlock(connection: apsw.Connection, verb: str, key: bytes) -> None:
    if connection.pragma("cipher") is None:  # a SQLite without ciphers would take no notice
        raise Unavailable(
            "This SQLite cannot encrypt.", hint="Install apsw-sqlite3mc in place of apsw."
        )
    connection.execute(f"PRAGMA cipher='{CIPHER}'")
    connection.execute(f"PRAGMA {verb}='raw:{key.hex()}'")


def swap(path: str, old: bytes | None, new: bytes | None) -> None:
    """Carry a whole file from one key to another (None: in the clear), by a copy that takes its
    place once `check` has read all of it. Killed at any moment, the old file or the new one is
    there, whole, and the same call finishes the work. Conflict while anybody has the file open.
    """
    file, half = Path(path), Path(f"{path}.rekeyed")
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{half}{suffix}").unlink(missing_ok=True)
    source = connect(path, old)
    try:
        _alone(source, path)
        _copied(file, half)
        _rekey(half, old, new)
        _same(source, half, new)
        half.replace(file)
        _flushed(file.parent)
    finally:
        source.close()
        half.unlink(missing_ok=True)


def _alone(source: apsw.Connection, path: str) -> None:
    """Everything is in the main file, and nobody else has it open."""
    try:
        if source.pragma("journal_mode", "delete") != "delete":
            raise apsw.BusyError("in use")
        source.pragma("locking_mode", "exclusive")
        source.execute("BEGIN EXCLUSIVE")
    except apsw.BusyError:
        raise Conflict(
            f"{path} is in use.", hint="Stop the server first; nothing was changed.", slug="keys"
        ) from None


def _copied(file: Path, half: Path) -> None:
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as target, file.open("rb") as source:
        while piece := source.read(1 << 20):
            target.write(piece)


def _rekey(half: Path, old: bytes | None, new: bytes | None) -> None:
    connection = connect(str(half), old)
    try:
        connection.pragma("journal_mode", "off")  # a broken-off copy is thrown away
        connection.pragma("synchronous", "off")
        if new is None:
            connection.execute("PRAGMA rekey=''")
        else:
            _unlock(connection, "rekey", new)
    finally:
        connection.close()
    with half.open("rb+") as file:
        os.fsync(file.fileno())


def _same(source: apsw.Connection, half: Path, new: bytes | None) -> None:
    """Every row of every table is the same in both, and the copy is sound."""
    if (new is None) != is_plain(half):
        raise Unavailable("The copy is not as it should be; the old file was left as it is.")
    copy = connect(str(half), new)
    try:
        sound = copy.pragma("integrity_check")
        if sound != "ok" or _rows(source) != _rows(copy):
            raise Unavailable("The copy differs from the store; the old file was left as it is.")
    finally:
        copy.close()


def _rows(connection: apsw.Connection) -> list[tuple[str, int, str]]:
    """Each table with the number of its rows and a digest over them."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY name")
    found: list[tuple[str, int, str]] = []
    for (name,) in names.fetchall():
        digest, count = blake2b(digest_size=16), 0
        for row in connection.execute(f'SELECT * FROM "{name}"'):
            digest.update(repr(row).encode())
            count += 1
        found.append((str(name), count, digest.hexdigest()))
    return found


def _flushed(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

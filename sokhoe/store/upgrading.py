"""An old store is carried into the layout of this program: all of it or nothing.

known?    a store of a newer program is refused, and left as it is
room?     SQLite: the disk must hold the copy, and everything written anew beside the old
copy      SQLite: `sokhoe.db.before-2`, made while nobody else can write; PostgreSQL: whoever
          keeps the database makes it (pg_dump) and then says so (setting `upgrade_database`)
steps     in one transaction with making the index anew: a power cut leaves the old store, and
          the next start begins again
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import apsw

from sokhoe.errors import Unavailable
from sokhoe.store import opening

Steps = tuple[tuple[str, str], ...]
SPARE = 64 * 2**20
TIMES = 3  # the copy, the new tables, and the write-ahead file that carries them


def pending(steps: Steps, done: Collection[int], what: str) -> Iterator[tuple[int, str, str]]:
    """(number, name, text) of the steps still to do. Unavailable if the store knows more steps."""
    if set(done) - set(range(1, len(steps) + 1)):
        raise Unavailable(
            f"{what} was written by a newer version of sokhoe.",
            hint="Install that version or a newer one; nothing was changed.",
            slug="store-newer",
        )
    return ((n, *step) for n, step in enumerate(steps, 1) if n not in done)


def check_room(path: Path, free: Callable[[Path], int] | None = None) -> None:
    """Unavailable unless the disk has room for the upgrade of this SQLite store."""
    size = sum(one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists())
    needed = TIMES * size + SPARE
    have = free(path.parent) if free else shutil.disk_usage(path.parent).free
    if have < needed:
        raise Unavailable(
            f"{path} must be upgraded, which needs {needed // 2**20} MB of free disk; "
            f"{have // 2**20} MB are free.",
            hint="Free space or move the data folder to a larger disk; nothing was changed.",
            slug="upgrade-room",
        )


def keep_copy(source: apsw.Connection, path: Path, number: int, key: bytes | None = None) -> Path:
    """A copy of the store as it is, beside it; whole or not there at all."""
    kept, half = Path(f"{path}.before-{number}"), Path(f"{path}.before-{number}.half")
    half.unlink(missing_ok=True)
    target = opening.connect(str(half), key)
    try:
        with target.backup("main", source, "main") as copy:
            copy.step()
    finally:
        target.close()
    with half.open("rb+") as file:
        os.fsync(file.fileno())
    half.replace(kept)
    return kept


def refuse(url_shown: str, number: int) -> Unavailable:
    """What is said where the copy is somebody else's work."""
    return Unavailable(
        f"{url_shown} holds records in an older layout; step {number} must be done.",
        hint="Copy it with pg_dump, then start once with SOKHOE_UPGRADE_DATABASE=yes.",
        slug="upgrade-wanted",
    )

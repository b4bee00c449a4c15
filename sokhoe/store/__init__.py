"""I am the memory: every version of every record, search, the change feed, the audit.

I keep what is committed, on SQLite or PostgreSQL, sealed in two hash chains.
I may ask `fhir`. I never decide who may read: whoever asks brings a `Scope`.
"""

from collections.abc import Iterator
from pathlib import Path

from sokhoe.errors import Conflict, Invalid, NotFound
from sokhoe.store.bodies import bare, bare_of
from sokhoe.store.carrying import Carrier, pack
from sokhoe.store.chain import seal
from sokhoe.store.hiding import hides
from sokhoe.store.keying import Held, Keys
from sokhoe.store.leading import Lead
from sokhoe.store.opening import is_plain, key_for, swap
from sokhoe.store.shapes import (
    EVERYTHING,
    Change,
    Choice,
    Commit,
    Delete,
    Dictionary,
    Difference,
    Edition,
    Entry,
    Fault,
    Keep,
    Loaded,
    Mended,
    Page,
    Point,
    Put,
    Receipt,
    Recorded,
    Reindex,
    Scope,
    Share,
    Still,
    Store,
    Sweep,
    Swept,
    Version,
)
from sokhoe.store.sums import Sums

__all__ = [
    "EVERYTHING",
    "Carrier",
    "Change",
    "Choice",
    "Commit",
    "Delete",
    "Dictionary",
    "Difference",
    "Edition",
    "Entry",
    "Fault",
    "Held",
    "Keep",
    "Keys",
    "Lead",
    "Loaded",
    "Mended",
    "Page",
    "Point",
    "Put",
    "Receipt",
    "Recorded",
    "Reindex",
    "Scope",
    "Share",
    "Still",
    "Store",
    "Sums",
    "Sweep",
    "Swept",
    "Version",
    "bare",
    "bare_of",
    "hides",
    "is_plain",
    "key_for",
    "open_store",
    "pack",
    "restore",
    "seal",
    "seal_anew",
    "swap",
]


def open_store(
    url: str,
    journals: Path | None = None,
    *,
    upgrade: bool = False,
    keys: Keys | None = None,
    carries: bool = True,
) -> Store:
    """Open a store, and make it if it is not there.

    One of an older program is upgraded: a SQLite file after a copy of it was laid beside it, a
    PostgreSQL database only with `upgrade`, since copying it is the work of whoever keeps it.

    `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.
    `journals`: a folder on this machine for the audit lines of reads; without one each of them is
    a transaction (the meaning is the same: tests/contracts/test_journal.py).
    `keys`: what the store is encrypted with; without them nothing is.
    `carries` False: another process on this machine seals the lines of this one too.
    """
    if url.startswith("sqlite:///"):
        from sokhoe.store.sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"), journals, keys)
    if url.startswith(("postgresql://", "postgres://")):
        from sokhoe.store.postgres import PostgresStore

        return PostgresStore(url, journals, upgrade=upgrade, keys=keys, carries=carries)
    raise Invalid(
        f"{url.split('://')[0]!r} is not a database that sokhoe knows.",
        hint="Write sqlite:///path or postgresql://user@host/name.",
    )


def seal_anew(url: str, keys: Keys) -> Iterator[tuple[str, int]]:
    """PostgreSQL: what an older data key sealed, or none, is sealed with the newest, while others
    work; (table, rows sealed so far) after each batch. Broken off, the same call goes on."""
    from sokhoe.store.resealing import reseal

    return ((one.table, one.rows) for one in reseal(url, keys))


def restore(backup: str, url: str, keys: Keys | None = None) -> None:
    """Make a store from a backup, at a place where there is none yet; it begins a new epoch.
    `keys`: those of the backup, which the new store has as well.

    NotFound if there is no backup, Conflict if something is there already.
    """
    if not Path(backup).is_file():
        raise NotFound(f"There is no backup {backup}.")
    if url.startswith("sqlite:///"):
        target = Path(url.removeprefix("sqlite:///"))
        if target.exists():
            raise Conflict(
                f"{target} is there already.", hint="Move it away first; nothing was changed."
            )
        copy = open_store(f"sqlite:///{backup}", keys=keys)
        copy.backup(str(target))
        copy.close()
    else:
        from sokhoe.store.postgres import fill

        fill(url, backup, keys)
    store = open_store(url, keys=keys)
    store.renew_epoch()
    store.close()

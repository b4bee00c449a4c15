"""I am the memory: every version of every record, search, the change feed, the audit.

I keep what is committed, on SQLite or PostgreSQL, sealed in two hash chains.
I may ask `fhir`. I never decide who may read: whoever asks brings a `Scope`.
"""

from sokhoe.errors import Invalid
from sokhoe.store.chain import seal
from sokhoe.store.shapes import (
    EVERYTHING,
    Change,
    Commit,
    Delete,
    Entry,
    Fault,
    Keep,
    Page,
    Put,
    Receipt,
    Recorded,
    Scope,
    Store,
    Version,
)

__all__ = [
    "EVERYTHING",
    "Change",
    "Commit",
    "Delete",
    "Entry",
    "Fault",
    "Keep",
    "Page",
    "Put",
    "Receipt",
    "Recorded",
    "Scope",
    "Store",
    "Version",
    "open_store",
    "seal",
]


def open_store(url: str) -> Store:
    """Open a store, and make it if it is not there.

    `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.
    """
    if url.startswith("sqlite:///"):
        from sokhoe.store.sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from sokhoe.store.postgres import PostgresStore

        return PostgresStore(url)
    raise Invalid(
        f"{url.split('://')[0]!r} is not a database that sokhoe knows.",
        hint="Write sqlite:///path or postgresql://user@host/name.",
    )

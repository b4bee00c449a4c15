"""A store as rows of its tables, from one database into another.

So a backup of either database is one SQLite file: it can be opened, searched and verified as it is,
and be carried into a new PostgreSQL. The search index is not copied, as the two databases have
different ones: whoever opens the copy makes it from the bodies (`node` has no word `index` then).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Each table with its columns, the key first; in the order of the key they are written fastest.
TABLES: tuple[tuple[str, str, str], ...] = (
    ("node", "key, value", "key"),
    ("types", "code, name", "code"),
    ("dicts", "id, data", "id"),
    ("head", "kind, seq, hash, at", "kind"),
    (
        "res",
        "seq, type, id, version, txn, at, deleted, self, content, dict, body",
        "seq",
    ),
    ("commits", "seq, node, epoch, prev, hash, author, at, first, last", "seq"),
    ("totals", "type, n", "type"),
    ("keep", "kind, key, value", "kind, key"),
    ("audit", "seq, at, hash, body", "seq"),
    ("audit_of", "h, seq", "h, seq"),
)

Stream = Callable[[str], Iterator[tuple[Any, ...]]]
Fill = Callable[[str, str, Iterable[tuple[Any, ...]]], None]


def copy(stream: Stream, fill: Fill) -> None:
    """`stream` gives the rows of a SELECT on one snapshot; `fill` writes rows into the columns of
    an empty table."""
    for table, columns, key in TABLES:
        fill(table, columns, stream(f"SELECT {columns} FROM {table} ORDER BY {key}"))

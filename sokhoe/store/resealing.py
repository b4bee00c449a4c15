"""Everything sealed anew with the data key of today, while others read and write.

    res ──▶ audit ──▶ dicts ──▶ keep        each in the order of its key, a few hundred rows at once

How far the work has come is kept in the same transaction as the rows (drawer `reseal`), so whoever
is killed goes on where he stood, and the old or the new seal of a row is there, never none. Rows
are changed only if they are still what was read: `keep` is written by others all the time, and who
writes seals with the newest key anyway.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from sokhoe.store.keying import Keys, number_of

DRAWER = "reseal"
BATCH = 500
# table, its key as a row value, and the column that is sealed
TABLES = (
    ("res", "seq", "body"),
    ("audit", "seq", "body"),
    ("dicts", "id", "data"),
    ("keep", "kind, key", "value"),
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """How far it is: the table at work, and how many rows were sealed so far in this run."""

    table: str
    rows: int


def reseal(url: str, keys: Keys, batch: int = BATCH) -> Iterator[Resealed]:
    """Seal what an older key sealed, or none. Yields after each batch that is on disk."""
    done = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for table, key, column in TABLES:
            place = _place(connection, keys, table)
            while place is not None:
                with connection.transaction():
                    place, count = _step(connection, keys, (table, key, column), place, batch)
                done += count
                yield Resealed(table, done)


def left(url: str, keys: Keys) -> int:
    """How many rows are not sealed with the newest key."""
    head = keys.seal(b"")[:6]
    with psycopg.connect(url, autocommit=True) as connection:
        found = 0
        for table, _, column in TABLES:
            more = "AND kind NOT LIKE 'shape %%'" if table == "keep" else ""
            row = connection.execute(
                f"SELECT count(*) FROM {table} WHERE length({column})>0 {more} "
                f"AND substring({column} from 1 for 6)<>%s",
                (head,),
            ).fetchone()
            found += row[0] if row else 0
    return found


Place = list[Any]


def _place(connection: psycopg.Connection[Any], keys: Keys, table: str) -> Place | None:
    """Behind which row this table goes on; None when it is done under the newest key."""
    row = connection.execute(
        "SELECT value FROM keep WHERE kind=%s AND key=%s", (DRAWER, table)
    ).fetchone()
    mark = json.loads(keys.open(row[0])) if row else {}
    if mark.get("number") != keys.current:
        return []
    place: Place | None = mark["place"]
    return place


def _step(
    connection: psycopg.Connection[Any],
    keys: Keys,
    what: tuple[str, str, str],
    place: Place,
    batch: int,
) -> tuple[Place | None, int]:
    table, key, column = what
    names = key.split(", ")
    behind = f"WHERE ({key})>({', '.join(['%s'] * len(place))})" if place else ""
    rows = connection.execute(
        f"SELECT {key}, {column} FROM {table} {behind} ORDER BY {key} LIMIT {batch}", place
    ).fetchall()
    number = keys.current
    old = [row for row in rows if row[-1] and number_of(row[-1]) != number and _counts(table, row)]
    is_ = " AND ".join(f"{name}=%s" for name in names)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET {column}=%s WHERE {is_} AND {column}=%s",
            [(keys.seal(keys.open(row[-1])), *row[:-1], row[-1]) for row in old],
        )
    following = list(rows[-1][:-1]) if len(rows) == batch else None
    mark = json.dumps({"number": number, "place": following}).encode()
    connection.execute(
        "INSERT INTO keep(kind, key, value) VALUES(%s, %s, %s) "
        "ON CONFLICT (kind, key) DO UPDATE SET value=excluded.value",
        (DRAWER, table, keys.seal(mark)),
    )
    return following, len(old)


def _counts(table: str, row: tuple[Any, ...]) -> bool:
    """Shapes of records say nothing about anybody, and are written in the clear."""
    return table != "keep" or not str(row[0]).startswith("shape ")

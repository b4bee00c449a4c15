"""One DuckDB connection, pinned: bounded memory, two threads, no network, one meaning of time.

The data lies in files; a connection keeps nothing and is closed after each load. DuckDB's own time
zone stands at UTC and no query may use it: local days are made with the macros here from the
offset of `clock.zone()`, so that a month is the same month on every engine and every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sokhoe import clock

MEMORY = "512MB"
THREADS = 2

_MACROS = """
CREATE MACRO local_time(us) AS make_timestamp(us + getvariable('utc_offset'));
CREATE MACRO local_day(us) AS local_time(us)::DATE;
CREATE MACRO week_of(day) AS (day - (isodow(day) - 1)::INTEGER)::DATE;
-- A FHIR dateTime as microseconds UTC; a partial one is the first local moment it covers.
CREATE MACRO instant(text) AS CASE
    WHEN length(text) > 10 THEN epoch_us(try_cast(text AS TIMESTAMPTZ))
    ELSE epoch_us(try_cast(text || substr('0000-01-01', length(text) + 1) AS TIMESTAMP))
        - getvariable('utc_offset')
END;
"""


@contextmanager
def connection(spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory that may spill into the folder `spill`."""
    offset = clock.zone().utcoffset(None)
    with duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": THREADS,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": True,
        }
    ) as duck:
        duck.execute("SET TimeZone = 'UTC'")
        duck.execute("SET enable_progress_bar = false")
        duck.execute(f"SET VARIABLE utc_offset = {int(offset.total_seconds()) * 1_000_000}::BIGINT")
        duck.execute(_MACROS)
        yield duck


def quoted(text: str) -> str:
    """A text as an SQL literal, for the few places that take no parameter (COPY … TO, lists of
    files)."""
    return "'" + text.replace("'", "''") + "'"

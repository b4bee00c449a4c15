"""The tables: what each takes from a line of bronze, and how parts become one table again.

A part holds the newest row of each id within its range of the feed; the table is the newest row
over all parts. `first_…` columns are the earliest moment over all versions, kept through merges.
Names of columns: `…_us` microseconds UTC; ids are pseudonyms without the type.

    patients   area birth_year sex active deceased facility · first_at
    persons    patients[]                                        the key map, rewritten by a merge
    visits     patient facility class status start_us end_us · first_at first_ended
    diagnoses  patient visit code recorded_us status
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sokhoe.warehouse.engine import quoted

_ZSTD = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
_LINES = """
CREATE OR REPLACE TEMP TABLE lines AS
SELECT * FROM read_json(?, format = 'newline_delimited', compression = 'zstd', columns = {
    seq: 'BIGINT', arrived: 'BIGINT', type: 'VARCHAR', id: 'VARCHAR', deleted: 'BOOLEAN',
    area: 'VARCHAR', resource: 'JSON'})
"""


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are SQL over a bronze line (`resource` is the JSON); `firsts` are columns of which
    the earliest value counts, not the newest."""

    name: str
    type: str
    columns: str
    firsts: tuple[str, ...] = ()


def _id_in(path: str) -> str:
    return f"split_part(resource->>'{path}', '/', 2)"


# The first coding of a diagnosis that is of ICD-10, whatever edition its system names.
_ICD = """list_extract(list_filter(
    from_json(resource->'$.code.coding', '[{"system":"VARCHAR","code":"VARCHAR"}]'),
    lambda one: one.system ILIKE '%icd%10%' AND regexp_matches(one.code, '^[A-Z][0-9][0-9A-Z]')
), 1).code"""

TABLES = (
    Table(
        "patients",
        "Patient",
        """area, (resource->>'$.birthYear')::SMALLINT AS birth_year, resource->>'$.gender' AS sex,
        (resource->>'$.active')::BOOLEAN AS active,
        (resource->>'$.deceased')::BOOLEAN AS deceased,
        resource->>'$.managingOrganization' AS facility, arrived AS first_at""",
        ("first_at",),
    ),
    Table(
        "persons",
        "Person",
        "CASE WHEN (resource->>'$.active')::BOOLEAN"
        " THEN from_json(resource->'$.patients', '[\"VARCHAR\"]') END AS patients",
    ),
    Table(
        "visits",
        "Encounter",
        f"""{_id_in("$.subject.reference")} AS patient,
        resource->>'$.serviceProvider.reference' AS facility,
        resource->>'$.class.code' AS class, resource->>'$.status' AS status,
        instant(resource->>'$.period.start') AS start_us,
        instant(resource->>'$.period.end') AS end_us, arrived AS first_at,
        CASE WHEN resource->>'$.period.end' IS NOT NULL THEN arrived END AS first_ended""",
        ("first_at", "first_ended"),
    ),
    Table(
        "diagnoses",
        "Condition",
        f"""{_id_in("$.subject.reference")} AS patient,
        {_id_in("$.encounter.reference")} AS visit, {_ICD} AS code,
        instant(coalesce(resource->>'$.recordedDate', resource->>'$.onsetDateTime'))
            AS recorded_us,
        resource->>'$.verificationStatus.coding[0].code' AS status""",
    ),
)
BY_NAME = {table.name: table for table in TABLES}


def read_lines(duck: duckdb.DuckDBPyConnection, bronze: Path) -> None:
    """Take a bronze part in hand as the temporary table `lines`."""
    duck.execute(_LINES, [str(bronze)])


def write_part(duck: duckdb.DuckDBPyConnection, table: Table, to: Path) -> int:
    """The rows of a table among `lines`, into a Parquet file; how many."""
    rows = (
        f"SELECT id, seq, arrived, deleted, {table.columns} FROM lines WHERE type = '{table.type}'"
    )
    return _copy(duck, _newest(table, f"({rows})"), to)


def merge_parts(
    duck: duckdb.DuckDBPyConnection, table: Table, parts: Sequence[Path], to: Path
) -> int:
    """Several parts of a table as one; how many rows."""
    return _copy(duck, _newest(table, files(parts)), to)


def open_table(duck: duckdb.DuckDBPyConnection, table: Table, parts: Sequence[Path]) -> None:
    """A view with the table's name: the newest living row of each id."""
    if parts:
        source = files(parts)
    else:  # nothing yet: an empty table with the right columns
        duck.execute("CREATE TEMP TABLE IF NOT EXISTS no_lines AS SELECT * FROM (VALUES"
                     " (0::BIGINT, 0::BIGINT, '', '', false, '', '{}'::JSON))"
                     " t(seq, arrived, type, id, deleted, area, resource) LIMIT 0")  # fmt: skip
        source = f"(SELECT id, seq, arrived, deleted, {table.columns} FROM no_lines)"
    newest = _newest(table, source)
    duck.execute(f"CREATE TEMP VIEW {table.name} AS SELECT * FROM ({newest}) WHERE NOT deleted")


def fingerprint(duck: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    """Rows and an order-free hash of an opened table: equal tables have equal fingerprints."""
    found = duck.execute(
        f"SELECT count(*), coalesce(bit_xor(hash(each)), 0) FROM {table} AS each"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def files(parts: Sequence[Path]) -> str:
    """Parquet files as a FROM item."""
    names = ", ".join(quoted(str(part)) for part in parts)
    return f"read_parquet([{names}])"


def _newest(table: Table, source: str) -> str:
    """The row with the highest seq of each id; earliest values over all of them. A sequence
    number is one version's own, so a version loaded twice (a crash before the mark) is one row."""
    firsts = ", ".join(f"min({name}) OVER (PARTITION BY id) AS {name}" for name in table.firsts)
    keep = f"SELECT * REPLACE ({firsts})" if firsts else "SELECT *"
    return (
        f"{keep} FROM {source} AS source"
        " QUALIFY row_number() OVER (PARTITION BY id ORDER BY seq DESC) = 1"
    )


def _copy(duck: duckdb.DuckDBPyConnection, rows: str, to: Path) -> int:
    done = duck.execute(f"COPY ({rows} ORDER BY id) TO {quoted(str(to))} {_ZSTD}").fetchone()
    assert done is not None
    return int(done[0])

"""The list of indicators (indicators.toml) and their computing: from tables to result files.

Definitions are data: a new number is a new entry there, with its texts in locale/*.po. What comes
out here is exact and stays in the folder; whatever leaves it goes through numbers.py, which hides.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from sokhoe.clock import Instant
from sokhoe.warehouse.engine import quoted
from sokhoe.warehouse.seams import Area, Facility, Places

FILE = Path(__file__).with_name("indicators.toml")

_BASE = """
CREATE TEMP TABLE person_of AS
SELECT patient, arg_max(id, seq) AS person
FROM (SELECT id, seq, unnest(patients) AS patient FROM persons)
GROUP BY patient;

-- The newest known value counts; a patient whom nobody has linked yet is a person of his own.
CREATE TEMP TABLE people AS
SELECT coalesce(person_of.person, patients.id) AS person, arg_max(area, seq) AS area,
    arg_max(birth_year, seq) AS birth_year, arg_max(sex, seq) AS sex,
    bool_or(deceased) AS deceased, min(first_at) AS first_at
FROM patients LEFT JOIN person_of ON person_of.patient = patients.id
WHERE active GROUP BY 1;

CREATE TEMP VIEW care AS
SELECT visits.*, coalesce(person_of.person, visits.patient) AS person
FROM visits LEFT JOIN person_of USING (patient)
WHERE status IN ('arrived', 'triaged', 'in-progress', 'onleave', 'finished');

CREATE TEMP VIEW illness AS
SELECT coalesce(person_of.person, diagnoses.patient) AS person, code
FROM diagnoses LEFT JOIN visits ON visits.id = diagnoses.visit
LEFT JOIN person_of ON person_of.patient = diagnoses.patient
WHERE code IS NOT NULL
    AND coalesce(diagnoses.status, '') NOT IN ('refuted', 'entered-in-error')
    AND coalesce(visits.start_us, recorded_us)
        BETWEEN getvariable('now') - 365 * 86400000000 AND getvariable('now');
"""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of indicators.toml. `target`: "places" for the seam's target, else "". `people`:
    the columns that count people. `adds_up`: their cells make a total that is shown."""

    key: str
    name: str
    definition: str
    numerator: str
    unit: str
    dims: tuple[str, ...]
    sql: str
    denominator: str = ""
    target: str = ""
    people: tuple[str, ...] = ()
    adds_up: bool = False


@dataclass(frozen=True, slots=True)
class Chapter:
    code: str
    first: str
    last: str
    name: str


def _entry(raw: dict[str, Any]) -> Indicator:
    lists = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
    return Indicator(**{**raw, **lists})


@cache
def catalogue() -> dict[str, Indicator]:
    """Every indicator by key, in the order of the page."""
    content = tomllib.loads(FILE.read_text("utf-8"))
    return {raw["key"]: _entry(raw) for raw in content["indicator"]}


@cache
def chapters() -> tuple[Chapter, ...]:
    content = tomllib.loads(FILE.read_text("utf-8"))
    return tuple(Chapter(**raw) for raw in content["chapter"])


def prepare(duck: duckdb.DuckDBPyConnection, places: Places, now: Instant) -> None:
    """Lay out what the SQL of the indicators reads, on top of the opened tables."""
    duck.execute(f"SET VARIABLE now = {now}::BIGINT")
    areas = [Area(*one) for one in places.areas()]
    facilities = [Facility(*one) for one in places.facilities()]
    _table(duck, "areas", Area._fields, areas, {"population": "BIGINT"})
    _table(duck, "facilities", Facility._fields, facilities, {})
    rows = [(one.code, one.first, one.last, one.name) for one in chapters()]
    _table(duck, "chapters", ("code", "first", "last", "name"), rows, {})
    duck.execute(_BASE)


def compute(duck: duckdb.DuckDBPyConnection, indicator: Indicator, to: Path) -> int:
    """Write an indicator's rows to a Parquet file; how many."""
    done = duck.execute(
        f"COPY ({runnable(indicator)}) TO {quoted(str(to))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    assert done is not None
    return int(done[0])


def runnable(indicator: Indicator) -> str:
    """The SQL with `$now` filled in (COPY takes no parameters)."""
    return indicator.sql.replace("$now", "getvariable('now')")


def _table(
    duck: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    kinds: dict[str, str],
) -> None:
    fields = ", ".join(f"{column} {kinds.get(column, 'VARCHAR')}" for column in columns)
    duck.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({fields})")
    if rows:
        marks = ", ".join(
            f"unnest(?::{kinds.get(column, 'VARCHAR')}[]) AS {column}" for column in columns
        )
        values = [[row[place] for row in rows] for place in range(len(columns))]
        duck.execute(f"INSERT INTO {name} SELECT {marks}", values)

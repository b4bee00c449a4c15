"""Rows for COPY in binary come back from PostgreSQL as they went in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sokhoe.store import binary
from sokhoe.store.bodies import Packed
from sokhoe.store.planning import NewVersion
from sokhoe.store.shapes import Version
from tests import postgres

BIG = some.integers(-(2**63), 2**63 - 1)
SMALL = some.integers(0, 2**15 - 1)
LIST = some.lists(BIG, max_size=40)
TEXT = some.text(max_size=30).map(lambda text: text.encode("utf-8", "ignore").decode())
WRITTEN = TEXT.map(lambda text: text.replace("\0", ""))


@pytest.fixture(scope="module")
def base() -> Iterator[psycopg.Connection[Any]]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL on this machine")
    server = postgres.Server(programs)
    with psycopg.connect(server.new(), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE res(seq bigint, txn bigint, at bigint, self bigint, version integer, "
            "type smallint, deleted smallint, dict smallint, id text, content bytea, "
            "own bigint[], body bytea);"
            "CREATE TABLE cur(pk bigint, d bigint, span integer, type smallint, keys bigint[], "
            "links bigint[]);"
            "CREATE TABLE dte(p bigint, lo bigint, hi bigint, pk bigint);"
            "CREATE TABLE str(p bigint, pk bigint, v text);"
            "CREATE TABLE num(p bigint, v double precision, pk bigint);"
            "CREATE TABLE two(a bigint, b bigint);"
            "CREATE TABLE audit(seq bigint, at bigint, hash bytea, body bytea)"
        )
        yield connection
    server.stop()


def back(base: psycopg.Connection[Any], table: str, row: bytes) -> tuple[Any, ...]:
    with base.transaction(force_rollback=True):
        with base.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.write(binary.copied([row, row]))
        rows = base.execute(f"SELECT * FROM {table}".encode()).fetchall()
    assert len(rows) == 2
    assert rows[0] == rows[1]
    found: tuple[Any, ...] = rows[0]
    return found


often = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(BIG, WRITTEN, some.binary(max_size=300), some.booleans(), LIST)
def test_a_version(
    base: psycopg.Connection[Any], number: int, id: str, body: bytes, gone: bool, own: list[int]
) -> None:
    made = Version(number, number, "Patient", id, 7, number, gone, b"")
    new = NewVersion(made, number, body[:16], Packed(3, body), None)
    wanted = (number, number, number, number, 7, 103, gone, 3, id, body[:16], own or None, body)
    assert back(base, "res", binary.version(new, own, body)) == wanted


@often
@given(BIG, BIG, some.none() | some.integers(0, 86_400), SMALL, LIST, LIST)
def test_a_current_record(
    base: psycopg.Connection[Any],
    pk: int,
    order: int,
    span: int | None,
    type: int,
    keys: list[int],
    links: list[int],
) -> None:
    row = binary.current(pk, order, span, type, keys, links)
    assert back(base, "cur", row) == (pk, order, span, type, keys, links or None)


@often
@given(BIG, BIG, WRITTEN, some.floats(allow_nan=False), some.binary(max_size=50))
def test_rows_of_the_small_tables(
    base: psycopg.Connection[Any], p: int, pk: int, text: str, number: float, blob: bytes
) -> None:
    assert back(base, "dte", binary.date((p, pk, p, pk))) == (p, pk, p, pk)
    assert back(base, "num", binary.number((p, number, 0, pk))) == (p, number, pk)
    assert back(base, "str", binary.text((p, text, 0, pk))) == (p, pk, text)
    assert back(base, "two", binary.two((p, pk))) == (p, pk)
    assert back(base, "audit", binary.line((p, pk, blob, blob))) == (p, pk, blob, blob)

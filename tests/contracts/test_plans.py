"""How PostgreSQL and SQLite go about the statements that matter: by index, in the right order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sokhoe.fhir import parse_query
from sokhoe.store import Put, Scope, Store, ordering, pgasking
from sokhoe.store.postgres import PostgresStore
from sokhoe.store.searching import Search
from sokhoe.store.sqlite import SqliteStore
from tests.contracts.conftest import a_patient, an_observation

HERS = Scope(patients=frozenset({"Patient/7"}))


@pytest.fixture
def full(store: Store) -> Iterator[Store]:
    """60 patients with 20 observations each, half of one code; the planner has looked at it."""
    for n in range(60):
        number = [{"system": "urn:id", "value": f"{n}"}]
        changes = [Put(a_patient(f"{n}", identifier=number, birthDate=f"19{n + 20}"))]
        for k in range(20):
            code = "8480-6" if k % 2 else f"c{n}-{k}"
            at = f"2024-05-{k % 28 + 1:02}"
            changes.append(
                Put(an_observation(f"{n}-{k}", patient=f"{n}", code=code, at=at, valueInteger=k))
            )
        store.commit(changes, author="me")
    store.tidy()
    yield store


def plan(store: Store, type: str, pairs: list[tuple[str, str]], scope: Scope) -> str:
    """What the database says it will do for the page of a search."""
    assert isinstance(store, SqliteStore | PostgresStore)
    query = parse_query(type, pairs)
    with store._snapshot() as read:
        search = Search.on(read, store.dialect, scope, store._version)
        search.count(query.type, query.where, alone=True)
        wanted = ordering.page(search.asking, query, 0, None, query.count + 1)
        word = "EXPLAIN QUERY PLAN" if isinstance(store, SqliteStore) else "EXPLAIN"
        rows: Any = read(f"{word} {wanted.text}", wanted.args)
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(
    ("type", "pairs", "scope", "by"),
    [
        ("Patient", [("identifier", "urn:id|7")], Scope(), "cur_keys"),
        ("Patient", [("birthdate", "1927")], Scope(), "dte_value"),
        ("Patient", [("name", "nguyen van"), ("identifier", "7")], Scope(), "cur_keys"),
        (
            "Observation",
            [("patient", "7"), ("code", "8480-6"), ("_sort", "-date")],
            Scope(),
            "cur_keys",
        ),
        ("Observation", [("code", "8480-6"), ("date", "2024-05-03")], Scope(), "cur_order"),
        ("Observation", [("_sort", "-date")], Scope(), "cur_order"),
        ("Observation", [("_sort", "-date")], HERS, "cur_keys"),
        ("Observation", [("patient.identifier", "7")], Scope(), "cur_"),
        ("Patient", [("_has:Observation:patient:code", "8480-6")], Scope(), "cur_"),
    ],
)
def test_no_search_reads_a_whole_table(
    full: Store, type: str, pairs: list[tuple[str, str]], scope: Scope, by: str
) -> None:
    found = plan(full, type, pairs, scope)
    if isinstance(full, PostgresStore):
        assert "Seq Scan" not in found
        assert by in found
    else:
        inner = {line.split()[1] for line in found.split("\n") if line.startswith("CO-ROUTINE")}
        for line in found.split("\n"):
            if line.startswith("SCAN"):
                assert "USING" in line or line.split()[1] in inner, found


def test_a_common_code_is_walked_by_date_and_not_sorted(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgasking, "MANY", 100)
    found = plan(full, "Observation", [("code", "8480-6"), ("_sort", "-date")], Scope())
    if isinstance(full, PostgresStore):
        assert "cur_order" in found
        assert "Sort" not in found
    else:
        assert "TEMP B-TREE" not in found

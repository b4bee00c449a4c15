"""docs/fhir.md, the CapabilityStatement and the routes of the running server say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe.exchange.fhir_api.calls import Endpoint, Nowhere
from sokhoe.exchange.fhir_api.uploads import Upload
from sokhoe.fhir import search
from tests.testland import Pack
from tests.worlds import Hub

ROOT = Path(__file__).parents[2]
PAPER = (ROOT / "docs" / "fhir.md").read_text("utf-8")
# What is no interaction of the standard, or is declared elsewhere in the statement.
BESIDE = {"capabilities", "search-compartment", "files", "jobs", "operations"}
_FILE = re.compile(r"((?:[\w]+/)*test_\w+\.py)(?: `(\w+)`)?")


def rows(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    part = PAPER.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("conformance") / "hub", Pack()) as made:
        yield made


@pytest.fixture(scope="module")
def rest(server: Hub) -> dict[str, Any]:
    found: dict[str, Any] = server.client().get("/fhir/metadata").json()["rest"][0]
    return found


def test_each_interaction_that_is_declared_is_in_the_table(rest: dict[str, Any]) -> None:
    declared = {one["code"] for one in rest["interaction"]}
    for resource in rest["resource"]:
        codes = {one["code"] for one in resource["interaction"]}
        full = {row[0] for row in rows("Interactions")} - BESIDE - declared
        assert codes == full or resource["type"] == "AuditEvent", resource["type"]
    assert declared <= {row[0] for row in rows("Interactions")}


def test_each_operation_that_is_declared_is_in_the_table(rest: dict[str, Any]) -> None:
    declared = {
        f"`${one['name']}`"
        for place in (rest, *rest["resource"])
        for one in place.get("operation", [])
    }
    assert declared == {row[0] for row in rows("Operations")}


def test_each_address_of_the_table_is_a_route_and_each_route_is_in_it(server: Hub) -> None:
    known = {
        (method, route.path)
        for route in server.app.routes
        if isinstance(route, Endpoint) and not isinstance(route, Nowhere | Upload)
        for method in route.handlers
    }
    told = {
        (method, path)
        for row in rows("Interactions")
        for method, path in re.findall(r"`([A-Z]+) ([^`]+)`", row[1])
    }
    assert told <= known
    # an operation, and a Binary that is no file, take the methods that their row leaves out
    loose = {path for _, path in known if "operation" in path or path.startswith("/fhir/Binary")}
    assert {one for one in known - told if one[1] not in loose} == set()


@pytest.mark.parametrize("title", ["Interactions", "What belongs to several of them", "Operations"])
def test_each_test_that_is_named_is_there(title: str) -> None:
    for row in rows(title):
        named = _FILE.findall(row[-1])
        assert named, row
        for file, test in named:
            path = ROOT / file if file.startswith("tests/") else ROOT / "tests/exchange" / file
            text = path.read_text("utf-8")
            assert f"def {test or 'test_'}" in text, (row[0], file, test)
            if title == "Operations":
                assert row[0].strip("`") in text, (row[0], file)


def test_each_compartment_of_the_statement_is_told(rest: dict[str, Any]) -> None:
    told = PAPER.partition("## Compartments\n")[2].strip().partition(";")[0].split(", ")
    assert sorted(told) == sorted(search.COMPARTMENTS)
    declared = {one.rpartition("/")[2].lower() for one in rest["compartment"]}
    assert declared == {one.lower() for one in told}

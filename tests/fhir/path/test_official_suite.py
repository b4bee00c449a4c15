"""Every case of the official FHIRPath suite passes, but for those listed with the reason."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sokhoe.errors import Invalid
from sokhoe.fhir.path import Node, World, expression, root, system
from sokhoe.fhir.path.checking import problems
from sokhoe.fhir.path.functions.conversions import to_text
from sokhoe.fhir.path.kinds import type_of
from tests.fhir.path.suite import Case, cases, resource_of

EXCEPTIONS = Path(__file__).with_name("exceptions.txt")
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=7)))


@pytest.fixture(scope="module")
def folder() -> Path:
    beside = Path(__file__).resolve().parents[3].parent / "shared"
    found = Path(os.environ.get("SOKHOE_SHARED", beside)) / "data" / "fhirpath"
    if not (found / "tests-fhir-r4.xml").exists():
        pytest.skip(f"no official suite in {found}; SOKHOE_SHARED names the folder above data")
    return found


def shown(item: Any) -> tuple[str, str]:
    """(type, text) as the suite writes a result."""
    value = item.value if isinstance(item, Node) else item
    kind = type_of(item).name
    value = system(item) if isinstance(system(item), Decimal) else value
    text = to_text(value)
    if kind in {"Date", "DateTime", "Time", "date", "dateTime", "time", "instant"}:
        text = ("@T" if kind.lower() == "time" else "@") + str(text)
    return kind if isinstance(item, Node) or kind == "Quantity" else kind[0].lower() + kind[
        1:
    ], str(text)


def why_wrong(case: Case, resource: dict[str, Any]) -> str:
    """What differs from the suite's answer; empty if nothing does."""
    try:
        found = problems(case.expression, str(resource["resourceType"]), strict=True)
        if found:
            raise Invalid(found[0])
        items = expression(case.expression).nodes(root(resource), World(now=NOW))
    except Invalid as error:
        return "" if case.invalid else f"refused: {error.message}"
    if case.invalid:
        return f"not refused, gave {list(map(shown, items))}"
    if case.predicate:
        return "" if case.outputs == (("boolean", str(bool(items)).lower()),) else "not there"
    results = [shown(item) for item in items]
    wanted = list(case.outputs)
    if not case.ordered:
        results, wanted = sorted(results), sorted(wanted)
    if len(results) != len(wanted):
        return f"gave {results}"
    for (kind, text), (wanted_kind, wanted_text) in zip(results, wanted, strict=True):
        if (wanted_kind and kind != wanted_kind) or text != wanted_text:
            return f"gave {results}, not {wanted}"
    return ""


def exceptions() -> dict[str, str]:
    """`test name: expression` to the reason it is left out."""
    found = {}
    reason = ""
    for line in EXCEPTIONS.read_text("utf-8").splitlines():
        if line.startswith("#"):
            reason = line[1:].strip()
        elif line.strip():
            found[line.strip()] = reason
    return found


def test_the_official_suite_passes_but_for_the_cases_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = exceptions()
    failed: dict[str, str] = {}
    every = cases(folder)
    for case in every:
        why = why_wrong(case, resource_of(case, folder))
        if why:
            failed[case.key] = why
    passed = len(every) - len(failed)
    with capsys.disabled():
        print(f"\nFHIRPath suite R4: {passed} of {len(every)} ({passed / len(every):.1%})")
    assert len(every) == 935
    assert {key: why for key, why in failed.items() if key not in listed} == {}
    assert set(listed) - set(failed) == set(), "these pass now: take them off the list"
    assert all(listed.values())

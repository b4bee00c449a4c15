"""JSON Patch: the official test suite, and the bounds that it does not ask for."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sokhoe.errors import Invalid
from sokhoe.fhir import apply_json_patch, decode

FOLDER = Path(__file__).parent / "json_patch"
CASES = [
    case
    for name in ("tests.json", "spec_tests.json")
    for case in json.loads((FOLDER / name).read_bytes(), parse_float=Decimal)
    if "patch" in case and not (case.get("disabled") and "error" in case)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.get("comment", "")[:60])
def test_the_official_suite(case: dict[str, Any]) -> None:
    before = json.dumps(case["doc"], default=str)
    if "error" in case:
        with pytest.raises(Invalid):
            apply_json_patch(case["doc"], case["patch"])
    else:
        after = apply_json_patch(case["doc"], case["patch"])
        if "expected" in case:
            assert after == case["expected"]
    assert json.dumps(case["doc"], default=str) == before


def test_the_suite_is_whole() -> None:
    """All but two, whose objects have a key twice; those are refused before they come here."""
    assert len(CASES) == 93
    with pytest.raises(Invalid, match="second time"):
        decode('[{"op": "add", "path": "/baz", "op": "move", "from": "/foo"}]')


def test_true_is_not_one_and_digits_do_not_matter() -> None:
    value = decode('{"a": 1, "b": 72.50}')
    with pytest.raises(Invalid):
        apply_json_patch(value, [{"op": "test", "path": "/a", "value": True}])
    apply_json_patch(value, decode('[{"op": "test", "path": "/b", "value": 72.5}]'))


def test_a_bomb_of_copies_is_refused() -> None:
    patch = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(60)]
    with pytest.raises(Invalid) as refused:
        apply_json_patch({"a": 1}, patch)
    assert (refused.value.status, refused.value.slug) == (413, "too-costly")
    with pytest.raises(Invalid):
        apply_json_patch({}, [{"op": "remove", "path": "/a"}] * 1001)


@pytest.mark.parametrize("patch", [{}, None, "x", [1], [{}], [{"op": "add"}], [{"path": 1}]])
def test_what_is_no_patch_is_refused(patch: Any) -> None:
    with pytest.raises(Invalid) as refused:
        apply_json_patch({"a": 1}, patch)
    assert refused.value.status == 400

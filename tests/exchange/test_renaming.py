"""The fast renaming of references means what the plain one says."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sokhoe.errors import Conflict
from sokhoe.exchange.fhir_api.renaming import rename, renaming_plainly

NAMES = {
    "urn:uuid:1": "Patient/a",
    "urn:oid:2": "Encounter/b",
    "http://x/Patient/3": "Patient/c",
}
TEXTS = some.sampled_from(
    [*NAMES, "urn:uuid:9", "Patient/3", "Patient?identifier=1", "", "urn:", "reference"]
)
KEYS = some.sampled_from(["reference", "subject", "value", "urn:uuid:1", "item"])
VALUES = some.recursive(
    TEXTS | some.none() | some.booleans() | some.integers(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS, inner, max_size=4),
    max_leaves=30,
)


def resolve(reference: str) -> str:
    return f"Found/{reference}" if "?" in reference else reference


@given(some.dictionaries(KEYS, VALUES, max_size=4))
def test_both_ways_of_renaming_agree(resource: dict[str, Any]) -> None:
    wanted = renaming_plainly(copy.deepcopy(resource), NAMES, resolve)
    rename(resource, NAMES, resolve)
    assert resource == wanted


def test_a_reference_nobody_answers_to_ends_the_renaming() -> None:
    def refuse(reference: str) -> str:
        raise Conflict(reference)

    with pytest.raises(Conflict):
        rename({"a": [{"reference": "Patient?x=1"}]}, NAMES, refuse)


def test_a_text_is_a_name_only_as_a_whole() -> None:
    resource = {"div": "see urn:uuid:1", "uri": "urn:uuid:1", "url": "http://x/Patient/3"}
    rename(resource, NAMES, resolve)
    assert resource == {"div": "see urn:uuid:1", "uri": "Patient/a", "url": "http://x/Patient/3"}

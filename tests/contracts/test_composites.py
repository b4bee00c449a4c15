"""Every composite of R4 is asked for with values of a record made for it.

The record is made from the element that HL7's definition names for each component (a second
table, by hand), not from the distilled one: that names which parameter stands first.
"""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.fhir import parse_query, search, search_parameters
from sokhoe.store import Put, Store

CODE = {"coding": [{"system": "urn:s", "code": "one"}]}
OTHER = {"coding": [{"system": "urn:s", "code": "two"}]}
AMOUNT = {"value": 5, "system": "urn:u", "code": "box"}
CONTEXT = {"code": {"system": "urn:s", "code": "kind"}}

# code -> (elements that match, the same values but not together, what is asked)
Sample = tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]


def listed(name: str, first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """The values in one element, and each in an element of its own."""
    return [{name: [{**first, **second}]}, {name: [first, second]}]


def window(start: int, end: int, **more: Any) -> dict[str, Any]:
    return {"referenceSeq": {"windowStart": start, "windowEnd": end, **more}}


def variant(**more: Any) -> list[dict[str, Any]]:
    together = {"variant": [{"start": 3, "end": 7}], **more}
    return [together, {"variant": [{"start": 3, "end": 8}, {"start": 4, "end": 7}], **more}]


def sample(first: list[dict[str, Any]], *asked: str) -> Sample:
    return first[0], first[1], asked


CHROMOSOME = {"referenceSeq": {"chromosome": CODE}}
SEQUENCE = {"referenceSeq": {"referenceSeqId": CODE}}
SAMPLES: dict[str, Sample] = {
    "context-type-quantity": sample(
        listed("useContext", CONTEXT, {"valueQuantity": AMOUNT}),
        "urn:s|kind$5", "kind$5|urn:u|box", "kind$gt4",
    ),
    "context-type-value": sample(
        listed("useContext", CONTEXT, {"valueCodeableConcept": CODE}), "kind$one", "kind$urn:s|one"
    ),
    "relationship": sample(
        listed("relatesTo", {"code": "replaces"}, {"target": {"reference": "DocumentReference/x"}}),
        "replaces$DocumentReference/x", "replaces$x",
    ),
    "characteristic-value": sample(
        listed("characteristic", {"code": CODE}, {"valueCodeableConcept": OTHER}),
        "one$two", "urn:s|one$urn:s|two",
    ),
    "code-value-concept": sample(
        [{"code": CODE, "valueCodeableConcept": OTHER}, {"code": CODE}], "one$two"
    ),
    "code-value-date": sample(
        [{"code": CODE, "valueDateTime": "2024-05-01"}, {"code": CODE}], "one$ge2024-05-01"
    ),
    "code-value-quantity": sample(
        [{"code": CODE, "valueQuantity": AMOUNT}, {"code": CODE}], "one$5", "one$5|urn:u|box"
    ),
    "code-value-string": sample(
        [{"code": CODE, "valueString": "hoch"}, {"code": CODE}], "urn:s|one$ho"
    ),
    "combo-code-value-concept": sample(
        listed("component", {"code": CODE}, {"valueCodeableConcept": OTHER}), "one$two"
    ),
    "combo-code-value-quantity": sample(
        listed("component", {"code": CODE}, {"valueQuantity": AMOUNT}), "one$lt6|urn:u|box"
    ),
    "component-code-value-concept": sample(
        listed("component", {"code": CODE}, {"valueCodeableConcept": OTHER}), "one$two"
    ),
    "component-code-value-quantity": sample(
        listed("component", {"code": CODE}, {"valueQuantity": AMOUNT}), "one$5"
    ),
    "chromosome-variant-coordinate": sample(variant(**CHROMOSOME), "one$3$7", "one$lt4$le7"),
    "referenceseqid-variant-coordinate": sample(variant(**SEQUENCE), "urn:s|one$3$7"),
    "chromosome-window-coordinate": sample(
        [window(1, 9, chromosome=CODE), window(2, 9, chromosome=CODE)], "one$1$9"
    ),
    "referenceseqid-window-coordinate": sample(
        [window(1, 9, referenceSeqId=CODE), window(1, 8, referenceSeqId=CODE)], "one$1$9"
    ),
}  # fmt: skip

COMPOSITES = [
    (type, code)
    for type in search.searchable_types()
    for code, param in search_parameters(type).items()
    if param.type == "composite"
]


@pytest.fixture
def filled(store: Store) -> Store:
    changes = []
    for type, code in COMPOSITES:
        matching, apart, _ = SAMPLES[code]
        for id, elements in ((code, matching), (f"{code}-apart", apart)):
            changes.append(Put({"resourceType": type, "id": id, **elements}))
    store.commit(changes, author="me")
    return store


def test_every_composite_finds_what_stands_together_and_nothing_else(filled: Store) -> None:
    assert len(COMPOSITES) >= 70
    for type, code in COMPOSITES:
        for asked in SAMPLES[code][2]:
            page = filled.search(parse_query(type, [(code, asked)]))
            found = {one.id for one in page.versions}
            assert code in found, (type, code, asked)
            assert not [one for one in found if one.endswith("-apart")], (type, code, asked)

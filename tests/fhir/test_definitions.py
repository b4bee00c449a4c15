"""The table of R4 types holds what R4 holds; figures are those of the published standard."""

from __future__ import annotations

import pytest

from sokhoe.fhir import TYPES, definitions
from sokhoe.fhir.primitives import PRIMITIVES


def everything() -> list[tuple[str, definitions.Element]]:
    """Every element that can occur in a resource, with the name of its structure."""
    found, todo = [], [*sorted(TYPES), "Element"]
    seen = set(todo)
    while todo:
        name = todo.pop()
        for element in definitions.structure(name).elements.values():
            found.append((name, element))
            if not element.primitive and element.type not in {"Resource", *seen}:
                seen.add(element.type)
                todo.append(element.type)
    return found


def test_every_type_named_is_a_primitive_a_structure_or_a_resource() -> None:
    rows = everything()
    assert len(rows) > 8000
    for _, element in rows:
        if element.primitive:
            assert element.type in PRIMITIVES
        elif element.type != "Resource":
            assert definitions.structure(element.type).elements


def test_every_list_of_codes_is_filled_and_every_target_is_a_type() -> None:
    bound = 0
    for name, element in everything():
        if element.codes >= 0 and element.primitive:
            assert definitions.codes(element.codes), (name, element)
        elif element.codes >= 0:
            assert element.type == "CodeableConcept"
            assert definitions.codings(element.codes)
        bound += element.codes >= 0
        assert definitions.targets(element.targets) <= TYPES
    assert bound == 350


@pytest.mark.parametrize(
    ("name", "member", "kind", "least", "many"),
    [
        ("Patient", "name", "HumanName", 0, True),
        ("Patient", "id", "@id", 0, False),
        ("Observation", "status", "code", 1, False),
        ("Observation", "valueQuantity", "Quantity", 0, False),
        ("Observation.component", "referenceRange", "Observation.referenceRange", 0, True),
        ("Bundle.entry", "resource", "Resource", 0, False),
        ("Bundle.entry.response", "outcome", "Resource", 0, False),
        ("Questionnaire.item", "item", "Questionnaire.item", 0, True),
        ("MedicationRequest", "medicationReference", "Reference", 1, False),
        ("TestScript.teardown", "action", "TestScript.teardown.action", 1, True),
        ("Extension", "url", "@uri", 1, False),
    ],
)
def test_some_elements_are_as_printed_in_the_standard(
    name: str, member: str, kind: str, least: int, many: bool
) -> None:
    element = definitions.structure(name).elements[member]
    assert (element.type, element.min, element.many) == (kind, least, many)


def test_what_the_source_added_to_r4_is_gone() -> None:
    for name, member in (
        ("Meta", "project"),
        ("Binary", "url"),
        ("ResearchStudy", "label"),
        ("DeviceDefinition", "bodySite"),
    ):
        assert member not in definitions.structure(name).elements
    characteristic = definitions.structure("EvidenceVariable.characteristic")
    assert len(characteristic.choices["definition"]) == 6
    observer = definitions.structure("AuditEvent.source").elements["observer"]
    assert len(definitions.targets(observer.targets)) == 6


def test_an_extension_may_hold_fifty_types() -> None:
    assert len(definitions.structure("Extension").choices["value"]) == 50

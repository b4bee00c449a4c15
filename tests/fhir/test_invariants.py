"""The invariants of R4: all can be asked, good data keeps them, and what breaks one is named."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sokhoe.errors import Issue
from sokhoe.fhir import decode, definitions, invariants
from sokhoe.fhir.path import expression
from tests.fhir.test_types import a_patient, an_observation

Json = dict[str, Any]


def every_rule() -> list[tuple[str, definitions.Invariant]]:
    return [(name, rule) for name, rules in definitions._invariants().items() for rule in rules]


def found(resource: Json, severity: str = "error") -> list[Issue]:
    return [one for one in invariants.issues(resource) if one.severity == severity]


def test_all_invariants_of_r4_are_there_and_can_be_asked() -> None:
    rules = every_rule()
    assert len(rules) == 239
    for _, rule in rules:
        expression(rule.expression)


def test_no_invariant_stumbles_on_an_element_it_was_made_for() -> None:
    for name, rule in every_rule():
        if name in definitions.TYPES:
            empty = {"resourceType": name}
            assert expression(rule.expression).holds(empty) in (True, False, None)


@pytest.mark.parametrize(
    ("resource", "key", "place"),
    [
        (a_patient(contact=[{"gender": "male"}]), "pat-1", "Patient.contact[0]"),
        (a_patient(name=[{"period": {"start": "2024", "end": "2023"}}]), "per-1",
         "Patient.name[0].period"),
        (a_patient(telecom=[{"value": "0909"}]), "cpt-2", "Patient.telecom[0]"),
        (a_patient(photo=[{"data": "aGk="}]), "att-1", "Patient.photo[0]"),
        (a_patient(extension=[{"url": "http://x"}]), "ext-1", "Patient.extension[0]"),
        (an_observation(dataAbsentReason={"text": "x"}), "obs-6", "Observation"),
        (an_observation(valueQuantity={"value": Decimal("1"), "code": "kg"}), "qty-3",
         "Observation.value"),
        (an_observation(component=[{"code": an_observation()["code"]}]), "obs-7", "Observation"),
        ({"resourceType": "Organization", "active": True}, "org-1", "Organization"),
        ({"resourceType": "Organization", "name": "x",
          "telecom": [{"system": "phone", "value": "1", "use": "home"}]}, "org-3",
         "Organization.telecom[0]"),
        ({"resourceType": "Patient", "text": {"status": "generated", "div":
          "<div xmlns='http://www.w3.org/1999/xhtml'><script>x</script></div>"}}, "txt-1",
         "Patient.text.div"),
        ({"resourceType": "Bundle", "type": "collection", "total": 3}, "bdl-1", "Bundle"),
        ({"resourceType": "Bundle", "type": "document", "entry": [{"resource": a_patient()}]},
         "bdl-11", "Bundle"),
        ({"resourceType": "Questionnaire", "status": "draft",
          "item": [{"linkId": "1", "type": "group"}]}, "que-1", "Questionnaire.item[0]"),
        ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type":
          "group", "item": [{"linkId": "1", "type": "display"}]}]}, "que-2", "Questionnaire"),
    ],
)  # fmt: skip
def test_a_broken_invariant_is_named_with_its_place(resource: Json, key: str, place: str) -> None:
    issues = [one for one in found(resource) if one.rule.startswith(f"{key}:")]
    assert [one.location for one in issues] == [place]
    assert issues[0].code == "invariant"
    assert key in issues[0].message


def test_a_bundle_s_entries_answer_for_themselves() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": a_patient(contact=[{"gender": "male"}])}],
    }
    assert [one.location for one in found(bundle)] == ["Bundle.entry[0].resource.contact[0]"]


def test_a_missing_narrative_is_a_warning_once() -> None:
    inner = {"resourceType": "Practitioner", "id": "i"}
    patient = a_patient(contained=[inner], generalPractitioner=[{"reference": "#i"}])
    assert [one.location for one in found(patient, "warning")] == ["Patient"]


def test_all_synthetic_patients_keep_every_invariant(synthea: Path) -> None:
    for path in sorted(synthea.glob("*.json"))[:2]:
        for entry in decode(path.read_bytes())["entry"]:
            assert found(entry["resource"]) == []

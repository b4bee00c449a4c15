"""FHIRPath Patch: each operation on each kind of element, all or nothing, and orderly refusals."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.fhir import apply_fhirpath_patch as patched
from sokhoe.fhir import validate
from tests.fhir.samples import BAD, a_resource

Json = dict[str, Any]


def operation(type: str, path: str, **parts: Any) -> Json:
    """`name`, `index`, `source`, `destination`; the value as `valueX` or as `parts` (a list)."""
    found: list[Json] = [
        {"name": "type", "valueCode": type},
        {"name": "path", "valueString": path},
    ]
    for name, value in parts.items():
        if name.startswith(("value", "_value")):
            found.append({"name": "value", name: value})
        elif name == "parts":
            found.append({"name": "value", "part": value})
        else:
            kind = "valueInteger" if isinstance(value, int) else "valueString"
            found.append({"name": name, kind: value})
    return {"name": "operation", "part": found}


def patch(*operations: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def a_patient(**more: Any) -> Json:
    return {"resourceType": "Patient", **more}


IDS = [{"value": "1"}, {"value": "2"}, {"value": "3"}]
CONTACT = {"name": {"text": "a name"}, "gender": "male"}


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({}, operation("add", "Patient", name="birthDate", valueDate="1930-01-01"),
         {"birthDate": "1930-01-01"}),
        ({"birthDate": "1920"}, operation("replace", "Patient.birthDate", valueDate="1930"),
         {"birthDate": "1930"}),
        ({"birthDate": "1920"}, operation("delete", "Patient.birthDate"), {}),
        ({"birthDate": "1920"}, operation("delete", "Patient.gender"), {"birthDate": "1920"}),
        ({"birthDate": "1920", "_birthDate": {"id": "x"}},
         operation("delete", "Patient.birthDate"), {}),
        ({"contact": [CONTACT]}, operation("replace", "Patient.contact[0].gender",
          valueCode="female"), {"contact": [{**CONTACT, "gender": "female"}]}),
        # what becomes empty goes with it
        ({"contact": [CONTACT]}, operation("delete", "Patient.contact[0].name.text"),
         {"contact": [{"gender": "male"}]}),
        ({"contact": [{"gender": "male"}]}, operation("delete", "Patient.contact.gender"), {}),
        ({}, operation("add", "Patient", name="maritalStatus", valueCodeableConcept={"text": "x"}),
         {"maritalStatus": {"text": "x"}}),
        ({}, operation("add", "Patient", name="contact", parts=[
            {"name": "name", "valueHumanName": {"text": "a name"}},
            {"name": "gender", "valueCode": "male"}]), {"contact": [CONTACT]}),
        ({"contact": [CONTACT]}, operation("delete", "Patient.contact[0]"), {}),
        # lists
        ({"identifier": IDS}, operation("add", "Patient", name="identifier",
          valueIdentifier={"value": "4"}), {"identifier": [*IDS, {"value": "4"}]}),
        ({"identifier": IDS}, operation("insert", "Patient.identifier", index=1,
          valueIdentifier={"value": "4"}), {"identifier": [IDS[0], {"value": "4"}, *IDS[1:]]}),
        ({}, operation("insert", "Patient.identifier", index=0, valueIdentifier={"value": "4"}),
         {"identifier": [{"value": "4"}]}),
        ({"identifier": IDS}, operation("delete", "Patient.identifier[1]"),
         {"identifier": [IDS[0], IDS[2]]}),
        ({"identifier": IDS}, operation("delete", "Patient.identifier.where(value = '3')"),
         {"identifier": IDS[:2]}),
        ({"identifier": IDS}, operation("move", "Patient.identifier", source=2, destination=0),
         {"identifier": [IDS[2], IDS[0], IDS[1]]}),
        ({"identifier": IDS}, operation("move", "Patient.identifier", source=0, destination=1),
         {"identifier": [IDS[1], IDS[0], IDS[2]]}),
        ({"identifier": IDS}, operation("replace", "Patient.identifier[1]",
          valueIdentifier={"system": "urn:x"}),
         {"identifier": [IDS[0], {"system": "urn:x"}, IDS[2]]}),
        # a choice changes its type
        ({"deceasedBoolean": True}, operation("replace", "Patient.deceased",
          valueDateTime="2020"), {"deceasedDateTime": "2020"}),
        ({}, operation("add", "Patient", name="deceased", valueBoolean=False),
         {"deceasedBoolean": False}),
        ({}, operation("add", "Patient", name="deceasedBoolean", valueBoolean=False),
         {"deceasedBoolean": False}),
        # texts in lists keep in step with what lies beside them
        ({"name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]},
         operation("insert", "Patient.name[0].given", index=1, valueString="C"),
         {"name": [{"given": ["A", "C", "B"], "_given": [None, None, {"id": "b"}]}]}),
        ({"name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]},
         operation("delete", "Patient.name[0].given[1]"), {"name": [{"given": ["A"]}]}),
        ({"birthDate": "1920"}, operation("add", "Patient.birthDate", name="extension",
          valueExtension={"url": "u", "valueString": "x"}),
         {"birthDate": "1920", "_birthDate": {"extension": [{"url": "u", "valueString": "x"}]}}),
        ({"name": [{"given": ["A", "B"]}]}, operation("add", "Patient.name.given[1]",
          name="extension", valueExtension={"url": "u", "valueString": "x"}),
         {"name": [{"given": ["A", "B"], "_given": [None,
          {"extension": [{"url": "u", "valueString": "x"}]}]}]}),
    ],
)  # fmt: skip
def test_an_operation_does_what_it_says(before: Json, change: Json, after: Json) -> None:
    resource = a_patient(**before)
    kept = deepcopy(resource)
    assert patched(resource, patch(change)) == a_patient(**after)
    assert resource == kept
    validate(a_patient(**after))


def test_operations_see_what_the_ones_before_them_did() -> None:
    change = patch(
        operation("add", "Patient", name="name", valueHumanName={"family": "A"}),
        operation("replace", "Patient.name[0].family", valueString="B"),
        operation("add", "Patient.name[0]", name="given", valueString="C"),
    )
    assert patched(a_patient(), change) == a_patient(name=[{"family": "B", "given": ["C"]}])
    assert patched(a_patient(), {"resourceType": "Parameters"}) == a_patient()


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (operation("replace", "Patient.birthDate", valueDate="1930"), 422, "leads to nothing"),
        (operation("delete", "Patient.identifier"), 422, "leads to 3 elements"),
        (operation("add", "Patient", name="gender", valueCode="male"), 422, "already"),
        (operation("add", "Patient", name="colour", valueCode="x"), 422, "no element 'colour'"),
        (operation("insert", "Patient.identifier", index=4, valueIdentifier={}), 422, "0 to 3"),
        (operation("insert", "Patient.identifier[0]", index=0, valueIdentifier={}), 422, "list"),
        (operation("move", "Patient.identifier", source=0, destination=3), 422, "0 to 2"),
        (operation("move", "Patient.link", source=0, destination=0), 422, "no link to move"),
        (operation("delete", "Patient"), 422, "whole"),
        (operation("replace", "Patient", valueString="x"), 422, "whole"),
        (operation("add", "Patient", name="deceased", valueString="x"), 422, "may not be"),
        (operation("add", "Patient", name="gender"), 400, "'value'"),
        (operation("copy", "Patient.gender"), 400, "no operation"),
        (operation("delete", "Patient.gender("), 400, "FHIRPath"),
        (operation("delete", "1 + 1"), 422, "elements of the resource"),
        ({"name": "operation"}, 400, "parts"),
        ({"name": "other", "part": []}, 400, "operation"),
        (1, 400, "operation"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_number(change: Any, status: int, says: str) -> None:
    resource = a_patient(gender="male", identifier=IDS)
    good = operation("delete", "Patient.gender")
    with pytest.raises(Invalid) as caught:
        patched(resource, patch(operation("delete", "Patient.link"), change, good))
    assert caught.value.status == status
    assert says in caught.value.message
    assert caught.value.issues[0].location == "Parameters.parameter[1]"
    assert resource["gender"] == "male"


def test_only_parameters_are_a_patch_and_only_so_many() -> None:
    with pytest.raises(Invalid, match="Parameters resource"):
        patched(a_patient(), [])
    with pytest.raises(Invalid) as caught:
        patched(a_patient(), patch(*[operation("delete", "Patient.gender")] * 1001))
    assert caught.value.status == 413


PATHS = ["Patient", "Patient.name", "Patient.name[0]", "Patient.name[0].given", "Patient.deceased",
         "Patient.extension", "name.given[0]", "Patient.contact.name", "Patient.contained", "$this",
         "Patient.birthDate", "Patient.link.other.display", "%resource", "Patient.id"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_is_sent_the_result_or_the_refusal_is_orderly(seed: int) -> None:
    random = Random(seed)
    resource = a_resource("Patient", random, 0.7)
    operations = []
    for _ in range(3):
        name = random.choice(["name", "given", "extension", "deceased", "birthDate", "contact"])
        more: Json = {"name": name, "index": random.randrange(3), "source": random.randrange(3),
                      "destination": random.randrange(3)}  # fmt: skip
        more[random.choice(["valueString", "valueHumanName", "parts"])] = random.choice(BAD)
        kind = random.choice(["add", "insert", "delete", "replace", "move"])
        operations.append(operation(kind, random.choice(PATHS), **more))
    try:
        patched(resource, patch(*operations))
    except Invalid as error:
        assert error.issues[0].location.startswith("Parameters.parameter[")

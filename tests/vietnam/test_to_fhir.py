"""Twin of vietnam/to_fhir.py, resources.py and clinical.py."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from sokhoe.fhir import decode, encode, validate
from sokhoe.vietnam import systems
from sokhoe.vietnam.history import visits
from sokhoe.vietnam.population import Person, people
from sokhoe.vietnam.province import province
from sokhoe.vietnam.to_fhir import facility_resources, person_resources, visit_resources
from sokhoe.vietnam.visit import Visit

TODAY = date(2026, 11, 1)
Resource = dict[str, Any]


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    return list(people(7, 250))


@pytest.fixture(scope="module")
def seen(crowd: list[Person]) -> list[tuple[Person, Visit]]:
    return [(person, visit) for person in crowd for visit in visits(person, TODAY)]


def test_every_resource_is_valid_r4(crowd: list[Person], seen: list[tuple[Person, Visit]]) -> None:
    by_number = {one.number: one for one in crowd}
    types: Counter[str] = Counter()
    for person, visit in seen[:300]:
        mother = by_number.get(person.mother)
        found = person_resources(person, visit.facility, mother=mother) + visit_resources(visit)
        for one in found:
            validate(decode(encode(one)))
            types[one["resourceType"]] += 1
    for code in province().facilities:
        for one in facility_resources(code):
            validate(one)
    assert {
        "Patient",
        "Coverage",
        "Encounter",
        "Condition",
        "Observation",
        "DiagnosticReport",
        "MedicationRequest",
    } <= types.keys()


def test_the_same_visit_is_the_same_resources(seen: list[tuple[Person, Visit]]) -> None:
    _, visit = seen[0]
    assert visit_resources(visit) == visit_resources(visit)


def test_no_two_resources_share_an_id(seen: list[tuple[Person, Visit]]) -> None:
    names = [
        (one["resourceType"], one["id"]) for _, visit in seen for one in visit_resources(visit)
    ]
    assert len(set(names)) == len(names)


def test_each_facility_has_its_own_patient_for_one_person(
    seen: list[tuple[Person, Visit]],
) -> None:
    person, _ = seen[0]
    one = person_resources(person, "86101")[0]
    two = person_resources(person, "86102")[0]
    assert one["id"] != two["id"]
    assert one["identifier"][0]["system"] == systems.patient_number("86101")
    assert one["managingOrganization"] != two["managingOrganization"]


def test_a_name_reads_in_vietnamese_order(seen: list[tuple[Person, Visit]]) -> None:
    for person, visit in seen[:50]:
        name = person_resources(person, visit.facility)[0]["name"][0]
        assert " ".join([name["family"], *name.get("given", [])]) == name["text"]


def test_the_address_carries_the_commune_code(seen: list[tuple[Person, Visit]]) -> None:
    person, visit = seen[0]
    home = person_resources(person, visit.facility)[0]["address"][0]
    coded = home["_city"]["extension"][0]["valueCoding"]
    assert coded == {"system": systems.uri("commune"), "code": person.commune}


def test_blood_pressure_is_one_observation_with_two_parts(
    seen: list[tuple[Person, Visit]],
) -> None:
    visit = next(visit for _, visit in seen if visit.vitals.systolic is not None)
    panel = next(
        one
        for one in visit_resources(visit)
        if one["resourceType"] == "Observation" and one["code"]["coding"][0]["code"] == "85354-9"
    )
    codes = [part["code"]["coding"][0]["code"] for part in panel["component"]]
    assert codes == ["8480-6", "8462-4"]
    assert panel["component"][0]["valueQuantity"]["value"] == visit.vitals.systolic


def test_all_references_inside_a_visit_lead_somewhere(seen: list[tuple[Person, Visit]]) -> None:
    for person, visit in seen[:100]:
        found = [
            *facility_resources(visit.facility),
            *person_resources(person, visit.facility),
            *visit_resources(visit),
        ]
        names = {f"{one['resourceType']}/{one['id']}" for one in found}
        missing = set(_references(found)) - names
        assert {name.partition("/")[0] for name in missing} <= {"Organization"}  # the insurer


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [name for part in value.values() for name in _references(part)]
    if isinstance(value, list):
        return [name for part in value for name in _references(part)]
    return []


def test_a_newborn_is_linked_to_the_mother(crowd: list[Person]) -> None:
    everyone = {one.number: one for one in people(7, 4000)}
    baby = next(one for one in everyone.values() if not one.citizen_id and one.mother in everyone)
    found = person_resources(baby, "86101", mother=everyone[baby.mother])
    mother = next(one for one in found if one["resourceType"] == "RelatedPerson")
    validate(mother)
    assert mother["name"][0]["text"] == everyone[baby.mother].name
    assert mother["relationship"][0]["coding"][0]["code"] == "MTH"

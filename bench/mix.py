"""Thirty searches as a hospital's day asks them, and a population on which to ask them.

The population is Synthea's people, thinned to a short record each and multiplied: every copy gets
ids, names, numbers and dates of its own, so that selective searches stay selective. The same
queries are asked at each size; a memory that scales answers them as fast with 16,000 as with 1,000.
Idea of the mix: the independent comparison "fhir search cliff" (mock.health, 2026).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from sokhoe.fhir import encode

# Of each type at most so many for one person: about sixteen resources, as a health station has.
KEPT = {
    "Patient": 1,
    "Encounter": 3,
    "Condition": 2,
    "Observation": 6,
    "MedicationRequest": 1,
    "Immunization": 2,
    "Procedure": 1,
}
SHARED = ("Organization", "Practitioner")
TOGETHER = 25  # people in one transaction

Resource = dict[str, Any]


def templates(bundles: Sequence[Resource]) -> tuple[list[list[Resource]], list[Resource]]:
    """Short records of people, and the places and doctors they share; references by `Type/id`."""
    people: list[list[Resource]] = []
    shared: dict[str, Resource] = {}
    for bundle in bundles:
        names = {}
        for entry in bundle["entry"]:
            resource = entry["resource"]
            names[entry["fullUrl"]] = f"{resource['resourceType']}/{resource['id']}"
        kept: list[Resource] = []
        room = dict(KEPT)
        for entry in bundle["entry"]:
            resource = entry["resource"]
            kind = resource["resourceType"]
            if kind in SHARED:
                shared[f"{kind}/{resource['id']}"] = _renamed(resource, names)
            elif room.get(kind, 0):
                room[kind] -= 1
                kept.append(_renamed(resource, names))
        present = {f"{one['resourceType']}/{one['id']}" for one in kept} | set(shared)
        people.append([_only(one, present) for one in kept])
    return people, [_only(one, set(shared)) for one in shared.values()]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def _only(value: Any, present: set[str]) -> Any:
    """Without references to what was left out."""
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference not in present:
            return {"display": "not in this sample"}
        return {key: _only(one, present) for key, one in value.items()}
    if isinstance(value, list):
        return [_only(one, present) for one in value]
    return value


def copies(people: list[list[Resource]], first: int, last: int) -> Iterator[list[Resource]]:
    """The records of persons number first … last-1."""
    for number in range(first, last):
        yield _copy(people[number % len(people)], number)


def _copy(record: list[Resource], number: int) -> list[Resource]:
    chance = random.Random(number)
    ids = {f"{one['resourceType']}/{one['id']}": f"{one['id'][:18]}-{number}" for one in record}
    names = {ref: f"{ref.partition('/')[0]}/{id}" for ref, id in ids.items()}
    shift = timedelta(days=chance.randrange(-700, 700))
    out = []
    for one in record:
        made = _moved(_renamed(one, names), shift)
        made["id"] = ids[f"{one['resourceType']}/{one['id']}"]
        if made["resourceType"] == "Patient":
            made["name"][0]["family"] += f"{number % 1009}"
            for identifier in made["identifier"]:
                identifier["value"] += f"-{number}"
        out.append(made)
    return out


def _moved(value: Any, shift: timedelta) -> Any:
    """Every date and instant, later by so many days."""
    if isinstance(value, dict):
        return {key: _moved(one, shift) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, shift) for one in value]
    if isinstance(value, str) and len(value) >= 10 and value[4:5] == "-" and value[7:8] == "-":
        try:
            return (date.fromisoformat(value[:10]) + shift).isoformat() + value[10:]
        except ValueError:
            return value
    return value


def transaction(resources: Sequence[Resource]) -> bytes:
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def queries(people: list[list[Resource]], size: int, seed: int) -> dict[str, str]:
    """The thirty shapes with values of persons that are there: name of the shape → path."""
    chance = random.Random(seed)
    record = _copy(people[(number := chance.randrange(size)) % len(people)], number)
    by_type: dict[str, list[Resource]] = {}
    for one in record:
        by_type.setdefault(one["resourceType"], []).append(one)
    patient = by_type["Patient"][0]
    id, family = patient["id"], patient["name"][0]["family"]
    given, birth = patient["name"][0]["given"][0], patient["birthDate"]
    number_of = patient["identifier"][0]["value"]
    observation = chance.choice(by_type["Observation"])
    code = observation["code"]["coding"][0]
    token = f"{code['system']}|{code['code']}"
    encounter = by_type["Encounter"][0]
    kind = encounter["type"][0]["coding"][0]["code"]
    begun = encounter["period"]["start"][:10]
    vaccine = (by_type.get("Immunization") or [{}])[0]
    dose = vaccine.get("vaccineCode", {}).get("coding", [{"code": "140"}])[0]["code"]
    illness = (by_type.get("Condition") or [{}])[0]
    disease = illness.get("code", {}).get("coding", [{"code": "444814009"}])[0]["code"]
    year = begun[:4]
    return {
        "read": f"Patient/{id}",
        "patient-identifier": f"Patient?identifier={number_of}",
        "patient-id": f"Patient?_id={id}",
        "patient-family": f"Patient?family={family}",
        "patient-name-birth": f"Patient?name={given}&birthdate={birth}",
        "patient-born-between": f"Patient?birthdate=ge{birth[:7]}-01&birthdate=le{birth[:7]}-28",
        "patient-gender-page": f"Patient?gender={patient['gender']}&_count=20",
        "patient-gender-sorted": f"Patient?gender={patient['gender']}&_sort=-birthdate&_count=20",
        "patient-exact": f"Patient?family:exact={family}",
        "patient-count": "Patient?_summary=count",
        "observation-patient": f"Observation?patient={id}",
        "observation-patient-code": f"Observation?patient={id}&code={token}",
        "observation-patient-code-newest": (
            f"Observation?patient={id}&code={token}&_sort=-date&_count=50"
        ),
        "observation-patient-category": f"Observation?patient={id}&category=vital-signs",
        "observation-patient-since": f"Observation?patient={id}&date=ge{year}-01-01",
        "observation-code-newest": f"Observation?code={token}&_sort=-date&_count=20",
        "observation-code-value": f"Observation?code={token}&value-quantity=gt90&_count=20",
        "observation-code-day": f"Observation?code={token}&date={begun}",
        "observation-encounter": f"Observation?encounter=Encounter/{encounter['id']}",
        "observation-chained": f"Observation?patient.identifier={number_of}&_count=20",
        "observation-include": f"Observation?patient={id}&_include=Observation:patient",
        "encounter-patient-newest": f"Encounter?patient={id}&_sort=-date&_count=10",
        "encounter-month": f"Encounter?date=ge{begun[:7]}-01&date=le{begun[:7]}-28&_count=20",
        "encounter-type-month": f"Encounter?type={kind}&date=ge{begun[:7]}-01&_count=20",
        "condition-patient": f"Condition?patient={id}&clinical-status=active,resolved",
        "condition-code-count": f"Condition?code={disease}&_total=accurate&_count=10",
        "immunization-vaccine": f"Immunization?vaccine-code={dose}&_sort=-date&_count=20",
        "medication-patient": f"MedicationRequest?patient={id}&_count=20",
        "patient-has-condition": f"Patient?_has:Condition:patient:code={disease}&_count=20",
        "patient-revinclude": f"Patient?_id={id}&_revinclude=Encounter:patient",
    }

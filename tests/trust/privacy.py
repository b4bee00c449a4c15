"""Random consents and a small memory of two facilities, for tests and hardening."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sokhoe import clock
from sokhoe.trust import Actor, Gate, Put, Role
from tests.worlds import a_patient, a_visit

PLACES = ("Organization/a", "Organization/b", "Organization/c")
DOCTORS = ("Practitioner/da", "Practitioner/db", "Practitioner/dc")
PURPOSES = ("TREAT", "ETREAT")
CATEGORIES = ("mental", "hiv", "reproductive", "addiction", "genetic")
CODES = {"F20.1": ["mental"], "B20": ["hiv"], "O04": ["reproductive"], "F11.2": ["addiction"],
         "Q90": ["genetic"], "I10": [], "F02.4": ["mental", "hiv"]}  # fmt: skip
TYPES = ("Patient", "Condition", "Observation", "Encounter")


def a_memory(gate: Gate, draw: random.Random, people: int = 4) -> list[dict[str, Any]]:
    """Persons with a Patient at each of two facilities, and visits."""
    rows: list[dict[str, Any]] = []
    for number in range(people):
        links = []
        for place in draw.sample(PLACES, 2):
            short = place[-1]
            patient = a_patient(f"p{number}{short}", name=f"Người {number}", facility=short)
            links.append({"target": {"reference": f"Patient/{patient['id']}"}})
            rows.append(patient)
            for visit in range(2):
                made = a_visit(patient, code=draw.choice(sorted(CODES)))
                for one in made:
                    one["id"] = f"{one['resourceType'][0].lower()}{number}{short}{visit}"
                made[1]["encounter"]["reference"] = f"Encounter/{made[0]['id']}"
                made[2]["encounter"]["reference"] = f"Encounter/{made[0]['id']}"
                rows += made
        rows.append({"resourceType": "Person", "id": f"x{number}", "link": links})
    gate.machine("ops").commit([Put(one) for one in rows])
    return rows


def kinds_of(record: dict[str, Any]) -> list[str]:
    codes = [one["code"] for one in (record.get("code") or {}).get("coding", [])]
    return [kind for code in codes for kind in CODES.get(code, [])]


def a_consent(draw: random.Random, id: str, patient: str, refs: list[str]) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": id,
        "status": draw.choice(("active", "active", "active", "inactive")),
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": "2026-11-01",
        "policyRule": {"text": "sokhoe"},
        "provision": a_provision(draw, refs, 2),
    }


def a_provision(draw: random.Random, refs: list[str], depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": draw.choice(("deny", "deny", "permit"))}
    if draw.random() < 0.55:
        made["actor"] = [
            {"role": {"text": "who"}, "reference": {"reference": one}}
            for one in draw.sample((*PLACES, *DOCTORS), draw.randint(1, 2))
        ]
    if draw.random() < 0.2:
        made["purpose"] = [{"code": draw.choice((*PURPOSES, "HRESCH"))}]
    chance = draw.random()
    if chance < 0.3:
        named = draw.sample(CATEGORIES, draw.randint(1, 2))
        made["securityLabel"] = [{"system": "urn:sokhoe:category", "code": one} for one in named]
    elif chance < 0.4:
        made["class"] = [{"code": one} for one in draw.sample(TYPES, 2)]
    elif chance < 0.55:
        made["data"] = [
            {"meaning": "instance", "reference": {"reference": one}} for one in draw.sample(refs, 2)
        ]
    if draw.random() < 0.3:
        today = clock.today()
        low, high = sorted(draw.choices(range(-3, 4), k=2))
        made["period"] = {
            "start": str(today + timedelta(days=low)),
            "end": str(today + timedelta(days=high)),
        }
    if depth and draw.random() < 0.5:
        count = draw.randint(1, 2)
        made["provision"] = [a_provision(draw, refs, depth - 1) for _ in range(count)]
    return made


def doctor(place: str) -> Actor:
    return Actor(f"Practitioner/d{place[-1]}", f"BS {place[-1]}", Role.DOCTOR, place)

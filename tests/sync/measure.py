"""How many bytes and how much time the mail takes: `python -m tests.sync.measure [visits]`.

A visit is one commit: encounter, six vital signs, two diagnoses, one prescription; every second
one also registers its patient. Numbers go to the decision record, not to an assertion.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.sync.world import a_pair

FAMILY = "Nguyễn Trần Lê Phạm Huỳnh Võ Đặng Bùi Đỗ Ngô Thạch Sơn Kim".split()
GIVEN = "An Bình Cúc Dung Em Giang Hoa Khánh Lan Minh Nga Oanh Phúc Quý Sen Tâm Út Vân".split()
VITALS = [
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 95, 185),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 55, 110),
    ("8867-4", "Heart rate", "/min", 55, 120),
    ("8310-5", "Body temperature", "Cel", 36, 39),
    ("29463-7", "Body weight", "kg", 38, 90),
    ("8302-2", "Body height", "cm", 140, 180),
]
ILLS = ["I10", "E11.9", "J06.9", "K29.7", "M54.5", "J20.9", "A09", "N39.0", "E78.5"]
MEDICINES = ["Amlodipin 5 mg", "Metformin 500 mg", "Paracetamol 500 mg", "Omeprazol 20 mg"]


def visits(count: int, seed: int = 1) -> list[list[dict[str, Any]]]:
    """So many invented visits, the same for the same seed."""
    chance = random.Random(seed)

    def new_id() -> str:
        return str(UUID(int=chance.getrandbits(128), version=4))

    found = []
    patient = ""
    for number in range(count):
        resources: list[dict[str, Any]] = []
        if number % 2 == 0:
            patient = new_id()
            resources.append(
                {
                    "resourceType": "Patient",
                    "id": patient,
                    "name": [{"text": f"{chance.choice(FAMILY)} Thị {chance.choice(GIVEN)}"}],
                    "birthDate": f"{chance.randint(1935, 2020)}-{chance.randint(1, 12):02d}-11",
                    "gender": "female",
                    "managingOrganization": {"reference": "Organization/86001"},
                }
            )
        found.append(resources + _visit(chance, patient, new_id, number))
    return found


def _visit(chance: random.Random, patient: str, new_id: Any, number: int) -> list[dict[str, Any]]:
    day, encounter = f"2026-11-{1 + number // 60 % 28:02d}", new_id()
    at = f"{day}T{7 + number % 10:02d}:{number % 60:02d}:00+07:00"
    about = {
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
    }
    out: list[dict[str, Any]] = [
        {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": about["subject"],
            "period": {"start": at, "end": at},
            "serviceProvider": {"reference": "Organization/86001"},
        }
    ]
    for code, text, unit, low, high in VITALS:
        value = Decimal(chance.randint(low * 10, high * 10)) / 10
        out.append(
            {
                "resourceType": "Observation",
                "id": new_id(),
                "status": "final",
                "category": [{"coding": [{"code": "vital-signs"}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": text},
                **about,
                "effectiveDateTime": at,
                "valueQuantity": {
                    "value": value,
                    "unit": unit,
                    "system": "http://unitsofmeasure.org",
                    "code": unit,
                },
            }
        )
    for ill in chance.sample(ILLS, 2):
        coding = {"system": "http://hl7.org/fhir/sid/icd-10", "code": ill}
        out.append(
            {
                "resourceType": "Condition",
                "id": new_id(),
                "code": {"coding": [coding]},
                **about,
                "recordedDate": at,
            }
        )
    out.append(
        {
            "resourceType": "MedicationRequest",
            "id": new_id(),
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": chance.choice(MEDICINES)},
            **about,
            "authoredOn": at,
            "dosageInstruction": [{"text": f"{chance.randint(1, 3)} viên x 2 lần/ngày"}],
        }
    )
    return out


def main(count: int) -> None:
    made = visits(count)
    records = sum(map(len, made))
    raw = sum(len(json.dumps(one, ensure_ascii=False, default=str)) for v in made for one in v)
    with tempfile.TemporaryDirectory() as folder, a_pair(Path(folder)) as (_, station):
        for one in made:
            station.save(*one)
        started = time.perf_counter()
        station.send(1000)
        seconds = time.perf_counter() - started
        pages = [len(body) for path, body in station.wire.sent if path.endswith("push")]
    line = sum(pages)
    print(f"{count} visits, {records} records, {raw / count:.0f} bytes of JSON per visit")
    print(f"{len(pages)} pages of {pages} bytes: {line / count:.0f} bytes per visit on the line")
    print(f"packed {raw / line:.1f} times smaller")
    print(f"{seconds:.2f} s: {count / seconds:.0f} commits/s, {records / seconds:.0f} records/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

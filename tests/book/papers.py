"""FHIR papers as facilities send them, with good defaults, for the Book's tests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

LOINC = "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10"
CITIZEN = "urn:sokhoe:citizen-id"

Paper = dict[str, Any]


def a_facility(id: str, name: str) -> Paper:
    return {"resourceType": "Organization", "id": id, "name": name}


def a_doctor(id: str, name: str) -> Paper:
    return {"resourceType": "Practitioner", "id": id, "name": [{"text": name}]}


def a_patient(
    id: str,
    facility: str,
    *,
    name: str = "Nguyễn Thị Sáu",
    born: str = "1959-04-12",
    citizen_id: str = "086159000123",
    gender: str = "female",
    phone: str = "",
) -> Paper:
    patient: Paper = {
        "resourceType": "Patient",
        "id": id,
        "name": [{"text": name}],
        "gender": gender,
        "birthDate": born,
        "managingOrganization": {"reference": f"Organization/{facility}"},
    }
    if citizen_id:
        patient["identifier"] = [{"system": CITIZEN, "value": citizen_id}]
    if phone:
        patient["telecom"] = [{"system": "phone", "value": phone}]
    return patient


def a_visit(
    patient: str,
    day: str = "2026-11-20",
    *,
    id: str = "",
    facility: str = "",
    kind: str = "AMB",
    until: str = "",
    reason: str = "",
    doctor: str = "",
    status: str = "finished",
) -> Paper:
    visit: Paper = {
        "resourceType": "Encounter",
        "id": id or str(uuid4()),
        "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {
            "start": f"{day}T08:00:00+07:00",
            "end": f"{until or day}T08:20:00+07:00",
        },
    }
    if facility:
        visit["serviceProvider"] = {"reference": f"Organization/{facility}"}
    if reason:
        visit["reasonCode"] = [{"text": reason}]
    if doctor:
        visit["participant"] = [{"individual": {"reference": f"Practitioner/{doctor}"}}]
    return visit


def _about(patient: str, visit: str) -> Paper:
    about: Paper = {"subject": {"reference": f"Patient/{patient}"}}
    if visit:
        about["encounter"] = {"reference": f"Encounter/{visit}"}
    return about


def a_diagnosis(
    patient: str, visit: str, text: str, code: str = "I10", day: str = "2026-11-20", **more: Any
) -> Paper:
    return {
        "resourceType": "Condition",
        "id": str(uuid4()),
        "code": {"coding": [{"system": ICD, "code": code}], "text": text},
        "recordedDate": f"{day}T08:15:00+07:00",
        **_about(patient, visit),
        **more,
    }


def a_medicine(
    patient: str,
    visit: str,
    name: str,
    when: str = "",
    *,
    day: str = "2026-11-20",
    days: int | None = 30,
    amount: str = "1",
    text: str = "",
    status: str = "active",
    **more: Any,
) -> Paper:
    """`when`: event codes separated by spaces (MORN EVE)."""
    repeat: Paper = {}
    if when:
        repeat["when"] = when.split()
        repeat["frequency"], repeat["period"], repeat["periodUnit"] = 1, 1, "d"
    if days is not None:
        repeat["boundsDuration"] = {"value": days, "unit": "d", "code": "d"}
    dosage: Paper = {"doseAndRate": [{"doseQuantity": {"value": _number(amount), "unit": "viên"}}]}
    if repeat:
        dosage["timing"] = {"repeat": repeat}
    if text:
        dosage["text"] = text
    return {
        "resourceType": "MedicationRequest",
        "id": str(uuid4()),
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"text": name},
        "authoredOn": f"{day}T08:15:00+07:00",
        "dosageInstruction": [dosage],
        **_about(patient, visit),
        **more,
    }


def _number(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text) if "." in text else int(text)


def a_result(
    patient: str,
    visit: str,
    name: str,
    value: str,
    unit: str = "mmol/L",
    *,
    code: str = "14749-6",
    low: str = "",
    high: str = "",
    flag: str = "",
    day: str = "2026-11-20",
    category: str = "laboratory",
    **more: Any,
) -> Paper:
    result: Paper = {
        "resourceType": "Observation",
        "id": str(uuid4()),
        "status": "final",
        "category": [{"coding": [{"code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code}], "text": name},
        "effectiveDateTime": f"{day}T08:05:00+07:00",
        "valueQuantity": {"value": _number(value), "unit": unit},
        **_about(patient, visit),
        **more,
    }
    ends = {"low": low, "high": high}
    given = {end: {"value": _number(text), "unit": unit} for end, text in ends.items() if text}
    if given:
        result["referenceRange"] = [given]
    if flag:
        result["interpretation"] = [{"coding": [{"code": flag}]}]
    return result


def a_pressure(
    patient: str, visit: str, systolic: int, diastolic: int, day: str = "2026-11-20"
) -> Paper:
    def part(code: str, value: int) -> Paper:
        return {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "valueQuantity": {"value": value, "unit": "mmHg"},
        }

    return {
        "resourceType": "Observation",
        "id": str(uuid4()),
        "status": "final",
        "category": [{"coding": [{"code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}], "text": "Huyết áp"},
        "effectiveDateTime": f"{day}T08:02:00+07:00",
        "component": [part("8480-6", systolic), part("8462-4", diastolic)],
        **_about(patient, visit),
    }


def a_vaccination(patient: str, name: str, day: str) -> Paper:
    return {
        "resourceType": "Immunization",
        "id": str(uuid4()),
        "status": "completed",
        "vaccineCode": {"text": name},
        "patient": {"reference": f"Patient/{patient}"},
        "occurrenceDateTime": day,
    }


def an_allergy(patient: str, name: str, code: str = "") -> Paper:
    concept: Paper = {"text": name}
    if code:
        concept["coding"] = [{"code": code}]
    return {
        "resourceType": "AllergyIntolerance",
        "id": str(uuid4()),
        "patient": {"reference": f"Patient/{patient}"},
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                    "code": "active",
                }
            ]
        },
        "code": concept,
    }

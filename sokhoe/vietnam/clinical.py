"""FHIR resources of what happened in a visit, from plain values.

Dates and codes are taken as they are: who calls has checked them. Empty values are left out, since
FHIR knows no empty strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sokhoe.vietnam import code_lists, systems
from sokhoe.vietnam.resources import (
    HL7,
    Resource,
    coding,
    encounter_id,
    identifier,
    listed,
    location_id,
    organization_id,
    quantity,
    ref,
    standard,
)


def condition(
    *,
    id: str,
    code: Resource,
    patient: Resource,
    encounter: Resource,
    recorded: str,
    active: bool,
    note: str = "",
) -> Resource:
    found: Resource = {
        "resourceType": "Condition",
        "id": id,
        "clinicalStatus": standard("condition-clinical", "active" if active else "resolved"),
        "verificationStatus": standard("condition-ver-status", "confirmed"),
        "category": [standard("condition-category", "encounter-diagnosis")],
        "code": code,
        "subject": patient,
        "encounter": encounter,
    }
    if recorded:
        found["recordedDate"] = recorded
    if note:
        found["note"] = [{"text": note}]
    return found


def observation(
    *,
    id: str,
    category: str,
    code: Resource,
    patient: Resource,
    encounter: Resource,
    when: str,
    value: Mapping[str, Any],
) -> Resource:
    """`value` is `{"valueQuantity": …}`, `{"valueString": …}`, `{"component": […]}` or the like."""
    found: Resource = {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [standard("observation-category", category)],
        "code": code,
        "subject": patient,
        "encounter": encounter,
    }
    if when:
        found["effectiveDateTime"] = when
    return found | dict(value)


def report(
    *,
    id: str,
    code: Resource,
    section: str,
    patient: Resource,
    encounter: Resource,
    when: str,
    results: Sequence[Resource] = (),
    conclusion: str = "",
    performer: Resource | None = None,
) -> Resource:
    """A diagnostic report; `section` is its HL7 department: LAB, RAD, OTH."""
    found: Resource = {
        "resourceType": "DiagnosticReport",
        "id": id,
        "status": "final",
        "category": [standard("v2-0074", section)],
        "code": code,
        "subject": patient,
        "encounter": encounter,
    }
    if when:
        found["effectiveDateTime"] = when
    if performer:
        found["resultsInterpreter"] = [performer]
    if results:
        found["result"] = list(results)
    if conclusion:
        found["conclusion"] = conclusion
    return found


def medication_request(
    *,
    id: str,
    medicine: Resource,
    patient: Resource,
    encounter: Resource,
    when: str,
    requester: Resource | None,
    dose: str,
    route: str = "",
    amount: Resource | None = None,
    days: int = 0,
    reason: Resource | None = None,
) -> Resource:
    found: Resource = {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "completed",
        "intent": "order",
        "medicationCodeableConcept": medicine,
        "subject": patient,
        "encounter": encounter,
    }
    if when:
        found["authoredOn"] = when
    if requester:
        found["requester"] = requester
    if reason:
        found["reasonReference"] = [reason]
    dosage: Resource = {}
    if dose:
        dosage["text"] = dose
    if route:
        dosage["route"] = {"text": route}
    if dosage:
        found["dosageInstruction"] = [dosage]
    supply: Resource = {}
    if amount:
        supply["quantity"] = amount
    if days:
        supply["expectedSupplyDuration"] = quantity(days, "ngày", "d")
    if supply:
        found["dispenseRequest"] = supply
    return found


def procedure(
    *,
    id: str,
    code: Resource,
    patient: Resource,
    encounter: Resource,
    when: str,
    performer: Resource | None,
) -> Resource:
    found: Resource = {
        "resourceType": "Procedure",
        "id": id,
        "status": "completed",
        "code": code,
        "subject": patient,
        "encounter": encounter,
    }
    if when:
        found["performedDateTime"] = when
    if performer:
        found["performer"] = [{"actor": performer}]
    return found


def impression(
    *,
    id: str,
    patient: Resource,
    encounter: Resource,
    when: str,
    assessor: Resource | None,
    summary: str,
    notes: Sequence[str] = (),
) -> Resource:
    """One line of the clinical course.

    A ClinicalImpression and not an Observation: it is a clinician's judgement in free words at one
    moment, and would drown the measured values in every list of observations; and not a
    DocumentReference, which needs a file to point to.
    """
    found: Resource = {
        "resourceType": "ClinicalImpression",
        "id": id,
        "status": "completed",
        "subject": patient,
        "encounter": encounter,
    }
    if when:
        found["date"] = when
    if assessor:
        found["assessor"] = assessor
    if summary:
        found["summary"] = summary
    if notes:
        found["note"] = [{"text": text} for text in notes]
    return found


def encounter(
    *,
    facility: str,
    visit: str,
    kind: str,
    patient: Resource,
    period: Mapping[str, str],
    department: str = "",
    doctor: Resource | None = None,
    reason: str = "",
    diagnoses: Sequence[str] = (),
    result: str = "",
    discharge: str = "",
    destination: str = "",
    location: str = "",
) -> Resource:
    """An episode at a facility. `diagnoses` are ids of Conditions, the main one first."""
    known = code_lists.codes("visit_kinds").get(kind)
    found: Resource = {
        "resourceType": "Encounter",
        "id": encounter_id(facility, visit),
        "identifier": [
            {
                **identifier("visit_number", visit),
                "assigner": ref("Organization", organization_id(facility)),
            }
        ],
        "status": "finished",
        "class": coding(f"{HL7}/v3-ActCode", known.extra if known else "AMB"),
    }
    if result:
        value = listed("result", "results", result)
        found["extension"] = [{"url": systems.uri("result"), "valueCodeableConcept": value}]
    if kind:
        found["type"] = [listed("visit_kind", "visit_kinds", kind)]
    if department:
        found["serviceType"] = listed("department", "departments", department)
    found["subject"] = patient
    if doctor:
        found["participant"] = [{"individual": doctor}]
    if period:
        found["period"] = dict(period)
    if reason:
        found["reasonCode"] = [{"text": reason}]
    if diagnoses:
        found["diagnosis"] = [
            {
                "condition": ref("Condition", id),
                "use": standard("diagnosis-role", "DD"),
                "rank": rank,
            }
            for rank, id in enumerate(diagnoses, start=1)
        ]
    leaving: Resource = {}
    if destination:
        leaving["destination"] = {"identifier": identifier("facility", destination)}
    if discharge:
        leaving["dischargeDisposition"] = listed("discharge", "discharges", discharge)
    if leaving:
        found["hospitalization"] = leaving
    if location:
        found["location"] = [{"location": ref("Location", location)}]
    found["serviceProvider"] = ref("Organization", organization_id(facility))
    return found


def follow_up(*, id: str, patient: Resource, day: str, facility: str) -> Resource:
    """When to come again: a wished-for day without an hour, hence `proposed`."""
    return {
        "resourceType": "Appointment",
        "id": id,
        "status": "proposed",
        "appointmentType": standard("v2-0276", "FOLLOWUP"),
        "description": "Tái khám",
        "participant": [
            {"actor": patient, "status": "needs-action"},
            {"actor": ref("Location", location_id(facility)), "status": "accepted"},
        ],
        "requestedPeriod": [{"start": day, "end": day}],
    }

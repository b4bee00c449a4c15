"""Invented people and visits as FHIR resources (plain dicts), as a station would have written them.

Each facility that sees a person has its own source Patient, with the slips of `as_written`, so that
linking them is real work. Ids come from facility, MA_LK, table and row, as in the exchange file
(`giamdinh.to_fhir`): the same visit by either road is the same Encounter.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sokhoe.vietnam import clinical, code_lists, places, systems
from sokhoe.vietnam import resources as make
from sokhoe.vietnam.as_written import as_written
from sokhoe.vietnam.population import Person
from sokhoe.vietnam.province import province
from sokhoe.vietnam.resources import Resource, concept, moment, ref
from sokhoe.vietnam.visit import Visit, Vitals

_VITALS: tuple[tuple[str, str, str, str, Callable[[Vitals], int | Decimal]], ...] = (
    ("8867-4", "Mạch", "lần/phút", "/min", lambda v: v.pulse),
    ("8310-5", "Nhiệt độ", "°C", "Cel", lambda v: v.temperature),
    ("9279-1", "Nhịp thở", "lần/phút", "/min", lambda v: v.breaths),
    ("2708-6", "SpO2", "%", "%", lambda v: v.spo2),
    ("29463-7", "Cân nặng", "kg", "kg", lambda v: v.weight),
    ("8302-2", "Chiều cao", "cm", "cm", lambda v: v.height),
)
_REPORT_SECTIONS = {"lab": "LAB", "imaging": "RAD", "function": "OTH"}


def facility_resources(code: str, *, folder: str = "vinh_long") -> list[Resource]:
    """A facility as Organization and Location, with its doctors."""
    here = province(folder).facilities[code]
    return [
        make.organization(code, here.name, level=here.level),
        make.location(code, here.name, lat=here.lat, lon=here.lon),
        *(make.practitioner(code, one.code, one.name) for one in places.doctors(code, folder)),
    ]


def patient_identifiers(person: Person) -> list[Resource]:
    """The identifiers that people carry with them (not the facility's own number)."""
    rows = (
        ("citizen_id", person.citizen_id),
        ("old_card", person.old_card),
        ("insurance_number", person.insurance),
        ("social_insurance", person.social),
    )
    return [make.identifier(key, value) for key, value in rows if value]


def address_text(person: Person, *, folder: str = "vinh_long") -> str:
    """The address in one line; with district, where the facility wrote the old commune."""
    where = province(folder)
    for old in where.before(person.commune):
        if old.code == person.former_commune:
            former = where.former[old.province]
            return f"{person.address}, {old.name}, {old.district}, tỉnh {former.name}"
    return f"{person.address}, {where.communes[person.commune].name}, {where.name}"


def person_resources(
    person: Person, facility: str, *, mother: Person | None = None, folder: str = "vinh_long"
) -> list[Resource]:
    """The person as this facility knows them: Patient, Coverage, allergies; a newborn's mother."""
    seen = as_written(person, facility, mother=mother)
    where = province(folder)
    number = places.patient_number(facility, person.number)
    commune = where.communes[seen.commune]
    found = [
        make.patient(
            facility=facility,
            number=number,
            name=seen.name,
            gender=seen.sex,
            birth=seen.birth,
            identifiers=patient_identifiers(seen),
            phone=seen.phone,
            home=make.address(
                line=seen.address,
                commune=commune.code,
                commune_name=commune.name,
                province=where.code,
                province_name=where.short_name,
                text=address_text(seen, folder=folder),
            ),
            ethnic=seen.ethnic,
            occupation=seen.occupation,
            twin=bool(seen.twin),
        )
    ]
    if seen.insurance:
        found.append(make.coverage(facility=facility, number=number, card=seen.insurance))
    here = ref("Patient", make.patient_id(facility, number))
    for place, substance in enumerate(person.allergies, start=1):
        found.append(_allergy(facility, number, place, substance, here))
    if mother:
        found.append(_mother(mother, facility, number, here))
    return found


def _allergy(facility: str, number: str, place: int, substance: str, patient: Resource) -> Resource:
    base = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "AllergyIntolerance",
        "id": make.made_id("AllergyIntolerance", facility, number, str(place)),
        "clinicalStatus": {
            "coding": [make.coding(f"{base}/allergyintolerance-clinical", "active")]
        },
        "verificationStatus": {
            "coding": [make.coding(f"{base}/allergyintolerance-verification", "confirmed")]
        },
        "type": "allergy",
        "code": {"text": substance},
        "patient": patient,
    }


def _mother(mother: Person, facility: str, number: str, patient: Resource) -> Resource:
    found: Resource = {
        "resourceType": "RelatedPerson",
        "id": make.made_id("RelatedPerson", facility, number, "mother"),
        "active": True,
        "patient": patient,
        "relationship": [
            {
                "coding": [
                    make.coding("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH", "Mẹ")
                ]
            }
        ],
        "name": [make.human_name(mother.name)],
        "gender": "female",
    }
    if mother.citizen_id:
        found["identifier"] = [make.identifier("citizen_id", mother.citizen_id)]
    if mother.phone:
        found["telecom"] = [{"system": "phone", "value": mother.phone}]
    if len(mother.birth) >= 4:
        found["birthDate"] = mother.birth
    return found


def visit_resources(visit: Visit) -> list[Resource]:
    """One visit: Encounter, Conditions, vital signs, laboratory, reports, medicines, procedures,
    vaccinations, course, follow-up. The Patient and the facility come from the functions above."""
    return _VisitWriter(visit).everything()


class _VisitWriter:
    """What the resources of one visit have in common."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.patient = ref("Patient", make.patient_id(visit.facility, visit.patient_number))
        self.encounter = ref("Encounter", make.encounter_id(visit.facility, visit.id))
        self.doctor = ref(
            "Practitioner",
            make.practitioner_id(visit.facility, visit.doctor.code),
            visit.doctor.name,
        )
        self.shared: dict[str, Any] = {"patient": self.patient, "encounter": self.encounter}

    def id(self, type: str, table: str, row: str | int) -> str:
        return make.row_id(type, self.visit.facility, self.visit.id, table, str(row))

    def everything(self) -> list[Resource]:
        visit = self.visit
        conditions = self.conditions()
        found = [
            clinical.encounter(
                facility=visit.facility,
                visit=visit.id,
                kind=visit.kind,
                patient=self.patient,
                period={"start": moment(visit.start), "end": moment(visit.end)},
                department=visit.department,
                doctor=self.doctor,
                reason=visit.reason,
                diagnoses=[one["id"] for one in conditions],
                result=visit.result,
                discharge=visit.discharge,
                destination=visit.referred_to,
                location=make.location_id(visit.facility),
            ),
            *conditions,
            *self.vitals(),
            *self.labs(),
            *self.services(),
            *self.medicines(),
            *self.shots(),
        ]
        for row, note in enumerate(visit.notes, start=1):
            found.append(
                clinical.impression(
                    id=self.id("ClinicalImpression", "XML5", row),
                    **self.shared,
                    when=moment(note.at),
                    assessor=self.doctor,
                    summary=note.text,
                )
            )
        if visit.follow_up:
            found.append(
                clinical.follow_up(
                    id=self.id("Appointment", "XML1", 1),
                    patient=self.patient,
                    day=visit.follow_up.isoformat(),
                    facility=visit.facility,
                )
            )
        return found

    def conditions(self) -> list[Resource]:
        visit = self.visit
        lasting = visit.kind == "05"
        return [
            clinical.condition(
                id=self.id("Condition", "XML1", one.code),
                code=concept("icd10", one.code, one.name),
                **self.shared,
                recorded=moment(visit.start),
                active=lasting,
                note=visit.treatment if one.main else "",
            )
            for one in visit.diagnoses
        ]

    def vitals(self) -> list[Resource]:
        vitals, when = self.visit.vitals, moment(self.visit.start)
        found = []
        if vitals.systolic is not None and vitals.diastolic is not None:
            parts = [
                {
                    "code": concept("loinc", code, text),
                    "valueQuantity": make.quantity(value, "mmHg", "mm[Hg]"),
                }
                for code, text, value in (
                    ("8480-6", "Huyết áp tâm thu", vitals.systolic),
                    ("8462-4", "Huyết áp tâm trương", vitals.diastolic),
                )
            ]
            found.append(self.vital("85354-9", "Huyết áp", when, {"component": parts}))
        for code, text, unit, ucum, read in _VITALS:
            value = {"valueQuantity": make.quantity(read(vitals), unit, ucum)}
            found.append(self.vital(code, text, when, value))
        return found

    def vital(self, code: str, text: str, when: str, value: Resource) -> Resource:
        return clinical.observation(
            id=self.id("Observation", "VITALS", code),
            category="vital-signs",
            code=concept("loinc", code, text),
            **self.shared,
            when=when,
            value=value,
        )

    def labs(self) -> list[Resource]:
        """One Observation for each index, one report for each service that was ordered."""
        found = []
        by_service: dict[str, list[Resource]] = {}
        for row, one in enumerate(self.visit.labs, start=1):
            index = code_lists.lab()[one.code]
            id = self.id("Observation", "XML4", row)
            value: Resource
            if one.range is None:
                value = {"valueString": one.value}
            else:
                low, high = one.range
                value = {
                    "valueQuantity": make.quantity(Decimal(one.value), index.unit, index.ucum),
                    "referenceRange": [
                        {
                            "low": make.quantity(low, index.unit, index.ucum),
                            "high": make.quantity(high, index.unit, index.ucum),
                        }
                    ],
                }
            if one.flag:
                value["interpretation"] = [_interpretation(one.flag)]
            found.append(
                clinical.observation(
                    id=id,
                    category="laboratory",
                    code=lab_concept(index),
                    **self.shared,
                    when=moment(one.at),
                    value=value,
                )
            )
            by_service.setdefault(index.service, []).append(ref("Observation", id))
        for service, results in by_service.items():
            found.append(self.report(service, results, ""))
        return found

    def report(self, code: str, results: list[Resource], conclusion: str) -> Resource:
        service = code_lists.services()[code]
        return clinical.report(
            id=self.id("DiagnosticReport", "XML4", code),
            code=concept("service", code, service.name),
            section=_REPORT_SECTIONS[service.kind],
            **self.shared,
            when=moment(self.visit.start),
            results=results,
            conclusion=conclusion,
            performer=self.doctor,
        )

    def services(self) -> list[Resource]:
        found = []
        for row, one in enumerate(self.visit.services, start=1):
            service = code_lists.services()[one.code]
            if service.kind in {"imaging", "function"}:
                found.append(self.report(one.code, [], one.finding))
            elif service.kind == "procedure":
                found.append(
                    clinical.procedure(
                        id=self.id("Procedure", "XML3", row),
                        code=concept("service", one.code, service.name),
                        **self.shared,
                        when=moment(one.at),
                        performer=self.doctor,
                    )
                )
        return found

    def medicines(self) -> list[Resource]:
        main = ref("Condition", self.id("Condition", "XML1", self.visit.main.code))
        found = []
        for row, one in enumerate(self.visit.medicines, start=1):
            medicine = code_lists.medicines()[one.code]
            found.append(
                clinical.medication_request(
                    id=self.id("MedicationRequest", "XML2", row),
                    medicine=concept("medicine", one.code, medicine.name),
                    **self.shared,
                    when=moment(self.visit.start),
                    requester=self.doctor,
                    dose=one.dose,
                    route=medicine.route,
                    amount=make.quantity(one.quantity, medicine.unit),
                    days=one.days,
                    reason=main,
                )
            )
        return found

    def shots(self) -> list[Resource]:
        found: list[Resource] = []
        for row, one in enumerate(self.visit.shots, start=1):
            vaccine = code_lists.vaccines()[one.code]
            found.append(
                {
                    "resourceType": "Immunization",
                    "id": self.id("Immunization", "SHOT", row),
                    "status": "completed",
                    "vaccineCode": {
                        "coding": [make.coding("http://hl7.org/fhir/sid/cvx", vaccine.cvx)],
                        "text": vaccine.name,
                    },
                    **self.shared,
                    "occurrenceDateTime": moment(self.visit.start),
                    "lotNumber": one.lot,
                    "performer": [{"actor": self.doctor}],
                    "protocolApplied": [
                        {
                            "targetDisease": [{"text": vaccine.disease}],
                            "doseNumberPositiveInt": one.dose,
                        }
                    ],
                }
            )
        return found


def lab_concept(index: code_lists.LabIndex) -> Resource:
    """The index in our code, and in LOINC as reference where that is sure."""
    found = concept("lab_index", index.code, index.name)
    if index.loinc:
        found["coding"].append(make.coding(systems.uri("loinc"), index.loinc))
    return found


def _interpretation(flag: str) -> Resource:
    base = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    return {"coding": [make.coding(base, flag)]}

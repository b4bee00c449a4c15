"""An invented district with awkward values, different for each seed; valid R4 throughout.

Partial dates, leap days and zones; Vietnamese letters composed and decomposed; decimals of all
sizes, units that can be converted and units that cannot; references that are relative, absolute,
versioned, contained, by identifier or in words alone; codes with separators in them; elements that
are nothing but the reason why there is no value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from sokhoe.store import Delete, Put
from tests.contracts.oracle.amounts import UCUM

Json = dict[str, Any]

LOINC, SNOMED, HERE = "http://loinc.org", "http://snomed.info/sct", "urn:sokhoe:codes"
CODES = (
    (LOINC, "8480-6"),
    (LOINC, "718-7"),
    (SNOMED, "718-7"),
    (SNOMED, "38341003"),
    (HERE, "a|b"),
    (HERE, "x,y$z"),
    (HERE, "back\\slash"),
    (None, "718-7"),
    (None, "Ω"),
    (LOINC, None),
)
NAMES = ("Nguyễn", "Trần", "Đặng", "Đỗ", "Võ", "Dương", "Ánh", "An", "Ân", "Đức", "Thị", "O'Brien")
TEXTS = (
    "Huyết áp tâm thu",
    "Mạch nhanh, yếu",
    "HO ra máu",
    "Đau đầu",
    "đau  bụng",
    "Sốt (38.5 °C)",
    "viêm phổi",
    "Bệnh viện Đa khoa Vĩnh Long",
    "Trạm Y tế",
)
PLACES = ("Vĩnh Long", "Hòa Phú", "Trà Ôn", "86000", "VN", "Số 7, đường 2/9")
DAYS = (
    "2023",
    "2024",
    "2024-02",
    "2024-02-29",
    "2024-05",
    "2024-05-01",
    "2024-05-02",
    "1969-12-31",
    "1970",
    "2025-01-01",
)
TIMES = (
    "2024-05-01T00:00:00+07:00",
    "2024-04-30T17:00:00Z",
    "2024-05-01T10:00:00Z",
    "2024-05-01T10:00:00.250Z",
    "2024-05-01T23:59:59.999+07:00",
    "2024-02-29T23:30:00-05:00",
    "2024-12-31T17:00:00Z",
    "1969-12-31T23:59:59Z",
    "2023-05-01T07:00:00+07:00",
)
AMOUNTS = tuple(
    map(
        Decimal,
        "5 5.0 5.35 5.4 5.449 5.45 0.0054 0.005 5400 5000 -3 0 100 99.5 100.5 0.3 1200 1e9 "
        "0.000000054 123456789.125".split(),
    )
)
UNITS = (
    *((UCUM, code) for code in ("mg", "g", "ug", "kg", "g/L", "mg/dL", "mm[Hg]", "mmol/L")),
    ("urn:sokhoe:units", "mg"),
    (None, "viên"),
    (None, "mg"),
)
PROFILES = (
    "http://sokhoe.vn/fhir/StructureDefinition/a",
    "http://sokhoe.vn/fhir/StructureDefinition/a/b",
    "http://sokhoe.vn/fhir/StructureDefinition/a|2.0",
)
UNKNOWN = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
# How many ids of each type there are at most.
SIZES = {
    "Patient": 5,
    "Observation": 14,
    "Condition": 6,
    "Encounter": 5,
    "Practitioner": 3,
    "PractitionerRole": 3,
    "Organization": 4,
    "Location": 3,
    "MedicationRequest": 5,
    "Medication": 3,
    "DocumentReference": 4,
    "Immunization": 4,
    "AllergyIntolerance": 3,
    "Procedure": 4,
    "DiagnosticReport": 4,
    "ServiceRequest": 4,
    "RiskAssessment": 4,
    "RelatedPerson": 2,
    "Questionnaire": 3,
    "Group": 2,
    "List": 3,
}
TYPES = tuple(SIZES)


class World:
    """Draws records; `random` may be Hypothesis's, so that a world can be made smaller."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def changes(self, most: int, live: list[str]) -> list[Put | Delete]:
        """Some writes: new records, records changed or written again, and deletions."""
        made: dict[str, Put | Delete] = {}
        for _ in range(self.random.randint(1, most)):
            if live and self.random.random() < 0.12:
                type, _, id = self.pick(*live).partition("/")
                made[f"{type}/{id}"] = Delete(type, id)
            else:
                one = self.a_record()
                made[f"{one['resourceType']}/{one['id']}"] = Put(one)
        return list(made.values())

    def a_record(self) -> Json:
        type = self.random.choices(TYPES, list(SIZES.values()))[0]
        body: Json = getattr(self, _method(type))()
        return {
            "resourceType": type,
            "id": self.an_id(type),
            **self.some(
                0.3,
                meta=lambda: self.some(
                    0.5,
                    tag=lambda: [self.coding()],
                    security=lambda: [self.coding()],
                    profile=lambda: [self.pick(*PROFILES)],
                    source=lambda: self.pick("urn:uuid:1", "http://his.example.vn/a"),
                ),
            ),
            **body,
        }

    # --- choices ------------------------------------------------------------------------------

    def pick(self, *choices: Any) -> Any:
        return choices[self.random.randrange(len(choices))]

    def some(self, chance: float = 0.65, /, **elements: Callable[[], Any]) -> Json:
        """Each element is there with this chance, and never empty."""
        drawn = {
            name.rstrip("_"): make()
            for name, make in elements.items()
            if self.random.random() < chance
        }
        return {name: one for name, one in drawn.items() if one not in ({}, [], None)}

    def few(self, make: Callable[[], Any], most: int = 2) -> list[Any]:
        return [make() for _ in range(self.random.randint(1, most))]

    def an_id(self, type: str) -> str:
        return f"{type[:3].lower()}{self.random.randrange(SIZES[type])}"

    # --- datatypes ----------------------------------------------------------------------------

    def spelled(self, text: str) -> str:
        """The same letters, composed or not."""
        return unicodedata.normalize(self.pick("NFC", "NFC", "NFD"), text)

    def text(self) -> str:
        return self.spelled(self.pick(*TEXTS))

    def day(self) -> str:
        return str(self.pick(*DAYS))

    def time(self) -> str:
        return str(self.pick(*DAYS, *TIMES, *TIMES))

    def instant(self) -> str:
        return str(self.pick(*TIMES))

    def period(self) -> Json:
        ends = sorted([self.time(), self.time()], key=_end)
        whole = {"start": ends[0], "end": ends[1]}
        drawn: Json = self.pick(whole, {"start": ends[0]}, {"end": ends[1]})
        return drawn

    def timing(self) -> Json:
        daily = {"frequency": 1, "period": 1, "periodUnit": "d"}
        bounds = {"repeat": {"boundsPeriod": self.period(), **daily}}
        drawn: Json = self.pick({"event": self.few(self.time, 3)}, bounds)
        return drawn

    def coding(self) -> Json:
        system, code = self.pick(*CODES)
        one = {name: text for name, text in (("system", system), ("code", code)) if text}
        return {**one, **self.some(0.4, display=self.text)}

    def concept(self) -> Json:
        if self.random.random() < 0.1:
            return dict(UNKNOWN)
        coded = self.some(0.85, coding=lambda: self.few(self.coding))
        return {**coded, **({"text": self.text()} if not coded else self.some(0.3, text=self.text))}

    def identifier(self) -> Json:
        kind = {"coding": [{"system": "urn:t", "code": self.pick("MR", "PI")}], "text": self.text()}
        return {
            "value": str(self.random.randint(1, 6)),
            **self.some(system=lambda: self.pick("urn:id", "urn:other"), type=lambda: kind),
        }

    def contact(self) -> Json:
        return {
            "system": self.pick("phone", "email"),
            "value": self.pick("0912", "a@b.vn", "0270|3"),
        }

    def name(self) -> Json:
        family = self.spelled(self.pick(*NAMES))
        given = [self.spelled(self.pick(*NAMES)) for _ in range(self.random.randint(1, 2))]
        written: Json = self.pick(
            {"family": family, "given": given},
            {"text": f"{family} {' '.join(given)}"},
            {"family": family},
            {"given": given, "prefix": ["Bà"]},
        )
        return written

    def address(self) -> Json:
        def place() -> str:
            return self.spelled(self.pick(*PLACES))

        return {
            "country": "VN",
            **self.some(0.4, text=place, city=place, state=place, postalCode=lambda: "86000"),
            **self.some(0.3, line=lambda: [place()], use=lambda: self.pick("home", "work")),
        }

    def quantity(self, *units: tuple[str | None, str]) -> Json:
        system, unit = self.pick(*(units or UNITS))
        measure = {"system": system, "code": unit} if system else {"unit": unit}
        return {"value": self.pick(*AMOUNTS), **measure}

    def range(self) -> Json:
        low, high = sorted([self.pick(*AMOUNTS), self.pick(*AMOUNTS)])
        unit = {"system": UCUM, "code": "g"}
        return self.pick({"low": {"value": low, **unit}}, {"high": {"value": high, **unit}})  # type: ignore[no-any-return]

    def age(self) -> Json:
        amount = self.pick(*(one for one in AMOUNTS if one > 0))
        return {"value": amount, "system": UCUM, "code": self.pick("h", "d", "wk", "min")}

    def reference(self, *types: str) -> Json:
        type = self.pick(*types)
        ref = f"{type}/{self.an_id(type)}"
        if self.random.random() < 0.75:
            return {"reference": ref}
        whole: Json = self.pick(
            {"reference": f"http://far.example.vn/fhir/{ref}"},
            {"reference": f"{ref}/_history/1"},
            {"reference": ref, "identifier": self.identifier()},
            {"identifier": self.identifier(), "type": type},
            {"display": "ai đó"},
            {"reference": f"{type}/nobody"},
        )
        return whole

    def subject(self) -> Json:
        return self.reference("Patient", "Patient", "Patient", "Group")

    def to(self, *types: str) -> Callable[[], Json]:
        return lambda: self.reference(*types)

    def several(self, *types: str) -> Callable[[], list[Json]]:
        return lambda: self.few(lambda: self.reference(*types))

    def one_of(self, **choices: Callable[[], Any]) -> Json:
        name = self.pick(*choices)
        return {name: choices[name]()}

    def listed(self, make: Callable[[], Any], most: int = 2) -> Callable[[], list[Any]]:
        return lambda: self.few(make, most)

    # --- types --------------------------------------------------------------------------------

    def patient(self) -> Json:
        found = self.some(
            0.6,
            active=lambda: self.pick(True, False),
            name=self.listed(self.name),
            telecom=self.listed(self.contact),
            gender=lambda: self.pick("male", "female", "other"),
            birthDate=self.day,
            address=self.listed(self.address),
            identifier=self.listed(self.identifier),
            managingOrganization=self.to("Organization"),
            generalPractitioner=self.several("Practitioner", "PractitionerRole", "Organization"),
            communication=lambda: [{"language": self.concept()}],
            link=lambda: [{"other": self.reference("Patient"), "type": "seealso"}],
        )
        if "birthDate" not in found and self.random.random() < 0.3:
            found["_birthDate"] = UNKNOWN
        dead = self.one_of(
            deceasedBoolean=lambda: self.pick(True, False), deceasedDateTime=self.time
        )
        return {**found, **(dead if self.random.random() < 0.4 else {})}

    def practitioner(self) -> Json:
        return self.some(
            name=self.listed(self.name),
            identifier=self.listed(self.identifier),
            gender=lambda: "female",
            active=lambda: True,
            telecom=self.listed(self.contact),
            communication=self.listed(self.concept),
        )

    def practitioner_role(self) -> Json:
        return self.some(
            practitioner=self.to("Practitioner"),
            organization=self.to("Organization"),
            location=self.several("Location"),
            code=self.listed(self.concept),
            specialty=self.listed(self.concept),
            period=self.period,
            active=lambda: self.pick(True, False),
        )

    def organization(self) -> Json:
        return {
            "name": self.text(),
            **self.some(
                alias=self.listed(self.text),
                partOf=self.to("Organization"),
                type=self.listed(self.concept),
                identifier=self.listed(self.identifier),
                address=self.listed(self.address),
                active=lambda: True,
            ),
        }

    def location(self) -> Json:
        return self.some(
            name=self.text,
            alias=self.listed(self.text),
            status=lambda: self.pick("active", "suspended"),
            address=self.address,
            managingOrganization=self.to("Organization"),
            partOf=self.to("Location"),
            type=self.listed(self.concept),
            operationalStatus=self.coding,
        )

    def observation(self) -> Json:
        value = self.one_of(
            valueQuantity=self.quantity,
            valueCodeableConcept=self.concept,
            valueString=self.text,
            valueDateTime=self.time,
            valuePeriod=self.period,
        )
        when = self.one_of(
            effectiveDateTime=self.time,
            effectivePeriod=self.period,
            effectiveTiming=self.timing,
            effectiveInstant=self.instant,
        )
        contained = [{"resourceType": "Patient", "id": "in", "name": [self.name()]}]
        inside = {"contained": contained, "subject": {"reference": "#in"}}
        whose = {"subject": self.reference("Patient", "Patient", "Group", "Location")}
        return {
            "status": self.pick("final", "preliminary"),
            "code": self.concept(),
            **(when if self.random.random() < 0.8 else {}),
            **(value if self.random.random() < 0.7 else {"dataAbsentReason": self.concept()}),
            **self.pick(whose, whose, whose, whose, whose, inside, {}),
            **self.some(
                0.35,
                category=self.listed(self.concept),
                identifier=self.listed(self.identifier),
                encounter=self.to("Encounter"),
                focus=self.several("Patient", "Observation", "Condition"),
                performer=self.several("Practitioner", "Patient", "Organization", "RelatedPerson"),
                basedOn=self.several("ServiceRequest", "MedicationRequest"),
                partOf=self.several("Procedure", "Immunization"),
                hasMember=self.several("Observation"),
                derivedFrom=self.several("Observation", "DocumentReference"),
                method=self.concept,
                component=self.listed(self.component, 3),
            ),
        }

    def component(self) -> Json:
        value = self.one_of(
            valueQuantity=self.quantity,
            valueCodeableConcept=self.concept,
            dataAbsentReason=self.concept,
        )
        return {"code": self.concept(), **value}

    def condition(self) -> Json:
        onset = self.one_of(
            onsetDateTime=self.time,
            onsetPeriod=self.period,
            onsetAge=self.age,
            onsetRange=self.range,
            onsetString=self.text,
        )
        return {
            "subject": self.subject(),
            **(onset if self.random.random() < 0.7 else {}),
            **self.some(
                code=self.concept,
                category=self.listed(self.concept),
                severity=self.concept,
                recordedDate=self.time,
                asserter=self.to("Patient", "Practitioner", "RelatedPerson"),
                encounter=self.to("Encounter"),
                bodySite=self.listed(self.concept),
                evidence=lambda: [
                    {"code": [self.concept()], "detail": [self.reference("Observation")]}
                ],
                identifier=self.listed(self.identifier),
            ),
        }

    def encounter(self) -> Json:
        return {
            "status": self.pick("finished", "in-progress"),
            "class": {"system": HERE, "code": self.pick("AMB", "IMP")},
            **self.some(
                subject=self.subject,
                period=self.period,
                length=self.age,
                type=self.listed(self.concept),
                reasonCode=self.listed(self.concept),
                reasonReference=self.several("Condition", "Observation"),
                participant=lambda: [
                    {
                        "type": [self.concept()],
                        "individual": self.reference("Practitioner", "RelatedPerson"),
                    }
                ],
                location=lambda: [
                    {"location": self.reference("Location"), "period": self.period()}
                ],
                serviceProvider=self.to("Organization"),
                partOf=self.to("Encounter"),
                diagnosis=lambda: [{"condition": self.reference("Condition", "Procedure")}],
            ),
        }

    def medication_request(self) -> Json:
        drug = self.one_of(
            medicationCodeableConcept=self.concept, medicationReference=self.to("Medication")
        )
        return {
            "status": self.pick("active", "stopped"),
            "intent": self.pick("order", "plan"),
            "subject": self.subject(),
            **drug,
            **self.some(
                authoredOn=self.time,
                encounter=self.to("Encounter"),
                requester=self.to("Practitioner", "PractitionerRole", "Patient"),
                category=self.listed(self.concept),
                priority=lambda: self.pick("routine", "urgent"),
                dosageInstruction=lambda: [{"timing": {"event": self.few(self.time)}}],
                identifier=self.listed(self.identifier),
            ),
        }

    def medication(self) -> Json:
        item = self.one_of(itemCodeableConcept=self.concept, itemReference=self.to("Medication"))
        return self.some(
            code=self.concept,
            status=lambda: "active",
            form=self.concept,
            manufacturer=self.to("Organization"),
            ingredient=lambda: [item],
            batch=lambda: {"lotNumber": "L 7", "expirationDate": self.time()},
        )

    def document_reference(self) -> Json:
        return {
            "status": self.pick("current", "superseded"),
            "content": [
                {
                    "attachment": {
                        "contentType": self.pick("text/plain", "application/pdf"),
                        "url": self.pick("http://x.vn/a", "http://x.vn/a/b", "http://x.vn/ab"),
                    }
                }
            ],
            **self.some(
                subject=self.to("Patient", "Patient", "Practitioner"),
                type=self.concept,
                category=self.listed(self.concept),
                date=self.instant,
                author=self.several("Practitioner", "Patient", "Organization"),
                custodian=self.to("Organization"),
                description=self.text,
                masterIdentifier=self.identifier,
                identifier=self.listed(self.identifier),
                securityLabel=self.listed(self.concept),
                relatesTo=lambda: [
                    {"code": self.pick("replaces", "appends"), "target": one}
                    for one in self.few(self.to("DocumentReference"))
                ],
                context=lambda: {
                    "encounter": [self.reference("Encounter")],
                    "period": self.period(),
                    "related": [self.reference("Observation", "Patient")],
                },
            ),
        }

    def immunization(self) -> Json:
        when = self.one_of(occurrenceDateTime=self.time, occurrenceString=self.text)
        return {
            "status": self.pick("completed", "not-done"),
            "vaccineCode": self.concept(),
            "patient": self.reference("Patient"),
            **when,
            **self.some(
                location=self.to("Location"),
                lotNumber=self.text,
                manufacturer=self.to("Organization"),
                performer=lambda: [{"actor": self.reference("Practitioner", "Organization")}],
                reasonCode=self.listed(self.concept),
                reasonReference=self.several("Condition", "Observation"),
                reaction=lambda: [{"date": self.time(), "detail": self.reference("Observation")}],
                protocolApplied=lambda: [
                    {
                        "series": self.text(),
                        "targetDisease": [self.concept()],
                        "doseNumberPositiveInt": 1,
                    }
                ],
            ),
        }

    def allergy_intolerance(self) -> Json:
        return {
            "patient": self.reference("Patient"),
            **self.some(
                code=self.concept,
                type=lambda: self.pick("allergy", "intolerance"),
                category=lambda: self.few(lambda: self.pick("food", "medication")),
                criticality=lambda: self.pick("low", "high"),
                recordedDate=self.time,
                lastOccurrence=self.time,
                recorder=self.to("Practitioner", "Patient"),
                asserter=self.to("Patient", "RelatedPerson"),
                reaction=lambda: [
                    {
                        "substance": self.concept(),
                        "manifestation": [self.concept()],
                        "onset": self.time(),
                        "severity": self.pick("mild", "severe"),
                    }
                ],
            ),
        }

    def procedure(self) -> Json:
        when = self.one_of(performedDateTime=self.time, performedPeriod=self.period)
        return {
            "status": "completed",
            "subject": self.subject(),
            **(when if self.random.random() < 0.8 else {}),
            **self.some(
                code=self.concept,
                category=self.concept,
                encounter=self.to("Encounter"),
                performer=lambda: [{"actor": self.reference("Practitioner", "Organization")}],
                location=self.to("Location"),
                partOf=self.several("Procedure", "Observation"),
                basedOn=self.several("ServiceRequest"),
                reasonReference=self.several("Condition", "DocumentReference"),
                instantiatesCanonical=lambda: [
                    self.pick("http://x.vn/PlanDefinition/1", "http://x.vn/PlanDefinition/1|2")
                ],
                instantiatesUri=lambda: [self.pick("http://x.vn/a", "http://x.vn/a/b")],
            ),
        }

    def diagnostic_report(self) -> Json:
        when = self.one_of(effectiveDateTime=self.time, effectivePeriod=self.period)
        return {
            "status": self.pick("final", "amended"),
            "code": self.concept(),
            **(when if self.random.random() < 0.7 else {}),
            **self.some(
                subject=self.subject,
                issued=self.instant,
                category=self.listed(self.concept),
                encounter=self.to("Encounter"),
                performer=self.several("Practitioner", "Organization"),
                result=self.several("Observation"),
                basedOn=self.several("ServiceRequest"),
                conclusionCode=self.listed(self.concept),
            ),
        }

    def service_request(self) -> Json:
        when = self.one_of(
            occurrenceDateTime=self.time,
            occurrencePeriod=self.period,
            occurrenceTiming=self.timing,
        )
        return {
            "status": self.pick("active", "completed"),
            "intent": "order",
            "subject": self.subject(),
            **(when if self.random.random() < 0.7 else {}),
            **self.some(
                code=self.concept,
                authoredOn=self.time,
                category=self.listed(self.concept),
                requester=self.to("Practitioner", "Organization", "Patient"),
                performer=self.several("Practitioner", "Organization"),
                basedOn=self.several("ServiceRequest"),
                replaces=self.several("ServiceRequest"),
                encounter=self.to("Encounter"),
                orderDetail=self.listed(self.concept),
                requisition=self.identifier,
                priority=lambda: "urgent",
            ),
        }

    def risk_assessment(self) -> Json:
        return {
            "status": "final",
            "subject": self.subject(),
            **self.some(
                occurrenceDateTime=self.time,
                encounter=self.to("Encounter"),
                condition=self.to("Condition"),
                method=self.concept,
                performer=self.to("Practitioner"),
                prediction=self.listed(
                    lambda: {
                        "probabilityDecimal": self.pick(*(a for a in AMOUNTS if 0 <= a <= 100)),
                        **self.some(qualitativeRisk=self.concept),
                    }
                ),
            ),
        }

    def related_person(self) -> Json:
        return {
            "patient": self.reference("Patient"),
            **self.some(
                name=self.listed(self.name),
                gender=lambda: self.pick("male", "female"),
                birthDate=self.day,
                relationship=self.listed(self.concept),
                identifier=self.listed(self.identifier),
            ),
        }

    def questionnaire(self) -> Json:
        context = self.one_of(
            valueCodeableConcept=self.concept, valueQuantity=self.quantity, valueRange=self.range
        )
        return {
            "status": self.pick("active", "draft"),
            **self.some(
                url=lambda: self.pick(
                    "http://x.vn/Questionnaire/a", "http://x.vn/Questionnaire/ab", "http://x.vn"
                ),
                version=lambda: self.pick("1", "1.0"),
                title=self.text,
                description=self.text,
                date=self.time,
                effectivePeriod=self.period,
                jurisdiction=self.listed(self.concept),
                useContext=lambda: [{"code": self.coding(), **context}],
                item=lambda: [{"linkId": "1", "type": "string", "code": [self.coding()]}],
                subjectType=lambda: ["Patient"],
            ),
        }

    def group(self) -> Json:
        trait = self.one_of(
            valueCodeableConcept=self.concept, valueBoolean=lambda: self.pick(True, False)
        )
        return {
            "type": "person",
            "actual": True,
            **self.some(
                code=self.concept,
                member=lambda: [{"entity": one} for one in self.few(self.to("Patient"), 3)],
                characteristic=lambda: [{"code": self.concept(), "exclude": False, **trait}],
                managingEntity=self.to("Organization", "Practitioner"),
            ),
        }

    def list(self) -> Json:
        return {
            "status": "current",
            "mode": "working",
            **self.some(
                title=self.text,
                code=self.concept,
                subject=self.subject,
                date=self.time,
                source=self.to("Practitioner", "Patient"),
                note=lambda: [{"text": self.text()}],
                entry=lambda: [
                    {"item": one}
                    for one in self.few(self.to("Patient", "Observation", "Condition"), 4)
                ],
            ),
        }


def _method(type: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in type).lstrip("_")


def _end(text: str) -> float:
    from tests.contracts.oracle.moments import stretch

    return stretch(text)[0]

"""Testland: an invented country, as a stranger's pack would be written.

Its citizens have numbers like T-00017; its cards read `T-00017/Ada Test/1980-02-01/female`; its
hospitals send visits as lines of text. Where the stories pass with it, the rooms hold nothing that
is true in Vietnam only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sokhoe.clinic import Drug
from sokhoe.country import Batch, Citizen
from sokhoe.errors import Invalid
from sokhoe.exchange import Label, Problem, Translated
from sokhoe.fhir import terminology
from sokhoe.people import CardFacts
from sokhoe.warehouse import Area, Facility

CITIZEN = "urn:testland:citizen"
EPISODE = "urn:testland:episode"
FACILITIES = (("A1", "Alpha Hospital"), ("B1", "Beta Post"), ("B2", "Gamma Post"))
DISEASES = (("I10", "High blood pressure"), ("J06", "Common cold"), ("E11", "Diabetes"))


def _id(*parts: str) -> str:
    return str(uuid5(NAMESPACE_URL, "testland|" + "|".join(parts)))


class Identity:
    citizen_system = CITIZEN
    insurance_system = "urn:testland:insurance"

    def read_card(self, text: str) -> CardFacts | None:
        shape = r"(T-\d{5})/([^/]+)/(\d{4}(?:-\d\d-\d\d)?)/(female|male)"
        match = re.fullmatch(shape, text.strip())
        return CardFacts(match[1], match[2], match[3], match[4]) if match else None

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        return []

    def is_citizen_id(self, text: str) -> bool:
        return re.fullmatch(r"T-\d{5}", text) is not None


def diseases() -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "url": "urn:testland:icd",
        "status": "active",
        "content": "complete",
        "concept": [{"code": code, "display": name} for code, name in DISEASES],
    }


class Catalogue:
    diagnosis_list = "urn:testland:icd"
    usual_diagnoses: Sequence[str] = ()

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        return [Drug("P", "Paracetamol 500 mg", "urn:testland:drug", "tablet", "1 in the morning")]

    def facility(self, code: str) -> str:
        return dict(FACILITIES).get(code, "")


class Places:
    target = 0.8

    def areas(self) -> Sequence[Area]:
        return [Area("N", "North", 40, 0, 0), Area("S", "South", 60, 0, 1)]

    def area_of(self, patient: Mapping[str, Any]) -> str | None:
        for address in patient.get("address", []):
            if address.get("city") in {"N", "S"}:
                return str(address["city"])
        return None

    def facilities(self) -> Sequence[Facility]:
        return [Facility(f"Organization/{code}", code, name, "N") for code, name in FACILITIES]


class VisitLine:
    """`VISIT|facility|episode|citizen|name|birth date|gender|day|diagnosis code`"""

    name = "Testland visit"
    media_type = "text/plain"

    def recognises(self, content: bytes) -> bool:
        return content.startswith(b"VISIT|")

    def label(self, content: bytes) -> Label:
        fields = content.decode().strip().split("|")
        if len(fields) < 3:
            raise Invalid("The line names no episode.", slug="INVALID_LINE")
        return Label(EPISODE, (fields[2],), fields[1])

    def translate(self, content: bytes) -> Translated:
        fields = content.decode().strip().split("|")
        if len(fields) != 9:
            said = f"{len(fields)} fields, not 9"
            return Translated(problems=(Problem("VISIT", "FIELDS", said),))
        _, facility, episode, citizen, name, birth, gender, day, code = fields
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            return Translated(problems=(Problem("VISIT/day", "DATE", f"{day!r} is no day"),))
        return Translated(tuple(visit(facility, episode, citizen, name, birth, gender, day, code)))


def visit(
    facility: str,
    episode: str,
    citizen: str,
    name: str,
    birth: str,
    gender: str,
    day: str,
    code: str,
) -> Iterator[dict[str, Any]]:
    """The resources of one visit at one facility."""
    patient = _id(facility, "patient", citizen)
    encounter = _id(facility, "encounter", episode)
    yield {
        "resourceType": "Patient",
        "id": patient,
        "identifier": [{"system": CITIZEN, "value": citizen}],
        "name": [{"text": name}],
        "birthDate": birth,
        "gender": gender,
        "address": [{"city": "N"}],
        "managingOrganization": {"reference": f"Organization/{facility}"},
    }
    yield {
        "resourceType": "Encounter",
        "id": encounter,
        "identifier": [{"system": EPISODE, "value": episode}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": f"{day}T08:00:00+07:00", "end": f"{day}T08:20:00+07:00"},
        "serviceProvider": {
            "reference": f"Organization/{facility}",
            "display": dict(FACILITIES).get(facility, facility),
        },
    }
    yield {
        "resourceType": "Condition",
        "id": _id(facility, "condition", episode),
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-category",
                        "code": "encounter-diagnosis",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "urn:testland:icd", "code": code}],
            "text": dict(DISEASES).get(code, code),
        },
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "recordedDate": f"{day}T08:20:00+07:00",
    }


class World:
    def register(self) -> Sequence[dict[str, Any]]:
        return [
            {"resourceType": "Organization", "id": code, "name": name, "active": True}
            for code, name in FACILITIES
        ]

    def facilities(self) -> Sequence[tuple[str, str]]:
        return FACILITIES

    def batches(self, seed: int, people: int, today: date) -> Iterator[Batch]:
        for number in range(people):
            facility = FACILITIES[(number + seed) % len(FACILITIES)][0]
            day = str(today - timedelta(days=number % 300))
            one = self._citizen(number)
            made = visit(
                facility,
                f"E{seed}-{number}",
                one.citizen_id,
                one.name,
                one.birth_date,
                one.gender,
                day,
                DISEASES[number % 3][0],
            )
            yield Batch(facility, tuple(made))

    def population(self, seed: int, people: int, today: date) -> dict[str, int]:
        return {"N": people, "S": 0}

    def citizens(self, seed: int, people: int, today: date, count: int) -> Sequence[Citizen]:
        return [self._citizen(number) for number in range(min(count, people))]

    def _citizen(self, number: int) -> Citizen:
        gender = ("female", "male")[number % 2]
        return Citizen(f"T-{number:05}", f"Ada Test{number}", f"{1950 + number % 60}-02-01", gender)


class Pack:
    name = "testland"

    def seam(self, name: str) -> Any:
        return {
            "people.identity": Identity(),
            "clinic.catalogue": Catalogue(),
            "trust.code_lists": (terminology.Lists({"urn:testland:icd": diseases}),),
            "warehouse.places": Places(),
            "exchange.file_kinds": (VisitLine(),),
            "exchange.episode_system": EPISODE,
            "world": World(),
        }.get(name)

    def routes(self, site: Any) -> Sequence[Any]:
        return ()

    def locale(self) -> Path | None:
        return None

"""A small invented district, different for each seed, with updates and deletions behind it."""

from __future__ import annotations

import random
from typing import Any

from sokhoe.clock import iso
from sokhoe.store import Delete, Put, Scope, Store, Version

FAMILIES = ("Nguyễn", "Trần", "Lê", "Phạm", "Đặng", "Đỗ", "Võ", "Dương")
GIVEN = ("Văn An", "Thị Bình", "Đức", "Hoàng Ánh", "Thùy Dương", "Ân", "Minh Đăng")
CODES = ("8480-6", "8462-4", "8867-4", "718-7")
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
UNITS = ((UCUM, "mm[Hg]"), (UCUM, "kg"), (UCUM, "g"), ("", "viên"))
DATES = (
    "2023",
    "2024",
    "2024-05",
    "2024-05-01",
    "2024-05-01T00:30:00+07:00",
    "2024-05-01T10:00:00Z",
    "2024-05-01T10:00:00.250Z",
    "2024-05-02",
    "2024-06",
    "2025-01-01",
    "1969-12-31",
)


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.patients = [f"p{n}" for n in range(9)]
        self.live: dict[str, Version] = {}

    def fill(self, store: Store, rounds: int = 12) -> None:
        """Commit, change and delete at random, and remember what stands in the end."""
        for _ in range(rounds):
            changes: list[Put | Delete] = [
                Put(self.a_record()) for _ in range(self.random.randint(1, 25))
            ]
            if self.live and self.random.random() < 0.5:
                type, _, id = self.random.choice(sorted(self.live)).partition("/")
                changes.append(Delete(type, id))
            for version in store.commit(changes, author="world").versions:
                if version.deleted:
                    self.live.pop(version.ref, None)
                else:
                    self.live[version.ref] = version

    def a_record(self) -> dict[str, Any]:
        often = (self.patient, self.observation, self.observation, self.condition, self.encounter)
        seldom = (self.organization, self.practitioner, self.document, self.location, self.a_list)
        return self.random.choice((*often, *seldom))()

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def some(self, **elements: Any) -> dict[str, Any]:
        """Each element is there three times out of four."""
        return {name: one for name, one in elements.items() if self.random.random() < 0.75}

    def patient(self) -> dict[str, Any]:
        family, given = self.pick(*FAMILIES), self.pick(*GIVEN)
        name = self.pick(
            {"text": f"{family} {given}"}, {"family": family, "given": given.split()}, {}
        )
        return {
            "resourceType": "Patient",
            "id": self.pick(*self.patients),
            **self.some(
                name=[name],
                birthDate=self.pick("1950", "1980-05", "1980-05-12", "2001-01-01"),
                gender=self.pick("male", "female"),
                identifier=[
                    {
                        "system": "urn:id",
                        "value": str(self.random.randint(1, 9)),
                        "type": {"coding": [{"system": "urn:t", "code": "MR"}], "text": "Hồ sơ"},
                    }
                ],
                managingOrganization={"reference": self.pick("Organization/o0", "Organization/o1")},
                deceasedBoolean=self.pick(True, False),
                link=[{"other": {"reference": f"Patient/{self.pick(*self.patients)}"}}],
            ),
        }

    def subject(self) -> dict[str, Any]:
        if self.random.random() < 0.1:
            return {"reference": self.pick("Group/g", "#inside", "https://x.org/fhir/Patient/p1")}
        return {"reference": f"Patient/{self.pick(*self.patients)}"}

    def concept(self) -> dict[str, Any]:
        codes = self.random.sample(CODES, self.random.randint(1, 2))
        text = self.some(text=self.pick("Huyết áp tâm thu", "Mạch", "Nhịp mạch"))
        return {"coding": [{"system": LOINC, "code": code} for code in codes], **text}

    def quantity(self) -> dict[str, Any]:
        system, unit = self.pick(*UNITS)
        value = self.random.randint(50, 54) * (1000 if unit == "g" else 1)
        measure = {"system": system, "code": unit} if system else {"unit": unit}
        return {"value": value, **measure}

    def period(self) -> dict[str, Any]:
        return self.some(start=self.pick(*DATES), end=self.pick(*DATES))

    def observation(self) -> dict[str, Any]:
        when = self.pick(
            {"effectiveDateTime": self.pick(*DATES)},
            {"effectivePeriod": self.period()},
            {"effectiveTiming": {"event": [self.pick(*DATES), self.pick(*DATES)]}},
            {},
        )
        return {
            "resourceType": "Observation",
            "id": f"v{self.random.randint(0, 60)}",
            "status": self.pick("final", "preliminary"),
            "code": self.concept(),
            **when,
            **self.some(
                subject=self.subject(),
                encounter={"reference": f"Encounter/e{self.random.randint(0, 9)}"},
                # what is looked at is not whose record it is
                focus=[{"reference": f"Patient/{self.pick(*self.patients)}"}],
                performer=[{"reference": f"Practitioner/d{self.random.randint(0, 2)}"}],
                valueQuantity=self.quantity(),
                component=[
                    {
                        "code": self.concept(),
                        **self.pick(
                            {"valueQuantity": self.quantity()},
                            {"valueCodeableConcept": self.concept()},
                        ),
                    }
                    for _ in range(self.random.randint(1, 2))
                ],
                text={
                    "status": "generated",
                    "div": self.pick("<div>Bệnh nhân mệt</div>", "<div>Khám <b>lại</b></div>"),
                },
            ),
        }

    def condition(self) -> dict[str, Any]:
        return {
            "resourceType": "Condition",
            "id": f"c{self.random.randint(0, 20)}",
            "subject": self.subject(),
            **self.some(
                code=self.concept(),
                onsetDateTime=self.pick(*DATES),
                recordedDate=self.pick(*DATES),
                asserter={"reference": f"Patient/{self.pick(*self.patients)}"},
            ),
        }

    def encounter(self) -> dict[str, Any]:
        return {
            "resourceType": "Encounter",
            "id": f"e{self.random.randint(0, 9)}",
            "status": "finished",
            "class": {"code": self.pick("AMB", "IMP")},
            **self.some(
                subject=self.subject(),
                period=self.period(),
                serviceProvider={"reference": f"Organization/o{self.random.randint(0, 2)}"},
            ),
        }

    def organization(self) -> dict[str, Any]:
        return {
            "resourceType": "Organization",
            "id": f"o{self.random.randint(0, 2)}",
            **self.some(
                name=self.pick("Trạm y tế Hòa Phú", "Bệnh viện Vĩnh Long", "Bệnh viện"),
                partOf={"reference": "Organization/o0"},
            ),
        }

    def practitioner(self) -> dict[str, Any]:
        return {
            "resourceType": "Practitioner",
            "id": f"d{self.random.randint(0, 2)}",
            **self.some(name=[{"family": self.pick(*FAMILIES)}]),
        }

    def document(self) -> dict[str, Any]:
        return {
            "resourceType": "Questionnaire",
            "id": f"q{self.random.randint(0, 5)}",
            "status": "active",
            **self.some(
                url=self.pick("http://x.org/a", "http://x.org/b"),
                title=self.pick("Khám thai", "Tiêm chủng"),
                date=self.pick(*DATES),
            ),
        }

    def location(self) -> dict[str, Any]:
        return {
            "resourceType": "Location",
            "id": f"l{self.random.randint(0, 5)}",
            **self.some(
                position={
                    "latitude": 10 + self.random.randint(0, 20) / 100,
                    "longitude": self.pick(106.0, 106.1, 179.99, -179.99),
                },
                name=self.pick("Trạm", "Phòng khám"),
            ),
        }

    def a_list(self) -> dict[str, Any]:
        named = [f"Patient/{self.pick(*self.patients)}" for _ in range(2)]
        named.append(f"Observation/v{self.random.randint(0, 60)}")
        return {
            "resourceType": "List",
            "id": f"i{self.random.randint(0, 2)}",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": one}} for one in named],
        }

    def scope(self) -> Scope:
        few = frozenset(f"Patient/{one}" for one in self.random.sample(self.patients, 3))
        return self.random.choice(
            (
                Scope(),
                Scope(),
                Scope(patients=few),
                Scope(patients=few, open=frozenset({"Organization", "Practitioner"})),
                Scope(types=frozenset({"Patient", "Observation"})),
                Scope(patients=few, types=frozenset({"Patient", "Observation", "Condition"})),
                Scope(patients=frozenset()),
            )
        )

    def search(self) -> tuple[str, list[tuple[str, str]]]:
        """A search that makes sense for its type: one to three conditions and an order."""
        type = self.pick(
            "Observation", "Observation", "Patient", "Condition", "Encounter", "Location"
        )
        pairs = [self.condition_on(type) for _ in range(self.random.randint(0, 3))]
        sorts = {
            "Observation": (
                "date",
                "-date",
                "value-quantity",
                "-value-quantity",
                "status",
                "-code",
            ),
            "Patient": ("name", "-family", "birthdate", "-birthdate", "gender", "-identifier"),
            "Condition": ("onset-date", "-onset-date", "-recorded-date", "subject"),
            "Encounter": ("date", "-date", "class"),
            "Location": ("name", "-name"),
        }[type]
        if self.random.random() < 0.7:
            always = ("_lastUpdated", "-_lastUpdated", "_id", "-_id")
            several = [self.pick(*sorts, *always) for _ in range(self.pick(1, 1, 2, 3))]
            pairs.append(("_sort", ",".join(several)))
        return type, pairs

    def condition_on(self, type: str) -> tuple[str, str]:
        code = f"{self.pick('', LOINC + '|')}{self.pick(*CODES)}"
        codes = ",".join([code, self.pick(*CODES)]) if self.random.random() < 0.3 else code
        prefix = self.pick("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
        date = f"{prefix}{self.pick(*DATES)}"
        who = self.pick(*self.patients)
        name = self.pick("nguyen", "bình", "DUC", "duong", "th", "văn a", "Đ", "anh")
        updated = self.random.choice(sorted(self.live.values(), key=lambda one: one.seq)).at
        anywhere = [
            ("_id", f"{who},v1,c2,e3"),
            ("_lastUpdated", f"{prefix}{iso(updated)}"),
            ("_list", f"i{self.random.randint(0, 2)}"),
            ("_content", self.pick("benh", "mạch", "urn:id")),
        ]
        there = self.pick("true", "false")
        amount = f"{prefix}{self.random.randint(49, 55)}"
        system, unit = self.pick(*UNITS)
        by_type = {
            "Observation": [
                ("code", codes),
                ("code:not", code),
                ("combo-code", codes),
                ("status", "final"),
                ("date", date),
                ("date:missing", self.pick("true", "false")),
                ("patient", who),
                ("subject", f"Patient/{who},Group/g"),
                ("subject:Patient", who),
                ("value-quantity", amount),
                ("value-quantity:missing", "true"),
                ("combo-value-quantity", f"{amount}|{system}|{unit}"),
                ("component-value-quantity", f"{amount}||{unit}"),
                ("value-quantity", f"{prefix}{self.random.randint(50, 54)}000|{UCUM}|g"),
                ("code-value-quantity", f"{code}${amount}"),
                ("code-value-quantity", f"{code}${amount}|{UCUM}|kg"),
                ("component-code-value-quantity", f"{code}${amount}"),
                ("component-code-value-quantity", f"{code}${amount}|{UCUM}|kg,{code}$50"),
                ("combo-code-value-quantity", f"{code}${amount}"),
                ("component-code-value-concept", f"{code}${self.pick(*CODES)}"),
                ("code-value-date", f"{code}${date}"),
                ("code:text", self.pick("mach", "huyet ap")),
                ("_text", self.pick("benh", "kham lai", "lai,met")),
                ("code:missing", there),
                ("component-code:missing", there),
                ("patient:missing", there),
                ("subject:missing", there),
                ("_filter", f"code eq {code} and (status eq final or not (date lt 2024-05))"),
                ("_filter", f'patient.name co "an" or value-quantity gt {amount[-2:]}'),
                ("patient.name", name),
                ("patient.gender", "male"),
                ("subject.birthdate", "lt1980"),
                ("subject:Patient.organization.name", "benh vien"),
                ("encounter.class", "AMB"),
                ("encounter.service-provider", "o1"),
                ("performer:Practitioner.name", name),
                ("focus:Patient.gender", "female"),
            ],
            "Patient": [
                ("name", name),
                ("name:contains", "an"),
                ("family:exact", self.pick(*FAMILIES)),
                ("birthdate", f"{prefix}{self.pick('1950', '1980', '1980-05-12', '2001')}"),
                ("birthdate:missing", "false"),
                ("gender", "male"),
                ("gender:not", "male,unknown"),
                ("gender:missing", there),
                ("name:missing", there),
                ("organization:missing", there),
                ("identifier:of-type", f"urn:t|MR|{self.random.randint(1, 9)}"),
                ("identifier:text", "hồ"),
                ("_filter", 'not (gender pr true) or name sw "tran"'),
                ("_filter", "gender ne male"),
                ("_has:Observation:patient:code:text", "mach"),
                ("_has:Observation:patient:value-quantity:missing", there),
                ("link.gender:missing", there),
                ("identifier", f"urn:id|{self.random.randint(1, 9)}"),
                ("identifier", "urn:id|"),
                ("deceased", self.pick("true", "false")),
                ("organization", "o0"),
                ("organization.name", "tram"),
                ("_has:Observation:patient:code", codes),
                ("_has:Observation:patient:date", date),
                ("_has:Condition:patient:code", codes),
                ("_has:Observation:patient:encounter.class", "IMP"),
                ("_has:Encounter:patient:_has:Observation:encounter:code", code),
            ],
            "Condition": [
                ("patient", who),
                ("code", codes),
                ("onset-date", date),
                ("recorded-date", date),
                ("asserter", f"Patient/{who}"),
                ("patient.name", name),
                ("recorded-date:missing", "true"),
            ],
            "Encounter": [
                ("date", date),
                ("class", self.pick("AMB", "IMP", "|AMB", "AMB,IMP")),
                ("patient", who),
                ("service-provider.name", "benh"),
                ("_has:Observation:encounter:status", "final"),
            ],
            "Location": [
                ("near", f"10.{self.random.randint(0, 20)}|106.05|{self.pick(5, 20)}|km"),
                ("near", "10.1|180|3000|m,10.1|106|9"),
                ("name", "tram"),
            ],
        }[type]
        return self.random.choice((*anywhere, *by_type, *by_type, *by_type))

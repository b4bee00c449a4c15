"""One record of an exchange file on its way to FHIR: what all its parts have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sokhoe.vietnam import resources as make
from sokhoe.vietnam.giamdinh.shapes import Record, Row
from sokhoe.vietnam.giamdinh.values import codes_of, time_of
from sokhoe.vietnam.resources import Resource, moment, ref


def code_of(text: str) -> str:
    """A FHIR code has no double spaces."""
    return " ".join(text.split())


class Episode:
    """A record, the ids its parts get, and the practitioners met so far."""

    def __init__(self, facility: str, record: Record, staff: Mapping[str, str]) -> None:
        self.facility = facility
        self.record = record
        self.row = record.summary
        self.visit = record.visit
        self.staff = staff
        self.number = self.row.get("MA_BN", "")
        self.patient = ref("Patient", make.patient_id(facility, self.number))
        self.encounter = ref("Encounter", make.encounter_id(facility, self.visit))
        self.shared: dict[str, Any] = {"patient": self.patient, "encounter": self.encounter}
        self.doctors: dict[str, Resource] = {}

    def said(self, name: str) -> str:
        return self.row.get(name, "")

    def id(self, type: str, table: str, row: str) -> str:
        return make.row_id(type, self.facility, self.visit, table, row)

    def numbered(self, table: str) -> Iterable[tuple[str, Row]]:
        """(STT, row); a row without a number, or with one already used, gets its place."""
        seen: set[str] = set()
        for place, row in enumerate(self.record.rows(table), start=1):
            number = row.get("STT", "")
            if not number or number in seen:
                number = f"#{place}"
            seen.add(number)
            yield number, row

    def when(self, row: Row, *names: str) -> str:
        """The first of these times that can be read, as FHIR dateTime; empty if none."""
        for name in names:
            if at := time_of(row.get(name, "")):
                return moment(at)
        return ""

    def doctor(self, codes: str) -> Resource | None:
        """A reference to the first of these practitioners; each becomes a resource."""
        first: Resource | None = None
        for code in codes_of(codes):
            name = self.staff.get(code, "")
            if code not in self.doctors:
                self.doctors[code] = make.practitioner(self.facility, code, name)
            if first is None:
                id = make.practitioner_id(self.facility, code)
                first = ref("Practitioner", id, name or code)
        return first

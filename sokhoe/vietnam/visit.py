"""The shape of a visit, plain and frozen, before it becomes FHIR or an exchange file.

Times are local (UTC+7) without zone; codes are those of `codes/*.csv`; quantities count the
medicine's own unit. Nothing here does anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Doctor:
    """Who treats; `code` is the (invented) licence number."""

    code: str
    name: str
    facility: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An ICD-10 code with its Vietnamese name; exactly one of a visit is `main`."""

    code: str
    name: str
    main: bool


@dataclass(frozen=True, slots=True)
class Vitals:
    """Vital signs; None where not taken. mmHg, per minute, °C, per cent, kg, cm."""

    systolic: int | None
    diastolic: int | None
    pulse: int
    temperature: Decimal
    breaths: int
    spo2: int
    weight: Decimal
    height: Decimal


@dataclass(frozen=True, slots=True)
class LabResult:
    """One index: its code, the value as printed, H, L, A (abnormal word) or nothing, and the range
    that holds for this person's sex (None for an answer in words)."""

    code: str
    value: str
    flag: str
    range: tuple[Decimal, Decimal] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Prescribed:
    """A medicine with how much of it was given out, the dose in words, and for how many days."""

    code: str
    quantity: int
    dose: str
    days: int


@dataclass(frozen=True, slots=True)
class Done:
    """A service: examination, bed day, test, imaging or procedure, with its finding in words."""

    code: str
    quantity: int
    at: datetime
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the clinical course."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Shot:
    """A vaccination: the vaccine's code, which dose of the series, its (invented) lot."""

    code: str
    dose: int
    lot: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One episode at one facility. `id` links all tables of the exchange file (MA_LK);
    `kind`, `result`, `discharge`, `department` are codes; `referred_to` a facility code."""

    id: str
    person: int
    facility: str
    patient_number: str
    kind: str
    department: str
    start: datetime
    end: datetime
    reason: str
    diagnoses: tuple[Diagnosis, ...]
    vitals: Vitals
    labs: tuple[LabResult, ...]
    services: tuple[Done, ...]
    medicines: tuple[Prescribed, ...]
    shots: tuple[Shot, ...]
    notes: tuple[Note, ...]
    treatment: str
    result: str
    discharge: str
    referred_to: str
    follow_up: date | None
    doctor: Doctor

    @property
    def admitted(self) -> bool:
        """In a bed, not only examined."""
        return self.kind in {"03", "04", "06", "09"}

    @property
    def main(self) -> Diagnosis:
        return self.diagnoses[0]

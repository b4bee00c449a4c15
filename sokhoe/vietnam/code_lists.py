"""The short and the starter code lists of `codes/*.csv`, as looked-up values.

They are small and read once. Codes are text ("01" is not 1). `codes/SOURCES.md` says where each
list is from and what in it is invented.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Code:
    """A code and its Vietnamese name; `extra` is the third column where the list has one."""

    code: str
    name: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Disease:
    """An ICD-10 code; `sex` is `f` or `m` where it can only be given to one."""

    code: str
    name: str
    english: str
    sex: str


@dataclass(frozen=True, slots=True)
class Medicine:
    """A medicine; `unit` counts it (Viên, Gói …), `price` is invented, in đồng per unit."""

    code: str
    name: str
    ingredient: str
    strength: str
    form: str
    unit: str
    route: str
    dose: str
    price: Decimal
    group: str


@dataclass(frozen=True, slots=True)
class LabIndex:
    """A laboratory index; no range means that the answer is a word (âm tính, dương tính)."""

    code: str
    name: str
    unit: str
    ucum: str
    low: Decimal | None
    high: Decimal | None
    low_female: Decimal | None
    high_female: Decimal | None
    decimals: int
    loinc: str
    service: str

    def range(self, sex: str) -> tuple[Decimal | None, Decimal | None]:
        """The usual range for this sex."""
        if sex == "female" and self.high_female is not None:
            return self.low_female, self.high_female
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Service:
    """An examination, bed day, test or procedure; `group` is the cost group of the exchange XML,
    `kind` one of exam, bed, lab, imaging, function, procedure; `price` is invented, in đồng."""

    code: str
    name: str
    group: str
    price: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class Vaccine:
    """A vaccine of the childhood schedule; `weeks` are the ages at which it is given."""

    code: str
    name: str
    disease: str
    weeks: tuple[int, ...]
    cvx: str


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of one of our own csv files."""
    with (files(__package__) / "codes" / f"{name}.csv").open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


@cache
def codes(name: str) -> Mapping[str, Code]:
    """A short list by code: ethnic_groups, occupations, sexes, visit_kinds, results, discharges,
    departments, insurance_groups."""
    found = {}
    for row in rows(name):
        code, label, *rest = row.values()
        found[code] = Code(code, label, rest[0] if rest else "")
    return found


def name_of(name: str, code: str) -> str:
    """The Vietnamese name of a code in a short list; the code itself where it is not in it."""
    found = codes(name).get(code)
    return found.name if found else code


@cache
def diseases() -> Mapping[str, Disease]:
    """ICD-10 starter set by code (`E11.9`)."""
    return {row["code"]: Disease(**row) for row in rows("icd10")}


@cache
def medicines() -> Mapping[str, Medicine]:
    """Medicines by code."""
    return {
        row["code"]: Medicine(
            row["code"],
            row["name"],
            row["ingredient"],
            row["strength"],
            row["form"],
            row["unit"],
            row["route"],
            row["dose"],
            Decimal(row["price"]),
            row["group"],
        )
        for row in rows("medicines")
    }


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


@cache
def lab() -> Mapping[str, LabIndex]:
    """Laboratory indices by code."""
    return {
        row["code"]: LabIndex(
            row["code"],
            row["name"],
            row["unit"],
            row["ucum"],
            _number(row["low"]),
            _number(row["high"]),
            _number(row["low_female"]),
            _number(row["high_female"]),
            int(row["decimals"] or 0),
            row["loinc"],
            row["service"],
        )
        for row in rows("lab")
    }


@cache
def services() -> Mapping[str, Service]:
    """Examinations, beds, tests and procedures by code."""
    return {
        row["code"]: Service(
            row["code"], row["name"], row["group"], Decimal(row["price"]), row["kind"]
        )
        for row in rows("services")
    }


@cache
def vaccines() -> Mapping[str, Vaccine]:
    """The childhood schedule by vaccine code."""
    return {
        row["code"]: Vaccine(
            row["code"],
            row["name"],
            row["disease"],
            tuple(int(week) for week in row["weeks"].split(";")),
            row["cvx"],
        )
        for row in rows("vaccines")
    }

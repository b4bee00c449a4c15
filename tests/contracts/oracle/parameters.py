"""The official search parameters: which expression, what kind, what a composite is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import zstandard

# The expressions of a composite's components, below its own (search-parameters.json of R4).
_VALUES = {
    "concept": ("token", "value.as(CodeableConcept)"),
    "quantity": ("quantity", "value.as(Quantity)"),
    "date": ("date", "value.as(dateTime) | value.as(Period)"),
    # R4 has value.as(string) here: the house reads what defines the component, `value-string`
    "string": ("string", "value.as(string) | value.as(CodeableConcept).text"),
}
_CODE = ("token", "code")
_COMPONENTS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    **{
        ("Observation", f"{start}code-value-{name}"): (_CODE, value)
        for start in ("", "combo-", "component-")
        for name, value in _VALUES.items()
    },
    ("Questionnaire", "context-type-value"): (_CODE, _VALUES["concept"]),
    ("Questionnaire", "context-type-quantity"): (
        _CODE,
        ("quantity", "value.as(Quantity) | value.as(Range)"),
    ),
    # R4 has the right expressions beside each other's definitions: a code is no reference
    ("DocumentReference", "relationship"): (("token", "code"), ("reference", "target")),
    ("Group", "characteristic-value"): (
        _CODE,
        ("token", "value.as(CodeableConcept) | value.as(boolean)"),
    ),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parts`: kind and expression of each component of a composite."""

    code: str
    kind: str
    expression: str
    targets: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]


@cache
def _table() -> dict[str, Any]:
    packed = files("sokhoe.fhir").joinpath("definitions", "search.json.zst").read_bytes()
    table: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompress(packed))
    return table


@cache
def parameters(type: str) -> dict[str, Parameter]:
    return {
        row["code"]: Parameter(
            row["code"],
            row["kind"],
            row["expression"],
            tuple(row.get("target", ())),
            _COMPONENTS.get((type, row["code"]), ()),
        )
        for row in _table()["types"][type]
    }


@cache
def every_type() -> tuple[str, ...]:
    return tuple(_table()["types"])


def compartment(type: str) -> tuple[str, ...]:
    """The parameters that put a record of the type into a patient's compartment
    (hl7.org/fhir/R4/compartmentdefinition-patient.html)."""
    return tuple(_table()["patient"].get(type, ()))


def main_date(type: str) -> str | None:
    """The date by which the house orders a type: of one stretch a day long at most it knows the
    seconds alone, and where there is none it takes another."""
    return next(iter(_table()["main"].get(type, ())), None)

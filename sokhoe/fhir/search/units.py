"""Quantities in the base units of UCUM (`sokhoe.fhir.units`), so that 1 g is found as 1000 mg."""

from __future__ import annotations

from decimal import Decimal

from sokhoe.fhir.units import Unit, unit

UCUM = "http://unitsofmeasure.org"


def in_base_units(value: Decimal | float | int, code: str) -> tuple[str, float] | None:
    """What is measured and how much of it, in base units; None: no known unit."""
    known = unit(code)
    return None if known is None else (dimension(known), in_base(known, value))


def dimension(known: Unit) -> str:
    """The base units in writing (`g.m-3`); `1` where there are none."""
    return ".".join(f"{name}{power if power != 1 else ''}" for name, power in known.bases) or "1"


def in_base(known: Unit, value: Decimal | float | int) -> float:
    """Worked out exactly and rounded once, so that equal amounts are equal in any unit."""
    given = value if isinstance(value, Decimal) else Decimal(repr(value))
    if len(given.as_tuple().digits) > 60 or abs(given.adjusted()) > 300:
        return (float(given) + float(known.offset)) * float(known.factor)
    return float(known.canonical(given))

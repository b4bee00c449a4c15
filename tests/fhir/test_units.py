"""UCUM units: what is the same amount, and what cannot be compared."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sokhoe.fhir.units import converted, same_kind, unit


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        ("4", "g", "mg", "4000"),
        ("1", "mm[Hg]", "Pa", "133.322"),
        ("100", "mg/dL", "g/L", "1"),
        ("72.5", "kg", "[lb_av]", "159.8351400840056"),
        ("37", "Cel", "[degF]", "98.6"),
        ("98.6", "[degF]", "Cel", "37"),
        ("1", "d", "h", "24"),
        ("5", "mmol/L", "mol/m3", "5"),
        ("10", "10*9/L", "10*3/uL", "10"),
        ("1", "kg/m2", "g/cm2", "0.1"),
        ("1", "mU/L", "uU/mL", "1"),
        ("60", "/min", "Hz", "1"),
        ("7", "[iU]/L", "[IU]/L", "7"),
        ("1", "mL/min/{1.73_m2}", "mL/min", "1"),
        ("1", "J", "N.m", "1"),
        ("1", "(mg)/(dL)", "mg/dL", "1"),
    ],
)
def test_a_value_in_another_unit(value: str, source: str, target: str, result: str) -> None:
    found = converted(Decimal(value), source, target)
    assert found is not None
    assert abs(found - Decimal(result)) < Decimal("1e-9")


@pytest.mark.parametrize(
    ("one", "other"), [("g", "m"), ("mg", "mmol/L"), ("[iU]", "mg"), ("lbs", "kg"), ("d", "kg")]
)
def test_what_is_of_another_kind_is_not_compared(one: str, other: str) -> None:
    assert not same_kind(one, other)
    assert converted(1, one, other) is None


@pytest.mark.parametrize(
    "code", ["", "lbs", "mg/", "(mg", "mg)", "x" * 101, "mg..dL", "((((((((((((g", "m99999", "[x]"]
)
def test_what_is_no_unit_is_none(code: str) -> None:
    assert unit(code) is None

"""Numbers and quantities, exactly (hl7.org/fhir/R4/search.html#number, #quantity).

A few units of UCUM, by hand: the oracle must not ask the program what a milligram is.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

UCUM = "http://unitsofmeasure.org"
CURRENCIES = "urn:iso:std:iso:4217"
# unit: what it measures, and how much of that it is
UNITS: dict[str, tuple[str, Fraction]] = {
    "kg": ("mass", Fraction(1000)),
    "g": ("mass", Fraction(1)),
    "mg": ("mass", Fraction(1, 10**3)),
    "ug": ("mass", Fraction(1, 10**6)),
    "ng": ("mass", Fraction(1, 10**9)),
    "g/L": ("mass in volume", Fraction(1)),
    "mg/dL": ("mass in volume", Fraction(1, 100)),
    "cm": ("length", Fraction(1, 100)),
    "m": ("length", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "d": ("time", Fraction(86_400)),
    "wk": ("time", Fraction(604_800)),
    "mmol/L": ("substance in volume", Fraction(1)),
    "umol/L": ("substance in volume", Fraction(1, 1000)),
    "mm[Hg]": ("pressure", Fraction(1)),
}


def exact(value: Any) -> Fraction:
    return Fraction(value if isinstance(value, Decimal) else Decimal(repr(value)))


def equal_to(text: str) -> tuple[Fraction, Fraction, Fraction]:
    """The number, and from where to where it counts as equal: half of its last digit."""
    value = Fraction(text)
    digits, _, power = text.lower().partition("e")
    last = Fraction(10) ** (int(power or 0) - len(digits.partition(".")[2]))
    return value, value - last / 2, value + last / 2


def meets(prefix: str, asked: str, found: Fraction, factor: Fraction = Fraction(1)) -> bool:
    """`factor`: what one of the asked unit is, in the unit of what was found."""
    value, low, high = (one * factor for one in equal_to(asked))
    match prefix:
        case "eq":
            return low <= found < high
        case "ne":
            return not low <= found < high
        case "gt" | "sa":
            return found > value
        case "lt" | "eb":
            return found < value
        case "ge":
            return found >= value
        case "le":
            return found <= value
        case "ap":
            return abs(found - value) <= abs(value) / 10
    raise ValueError(prefix)


def of_value(kind: str, value: Any) -> list[dict[str, Any]]:
    """The quantities in an element; a Range stands for both its ends (the house)."""
    match kind:
        case "Range":
            found = [value.get("low", {}), value.get("high", {})]
        case "SampledData":
            found = [value.get("origin", {})]
        case "Money":
            found = [{**value, "system": CURRENCIES, "code": value.get("currency")}]
        case _:
            found = [value]
    return [one for one in found if one.get("value") is not None]


def quantity_meets(prefix: str, parts: list[str], found: dict[str, Any]) -> bool:
    """`parts`: number, number||unit, or number|system|code; units of UCUM are converted."""
    number = exact(found["value"])
    if len(parts) == 1 or not any(parts[1:]):
        return meets(prefix, parts[0], number)
    system, code = parts[1], parts[2]
    here = found.get("code"), found.get("unit")
    if not system:
        return code in here and meets(prefix, parts[0], number)
    if found.get("system") != system or here[0] is None:
        return False
    if system == UCUM and here[0] in UNITS and code in UNITS:
        (measures, mine), (other, theirs) = UNITS[here[0]], UNITS[code]
        return measures == other and meets(prefix, parts[0], number * mine, theirs)
    return here[0] == code and meets(prefix, parts[0], number)

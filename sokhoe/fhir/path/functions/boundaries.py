"""lowBoundary(), highBoundary(), precision(), comparable(): how exactly something is known."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from sokhoe.fhir import units
from sokhoe.fhir.path.functions.shape import Function, whole
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.scope import Scope, one
from sokhoe.fhir.path.values import Items, Quantity, system

MOST_DIGITS = 31
_WIDE = Context(prec=80)
_EARLIEST_ZONE, _LATEST_ZONE = 14 * 60, -12 * 60
# Digits of a precision (8 is a day, 17 a millisecond) to the number of steps known.
_STEPS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_STEPS = {2: 1, 4: 2, 6: 3, 9: 3}


def decimal_boundary(value: Decimal, digits: int, low: bool) -> Decimal | None:
    """The least (or greatest) number that is written as `value`, to so many digits."""
    if not 0 <= digits <= MOST_DIGITS:
        return None
    half = Decimal(5).scaleb(min(0, int(value.as_tuple().exponent)) - 1)
    edge = _WIDE.subtract(value, half) if low else _WIDE.add(value, half)
    step = Decimal(1).scaleb(-digits)
    return edge.quantize(step, ROUND_FLOOR if low else ROUND_CEILING, _WIDE)


def moment_boundary(value: Moment, digits: int, low: bool) -> Moment | None:
    """The first (or last) moment of what is known, told to so many digits."""
    if value.kind == "Time":
        steps = _TIME_STEPS.get(digits)
        if steps is None:
            return None
        minutes = (*value.parts, *(() if len(value.parts) > 1 else (0 if low else 59,)))
        return Moment("Time", minutes[: min(2, steps)], _second(value, digits, low, 6, 9))
    steps = _STEPS.get(digits)
    if steps is None or (value.kind == "Date" and steps > 3):
        return None
    year, *rest = value.parts
    month = rest[0] if rest else (1 if low else 12)
    day = rest[1] if len(rest) > 1 else (1 if low else monthrange(year, month)[1])
    hour = rest[2] if len(rest) > 2 else (0 if low else 23)
    minute = rest[3] if len(rest) > 3 else (0 if low else 59)
    parts = (year, month, day, hour, minute)[: min(5, steps)]
    second = _second(value, digits, low, 14, 17)
    zone = value.zone
    if zone is None and steps > 3:
        zone = _EARLIEST_ZONE if low else _LATEST_ZONE
    return Moment(value.kind, parts, second, zone if steps > 3 else None)


def _second(value: Moment, digits: int, low: bool, second: int, milli: int) -> Decimal | None:
    if digits < second:
        return None
    known = value.second if value.second is not None else Decimal(0 if low else 59)
    if digits < milli:
        return known.to_integral_value(ROUND_FLOOR)
    fraction = -int(known.as_tuple().exponent)
    if not low and fraction < 3:
        known += Decimal("0.999").scaleb(-fraction)
    return known.quantize(Decimal("0.001"), ROUND_FLOOR)


def _boundary(low: bool) -> Callable[..., Items]:
    name = "lowBoundary()" if low else "highBoundary()"

    def boundary(scope: Scope, items: Items, precision: Items | None = None) -> Items:
        value = system(one(items, name))
        digits = whole(precision, name) if precision else None
        found: object = None
        match value:
            case bool():
                pass
            case int() | Decimal():
                found = decimal_boundary(Decimal(value), 8 if digits is None else digits, low)
            case Quantity():
                edge = decimal_boundary(value.value, 8 if digits is None else digits, low)
                found = edge if edge is None else Quantity(edge, value.unit, value.calendar)
            case Moment():
                usual = {"Date": 8, "DateTime": 17, "Time": 9}[value.kind]
                found = moment_boundary(value, usual if digits is None else digits, low)
        return [] if found is None else [found]

    return boundary


def _precision(scope: Scope, items: Items) -> Items:
    value = system(one(items, "precision()"))
    if isinstance(value, Moment):
        return [value.digits]
    if isinstance(value, Decimal):
        return [max(0, -int(value.as_tuple().exponent))]
    return [0] if isinstance(value, int) and not isinstance(value, bool) else []


def _comparable(scope: Scope, items: Items, other: Items) -> Items:
    left, right = system(one(items, "comparable()")), system(one(other, "comparable()"))
    if not isinstance(left, Quantity) or not isinstance(right, Quantity):
        return []
    if left.ucum is None or right.ucum is None:
        return [left.calendar and right.calendar and left.ucum is right.ucum]
    return [units.same_kind(left.ucum, right.ucum)]


FUNCTIONS = {
    "lowBoundary": Function(_boundary(True), 0, 1),
    "highBoundary": Function(_boundary(False), 0, 1),
    "precision": Function(_precision),
    "comparable": Function(_comparable, 1, 1),
}

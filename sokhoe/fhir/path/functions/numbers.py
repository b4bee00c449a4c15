"""Mathematics on exact decimals; what has no real answer is empty."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from decimal import Overflow as TooLarge

from sokhoe.fhir.path.functions.shape import Function, number, whole
from sokhoe.fhir.path.operators import NUMBERS, bounded_number
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import Scope, one
from sokhoe.fhir.path.values import Items, Quantity, system

MOST_DIGITS = 28


def _abs(scope: Scope, items: Items) -> Items:
    value = system(one(items, "abs()"))
    if isinstance(value, Quantity):
        return [Quantity(abs(value.value), value.unit, value.calendar)]
    found = number(items, "abs()")
    return [] if found is None else [abs(found)]


def _whole(name: str, rounding: str) -> Callable[[Scope, Items], Items]:
    def to_whole(scope: Scope, items: Items) -> Items:
        value = number(items, f"{name}()")
        return [] if value is None else [int(Decimal(value).to_integral_value(rounding))]

    return to_whole


def _round(scope: Scope, items: Items, precision: Items | None = None) -> Items:
    value = number(items, "round()")
    if value is None:
        return []
    digits = (whole(precision, "round()") or 0) if precision is not None else 0
    if digits < 0:
        raise wrong("round() needs a precision of 0 or more")
    if isinstance(value, int) or digits > MOST_DIGITS:
        return [value]
    try:
        return [value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)]
    except InvalidOperation:
        return [value]


def _real(name: str, function: Callable[[Decimal], Decimal]) -> Callable[[Scope, Items], Items]:
    def real(scope: Scope, items: Items) -> Items:
        value = number(items, f"{name}()")
        if value is None:
            return []
        try:
            found = function(Decimal(value))
        except (InvalidOperation, TooLarge):
            return []
        return [found] if found.is_finite() else []

    return real


def _log(scope: Scope, items: Items, base: Items) -> Items:
    value, by = number(items, "log()"), number(base, "log()")
    if value is None or by is None or value <= 0 or by <= 0 or by == 1:
        return []
    found = NUMBERS.divide(NUMBERS.ln(Decimal(value)), NUMBERS.ln(Decimal(by)))
    rounded = found.to_integral_value()
    try:
        if NUMBERS.power(Decimal(by), rounded) == value:  # 3.999… is 4
            return [rounded]
    except (InvalidOperation, TooLarge):
        pass
    return [found]


def _power(scope: Scope, items: Items, exponent: Items) -> Items:
    value, by = number(items, "power()"), number(exponent, "power()")
    if value is None or by is None:
        return []
    try:
        found = NUMBERS.power(Decimal(value), Decimal(by))
    except (InvalidOperation, TooLarge):
        return []
    if not found.is_finite():
        return []
    if isinstance(value, int) and isinstance(by, int) and by >= 0:
        return bounded_number(int(found)) if found.adjusted() < 20 else []
    return [found]


FUNCTIONS = {
    "abs": Function(_abs),
    "ceiling": Function(_whole("ceiling", ROUND_CEILING)),
    "floor": Function(_whole("floor", ROUND_FLOOR)),
    "truncate": Function(_whole("truncate", ROUND_DOWN)),
    "round": Function(_round, 0, 1),
    "sqrt": Function(_real("sqrt", NUMBERS.sqrt)),
    "exp": Function(_real("exp", NUMBERS.exp)),
    "ln": Function(_real("ln", NUMBERS.ln)),
    "log": Function(_log, 1, 1),
    "power": Function(_power, 1, 1),
}

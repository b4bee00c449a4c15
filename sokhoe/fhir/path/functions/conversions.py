"""toX() and convertsToX(): the table of N1, section 5.5; an impossible conversion is empty."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from sokhoe.fhir.path.functions.shape import Function
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.operators import LARGEST
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import Scope, one
from sokhoe.fhir.path.values import CALENDAR, Item, Items, Node, Quantity, system

_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0"}
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_QUANTITY = re.compile(r"([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?)(?:\s*'([^']+)'|\s+([a-z]+))?")


def to_boolean(value: Item) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return None


def to_integer(value: Item) -> int | None:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        found = int(value)
        return found if abs(found) <= LARGEST else None
    return None


def to_decimal(value: Item) -> Decimal | None:
    if isinstance(value, bool | int):
        return Decimal(int(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def to_text(value: Item) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int | Quantity):
        return str(value)
    if isinstance(value, Moment):
        return str(value)
    return None


def to_quantity(value: Item) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool | int | Decimal):
        return Quantity(Decimal(value))
    if isinstance(value, str) and len(value) <= 200:
        match = _QUANTITY.fullmatch(value)
        if match is None:
            return None
        number = Decimal(match[1])
        if match[2]:
            return Quantity(number, match[2])
        if match[3] is None:
            return Quantity(number)
        if match[3] in CALENDAR:
            return Quantity(number, CALENDAR[match[3]], calendar=True)
    return None


def _to_moment(kind: str) -> Callable[[Item], Moment | None]:
    def to_moment(value: Item) -> Moment | None:
        if isinstance(value, str):
            if kind == "Date":
                value = value.partition("T")[0]
            return Moment.read(value.removeprefix("T") if kind == "Time" else value, kind)  # type: ignore[arg-type]
        if not isinstance(value, Moment):
            return None
        if value.kind == kind:
            return value
        if kind == "Date" and value.kind == "DateTime":
            return Moment("Date", value.parts[:3])
        if kind == "DateTime" and value.kind == "Date":
            return Moment("DateTime", value.parts)
        return None

    return to_moment


_CONVERSIONS: dict[str, Callable[[Item], Item]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_text,
    "Quantity": to_quantity,
    "Date": _to_moment("Date"),
    "DateTime": _to_moment("DateTime"),
    "Time": _to_moment("Time"),
}


def _to(name: str) -> Callable[..., Items]:
    convert = _CONVERSIONS[name]

    def to(scope: Scope, items: Items, unit: Items | None = None) -> Items:
        value = system(one(items, f"to{name}()"))
        found = None if value is None else convert(value)
        return [] if found is None else [found]

    return to


def _converts(name: str) -> Callable[..., Items]:
    convert = _CONVERSIONS[name]

    def converts(scope: Scope, items: Items, unit: Items | None = None) -> Items:
        if not items:
            return []
        value = system(one(items, f"convertsTo{name}()"))
        return [value is not None and convert(value) is not None]

    return converts


def _now(scope: Scope) -> datetime:
    if scope.world.now is None:
        raise wrong("the time is not given here, so now(), today() and timeOfDay() have none")
    return scope.world.now


def _moment_now(scope: Scope, items: Items) -> Items:
    now = _now(scope)
    offset = now.utcoffset()
    zone = None if offset is None else int(offset.total_seconds() // 60)
    second = Decimal(now.second) + Decimal(now.microsecond // 1000) / 1000
    parts = (now.year, now.month, now.day, now.hour, now.minute)
    return [Moment("DateTime", parts, second.quantize(Decimal("0.001")), zone)]


def _today(scope: Scope, items: Items) -> Items:
    now = _now(scope)
    return [Moment("Date", (now.year, now.month, now.day))]


def _time_of_day(scope: Scope, items: Items) -> Items:
    now = _moment_now(scope, items)[0]
    return [Moment("Time", now.parts[3:], now.second)]


def _has_value(scope: Scope, items: Items) -> Items:
    return [len(items) == 1 and (type(items[0]) is not Node or _is_primitive(items[0].value))]


def _get_value(scope: Scope, items: Items) -> Items:
    if len(items) != 1:
        return []
    value = system(items[0])
    return [] if value is None or isinstance(value, Node) else [value]


def _is_primitive(value: object) -> bool:
    return value is not None and not isinstance(value, dict | list)


FUNCTIONS = {
    **{
        f"to{name}": Function(_to(name), 0, 1 if name == "Quantity" else 0) for name in _CONVERSIONS
    },
    **{
        f"convertsTo{name}": Function(_converts(name), 0, 1 if name == "Quantity" else 0)
        for name in _CONVERSIONS
    },
    "now": Function(_moment_now),
    "today": Function(_today),
    "timeOfDay": Function(_time_of_day),
    "hasValue": Function(_has_value),
    "getValue": Function(_get_value),
}  # fmt: skip

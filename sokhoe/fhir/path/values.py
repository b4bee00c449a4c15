"""What an expression works on: nodes of a resource, and plain values.

A collection is a list. An item is either a `Node`, which is a place in a resource and knows its
FHIR type, or a System value: bool, int, Decimal, str, `Moment`, `Quantity`. `system` turns a
primitive Node into the System value it stands for; `identity` gives equal items equal keys.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from sokhoe.fhir import units
from sokhoe.fhir.path import moments
from sokhoe.fhir.path.moments import Moment

CALENDAR = {
    word + plural: word
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
# Calendar words that are as long as a UCUM unit; years and months are not.
_DEFINITE = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s",
             "millisecond": "ms"}  # fmt: skip
_INDEFINITE = {"year": "a", "month": "mo"}

_MOMENTS: dict[str, moments.Kind] = {
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}


class Node(msgspec.Struct, eq=False):
    """A place in a resource: `value` as decoded JSON, `kind` its type (`HumanName`, `date`,
    `Patient.contact`), `twin` what `_name` holds beside it, `up` the Node it was reached from by
    `name` (and `index` in a list, else -1). `kind` is "" where the type is not known."""

    value: Any
    kind: str
    twin: Any = None
    up: Node | None = None
    name: str = ""
    index: int = -1

    @property
    def place(self) -> str:
        """Where it is: `Patient.name[0].given[1]`."""
        if self.up is None:
            return self.name or self.kind
        index = f"[{self.index}]" if self.index >= 0 else ""
        return f"{self.up.place}.{self.name}{index}"


class Quantity(msgspec.Struct, frozen=True):
    """A number and a UCUM unit, or with `calendar` one of the words year … millisecond."""

    value: Decimal
    unit: str = "1"
    calendar: bool = False

    def __str__(self) -> str:
        return f"{self.value} {self.unit if self.calendar else repr(self.unit)}"

    @property
    def ucum(self) -> str | None:
        """The unit as UCUM; None for calendar years and months, which have no fixed length."""
        return _DEFINITE.get(self.unit) if self.calendar else self.unit


class TypeInfo(msgspec.Struct, frozen=True):
    """What `type()` answers."""

    namespace: str
    name: str


Item = Any  # Node | bool | int | Decimal | str | Moment | Quantity | TypeInfo
Items = list[Item]


def system(item: Item) -> Item:
    """The System value of a primitive or a Quantity; None for a primitive with extensions only;
    the Node itself for everything else, also for a date that is no date."""
    if type(item) is not Node:
        return item
    value = item.value
    if value.__class__ is str:
        kind = _MOMENTS.get(item.kind)
        if kind is None:
            return value
        if item.kind == "dateTime" and "T" not in value:
            moment = Moment.read(value, "DateTime")
        else:
            moment = Moment.read(value, kind)
        return value if moment is None else moment
    if isinstance(value, dict):
        return _quantity(value) if item.kind in _QUANTITIES else item
    if item.kind == "decimal" and value.__class__ is int:
        return Decimal(value)
    return value


_QUANTITIES = {"Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity",
               "MoneyQuantity"}  # fmt: skip
_UCUM = "http://unitsofmeasure.org"


def _quantity(value: dict[str, Any]) -> Item:
    """A FHIR Quantity as a System one, where it is exact; else a Node that equals only itself."""
    number = value.get("value")
    if not isinstance(number, int | Decimal) or isinstance(number, bool):
        return Node(value, "Quantity")
    if value.get("comparator") is not None:
        return Node(value, "Quantity")
    code = value.get("code")
    if isinstance(code, str) and value.get("system") == _UCUM:
        return Quantity(Decimal(number), code)
    if value.get("system") is None and code is None:
        return Quantity(Decimal(number), value.get("unit") or "1")
    return Node(value, "Quantity")


def identity(item: Item) -> Any:
    """A hashable key: two items are equal exactly if theirs are (for distinct, |, in …)."""
    if type(item) is Node:
        item = system(item)
        if item is None:
            return None
        if type(item) is Node:
            return _json_key(item.value)
    if item is True or item is False:
        return ("boolean", item)
    if type(item) is Moment:
        return moments.key(item)
    if type(item) is Quantity:
        return _quantity_key(item)
    return item


def _quantity_key(item: Quantity) -> Any:
    ucum = item.ucum
    if ucum is None:
        return ("calendar", item.unit, item.value)
    found = units.unit(ucum)
    if found is None:
        return ("unit", ucum, item.value)
    return ("unit", found.bases, found.canonical(item.value))


def _json_key(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((name, _json_key(one)) for name, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_json_key, value))
    return ("boolean", value) if isinstance(value, bool) else value


def ordered_quantities(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None where the units cannot be compared."""
    if left.unit == right.unit and left.calendar == right.calendar:
        return (left.value > right.value) - (left.value < right.value)
    one, other = left.ucum, right.ucum
    if one is None and other is None and left.calendar and right.calendar:
        factor = {"year": 12, "month": 1}
        mine, theirs = left.value * factor[left.unit], right.value * factor[right.unit]
        return (mine > theirs) - (mine < theirs)
    if one is None or other is None:
        return None
    if one == other:
        return (left.value > right.value) - (left.value < right.value)
    first, second = units.unit(one), units.unit(other)
    if first is None or second is None or first.bases != second.bases:
        return None
    mine_exact, theirs_exact = first.canonical(left.value), second.canonical(right.value)
    return (mine_exact > theirs_exact) - (mine_exact < theirs_exact)


def loose_unit(item: Quantity) -> str:
    """The unit for `~`, where a calendar year is as long as 'a'."""
    if item.calendar:
        return _DEFINITE.get(item.unit) or _INDEFINITE[item.unit]
    return item.unit

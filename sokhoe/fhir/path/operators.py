"""What the signs between values mean: = ~ < + and their kin. Pure functions on items."""

from __future__ import annotations

import re
from collections import Counter
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from sokhoe.fhir import units
from sokhoe.fhir.path import moments
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.refusing import too_costly, wrong
from sokhoe.fhir.path.scope import LONGEST_TEXT
from sokhoe.fhir.path.values import (
    Item,
    Items,
    Node,
    Quantity,
    identity,
    loose_unit,
    ordered_quantities,
    system,
)

NUMBERS = Context(prec=28, Emin=-999, Emax=999)
LARGEST = 2**63 - 1
_space = re.compile(r"\s+")


def text_of(item: Item) -> str:
    """An item for a sentence."""
    value = system(item)
    return f"a {item.kind or 'object'}" if isinstance(value, Node) else repr(str(value))


def equal(left: Items, right: Items) -> bool | None:
    """`=`: None (not known) for empty sides, and for dates of different exactness."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    known: bool | None = True
    for one, other in zip(left, right, strict=True):
        answer = equal_items(one, other)
        if answer is False:
            return False
        known = known and answer
    return known


def equal_items(left: Item, right: Item) -> bool | None:
    one, other = system(left), system(right)
    kind, other_kind = one.__class__, other.__class__
    if kind is str and other_kind is str:
        return bool(one == other)
    if kind is Moment or other_kind is Moment:
        return _equal_moments(one, other)
    if kind is Quantity and other_kind is Quantity:
        order = ordered_quantities(one, other)
        return None if order is None else order == 0
    if kind is Quantity or other_kind is Quantity:
        one, other = _as_quantity(one), _as_quantity(other)
        if one is None or other is None:
            return False
        order = ordered_quantities(one, other)
        return None if order is None else order == 0
    return bool(identity(one) == identity(other))


def _equal_moments(one: Item, other: Item) -> bool | None:
    """A text is read as a moment where it looks like one: FHIR has both."""
    if isinstance(one, str):
        one = Moment.read(one, other.kind)
    elif isinstance(other, str):
        other = Moment.read(other, one.kind)
    if not isinstance(one, Moment) or not isinstance(other, Moment):
        return False
    if (one.kind == "Time") != (other.kind == "Time"):
        return False
    order = moments.compare(one, other)
    return None if order is None else order == 0


def _as_quantity(item: Item) -> Quantity | None:
    if isinstance(item, int | Decimal) and not isinstance(item, bool):
        return Quantity(Decimal(item))
    return item if isinstance(item, Quantity) else None


def equivalent(left: Items, right: Items) -> bool:
    """`~`: order does not count, nor case or digits beyond the coarser number."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return equivalent_items(left[0], right[0])
    rest = list(right)
    for one in left:
        for index, other in enumerate(rest):
            if equivalent_items(one, other):
                del rest[index]
                break
        else:
            return False
    return True


def equivalent_items(left: Item, right: Item) -> bool:
    one, other = system(left), system(right)
    match one, other:
        case str(), str():
            return _loose(one) == _loose(other)
        case bool(), bool():
            return one == other
        case (bool(), _) | (_, bool()):
            return False
        case int() | Decimal(), int() | Decimal():
            return _same_rounded(Decimal(one), Decimal(other))
        case Quantity(), Quantity():
            return _loose_quantities(one, other)
        case Moment(), Moment():
            return (one.kind == "Time") == (other.kind == "Time") and moments.compare(
                one, other
            ) == 0
        case Node(), Node():
            return _loose_json(one.value, other.value)
    return False


def _loose(text: str) -> str:
    return _space.sub(" ", text.strip()).casefold()


def _same_rounded(one: Decimal, other: Decimal) -> bool:
    digits = min(_digits(one), _digits(other))
    step = Decimal(1).scaleb(-digits)
    try:
        return one.quantize(step, ROUND_HALF_UP) == other.quantize(step, ROUND_HALF_UP)
    except InvalidOperation:
        return one == other


def _digits(value: Decimal) -> int:
    """Digits after the point, trailing zeros left out."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def _loose_quantities(one: Quantity, other: Quantity) -> bool:
    mine, theirs = loose_unit(one), loose_unit(other)
    if mine == theirs:
        return _same_rounded(one.value, other.value)
    if not units.same_kind(mine, theirs):
        return False
    # In the larger unit, so that 4 g and 4040 mg are compared as whole grams.
    first, second = units.unit(mine), units.unit(theirs)
    if first is not None and second is not None and first.factor < second.factor:
        mine, theirs, one, other = theirs, mine, other, one
    value = units.converted(other.value, theirs, mine)
    return value is not None and _same_rounded(one.value, value)


def _loose_json(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() - {"id"} == other.keys() - {"id"} and all(
            _loose_json(value, other[key]) for key, value in one.items() if key != "id"
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return False
        rest = list(other)
        for value in one:
            found = next((i for i, some in enumerate(rest) if _loose_json(value, some)), None)
            if found is None:
                return False
            del rest[found]
        return True
    return equivalent_items(one, other) if one is not None else other is None


def order(left: Items, right: Items, sign: str) -> int | None:
    """-1, 0, 1 for `<` and its kin; None if a side is empty or it is not known."""
    if not left or not right:
        return None
    if len(left) > 1 or len(right) > 1:
        raise wrong(f"'{sign}' compares one value with one")
    one, other = system(left[0]), system(right[0])
    match one, other:
        case (bool(), _) | (_, bool()):
            pass
        case (int() | Decimal(), int() | Decimal()) | (str(), str()):
            return int(one > other) - int(one < other)
        case Moment(), Moment() if (one.kind == "Time") == (other.kind == "Time"):
            return moments.compare(one, other)
        case (Quantity(), Quantity() | int() | Decimal()) | (int() | Decimal(), Quantity()):
            mine, theirs = _as_quantity(one), _as_quantity(other)
            return None if mine is None or theirs is None else ordered_quantities(mine, theirs)
        case (Moment(), str()) | (str(), Moment()):
            moment = one if isinstance(one, Moment) else other
            read = Moment.read(one if isinstance(one, str) else other, moment.kind)
            if read is not None:
                return moments.compare(
                    read if isinstance(one, str) else one, read if isinstance(other, str) else other
                )
    raise wrong(f"'{sign}' cannot compare {text_of(left[0])} with {text_of(right[0])}")


def bounded_number(value: int | Decimal | None) -> Items:
    """As a result; beyond 64 bits and 28 digits there is none, as the standard has it."""
    if value is None or (isinstance(value, int) and abs(value) > LARGEST):
        return []
    return [value]


def arithmetic(sign: str, left: Items, right: Items) -> Items:
    """`+ - * / div mod &`; empty if a side is empty, or for a division by zero."""
    if sign == "&":
        return [_joined(left, right)]
    if not left or not right:
        return []
    if len(left) > 1 or len(right) > 1:
        raise wrong(f"'{sign}' works on one value and one")
    one, other = system(left[0]), system(right[0])
    match one, other:
        case (bool(), _) | (_, bool()):
            pass
        case int() | Decimal(), int() | Decimal():
            return bounded_number(_calculated(sign, one, other))
        case str(), str() if sign == "+":
            return [short(one + other)]
        case Moment(), Quantity() if sign in "+-":
            return moved(one, other if sign == "+" else _negated(other))
        case str(), Quantity() if sign in "+-":
            moment = Moment.read(one, "DateTime" if "T" in one else "Date")
            if moment is not None:
                return moved(moment, other if sign == "+" else _negated(other))
        case (Quantity(), Quantity() | int() | Decimal()) | (int() | Decimal(), Quantity()):
            return _quantities(sign, one, other)
    raise wrong(f"'{sign}' cannot join {text_of(left[0])} and {text_of(right[0])}")


def _joined(left: Items, right: Items) -> str:
    if len(left) > 1 or len(right) > 1:
        raise wrong("'&' joins one text and one")
    parts = [system(side[0]) if side else "" for side in (left, right)]
    if not all(isinstance(part, str) for part in parts):
        raise wrong("'&' joins texts; use toString() for other values")
    return short("".join(parts))


def short(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise too_costly("a text in it grows beyond 1 MB")
    return text


def _calculated(sign: str, one: int | Decimal, other: int | Decimal) -> int | Decimal | None:
    try:
        if isinstance(one, int) and isinstance(other, int):
            match sign:
                case "+":
                    return one + other
                case "-":
                    return one - other
                case "*":
                    return one * other
        first, second = Decimal(one), Decimal(other)
        if sign in ("/", "div", "mod") and second == 0:
            return None
        match sign:
            case "+":
                return NUMBERS.add(first, second)
            case "-":
                return NUMBERS.subtract(first, second)
            case "*":
                return NUMBERS.multiply(first, second)
            case "/":
                return NUMBERS.divide(first, second)
            case "div":
                return int(NUMBERS.divide_int(first, second))
        rest = NUMBERS.remainder(first, second)
    except (InvalidOperation, Overflow, DivisionByZero):
        return None
    return int(rest) if isinstance(one, int) and isinstance(other, int) else rest


def _negated(quantity: Quantity) -> Quantity:
    return Quantity(-quantity.value, quantity.unit, quantity.calendar)


_LENGTHS: dict[str, tuple[str, int | Decimal]] = {
    "year": ("months", 12), "month": ("months", 1), "week": ("days", 7), "day": ("days", 1),
    "hour": ("seconds", 3600), "minute": ("seconds", 60), "second": ("seconds", 1),
    "millisecond": ("seconds", Decimal("0.001")),
    "wk": ("days", 7), "d": ("days", 1), "h": ("seconds", 3600), "min": ("seconds", 60),
    "s": ("seconds", 1), "ms": ("seconds", Decimal("0.001")),
}  # fmt: skip
_CUT = {"second", "s", "millisecond", "ms"}  # of these the fraction counts; others lose it
_STEPS = ("year", "month", "day", "hour", "minute", "second")
_IN_STEP = {"year": 1, "month": 2, "week": 3, "day": 3, "hour": 4, "minute": 5, "second": 6,
            "millisecond": 6, "wk": 3, "d": 3, "h": 4, "min": 5, "s": 6, "ms": 6}  # fmt: skip
_DAYS_IN = {1: 365, 2: 30}


def moved(moment: Moment, by: Quantity) -> Items:
    """A date or time moved by a duration (hl7.org/fhirpath/N1/#datetime-arithmetic): a unit finer
    than the moment is turned into whole steps of what is known, @2019 + 24 months is @2021."""
    unit = by.unit
    if unit not in _LENGTHS or (moment.kind == "Time" and _IN_STEP[unit] < 4):
        raise wrong(f"a {moment.kind} cannot be moved by {by}; calendar words (1 month) can")
    amount = by.value if unit in _CUT else by.value.to_integral_value("ROUND_DOWN")
    known = len(moment.steps) + (3 if moment.kind == "Time" else 0)
    if moment.kind == "Date":
        known = min(known, 3)
    name, factor = _LENGTHS[unit]
    if _IN_STEP[unit] > known:
        return _moved_coarse(moment, known, amount, unit)
    if name == "months":
        result = moment.moved(months=_small(amount * factor))
    elif name == "days":
        result = moment.moved(days=_small(amount * factor))
    else:
        if abs(amount) > 10**12:
            return []
        result = moment.moved(seconds=amount * factor)
    return [] if result is None else [result]


def _moved_coarse(moment: Moment, known: int, amount: Decimal, unit: str) -> Items:
    step = _IN_STEP[unit]
    if step == 2:  # months on a year
        result = moment.moved(months=_small(amount / 12) * 12)
        return [] if result is None else [result]
    name, factor = _LENGTHS[unit]
    seconds = amount * factor * (86400 if name == "days" else 1)
    if known <= 2:
        months = int(seconds / 86400 / _DAYS_IN[known]) * (12 if known == 1 else 1)
        result = moment.moved(months=_small(Decimal(months)))
    elif known == 3:
        result = moment.moved(days=_small(seconds / 86400))
    else:
        length = 3600 if known == 4 else 60
        result = moment.moved(seconds=_small(seconds / length) * length)
    return [] if result is None else [result]


def _small(amount: Decimal) -> int:
    return int(max(Decimal(-(10**6)), min(Decimal(10**6), amount.to_integral_value("ROUND_DOWN"))))


def _quantities(sign: str, left: Item, right: Item) -> Items:
    one, other = _as_quantity(left), _as_quantity(right)
    if one is None or other is None or sign in ("div", "mod"):
        raise wrong(f"'{sign}' cannot join {left} and {right}")
    if sign in "+-":
        if one.unit == other.unit and one.calendar == other.calendar:
            value: Decimal | None = other.value
        elif one.ucum is not None and other.ucum is not None:
            value = units.converted(other.value, other.ucum, one.ucum)
        else:
            value = None
        if value is None:
            return []
        total = _calculated(sign, one.value, value)
        return [] if total is None else [Quantity(Decimal(total), one.unit, one.calendar)]
    if one.ucum is None or other.ucum is None:
        return []
    number = _calculated(sign, one.value, other.value)
    if number is None:
        return []
    return [Quantity(Decimal(number), _product(sign, one.ucum, other.ucum))]


def _product(sign: str, one: str, other: str) -> str:
    if other == "1":
        return one
    if sign == "/" and one == other:
        return "1"
    joined = f"({other})" if re.search(r"[./]", other) else other
    if one == "1":
        return joined if sign == "*" else f"/{joined}"
    return f"{one}{'.' if sign == '*' else '/'}{joined}"


def distinct(items: Items) -> Items:
    """Without repetitions, the first of equal ones kept."""
    if len(items) < 2:
        return items
    found: dict[Any, Item] = {}
    for item in items:
        found.setdefault(identity(item), item)
    return list(found.values())


def contains(items: Items, item: Item) -> bool:
    wanted = identity(item)
    return any(identity(one) == wanted for one in items)


def counted(items: Items) -> Counter[Any]:
    return Counter(map(identity, items))

"""How a function is listed: what it does and how many arguments it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sokhoe.fhir.path import operators as op
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import one
from sokhoe.fhir.path.values import Items, system


@dataclass(frozen=True, slots=True)
class Function:
    """`of(scope, items, *arguments)` with all arguments evaluated."""

    of: Callable[..., Items]
    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Lambda:
    """`make(on, *arguments)` gives the compiled call."""

    make: Callable[..., Any]
    least: int = 0
    most: int = 0


def text(items: Items, what: str) -> str | None:
    """The one text, None for none; everything else is an error."""
    value = system(one(items, what))
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Moment):
        return str(value)
    raise wrong(f"{what} needs a text, found {op.text_of(value)}")


def whole(items: Items, what: str) -> int | None:
    value = system(one(items, what))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(f"{what} needs a whole number, found {op.text_of(value)}")
    return value


def number(items: Items, what: str) -> int | Decimal | None:
    value = system(one(items, what))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong(f"{what} needs a number, found {op.text_of(value)}")
    return value

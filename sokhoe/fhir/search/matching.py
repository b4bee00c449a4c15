"""Whether one resource meets a search, worked out in memory, as the index would answer it.

For who must know it of a version that may no longer be the current one (subscriptions). Conditions
that look at other records (chains, `_has`), that must be looked up in the text of this one, or
that this file does not know, are left open: None.
"""

from __future__ import annotations

from collections.abc import Iterable

from sokhoe.clock import Instant
from sokhoe.fhir.search.extraction import IndexRows
from sokhoe.fhir.search.holding import date_holds, holds
from sokhoe.fhir.search.query import (
    AnyOf,
    Condition,
    Dates,
    Keys,
    Missing,
    Not,
    Numbers,
    Texts,
    Written,
)


def matches(where: Iterable[Condition], rows: IndexRows, at: Instant) -> bool | None:
    """True or False; None where a condition cannot be decided from this resource alone.
    `rows`: as `extract` gives them; `at`: when the version was written."""
    answers = [_holds(one, rows, at) for one in where]
    if False in answers:
        return False
    return None if None in answers else True


def _holds(condition: Condition, rows: IndexRows, at: Instant) -> bool | None:
    match condition:
        case Keys() | Dates() | Texts() | Numbers():
            return holds(condition, rows.keys, rows.dates, rows.texts, rows.numbers)
        case Missing():
            return bool(rows.shape[1] & condition.bits) != condition.missing
        case Written():
            return any(date_holds(test, at, at + 1) for test in condition.tests)
        case AnyOf():
            answers = [matches(where, rows, at) for where in condition.options]
            return True if True in answers else None if None in answers else False
        case Not():
            inner = matches(condition.where, rows, at)
            return None if inner is None else not inner
        case _:
            return None

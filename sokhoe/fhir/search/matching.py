"""Whether one resource meets a search, worked out in memory, as the index would answer it.

For who must know it of a version that may no longer be the current one (subscriptions). Conditions
that look at other records (chains, `_has`), or that this file does not know, are left open: None.
"""

from __future__ import annotations

from collections.abc import Iterable

from sokhoe.clock import Instant
from sokhoe.fhir.search.extraction import IndexRows
from sokhoe.fhir.search.query import (
    Condition,
    Dates,
    DateTest,
    Keys,
    Missing,
    Numbers,
    NumberTest,
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
        case Keys():
            return bool(set(condition.keys).intersection(rows.keys)) != condition.negated
        case Dates():
            stretches = [(lo, hi) for p, lo, hi in rows.dates if p & ~3 == condition.key]
            return any(in_time(test, lo, hi) for test in condition.tests for lo, hi in stretches)
        case Texts():
            texts = [text for p, text in rows.texts if p == condition.key]
            fits = str.__contains__ if condition.contains else str.startswith
            return any(fits(text, wanted) for wanted in condition.texts for text in texts)
        case Numbers():
            return any(
                p == test.key and in_number(test, value)
                for test in condition.tests
                for p, value in rows.numbers
            )
        case Missing():
            return _has(condition, rows) != condition.missing
        case Written():
            return any(in_time(test, at, at + 1) for test in condition.tests)
        case _:
            return None


def _has(condition: Missing, rows: IndexRows) -> bool:
    if condition.kind == "date":
        return any(p & ~3 == condition.key for p, _, _ in rows.dates)
    if condition.kind == "text":
        return any(p == condition.key for p, _ in rows.texts)
    return any(p == condition.key for p, _ in rows.numbers)


def in_time(test: DateTest, lo: int, hi: int) -> bool:
    """A date test on a stretch [lo, hi); hl7.org/fhir/R4/search.html#prefix."""
    within = test.low <= lo and hi <= test.high
    match test.prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return hi > test.high
        case "lt":
            return lo < test.low
        case "ge":
            return hi > test.high or within
        case "le":
            return lo < test.low or within
        case "sa":
            return lo >= test.high
        case "eb":
            return hi <= test.low
        case "ap":
            return lo < test.high and hi > test.low


def in_number(test: NumberTest, value: float) -> bool:
    match test.prefix:
        case "eq" | "ap":
            return test.low <= value < test.high
        case "ne":
            return not test.low <= value < test.high
        case "gt" | "sa":
            return value > test.value
        case "lt" | "eb":
            return value < test.value
        case "ge":
            return value >= test.value
        case "le":
            return value <= test.value

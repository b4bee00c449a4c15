"""Whether a condition holds for index rows at hand, without a database: for a version that the
index no longer has (stable pages), and for a single element (composites).

Rules: hl7.org/fhir/R4/search.html#prefix
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sokhoe.fhir.search.query import Dates, DateTest, Keys, Numbers, NumberTest, Texts


def holds(
    condition: object,
    keys: Collection[int],
    dates: Iterable[tuple[int, int, int]],
    texts: Iterable[tuple[int, str]],
    numbers: Iterable[tuple[int, float]],
) -> bool:
    """Keys, Dates, Texts and Numbers; the others need the rest of the store."""
    match condition:
        case Keys():
            return any(one in keys for one in condition.keys) != condition.negated
        case Dates():
            here = [(low, high) for p, low, high in dates if p & ~3 == condition.key]
            return any(date_holds(test, *one) for test in condition.tests for one in here)
        case Texts():
            found = [text for p, text in texts if p == condition.key]
            if condition.contains:
                return any(wanted in text for wanted in condition.texts for text in found)
            return any(text.startswith(wanted) for wanted in condition.texts for text in found)
        case Numbers():
            return any(
                p == test.key and number_holds(test, value)
                for p, value in numbers
                for test in condition.tests
            )
    raise TypeError(condition)


def date_holds(test: DateTest, low: int, high: int) -> bool:
    within = test.low <= low and high <= test.high
    match test.prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return high > test.high
        case "lt":
            return low < test.low
        case "ge":
            return high > test.high or within
        case "le":
            return low < test.low or within
        case "sa":
            return low >= test.high
        case "eb":
            return high <= test.low
        case "ap":
            return low < test.high and high > test.low


def number_holds(test: NumberTest, value: float) -> bool:
    match test.prefix:
        case "eq":
            return test.low <= value < test.high
        case "ap":
            return test.low <= value <= test.high
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

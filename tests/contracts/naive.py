"""What a search means, said plainly and slowly: each record is looked at, each condition tried.

The reference for the SQL of the store: both must give the same records in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sokhoe.fhir import IndexRows, Query, extract, search
from sokhoe.store import Scope, Version


@dataclass(frozen=True)
class Record:
    version: Version
    rows: IndexRows


class Naive:
    def __init__(self, versions: Sequence[Version], scope: Scope) -> None:
        self.records = [Record(one, extract(one.resource)) for one in versions]
        self.scope = scope

    def answer(self, query: Query) -> list[str]:
        found = [
            one
            for one in self.records
            if one.version.type == query.type and self.meets(one, query.where)
        ]
        found = [one for one in found if self.allowed(one)]
        return [one.version.ref for one in self.ordered(found, query)]

    def allowed(self, one: Record) -> bool:
        scope, type = self.scope, one.version.type
        if scope.types is not None and type not in scope.types:
            return False
        if scope.patients is None or type in scope.open:
            return True
        return bool(scope.patients.intersection(one.rows.patients))

    def meets(self, one: Record, where: Sequence[search.Condition]) -> bool:
        return all(self.holds(one, condition) for condition in where)

    def holds(self, one: Record, condition: search.Condition) -> bool:
        rows = one.rows
        match condition:
            case search.Keys():
                return bool(set(condition.keys) & set(rows.keys)) != condition.negated
            case search.Dates():
                stretches = [(lo, hi) for p, lo, hi in rows.dates if p & ~3 == condition.key]
                return any(in_time(t, lo, hi) for t in condition.tests for lo, hi in stretches)
            case search.Texts():
                texts = [text for p, text in rows.texts if p == condition.key]
                if condition.contains:
                    return any(wanted in text for wanted in condition.texts for text in texts)
                return any(text.startswith(wanted) for wanted in condition.texts for text in texts)
            case search.Numbers():
                return any(
                    p == test.key and in_number(test, value)
                    for test in condition.tests
                    for p, value in rows.numbers
                )
            case search.Missing():
                return bool(rows.shape[1] & condition.bits) != condition.missing
            case search.AnyOf():
                return any(self.meets(one, way) for way in condition.options)
            case search.Not():
                return not self.meets(one, condition.where)
            case search.Scan():
                return search.scanned(condition, one.version.resource)
            case search.Near():
                position = one.version.resource.get("position")
                return position is not None and any(
                    search.metres_between(
                        (north, east), (float(position["latitude"]), float(position["longitude"]))
                    )
                    <= metres
                    for north, east, metres in condition.places
                )
            case search.Written():
                at = one.version.at
                return any(in_time(test, at, at + 1) for test in condition.tests)
            case search.Linked():
                return any(
                    condition.key ^ other.rows.self_key in rows.keys
                    and other.version.type == type
                    and self.allowed(other)
                    and self.meets(other, where)
                    for type, where in condition.branches
                    for other in self.records
                )
            case search.Pointed():
                return any(
                    condition.key ^ rows.self_key in other.rows.keys
                    and other.version.type == condition.type
                    and self.allowed(other)
                    and self.meets(other, condition.where)
                    for other in self.records
                )
        raise TypeError(condition)

    def ordered(self, found: list[Record], query: Query) -> list[Record]:
        if not query.then and query.sort.by != "word":
            return self.sorted(found, query.sort)
        found = sorted(found, key=lambda one: one.version.seq, reverse=query.sort.descending)
        for sort in reversed((query.sort, *query.then)):  # each sort leaves equals as they stand
            pick = max if sort.descending else min
            named = [(one, _sorted_by(one, sort)) for one in found]
            known = [(pick(values), one) for one, values in named if values]
            # reverse alone would leave equals in their order too
            known.sort(key=lambda pair: pair[0], reverse=sort.descending)
            found = [one for _, one in known] + [one for one, values in named if not values]
        return found

    def sorted(self, found: list[Record], sort: search.Sort) -> list[Record]:
        down = sort.descending
        if sort.by == "written":
            return sorted(found, key=lambda one: one.version.seq, reverse=down)
        if sort.by == "id":
            return sorted(found, key=lambda one: one.version.id.encode(), reverse=down)
        if sort.by == "main":
            # newest first, those of the same second in the order in which they were written
            with_, without = _parted(found, lambda one: one.rows.order != search.NO_DATE)
            key = lambda one: (one.rows.order, one.version.seq)  # noqa: E731
            return sorted(with_, key=key, reverse=not down) + sorted(
                without, key=key, reverse=not down
            )
        pick = max if down else min
        with_, without = _parted(found, lambda one: bool(_sorted_by(one, sort)))
        with_.sort(key=lambda one: (pick(_sorted_by(one, sort)), one.version.seq), reverse=down)
        return with_ + sorted(without, key=lambda one: one.version.seq, reverse=down)


def _sorted_by(one: Record, sort: search.Sort) -> list[Any]:
    """All that a record could be sorted by."""
    version, rows = one.version, one.rows
    match sort.by:
        case "main":
            return [-rows.order] if rows.order != search.NO_DATE else []
        case "written":
            return [version.seq]
        case "id":
            return [version.id]
        case "date":
            return [lo for p, lo, _ in rows.dates if p & ~3 == sort.key]
        case "text":
            return [text for p, text in rows.texts if p == sort.key]
        case "number":
            return [value for p, value in rows.numbers if p == sort.key]
        case "word":
            param = search.search_parameters(version.type)[sort.param]
            return search.sort_words(param, version.resource)


def _parted(
    found: list[Record], test: Callable[[Record], bool]
) -> tuple[list[Record], list[Record]]:
    return [one for one in found if test(one)], [one for one in found if not test(one)]


def in_time(test: search.DateTest, lo: int, hi: int) -> bool:
    """hl7.org/fhir/R4/search.html#prefix, word for word."""
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


def in_number(test: search.NumberTest, value: float) -> bool:
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

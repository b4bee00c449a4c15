"""The prefixes of dates and numbers as tests on a row of an index table.

Rules: hl7.org/fhir/R4/search.html#prefix. A date row is a stretch [lo, hi) under one of four keys,
by how long it is (`sokhoe.fhir.search`, LENGTHS).
"""

from __future__ import annotations

from sokhoe.fhir import search
from sokhoe.store.pieces import TRUE, Sql, joined, sql

DAY = 86_400_000_000


def date_test(test: search.DateTest, x: str) -> Sql:
    """A date test on a row with [lo, hi); rules: hl7.org/fhir/R4/search.html#prefix."""
    low, high = test.low, test.high
    within = f"({x}.lo>={{}} AND {x}.lo<{{}} AND {x}.hi<={{}})"
    match test.prefix:
        case "eq":
            return sql(within, low, high, high)
        case "ne":
            return sql(f"NOT {within}", low, high, high)
        case "gt":
            return sql(f"{x}.hi>{{}}", high)
        case "lt":
            return sql(f"{x}.lo<{{}}", low)
        case "ge":
            return sql(f"({x}.hi>{{}} OR {within})", high, low, high, high)
        case "le":
            return sql(f"({x}.lo<{{}} OR {within})", low, low, high, high)
        case "sa":
            return sql(f"{x}.lo>={{}}", high)
        case "eb":
            return sql(f"{x}.hi<={{}}", low)
        case "ap":
            return sql(f"({x}.lo<{{}} AND {x}.hi>{{}})", high, low)


def order_bounds(test: search.DateTest, a: str) -> Sql:
    """What a date test says of the order `d` of a record whose main date is a stretch of at most
    a day: a range that holds all that pass, and a few more."""
    bounds = []
    if test.prefix in ("gt", "ge", "sa", "eq", "ap"):
        bounds.append(sql(f"{a}.d<={{}}", -((test.low - DAY) // 1_000_000)))
    if test.prefix in ("lt", "le", "eb", "eq", "ap"):
        bounds.append(sql(f"{a}.d>={{}}", -(test.high // 1_000_000)))
    return joined(" AND ", bounds) if bounds else TRUE


def of_param(kind: str, key: int, x: str) -> Sql:
    """The rows of one parameter; a date has four keys, by how long the stretch is."""
    return (
        sql(f"{x}.p BETWEEN {{}} AND {{}}", key, key | 3)
        if kind == "date"
        else sql(f"{x}.p={{}}", key)
    )


def date_ranges(key: int, test: search.DateTest, x: str) -> list[Sql]:
    """A date test as one narrow range of beginnings for each class of length."""
    found = []
    for number, longest in enumerate(search.LENGTHS):
        bound = TRUE
        if longest is not None and test.prefix in ("gt", "ge", "ap"):
            least = (test.low if test.prefix == "ap" else test.high) - longest
            if test.prefix == "ge":
                least = min(least, test.low)
            bound = sql(f"{x}.lo>={{}}", least)
        found.append(sql(f"{x}.p={{}} AND {{}} AND {{}}", key | number, bound, date_test(test, x)))
    return found


def number_test(test: search.NumberTest, x: str) -> Sql:
    match test.prefix:
        case "eq":
            return sql(f"({x}.v>={{}} AND {x}.v<{{}})", test.low, test.high)
        case "ap":  # about 0 is 0
            return sql(f"({x}.v>={{}} AND {x}.v<={{}})", test.low, test.high)
        case "ne":
            return sql(f"NOT ({x}.v>={{}} AND {x}.v<{{}})", test.low, test.high)
        case "gt" | "sa":
            return sql(f"{x}.v>{{}}", test.value)
        case "lt" | "eb":
            return sql(f"{x}.v<{{}}", test.value)
        case "ge":
            return sql(f"{x}.v>={{}}", test.value)
        case "le":
            return sql(f"{x}.v<={{}}", test.value)


def written_test(test: search.DateTest, pk: str) -> Sql:
    """`_lastUpdated` as a stretch of seq: both rise together, and commits know both."""
    # the first version of the first commit at or after an instant
    since = "coalesce((SELECT min(first) FROM commits WHERE at>={}), 9223372036854775807)"
    match test.prefix:
        case "gt" | "sa":
            return sql(f"{pk}>={since}", test.high)
        case "ge":
            return sql(f"{pk}>={since}", test.low)
        case "lt" | "eb":
            return sql(f"{pk}<{since}", test.low)
        case "le":
            return sql(f"{pk}<{since}", test.high)
        case "ne":
            return sql(f"({pk}<{since} OR {pk}>={since})", test.low, test.high)
        case "eq" | "ap":
            return sql(f"({pk}>={since} AND {pk}<{since})", test.low, test.high)

"""The page of a search: which records come next in the order that was asked for.

Never OFFSET: a page begins behind the last key of the page before, so page 1000 costs what page 1
does. A cursor also says how far the log had come when the first page was made; `walking` keeps
later pages to that.

Records without a value come last: they are a second part of the order, and a cursor says in which
part the page ended.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sokhoe.errors import Invalid
from sokhoe.fhir import search
from sokhoe.store.comparing import of_param
from sokhoe.store.pieces import TRUE, Sql, joined, sql
from sokhoe.store.sqlgen import Asking, Leaf

# In which table and column the values lie that are sorted by.
TABLES = {"date": ("dte", "lo"), "text": ("str", "v"), "number": ("num", "v")}
SIDE_BY_SIDE = 20  # so many hashes are walked in order and merged; more are sorted


class Found(NamedTuple):
    """A match in its order: which part of the order, its sort value (a list of them where several
    parameters order), its pk."""

    part: int
    value: Any
    pk: int


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which match a page begins, the `seq` at which its walk began, and the total that was
    counted then."""

    last: Found
    upto: int
    total: int | None = None


class Down:
    """Sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and bool(self.value == other.value)


def rank(query: search.Query, one: Found) -> tuple[Any, ...]:
    """By this a match stands in the order, as the SQL of `page` has it."""
    sort = query.sort
    if query.then or sort.by == "word":
        found: list[Any] = []
        for each, value in zip((sort, *query.then), one.value, strict=True):
            least = 0 if value is None else Down(value) if each.descending else value
            found += [value is None, least]
        return (*found, Down(one.pk) if sort.descending else one.pk)
    # a main date stands as seconds before 1970, so the newest has the least
    down = sort.descending != (sort.by == "main")
    return one.part, *((Down(one.value), Down(one.pk)) if down else (one.value, one.pk))


def written(query: search.Query, place: Place) -> str:
    """A place as an opaque cursor."""
    listed = [_order(query), *place.last, place.upto, place.total]
    text = json.dumps(listed, ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _order(query: search.Query) -> str:
    return ",".join(
        f"{'-' if one.descending else ''}{one.by}:{one.param}" for one in (query.sort, *query.then)
    )


def read(query: search.Query) -> Place | None:
    """The place of a search's cursor. Invalid if it is none, or of another order."""
    cursor = query.cursor
    if cursor is None:
        return None
    try:
        order, part, value, pk, upto, total = json.loads(
            urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
        usable = all(isinstance(one, int) and abs(one) < 2**63 for one in (part, pk, upto))
        many = value if isinstance(value, list) else [value]
        usable = usable and all(isinstance(one, int | float | str | None) for one in many)
        usable = usable and isinstance(total, int | None)
        if usable and order == _order(query):
            return Place(Found(part, value, pk), upto, total)
    except (ValueError, TypeError):
        pass
    raise Invalid(
        "The cursor does not belong to this search.",
        hint="Start again without _cursor.",
        slug="bad-cursor",
        location="_cursor",
    )


def parts(sort: search.Sort) -> int:
    """How many parts an order has: with a value, and without."""
    return 1 if sort.by in ("written", "id") or (sort.by == "main" and sort.descending) else 2


def walks(query: search.Query) -> bool:
    """Whether a page is read along an index, without finding all matches first."""
    return not query.then and query.sort.by in ("main", "written", "id")


def page(asking: Asking, query: search.Query, part: int, after: Found | None, limit: int) -> Sql:
    """(value, pk) of the next records of one part, in order."""
    behind = after if after is not None and after.part == part else None
    match query.sort.by:
        case "main" | "written":
            return _walk(asking, query, part, behind, limit)
        case "id":
            return _by_id(asking, query, behind, limit)
    return _by_value(asking, query, part, behind, limit)


def _walk(asking: Asking, query: search.Query, part: int, behind: Found | None, limit: int) -> Sql:
    """Along an index whose entries stand in order, or along a small set that is then sorted."""
    by_date = query.sort.by == "main"
    # the index has the newest date first, but what was written first first
    up = query.sort.descending == by_date
    rows, rest = _source(asking, query, by_date)
    columns = ("d", "pk") if by_date else ("pk",)
    singles = [rows]
    if asking.side_by_side and isinstance(rows, search.Keys) and 1 < len(rows.keys) <= SIDE_BY_SIDE:
        singles = [replace(rows, keys=(one,)) for one in rows.keys]
    ways = [
        _ordered(asking, query, one, rest, (by_date, part, up), behind, limit) for one in singles
    ]
    if len(ways) == 1:
        return ways[0]
    wrapped = (sql(f"SELECT * FROM ({{}}) {asking.name()}", way) for way in ways)
    direction = "ASC" if up else "DESC"
    order = ", ".join(f"{'v' if name == 'd' else name} {direction}" for name in columns)
    return sql(f"{{}} ORDER BY {order} LIMIT {limit}", joined(" UNION ", wrapped))


def _source(
    asking: Asking, query: search.Query, by_date: bool
) -> tuple[Leaf | Sql, list[search.Condition]]:
    """What to walk, and the conditions left to test."""
    lead = asking.lead(query.type, query.where)
    if by_date and not query.sort.descending:
        lead = _beginning(asking, query, lead)
    keys = search.type_keys(query.type)
    in_order = by_date or keys.all == keys.written
    if in_order or not asking.is_large(lead):
        return lead, [one for one in query.where if one is not lead]
    return asking.walk_written(query.type), list(query.where)


def _beginning(asking: Asking, query: search.Query, lead: Leaf) -> Leaf:
    """Oldest first with a beginning: better sort what is left than walk past all that is older."""
    dates = [one for one in query.where if isinstance(one, search.Dates) and one.main]
    bounded = [one for one in dates if all(t.prefix in ("ge", "gt", "sa", "eq") for t in one.tests)]
    return bounded[0] if bounded and asking.is_large(lead) else lead


def _ordered(
    asking: Asking,
    query: search.Query,
    rows: Leaf | Sql,
    rest: list[search.Condition],
    how: tuple[bool, int, bool],
    behind: Found | None,
    limit: int,
) -> Sql:
    by_date, part, up = how
    a = asking.name()
    source = rows if isinstance(rows, Sql) else asking.rows(rows)
    tests = [asking.all_hold(query.type, rest, a)]
    sign, direction = (">", "ASC") if up else ("<", "DESC")
    if by_date and not query.sort.descending:
        # oldest first: those without a date would come first, so they are a part of their own
        tests.append(sql(f"{a}.d{'=' if part else '<'}{{}}", search.NO_DATE))
    tests += _date_bounds(query, a) if by_date else []
    if behind is not None and by_date:
        tests.append(sql(f"({a}.d, {a}.pk){sign}({{}}, {{}})", behind.value, behind.pk))
    elif behind is not None:
        tests.append(sql(f"{a}.pk{sign}{{}}", behind.pk))
    order = f"{a}.d {direction}, {a}.pk {direction}" if by_date else f"{a}.pk {direction}"
    # one hash has each pk once, so there is nothing to make distinct
    once = isinstance(rows, Sql) or asking.once(rows)
    value = f"{a}.d" if by_date else f"{a}.pk"
    distinct = "" if once else "DISTINCT "
    if distinct and not by_date:
        value = f"{a}.pk"
    return sql(
        f"SELECT {distinct}{value} AS v, {a}.pk AS pk FROM ({{}}) {a} WHERE {{}} "
        f"ORDER BY {order} LIMIT {limit}",
        source,
        joined(" AND ", tests),
    )


def _date_bounds(query: search.Query, a: str) -> list[Sql]:
    """Where a walk by date may begin: what begins before X has its date before X."""
    found = []
    for one in query.where:
        if isinstance(one, search.Dates) and one.main:
            last = [_latest(test) for test in one.tests]
            ends = [end for end in last if end is not None]
            if len(ends) == len(last):
                found.append(sql(f"{a}.d>={{}}", -(max(ends) // 1_000_000)))
    return found


def _latest(test: search.DateTest) -> int | None:
    """No record that passes begins later than this."""
    match test.prefix:
        case "eq" | "le":
            return test.high
        case "lt" | "eb":
            return test.low
    return None


def _by_id(asking: Asking, query: search.Query, behind: Found | None, limit: int) -> Sql:
    m, r = asking.name(), asking.name()
    sign, direction = ("<", "DESC") if query.sort.descending else (">", "ASC")
    test = TRUE if behind is None else sql(f"{r}.id{sign}{{}}", behind.value)
    return sql(
        f"SELECT {r}.id AS v, {r}.seq AS pk FROM ({{}}) {m} JOIN res {r} ON {r}.seq={m}.pk "
        f"WHERE {{}} ORDER BY {r}.id {direction} LIMIT {limit}",
        asking.matches(query.type, query.where),
        test,
    )


def values(asking: Asking, sort: search.Sort, pks: Sequence[int]) -> Sql:
    """(pk, value) of these records, of those that have one."""
    table, column = TABLES[sort.by]
    pick, s = "max" if sort.descending else "min", asking.name()
    return sql(
        f"SELECT {s}.pk, {pick}({s}.{column}) FROM {table} {s} {asking.dialect.by_pk(table)} "
        f"WHERE {{}} AND {{}} GROUP BY {s}.pk",
        asking.dialect.one_of(f"{s}.pk", pks),
        of_param(sort.by, sort.key, s),
    )


def _by_value(
    asking: Asking, query: search.Query, part: int, behind: Found | None, limit: int
) -> Sql:
    """By a date, text or number other than the main one: the least value of each record when
    ascending, the greatest when descending."""
    sort = query.sort
    table, column = TABLES[sort.by]
    sign, direction = ("<", "DESC") if sort.descending else (">", "ASC")
    s, m = asking.name(), asking.name()
    matches = asking.matches(query.type, query.where)
    by_pk = asking.dialect.by_pk(table)
    if part:
        test = TRUE if behind is None else sql(f"{m}.pk{sign}{{}}", behind.pk)
        return sql(
            f"SELECT 0 AS v, {m}.pk AS pk FROM ({{}}) {m} WHERE {{}} AND NOT EXISTS(SELECT 1 FROM "
            f"{table} {s} {by_pk} WHERE {s}.pk={m}.pk AND {{}}) "
            f"ORDER BY {m}.pk {direction} LIMIT {limit}",
            matches,
            test,
            of_param(sort.by, sort.key, s),
        )
    pick = "max" if sort.descending else "min"
    valued = sql(
        f"SELECT {pick}({s}.{column}) AS v, {s}.pk AS pk FROM ({{}}) {m} "
        f"JOIN {table} {s} ON {s}.pk={m}.pk AND {{}} GROUP BY {s}.pk",
        matches,
        of_param(sort.by, sort.key, s),
    )
    w = asking.name()
    test = (
        TRUE
        if behind is None
        else sql(f"({w}.v, {w}.pk){sign}({{}}, {{}})", behind.value, behind.pk)
    )
    return sql(
        f"SELECT {w}.v AS v, {w}.pk AS pk FROM ({{}}) {w} WHERE {{}} "
        f"ORDER BY {w}.v {direction}, {w}.pk {direction} LIMIT {limit}",
        valued,
        test,
    )

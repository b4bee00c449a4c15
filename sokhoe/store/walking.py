"""Pages that neither lose nor repeat a record while others write.

A cursor says how far the log had come (`seq`) when the first page was made. Later pages show what
matched then:

    newer versions are not looked at                               (`UpTo`)
    what was changed since has left the index: the version that stood then is read from the log,
    tested here, and put in its place                              (`late`)

So a walk shows each record once, as it was when the walk began, unless it was deleted since: then
it is not shown. What a chain or `_has` finds is judged by the other record as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sokhoe.errors import Invalid
from sokhoe.fhir import IndexRows, extract, search
from sokhoe.store import bounds, ordering, resolving
from sokhoe.store.hiding import hides
from sokhoe.store.ordering import Found
from sokhoe.store.pieces import sql
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.shapes import Version

if TYPE_CHECKING:
    from sokhoe.store.searching import Search, Where


@dataclass(frozen=True, slots=True)
class Late:
    """A match that was changed since: the version that stood then, decoded and indexed.
    `known`: the parameters of its type."""

    version: Version
    resource: dict[str, Any]
    rows: IndexRows
    known: Mapping[str, search.SearchParameter]

    def found(self, query: search.Query) -> Found:
        if query.then or query.sort.by == "word":
            return Found(0, [self._value(one) for one in sorts(query)], self.version.seq)
        sort = query.sort
        if sort.by == "main":
            part = int(self.rows.order == search.NO_DATE and not sort.descending)
            return Found(part, self.rows.order, self.version.seq)
        value = self._value(sort)
        return Found(int(value is None), 0 if value is None else value, self.version.seq)

    def _value(self, sort: search.Sort) -> Any:
        rows = self.rows
        match sort.by:
            case "main":
                return None if rows.order == search.NO_DATE else -rows.order
            case "written":
                return self.version.seq
            case "id":
                return self.version.id
            case "date":
                found: list[Any] = [low for p, low, _ in rows.dates if p & ~3 == sort.key]
            case "text":
                found = [text for p, text in rows.texts if p == sort.key]
            case "number":
                found = [value for p, value in rows.numbers if p == sort.key]
            case "word":
                found = search.sort_words(self.known[sort.param], self.resource)
        return picked(sort, found)


def sorts(query: search.Query) -> tuple[search.Sort, ...]:
    return (query.sort, *query.then)


def picked(sort: search.Sort, found: Sequence[Any]) -> Any:
    """The least of several values when ascending, the greatest when descending."""
    return (max(found) if sort.descending else min(found)) if found else None


def in_order(one: Search, query: search.Query, behind: tuple[Any, ...] | None) -> list[Found]:
    """All matches by several parameters, or by one that only the records have in words."""
    pks = one.matching(query.type, query.where, bounds.MOST_SORTED, "_sort")
    columns = [_column(one, query.type, sort, pks) for sort in sorts(query)]
    found = [Found(0, [column.get(pk) for column in columns], pk) for pk in pks]
    found.sort(key=lambda each: ordering.rank(query, each))
    if behind is not None:
        found = [each for each in found if behind < ordering.rank(query, each)]
    return found[: query.count + 1]


def _column(one: Search, type: str, sort: search.Sort, pks: Sequence[int]) -> dict[int, Any]:
    """pk -> what it is sorted by."""
    if sort.by == "written" or not pks:
        return {pk: pk for pk in pks}
    if sort.by in ordering.TABLES:
        return dict(one.rows(ordering.values(one.asking, sort, pks)))
    if sort.by == "id":
        ids = sql("SELECT r.seq, r.id FROM res r WHERE {}", one.dialect.one_of("r.seq", pks))
        return dict(one.rows(ids))
    if sort.by == "main":
        return {pk: -d for pk, d in one.rows(one.asking.orders(pks)) if d != search.NO_DATE}
    param = one.parameters.of(type)[sort.param]
    column = {}
    for start in range(0, len(pks), bounds.AT_ONCE):
        for seq, version in one.versions(pks[start : start + bounds.AT_ONCE]).items():
            column[seq] = picked(sort, search.sort_words(param, version.resource))
    return {pk: value for pk, value in column.items() if value is not None}


# --- what was changed since ----------------------------------------------------------------------


def late(one: Search, query: search.Query, upto: int) -> list[Late]:
    """The matches that were changed since, as they stood at `upto`, and are not deleted now."""
    code = TYPE_CODES[query.type]
    rows = one.read(
        "SELECT DISTINCT r.id FROM res r WHERE r.seq>? AND r.type=? AND r.version>1 "
        f"LIMIT {bounds.MOST_LATE + 1}",
        (upto, code),
    )
    if len(rows) > bounds.MOST_LATE:
        raise Invalid(
            "Too much was written since the first page of this search.",
            hint="Start again from the first page, or ask for larger pages (_count).",
            slug="cursor-too-old",
            status=410,
            code="expired",
            location="_cursor",
        )
    stood = [seq for (id,) in rows if (seq := _stood(one, code, id, upto)) is not None]
    found = []
    for version in one.versions(_allowed(one, query.type, stood)).values():
        resource = version.resource
        indexed = extract(resource, one.parameters)
        each = Late(version, resource, indexed, one.parameters.of(query.type))
        if hides(one.scope, each.rows.patients, resource):
            continue
        if _meets(one, query.type, each, query.where):
            found.append(each)
    return found


def _stood(one: Search, code: int, id: str, upto: int) -> int | None:
    """The seq of the version that stood then; None if there was none, or it is deleted now."""
    text = "SELECT r.seq, r.deleted FROM res r WHERE r.type=? AND r.id=? "
    now = one.read(f"{text}ORDER BY r.version DESC LIMIT 1", (code, id))
    then = one.read(f"{text}AND r.seq<=? ORDER BY r.version DESC LIMIT 1", (code, id, upto))
    if not then or then[0][1] or now[0][1]:
        return None
    return int(then[0][0])


def _allowed(one: Search, type: str, seqs: list[int]) -> list[int]:
    """Those that the scope shows; the log knows the patients of every version."""
    test = one.asking.allowed_by_log(type, "a.pk")
    if test is None or not seqs:
        return seqs
    wanted = sql(
        "SELECT a.pk FROM (SELECT r.seq AS pk FROM res r WHERE {}) a WHERE {}",
        one.dialect.one_of("r.seq", seqs),
        test,
    )
    return [row[0] for row in one.rows(wanted)]


def _meets(one: Search, type: str, each: Late, where: Where) -> bool:
    return all(_holds(one, type, each, condition) for condition in where)


def _holds(one: Search, type: str, each: Late, condition: search.Condition) -> bool:
    rows = each.rows
    match condition:
        case search.AnyOf():
            return any(_meets(one, type, each, way) for way in condition.options)
        case search.Not():
            return not _meets(one, type, each, condition.where)
        case search.Scan():
            return search.scanned(condition, each.resource)
        case search.Missing():
            return bool(rows.shape[1] & condition.bits) != condition.missing
        case search.Near():
            return resolving.is_near(condition, each.resource)
        case search.Written():
            # of one instant only the bounds count, as for a stretch of a microsecond
            dates = [(0, each.version.at, each.version.at + 1)]
            return search.holds(search.Dates("", 0, condition.tests), (), dates, (), ())
        case search.Linked():
            return any(
                condition.key ^ link in rows.keys
                and _some(one, inner, search.type_keys(inner).id ^ link, conditions)
                for inner, conditions in condition.branches
                for link in rows.links
            )
        case search.Pointed():
            return _some(one, condition.type, condition.key ^ rows.self_key, condition.where)
        case search.Keys() | search.Dates() | search.Texts() | search.Numbers():
            return search.holds(condition, rows.keys, rows.dates, rows.texts, rows.numbers)
    return True


def _some(one: Search, type: str, key: int, where: Where) -> bool:
    """Whether a current record under this hash meets the conditions and the scope."""
    a = one.asking.name()
    wanted = sql(
        f"SELECT 1 FROM ({{}}) {a} WHERE {{}} LIMIT 1",
        one.asking.rows(search.Keys("", (key,))),
        one.asking.all_hold(type, one.known(type, where), a),
    )
    return bool(one.rows(wanted))

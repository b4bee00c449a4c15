"""One search from end to end: conditions an index can answer, page, total, includes.

`Reader` is all this needs of a database: rows for SQL.

    resolving   chains to their ends, `:missing` to shapes, places, what must be looked up
    counting    which condition is the smallest (here)
    ordering    one page in its order
    walking     later pages: the log as it was when the first one was made
    including   what goes with the matches
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sokhoe.fhir import search
from sokhoe.store import bounds, including, ordering, resolving, walking
from sokhoe.store.blinding import no_order
from sokhoe.store.pieces import Sql, joined, sql
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.shapes import Page, Scope, Version
from sokhoe.store.sqlgen import MANY, Asking, Dialect, Leaf, Several, countable

Rows = Sequence[tuple[Any, ...]]
Where = tuple[search.Condition, ...]
Reader = Callable[[str, tuple[Any, ...]], Rows]

COLUMNS = "r.seq, r.txn, r.type, r.id, r.version, r.at, r.deleted, r.dict, r.body"
FEW = 250
ESTIMATED = 10_000  # an estimate is exact up to here


@dataclass(slots=True)
class Search:
    """One search on one snapshot. `version` makes a Version of a row of COLUMNS; `parameters`:
    those there are."""

    read: Reader
    dialect: Dialect
    scope: Scope
    version: Callable[[tuple[Any, ...]], Version]
    asking: Asking
    parameters: search.SearchParameters = search.STANDARD
    _resolved: dict[tuple[str, Where], Where] = field(default_factory=dict)

    @classmethod
    def on(
        cls,
        read: Reader,
        dialect: Dialect,
        scope: Scope,
        version: Callable[[tuple[Any, ...]], Version],
        parameters: search.SearchParameters = search.STANDARD,
    ) -> Search:
        return cls(read, dialect, scope, version, dialect.asking(scope), parameters)

    def page(self, query: search.Query) -> Page:
        place = ordering.read(query)
        if self.dialect.blind is not None:
            for sort in (query.sort, *query.then):
                if sort.by == "text":
                    raise no_order(sort.param)
        if self.asking.allows_none(query.type):
            return Page((), total=0 if query.total != "none" else None)
        late = walking.late(self, query, place.upto) if place else []
        last = ordering.walks(query) and (place is not None or query.total == "none")
        where = resolving.resolved(self, query.type, query.where, last=last)
        if place:
            where = (*where, search.UpTo("_cursor", place.upto))
        query = replace(query, where=where)
        total = place.total if place else self._total(query)
        if query.summary == "count":
            return Page((), total=total)
        self.count(query.type, query.where, alone=True)
        found, more = self._found(query, place.last if place else None, late)
        versions = self.versions([one.pk for one in found])
        matches = tuple(versions[one.pk] for one in found if one.pk in versions)
        following = None
        if more:
            upto = place.upto if place else self._head()
            following = ordering.written(query, ordering.Place(found[-1], upto, total))
        return Page(matches, including.included(self, query, matches), total, following)

    def all_matches(self, query: search.Query) -> Sql:
        """(d, pk) of everything that the query means, without order, page or includes."""
        where = resolving.resolved(self, query.type, query.where)
        self.count(query.type, where, alone=True)
        return self.asking.matches(query.type, where)

    def _found(
        self, query: search.Query, last: ordering.Found | None, late: Sequence[walking.Late]
    ) -> tuple[list[ordering.Found], bool]:
        """What the page holds, those in their order that were changed meanwhile too; and whether
        there may be more."""
        behind = None if last is None else ordering.rank(query, last)
        changed = [one.found(query) for one in late]
        if behind is not None:
            changed = [one for one in changed if behind < ordering.rank(query, one)]
        more = False
        if query.then or query.sort.by == "word":
            found = walking.in_order(self, query, behind)
        else:
            found, more = self._walked(query, last)
        if changed:
            found = sorted([*found, *changed], key=lambda one: ordering.rank(query, one))
        return found[: query.count], more or len(found) > query.count

    def _walked(
        self, query: search.Query, last: ordering.Found | None
    ) -> tuple[list[ordering.Found], bool]:
        """Along the order, one more than the page holds. What must be looked up in the records is
        looked up on the way, so that a common word fills a page soon among any number of records:
        True when the page is full, but nobody looked whether there is another match."""
        scans = [one for one in query.where if isinstance(one, search.Scan)]
        if not scans:
            return self._next(query, last, query.count + 1), False
        query = replace(query, where=tuple(one for one in query.where if one not in scans))
        found: list[ordering.Found] = []
        size, left = max(100, 2 * query.count), bounds.MOST_SCANNED
        while len(found) <= query.count:
            size = min(size, left)
            if not size and len(found) < query.count:
                raise bounds.too_many(scans[0].param, bounds.MOST_SCANNED)
            if not size:
                return found, True
            ahead = self._next(query, last, size + 1)
            batch = ahead[:size]
            versions = self.versions([one.pk for one in batch])
            found += [one for one in batch if resolving.passes(scans, versions[one.pk])]
            if len(ahead) <= size:
                break
            last, size, left = batch[-1], min(2 * size, bounds.AT_ONCE), left - size
        return found, False

    def _next(
        self, query: search.Query, last: ordering.Found | None, limit: int
    ) -> list[ordering.Found]:
        found: list[ordering.Found] = []
        for part in range(last.part if last else 0, ordering.parts(query.sort)):
            missing = limit - len(found)
            if missing > 0:
                wanted = ordering.page(self.asking, query, part, last, missing)
                found += [ordering.Found(part, value, pk) for value, pk in self.rows(wanted)]
        return found

    def rows(self, wanted: Sql) -> Rows:
        return self.read(wanted.text, wanted.args)

    def _head(self) -> int:
        return int(self.read("SELECT seq FROM head WHERE kind='version'", ())[0][0])

    def known(self, type: str, where: Where) -> Where:
        """Resolved conditions on other records, worked out once."""
        if (type, where) not in self._resolved:
            self._resolved[type, where] = resolving.resolved(self, type, where)
        return self._resolved[type, where]

    # --- counting ------------------------------------------------------------------------------

    def count(self, type: str, where: Sequence[search.Condition], *, alone: bool = False) -> None:
        """Learn how many rows each condition has that may lead. `alone`: a single list of hashes
        that is walked in order whatever its size, or is surely small, need not be counted."""
        leaves = [one for one in self.asking.candidates(type, where) if countable(one)]
        in_order = search.type_keys(type).all == search.type_keys(type).written
        if alone and len(leaves) == 1 and isinstance(leaves[0], search.Keys):
            if in_order and self.asking.side_by_side:
                return
            most = self.asking.at_most(leaves[0])
            if most is not None:
                self.asking.sizes[leaves[0]] = most
                return
        self.measure(leaves)

    def measure(self, leaves: Sequence[Leaf]) -> None:
        """Count to a few hundred first: mostly one condition is that small, and then how large
        the others are is of no interest."""
        sizes = self.asking.sizes
        for one in leaves:
            known = self.asking.known(one)
            if known is not None:
                sizes[one] = known
        unknown = [one for one in leaves if one not in sizes]
        for most in (min(FEW, MANY), MANY):
            if not unknown:
                return
            counted = self.rows(self.asking.counts(unknown, most))[0]
            small: dict[search.Condition | Several, int] = {
                one: n for one, n in zip(unknown, counted, strict=True) if n < most
            }
            sizes.update(small)
            if small:
                return

    def _total(self, query: search.Query) -> int | None:
        if query.total == "none":
            return None
        if not query.where and self.asking.allowed(query.type, "a") is None:
            rows = self.read("SELECT n FROM totals WHERE type=?", (TYPE_CODES[query.type],))
            return int(rows[0][0]) if rows else 0
        self.count(query.type, query.where)
        wanted = self.asking.matches(query.type, query.where)
        limit = f" LIMIT {ESTIMATED}" if query.total == "estimate" else ""
        counted = sql(f"SELECT count(*) FROM ({{}}{limit}) {self.asking.name()}", wanted)
        return int(self.rows(counted)[0][0])

    # --- records -------------------------------------------------------------------------------

    def matching(self, type: str, where: Where, most: int, what: str) -> list[int]:
        """The pks of all matches. Unsupported if there are more than `most`."""
        self.count(type, where)
        wanted = self.asking.matches(type, where)
        a = self.asking.name()
        rows = self.rows(sql(f"SELECT {a}.pk FROM ({{}}) {a} LIMIT {most + 1}", wanted))
        if len(rows) > most:
            raise bounds.too_many(what, most)
        return [row[0] for row in rows]

    def versions(self, pks: Sequence[int]) -> dict[int, Version]:
        if not pks:
            return {}
        wanted = sql(
            f"SELECT {COLUMNS} FROM res r WHERE {{}}", self.dialect.one_of("r.seq", list(pks))
        )
        return {row[0]: self.version(row) for row in self.rows(wanted)}


def in_scope(asking: Asking, scope: Scope) -> Sql:
    """The scope as a test on a version `r` of any type and age, for history: all but what depends
    on what stands in it (`Scope.looks`)."""
    tests = []
    if scope.types is not None:
        tests.append(asking.dialect.one_of("r.type", _codes(scope.types)))
    if scope.patients is not None:
        free = asking.dialect.one_of("r.type", _codes(scope.open))
        tests.append(sql("({} OR {})", free, asking.of_own("r.seq")))
    for share in scope.closed:
        if share.whole:
            tests.append(sql("NOT {}", asking.of_patients(share.patients, "r.seq")))
    return joined(" AND ", [Sql("1=1"), *tests])


def _codes(types: Iterable[str]) -> list[int]:
    return sorted(TYPE_CODES[type] for type in types if type in TYPE_CODES)

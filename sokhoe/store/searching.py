"""One search from end to end: chains to ends, counting, page, total, includes.

`Reader` is all this needs of a database: rows for SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sokhoe.errors import Unsupported
from sokhoe.fhir import search
from sokhoe.store import ordering
from sokhoe.store.pieces import Sql, joined, sql
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.shapes import Page, Scope, Version
from sokhoe.store.sqlgen import MANY, Asking, Dialect, Leaf, countable

Rows = Sequence[tuple[Any, ...]]
Where = tuple[search.Condition, ...]
Reader = Callable[[str, tuple[Any, ...]], Rows]

COLUMNS = "r.seq, r.txn, r.type, r.id, r.version, r.at, r.deleted, r.dict, r.body"
FEW = 250
MOST_ENDS = 500  # a chain with so few ends becomes a plain list of references
MOST_INCLUDED = 5_000
ESTIMATED = 10_000  # an estimate is exact up to here


@dataclass(slots=True)
class Search:
    """One search on one snapshot. `version` makes a Version of a row of COLUMNS."""

    read: Reader
    dialect: Dialect
    scope: Scope
    version: Callable[[tuple[Any, ...]], Version]
    asking: Asking

    @classmethod
    def on(
        cls,
        read: Reader,
        dialect: Dialect,
        scope: Scope,
        version: Callable[[tuple[Any, ...]], Version],
    ) -> Search:
        return cls(read, dialect, scope, version, dialect.asking(scope))

    def page(self, query: search.Query) -> Page:
        place = ordering.read(query.sort, query.cursor)
        if self.asking.allows_none(query.type):
            return Page((), total=0 if query.total != "none" else None)
        query = replace(query, where=self._resolved(query.type, query.where))
        total = self._total(query)
        if query.summary == "count":
            return Page((), total=total)
        self._count(query.type, query.where, alone=True)
        found = self._found(query, place)
        more = len(found) > query.count
        found = found[: query.count]
        versions = self._versions([pk for _, _, pk in found])
        matches = tuple(versions[pk] for _, _, pk in found if pk in versions)
        last = ordering.Place(*found[-1]) if more else None
        return Page(
            matches,
            self._included(query, matches),
            total,
            ordering.written(query.sort, last) if last else None,
        )

    def all_matches(self, query: search.Query) -> Sql:
        """(d, pk) of everything that the query means, without order, page or includes."""
        where = self._resolved(query.type, query.where)
        self._count(query.type, where, alone=True)
        return self.asking.matches(query.type, where)

    def _found(
        self, query: search.Query, place: ordering.Place | None
    ) -> list[tuple[int, Any, int]]:
        """(part, value, pk) of one more than the page holds."""
        found: list[tuple[int, Any, int]] = []
        for part in range(place.part if place else 0, ordering.parts(query.sort)):
            missing = query.count + 1 - len(found)
            if missing > 0:
                wanted = ordering.page(self.asking, query, part, place, missing)
                found += [(part, value, pk) for value, pk in self._rows(wanted)]
        return found

    def _rows(self, wanted: Sql) -> Rows:
        return self.read(wanted.text, wanted.args)

    # --- chains --------------------------------------------------------------------------------

    def _resolved(self, type: str, where: Iterable[search.Condition]) -> Where:
        """Chains with few ends as plain lists of references, which an index answers directly."""
        return tuple(self._resolve(type, one) for one in where)

    def _resolve(self, type: str, one: search.Condition) -> search.Condition:
        match one:
            case search.Linked():
                branches = tuple(
                    (inner, self._resolved(inner, where))
                    for inner, where in one.branches
                    if not self.asking.allows_none(inner)
                )
                ends = [self._ends(inner, where) for inner, where in branches]
                keys = [one.key ^ end for found in ends if found is not None for end in found]
                if all(found is not None for found in ends) and len(keys) <= MOST_ENDS:
                    return self._unless_large(search.Keys(one.param, tuple(keys)), branches, one)
                return replace(one, branches=branches)
            case search.Pointed():
                if self.asking.allows_none(one.type):
                    return search.Keys(one.param, ())
                inner = replace(one, where=self._resolved(one.type, one.where))
                self._count(inner.type, inner.where)
                if self.asking.size(self.asking.lead(inner.type, inner.where)) >= MANY:
                    return inner
                wanted = self.asking.pointed_at(inner)
                rows = self.read(f"{wanted.text} LIMIT {MANY + 1}", wanted.args)
                if len(rows) > MANY:
                    return inner
                start = search.type_keys(type).id
                return search.Keys(one.param, tuple(start ^ row[0] for row in rows))
        return one

    def _ends(self, type: str, where: Where) -> list[int] | None:
        """The hashes of what a chain ends at; None when there are too many to list."""
        self._count(type, where)
        if self.asking.size(self.asking.lead(type, where)) >= MANY:
            return None
        wanted = self.asking.ends(type, where)
        rows = self.read(f"{wanted.text} LIMIT {MOST_ENDS + 1}", wanted.args)
        return [row[0] for row in rows] if len(rows) <= MOST_ENDS else None

    def _unless_large(
        self,
        keys: search.Keys,
        branches: tuple[tuple[str, Where], ...],
        chain: search.Linked,
    ) -> search.Condition:
        """Testing hundreds of hashes on each of very many candidates would be slower than
        following each candidate's reference."""
        if len(keys.keys) > ordering.SIDE_BY_SIDE:
            self._measure([keys])
            if self.asking.size(keys) >= MANY:
                return replace(chain, branches=branches)
        return keys

    # --- counting ------------------------------------------------------------------------------

    def _count(self, type: str, where: Sequence[search.Condition], *, alone: bool = False) -> None:
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
        self._measure(leaves)

    def _measure(self, leaves: Sequence[Leaf]) -> None:
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
            counted = self._rows(self.asking.counts(unknown, most))[0]
            small: dict[search.Condition, int] = {
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
        self._count(query.type, query.where)
        wanted = self.asking.matches(query.type, query.where)
        limit = f" LIMIT {ESTIMATED}" if query.total == "estimate" else ""
        counted = sql(f"SELECT count(*) FROM ({{}}{limit}) {self.asking.name()}", wanted)
        return int(self._rows(counted)[0][0])

    # --- what goes with the matches ------------------------------------------------------------

    def _versions(self, pks: Sequence[int]) -> dict[int, Version]:
        if not pks:
            return {}
        wanted = sql(
            f"SELECT {COLUMNS} FROM res r WHERE {{}}", self.dialect.one_of("r.seq", list(pks))
        )
        return {row[0]: self.version(row) for row in self._rows(wanted)}

    def _included(self, query: search.Query, matches: tuple[Version, ...]) -> tuple[Version, ...]:
        if not matches or not (query.include or query.revinclude):
            return ()
        pks: set[int] = set()
        for include in query.include:
            pks |= self._followed(include, matches)
        for include in query.revinclude:
            pks |= self._pointing(include, matches)
        if len(pks) > MOST_INCLUDED:
            raise Unsupported(
                f"More than {MOST_INCLUDED} records would be included.",
                hint="Ask for a smaller _count, or search for the included records themselves.",
                slug="too-many-included",
                code="too-costly",
            )
        found = self._versions(sorted(pks - {version.seq for version in matches}))
        return tuple(found[pk] for pk in sorted(found))

    def _followed(self, include: search.Include, matches: tuple[Version, ...]) -> set[int]:
        refs: dict[str, set[str]] = {}
        for version in matches:
            if version.type == include.source:
                for ref in search.references(version.resource, include.param):
                    refs.setdefault(ref.partition("/")[0], set()).add(ref)
        pks: set[int] = set()
        for type, named in refs.items():
            if type in TYPE_CODES and include.target in (None, type):
                own = search.type_keys(type).id
                keys = tuple(sorted(own ^ search.key(ref) for ref in named))
                pks |= self._current(type, keys)
        return pks

    def _pointing(self, include: search.Include, matches: tuple[Version, ...]) -> set[int]:
        keys = tuple(include.key ^ search.key(version.ref) for version in matches)
        return self._current(include.source, keys)

    def _current(self, type: str, keys: tuple[int, ...]) -> set[int]:
        """The current records of a type with one of these hashes, as far as the scope allows."""
        a = self.asking.name()
        wanted = sql(
            f"SELECT {a}.pk FROM ({{}}) {a} WHERE {{}} LIMIT {MOST_INCLUDED + 1}",
            self.asking.rows(search.Keys("", keys)),
            self.asking.all_hold(type, (), a),
        )
        return {row[0] for row in self._rows(wanted)}


def in_scope(asking: Asking, scope: Scope) -> Sql:
    """The scope as a test on a version `r` of any type, for history."""
    tests = []
    if scope.types is not None:
        tests.append(asking.dialect.one_of("r.type", _codes(scope.types)))
    if scope.patients is not None:
        free = asking.dialect.one_of("r.type", _codes(scope.open))
        tests.append(sql("({} OR {})", free, asking.of_patients("r.seq")))
    return joined(" AND ", [Sql("1=1"), *tests])


def _codes(types: Iterable[str]) -> list[int]:
    return sorted(TYPE_CODES[type] for type in types if type in TYPE_CODES)

"""From conditions and a `Scope` to SQL, on tables of index rows as SQLite has them.

PostgreSQL has another physical form of the same index: `pgasking.PostgresAsking` overrides what
touches the tables, and nothing else. The two dialects differ in a few words besides.

A search starts from the condition with the fewest rows (the "lead", found by counting a few
thousand index entries of each) and tests the others on each candidate `(d, pk)`; every test is one
seek in an index. Is even the smallest large, the records of the type are walked in the order that
was asked for, so that a page is full after a few steps. The scope is one more test, at every place
where a record enters: matches, ends of chains, `_has`, includes, counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Protocol, TypeGuard

from sokhoe.fhir import search
from sokhoe.store.blinding import Blind, no_middle
from sokhoe.store.comparing import (
    date_ranges,
    date_test,
    number_test,
    of_param,
    order_bounds,
    written_test,
)
from sokhoe.store.layout import main_keys
from sokhoe.store.pieces import FALSE, TRUE, Sql, either, joined, sql
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.shapes import EVERYTHING, Scope

MANY = 4000  # from here on a condition counts as large
FEW_PATIENTS = 20  # a scope of so few people may lead a search


# A condition whose rows lie in one index table.
Plain = search.Keys | search.Dates | search.Texts | search.Numbers


@dataclass(frozen=True, slots=True)
class Several:
    """The rows of one condition of each option of an `AnyOf`, which may lead in its place."""

    leaves: tuple[Plain, ...]


Leaf = Plain | Several


class Dialect(Protocol):
    """Where the two databases differ."""

    def xor(self, constant: int, column: str) -> str: ...

    def contains(self, column: str) -> str:
        """A test whether a text column contains the value of a `?`."""

    def by_pk(self, table: str) -> str:
        """What makes the planner take the table's index on pk."""

    def one_of(self, column: str, values: Sequence[int]) -> Sql:
        """column IN (values), for any number of values."""

    # what hides identifiers and texts in the index; None: nothing does
    blind: Blind | None

    # (pk, hash of a patient) of the versions between two numbers, in their order
    owners: ClassVar[str]

    def asking(self, scope: Scope) -> Asking:
        """Who writes the SQL of a search."""


@dataclass(slots=True)
class Asking:
    """Writes the SQL of one search. `sizes`: how many rows each leaf has (up to MANY)."""

    dialect: Dialect
    scope: Scope
    sizes: dict[search.Condition | Several, int] = field(default_factory=dict)
    # whether several hashes are walked in order and merged
    side_by_side: bool = True
    _names: int = 0

    def name(self) -> str:
        self._names += 1
        return f"x{self._names}"

    # --- tests on a candidate (alias `a` with d and pk) -------------------------------------

    def allowed(self, type: str, a: str) -> Sql | None:
        """The scope as a test; None: nothing to test; FALSE: no record of this type at all."""
        tests = self.allowed_by_log(type, f"{a}.pk")
        if tests is FALSE:
            return FALSE
        scope = self.scope
        found = [] if tests is None else [tests]
        with self.freely():
            found += [self.holds(type, one, a) for one in scope.narrowed(type)]
            for share in scope.closed if has_people(type) else ():
                what = share.of(type)
                if not isinstance(what, bool):
                    theirs = self.of_patients(share.patients, f"{a}.pk")
                    found.append(sql("NOT ({} AND {})", theirs, self.holds(type, what, a)))
        return joined(" AND ", found) if found else None

    def allowed_by_log(self, type: str, pk: str) -> Sql | None:
        """As `allowed`, of a version of any age: as much as its type and its patients say."""
        scope = self.scope
        if scope.types is not None and type not in scope.types:
            return FALSE
        if scope.patients is None and not scope.closed:
            return None
        tests = []
        if scope.patients is not None and type not in scope.open:
            if not has_people(type) or not (scope.patients or scope.related):
                return FALSE
            tests.append(self.of_own(pk))
        if has_people(type):
            for share in scope.closed:
                if share.of(type) is True:
                    tests.append(sql("NOT {}", self.of_patients(share.patients, pk)))
        return joined(" AND ", tests) if tests else None

    def allows_none(self, type: str) -> bool:
        """Whether the scope shows no record of this type."""
        return self.allowed_by_log(type, "a.pk") is FALSE

    @contextmanager
    def freely(self) -> Iterator[None]:
        """What the scope itself asks is asked of all records."""
        scope, self.scope = self.scope, EVERYTHING
        try:
            yield
        finally:
            self.scope = scope

    def of_own(self, pk: str) -> Sql:
        """The patients of the scope, and those that are related."""
        scope = self.scope
        ways = [self.of_patients(scope.patients, pk)] if scope.patients else []
        if scope.related:
            with self.freely():
                ways.append(self.of_related(scope.related, pk))
        return either(ways) if ways else FALSE

    def of_patients(self, patients: frozenset[str], pk: str) -> Sql:
        keys = patient_keys(patients)
        k = self.name()
        inside = self.dialect.one_of(f"{k}.t", keys)
        return sql(
            f"EXISTS(SELECT 1 FROM link {k} WHERE {k}.pk={pk} AND {k}.own=1 AND {{}})", inside
        )

    def of_related(self, related: Sequence[search.Condition], pk: str) -> Sql:
        """A record of a patient who meets these conditions now."""
        k, i = self.name(), self.name()
        own = self.dialect.xor(search.type_keys("Patient").id, f"{k}.t")
        return sql(
            f"EXISTS(SELECT 1 FROM link {k} WHERE {k}.pk={pk} AND {k}.own=1 AND EXISTS("
            f"SELECT 1 FROM eq {i} WHERE {i}.h={own} AND {{}}))",
            self.all_hold("Patient", related, i),
        )

    def holds(self, type: str, condition: search.Condition, a: str) -> Sql:
        match condition:
            case search.Keys():
                return self.has_key(condition, a)
            case search.Dates() | search.Texts() | search.Numbers():
                return self.has_row(condition, a)
            case search.AnyOf():
                return either(self._each(type, one, a) for one in condition.options)
            case search.Not():
                return sql("NOT ({})", self._each(type, condition.where, a))
            case search.UpTo():
                return sql(f"{a}.pk<={{}}", condition.seq)
            case search.Written():
                return either(written_test(test, f"{a}.pk") for test in condition.tests)
            case search.Linked():
                return self.linked(condition, a)
            case search.Pointed():
                return self.pointed(condition, a)
        # Missing, Near and Scan have become other conditions by now (`resolving`)
        raise TypeError(f"{condition} is no condition for an index")

    def _each(self, type: str, where: Iterable[search.Condition], a: str) -> Sql:
        tests = [self.holds(type, one, a) for one in where]
        return sql("({})", joined(" AND ", tests)) if tests else TRUE

    def hashes(self, condition: search.Keys) -> Sequence[int]:
        """What stands in the index for the hashes of a condition."""
        blind = self.dialect.blind
        return blind.hashes(condition.keys, condition.personal) if blind else condition.keys

    def has_key(self, condition: search.Keys, a: str) -> Sql:
        x = self.name()
        test = self.dialect.one_of(f"{x}.h", self.hashes(condition))
        word = "NOT EXISTS" if condition.negated else "EXISTS"
        return sql(
            f"{word}(SELECT 1 FROM eq {x} WHERE {{}} AND {x}.d={a}.d AND {x}.pk={a}.pk)", test
        )

    def has_row(self, condition: search.Dates | search.Texts | search.Numbers, a: str) -> Sql:
        x = self.name()
        table = table_of(condition)
        found = sql(
            f"EXISTS(SELECT 1 FROM {table} {x} {self.dialect.by_pk(table)} "
            f"WHERE {x}.pk={a}.pk AND {{}})",
            self.leaf(condition, x),
        )
        if isinstance(condition, search.Dates) and condition.key in main_keys():
            y = self.name()
            tests = either(date_test(test, y) for test in condition.tests)
            beside = sql(f"EXISTS(SELECT 1 FROM ({self.beside(a)}) {y} WHERE {{}})", tests)
            return sql("({} OR {})", beside, found)
        return found

    def beside(self, a: str) -> str:
        """A row (lo, hi) of the main date that stands beside the order, if it does."""
        r = self.name()
        return (
            f"SELECT -{r}.d*1000000 AS lo, ({r}.span-{r}.d)*1000000 AS hi FROM res {r} "
            f"WHERE {r}.seq={a}.pk AND {r}.span IS NOT NULL"
        )

    def all_hold(self, type: str, conditions: Iterable[search.Condition], a: str) -> Sql:
        tests = [self.holds(type, one, a) for one in conditions]
        scope = self.allowed(type, a)
        if scope is not None:
            tests.append(scope)
        return joined(" AND ", tests) if tests else TRUE

    def leaf(self, condition: search.Dates | search.Texts | search.Numbers, x: str) -> Sql:
        """The test on a row of an index table."""
        match condition:
            case search.Dates():
                tests = either(date_test(test, x) for test in condition.tests)
                return sql("{} AND {}", of_param("date", condition.key, x), tests)
            case search.Texts():
                tests = either(self._text(text, condition, x) for text in condition.texts)
                return sql(f"{x}.p={{}} AND {{}}", condition.key, tests)
            case search.Numbers():
                return either(
                    sql(f"({x}.p={{}} AND {{}})", test.key, number_test(test, x))
                    for test in condition.tests
                )

    def _text(self, text: str, condition: search.Texts, x: str) -> Sql:
        if (blind := self.dialect.blind) is not None:
            if condition.contains:
                raise no_middle(condition.param)
            text = blind.text(condition.key, text)
        if condition.contains:
            return sql(self.dialect.contains(f"{x}.v").replace("?", "{}"), text)
        return sql(f"({x}.v>={{}} AND {x}.v<{{}})", text, text + "\U0010ffff")

    # --- conditions on other records ------------------------------------------------------------

    def linked(self, condition: search.Linked, a: str) -> Sql:
        link, x = self.name(), self.name()
        ways = []
        for type, where in condition.branches:
            i = self.name()
            own = self.dialect.xor(search.type_keys(type).id, f"{link}.t")
            ways.append(
                sql(
                    f"EXISTS(SELECT 1 FROM eq {i} WHERE {i}.h={own} AND {{}})",
                    self.all_hold(type, where, i),
                )
            )
        reference = self.dialect.xor(condition.key, f"{link}.t")
        return sql(
            f"EXISTS(SELECT 1 FROM link {link} WHERE {link}.pk={a}.pk AND EXISTS(SELECT 1 FROM eq "
            f"{x} WHERE {x}.h={reference} AND {x}.d={a}.d AND {x}.pk={a}.pk) AND {{}})",
            either(ways),
        )

    def pointed(self, condition: search.Pointed, a: str) -> Sql:
        i, r = self.name(), self.name()
        own = f"(SELECT {r}.self FROM res {r} WHERE {r}.seq={a}.pk)"
        reference = self.dialect.xor(condition.key, own)
        return sql(
            f"EXISTS(SELECT 1 FROM eq {i} WHERE {i}.h={reference} AND {{}})",
            self.all_hold(condition.type, condition.where, i),
        )

    def ends(self, type: str, where: Sequence[search.Condition]) -> Sql:
        """The hashes of the records of a type that meet the conditions: ends of a chain."""
        m, r = self.name(), self.name()
        return sql(
            f"SELECT {r}.self FROM ({{}}) {m} JOIN res {r} ON {r}.seq={m}.pk",
            self.matches(type, where),
        )

    def pointed_at(self, condition: search.Pointed) -> Sql:
        """The hashes of all at which matches of the inner conditions point by that reference."""
        m, link, x = self.name(), self.name(), self.name()
        reference = self.dialect.xor(condition.key, f"{link}.t")
        return sql(
            f"SELECT DISTINCT {link}.t FROM ({{}}) {m} JOIN link {link} ON {link}.pk={m}.pk "
            f"WHERE EXISTS(SELECT 1 FROM eq {x} "
            f"WHERE {x}.h={reference} AND {x}.d={m}.d AND {x}.pk={m}.pk)",
            self.matches(condition.type, condition.where),
        )

    # --- leads ----------------------------------------------------------------------------------

    def size(self, condition: search.Condition | Several) -> int:
        """How many rows a condition has, MANY when it is not known to be small."""
        return self.sizes.get(condition, MANY)

    def candidates(self, type: str, where: Sequence[search.Condition]) -> list[Leaf]:
        """The conditions that may lead, a scope of few patients among them."""
        found: list[Leaf] = [one for one in where if _can_lead(one)]
        found += [lead for lead in map(_several, where) if lead is not None]
        few = self._few_patients(type)
        return [few, *found] if few else found

    def _few_patients(self, type: str) -> search.Keys | None:
        scope = self.scope
        if not scope.patients or scope.related or type in scope.open:
            return None
        if len(scope.patients) > FEW_PATIENTS:
            return None
        keys = [search.key(patient) for patient in sorted(scope.patients)]
        starts = [search.key(search.prefix(type, one)) for one in search.patient_parameters(type)]
        if type == "Patient":
            starts.append(search.type_keys(type).id)
        return search.Keys("", tuple(start ^ one for start in starts for one in keys))

    def counts(self, leaves: Sequence[Leaf], most: int) -> Sql:
        """One row with the number of index entries of each leaf, counted up to `most`."""
        ways = (
            sql(f"(SELECT count(*) FROM ({{}} LIMIT {most}) {self.name()})", self.rows(one))
            for one in leaves
        )
        return sql("SELECT {}", joined(", ", ways))

    def rows(self, leaf: Leaf) -> Sql:
        """All (d, pk) of one condition; the same pk may come twice."""
        if isinstance(leaf, Several):
            wrapped = (
                sql(f"SELECT * FROM ({{}}) {self.name()}", self.rows(one)) for one in leaf.leaves
            )
            return joined(" UNION ALL ", wrapped)
        if isinstance(leaf, search.Dates) and leaf.key in main_keys():
            beside = (self.by_main_date(leaf.key, test) for test in leaf.tests)
            return joined(" UNION ALL ", [*beside, self.in_table(leaf)])
        return self.in_table(leaf)

    def by_main_date(self, key: int, test: search.DateTest) -> Sql:
        """All (d, pk) whose main date stands beside the order and passes."""
        e, r, y = self.name(), self.name(), self.name()
        everyone = search.type_keys(main_keys()[key]).all
        rows = sql(
            f"SELECT {e}.d AS d, {e}.pk AS pk, -{r}.d*1000000 AS lo, "
            f"({r}.span-{r}.d)*1000000 AS hi FROM eq {e} CROSS JOIN res {r} "
            f"WHERE {e}.h={{}} AND {{}} AND {r}.seq={e}.pk AND {r}.span IS NOT NULL",
            everyone,
            order_bounds(test, e),
        )
        return sql(f"SELECT {y}.d, {y}.pk FROM ({{}}) {y} WHERE {{}}", rows, date_test(test, y))

    def in_table(self, leaf: Plain) -> Sql:
        """All (d, pk) of one condition that have a row in its table."""
        x = self.name()
        start = f"SELECT {x}.d AS d, {x}.pk AS pk FROM {table_of(leaf)} {x} WHERE {{}}"
        return joined(" UNION ALL ", (sql(start, test) for test in self.ranges(leaf, x)))

    def ranges(self, leaf: Plain, x: str) -> list[Sql]:
        """A condition as tests on a row of its table, each a narrow range of the table's key."""
        match leaf:
            case search.Keys():
                tests = [self.dialect.one_of(f"{x}.h", self.hashes(leaf))]
            case search.Dates():
                tests = [one for test in leaf.tests for one in date_ranges(leaf.key, test, x)]
            case search.Texts() if not leaf.contains:
                tests = [self.leaf(replace(leaf, texts=(one,)), x) for one in leaf.texts]
            case search.Numbers():
                tests = [self.leaf(replace(leaf, tests=(one,)), x) for one in leaf.tests]
            case _:
                tests = [self.leaf(leaf, x)]
        return tests

    def known(self, leaf: Leaf) -> int | None:
        """How many rows a leaf has, if that is known without counting."""
        return None

    def at_most(self, leaf: search.Keys) -> int | None:
        """More rows than this a leaf cannot have; None if nothing is known."""
        return None

    def in_order(self, lead: Leaf) -> bool:
        """Whether the rows of a lead come in the order of the main date."""
        return isinstance(lead, search.Keys)

    def once(self, leaf: Leaf) -> bool:
        """Whether `rows` has no pk of this leaf twice."""
        return isinstance(leaf, search.Keys) and len(leaf.keys) == 1

    def is_large(self, lead: Leaf) -> bool:
        """Whether there are so many rows that walking in order beats sorting them."""
        return self.size(lead) >= MANY

    def orders(self, pks: Sequence[int]) -> Sql:
        """(pk, d) of these current records."""
        return sql("SELECT r.seq, r.d FROM res r WHERE {}", self.dialect.one_of("r.seq", pks))

    def walk_written(self, type: str) -> Sql:
        """All (d, pk) of a type with a main date, in the order in which they were written."""
        r, x = self.name(), self.name()
        return sql(
            f"SELECT {r}.d AS d, {r}.seq AS pk FROM res {r} WHERE {r}.type={{}} AND EXISTS("
            f"SELECT 1 FROM eq {x} WHERE {x}.h={{}} AND {x}.d={r}.d AND {x}.pk={r}.seq)",
            TYPE_CODES[type],
            search.type_keys(type).all,
        )

    def lead(self, type: str, where: Sequence[search.Condition]) -> Leaf:
        """What to start from: the condition with the fewest rows; if all are large one whose rows
        stand in order; failing that all records of the type."""
        every = search.Keys("", (search.type_keys(type).all,))
        found = self.candidates(type, where)
        best = min(
            found, key=lambda one: (self.size(one), not isinstance(one, search.Keys)), default=every
        )
        return every if self.is_large(best) and not self.in_order(best) else best

    def matches(self, type: str, where: Sequence[search.Condition]) -> Sql:
        """All (d, pk) of a type that meet the conditions and the scope, in no order."""
        lead = self.lead(type, where)
        a = self.name()
        rest = [one for one in where if one is not lead]
        return sql(
            f"SELECT DISTINCT {a}.d AS d, {a}.pk AS pk FROM ({{}}) {a} WHERE {{}}",
            self.rows(lead),
            self.all_hold(type, rest, a),
        )


@lru_cache(maxsize=256)
def patient_keys(patients: frozenset[str]) -> tuple[int, ...]:
    """The hashes of patients; those of a thousand who closed something are worked out once."""
    return tuple(sorted(search.key(patient) for patient in patients))


def has_people(type: str) -> bool:
    """Whether records of a type lie in patients' compartments."""
    return type == "Patient" or bool(search.patient_parameters(type))


def _several(condition: search.Condition) -> Several | None:
    """What may lead in place of an `AnyOf`: a condition of each option, if each has one."""
    if not isinstance(condition, search.AnyOf):
        return None
    found = [next((x for x in one if _can_lead(x)), None) for one in condition.options]
    leaves = tuple(one for one in found if one is not None)
    return Several(leaves) if len(leaves) == len(found) else None


def table_of(condition: Plain) -> str:
    match condition:
        case search.Keys():
            return "eq"
        case search.Dates():
            return "dte"
        case search.Texts():
            return "str"
        case search.Numbers():
            return "num"


def _can_lead(condition: search.Condition) -> TypeGuard[Plain]:
    match condition:
        case search.Keys():
            return not condition.negated
        case search.Dates() | search.Texts() | search.Numbers():
            return True
    return False


def countable(condition: Leaf) -> bool:
    """Whether counting stops early: nearly all rows of the range that is read must count."""
    match condition:
        case Several():
            return all(countable(one) for one in condition.leaves)
        case search.Dates():
            return all(test.prefix != "ne" for test in condition.tests)
        case search.Texts():
            return not condition.contains
        case search.Numbers():
            return all(test.prefix != "ne" for test in condition.tests)
    return True

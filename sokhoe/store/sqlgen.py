"""From conditions and a `Scope` to SQL; the two dialects differ in four words.

A search starts from the condition with the fewest rows (the "lead", found by counting a few
thousand index entries of each) and tests the others on each candidate `(d, pk)`; every test is one
seek in an index. Is even the smallest large, the records of the type are walked in the order that
was asked for, so that a page is full after a few steps. The scope is one more test, at every place
where a record enters: matches, ends of chains, `_has`, includes, counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeGuard

from sokhoe.fhir import search
from sokhoe.store.comparing import date_ranges, date_test, number_test, of_param, written_test
from sokhoe.store.pieces import FALSE, TRUE, Sql, either, joined, sql
from sokhoe.store.shapes import Scope

MANY = 4000  # from here on a condition counts as large
FEW_PATIENTS = 20  # a scope of so few people may lead a search


# A condition whose rows lie in one index table.
Leaf = search.Keys | search.Dates | search.Texts | search.Numbers


class Dialect(Protocol):
    """Where the two databases differ."""

    def xor(self, constant: int, column: str) -> str: ...

    def contains(self, column: str) -> str:
        """A test whether a text column contains the value of a `?`."""

    def by_pk(self, table: str) -> str:
        """What makes the planner take the table's index on pk."""

    def one_of(self, column: str, values: Sequence[int]) -> Sql:
        """column IN (values), for any number of values."""


@dataclass(slots=True)
class Asking:
    """Writes the SQL of one search. `sizes`: how many rows each leaf has (up to MANY)."""

    dialect: Dialect
    scope: Scope
    sizes: dict[search.Condition, int] = field(default_factory=dict)
    _names: int = 0

    def name(self) -> str:
        self._names += 1
        return f"x{self._names}"

    # --- tests on a candidate (alias `a` with d and pk) -------------------------------------

    def allowed(self, type: str, a: str) -> Sql | None:
        """The scope as a test; None: nothing to test; FALSE: no record of this type at all."""
        scope = self.scope
        if scope.types is not None and type not in scope.types:
            return FALSE
        if scope.patients is None or type in scope.open:
            return None
        if not scope.patients or not (type == "Patient" or search.patient_parameters(type)):
            return FALSE
        return self.of_patients(f"{a}.pk")

    def allows_none(self, type: str) -> bool:
        """Whether the scope shows no record of this type."""
        return self.allowed(type, "a") is FALSE

    def of_patients(self, pk: str) -> Sql:
        keys = [search.key(patient) for patient in sorted(self.scope.patients or ())]
        k = self.name()
        inside = self.dialect.one_of(f"{k}.t", keys)
        return sql(
            f"EXISTS(SELECT 1 FROM link {k} WHERE {k}.pk={pk} AND {k}.own=1 AND {{}})", inside
        )

    def holds(self, type: str, condition: search.Condition, a: str) -> Sql:
        x = self.name()
        match condition:
            case search.Keys():
                test = self.dialect.one_of(f"{x}.h", condition.keys)
                word = "NOT EXISTS" if condition.negated else "EXISTS"
                return sql(
                    f"{word}(SELECT 1 FROM eq {x} WHERE {{}} AND {x}.d={a}.d AND {x}.pk={a}.pk)",
                    test,
                )
            case search.Dates() | search.Texts() | search.Numbers():
                table = _table(condition)
                return sql(
                    f"EXISTS(SELECT 1 FROM {table} {x} {self.dialect.by_pk(table)} "
                    f"WHERE {x}.pk={a}.pk AND {{}})",
                    self.leaf(condition, x),
                )
            case search.Missing():
                table = {"date": "dte", "text": "str", "number": "num"}[condition.kind]
                word = "NOT EXISTS" if condition.missing else "EXISTS"
                test = of_param(condition.kind, condition.key, x)
                return sql(
                    f"{word}(SELECT 1 FROM {table} {x} {self.dialect.by_pk(table)} "
                    f"WHERE {x}.pk={a}.pk AND {{}})",
                    test,
                )
            case search.Written():
                return either(written_test(test, f"{a}.pk") for test in condition.tests)
            case search.Linked():
                return self._linked(condition, a)
            case search.Pointed():
                return self._pointed(condition, a)

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
                tests = either(self._text(text, condition.contains, x) for text in condition.texts)
                return sql(f"{x}.p={{}} AND {{}}", condition.key, tests)
            case search.Numbers():
                return either(
                    sql(f"({x}.p={{}} AND {{}})", test.key, number_test(test, x))
                    for test in condition.tests
                )

    def _text(self, text: str, contains: bool, x: str) -> Sql:
        if contains:
            return sql(self.dialect.contains(f"{x}.v").replace("?", "{}"), text)
        return sql(f"({x}.v>={{}} AND {x}.v<{{}})", text, text + "\U0010ffff")

    # --- conditions on other records ------------------------------------------------------------

    def _linked(self, condition: search.Linked, a: str) -> Sql:
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

    def _pointed(self, condition: search.Pointed, a: str) -> Sql:
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

    def size(self, condition: search.Condition) -> int:
        """How many rows a condition has, MANY when it is not known to be small."""
        return self.sizes.get(condition, MANY)

    def candidates(self, type: str, where: Sequence[search.Condition]) -> list[Leaf]:
        """The conditions that may lead, a scope of few patients among them."""
        found = [one for one in where if _can_lead(one)]
        few = self._few_patients(type)
        return [few, *found] if few else found

    def _few_patients(self, type: str) -> search.Keys | None:
        scope = self.scope
        if not scope.patients or type in scope.open or len(scope.patients) > FEW_PATIENTS:
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
        x = self.name()
        match leaf:
            case search.Keys():
                tests = [self.dialect.one_of(f"{x}.h", leaf.keys)]
            case search.Dates():
                tests = [one for test in leaf.tests for one in date_ranges(leaf.key, test, x)]
            case search.Texts() if not leaf.contains:
                tests = [self.leaf(replace(leaf, texts=(one,)), x) for one in leaf.texts]
            case search.Numbers():
                tests = [self.leaf(replace(leaf, tests=(one,)), x) for one in leaf.tests]
            case _:
                tests = [self.leaf(leaf, x)]
        start = f"SELECT {x}.d AS d, {x}.pk AS pk FROM {_table(leaf)} {x} WHERE {{}}"
        return joined(" UNION ALL ", (sql(start, test) for test in tests))

    def lead(self, type: str, where: Sequence[search.Condition]) -> Leaf:
        """What to start from: the condition with the fewest rows; if all are large one whose rows
        stand in order; failing that all records of the type."""
        every = search.Keys("", (search.type_keys(type).all,))
        found = self.candidates(type, where)
        best = min(found, key=lambda one: (self.size(one), _table(one) != "eq"), default=every)
        large = self.size(best) >= MANY
        return every if large and not isinstance(best, search.Keys) else best

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


def _table(condition: Leaf) -> str:
    match condition:
        case search.Keys():
            return "eq"
        case search.Dates():
            return "dte"
        case search.Texts():
            return "str"
        case search.Numbers():
            return "num"


def _can_lead(condition: search.Condition) -> TypeGuard[Leaf]:
    match condition:
        case search.Keys():
            return not condition.negated
        case search.Dates() | search.Texts() | search.Numbers():
            return True
    return False


def countable(condition: Leaf) -> bool:
    """Whether counting stops early: nearly all rows of the range that is read must count."""
    match condition:
        case search.Dates():
            return all(test.prefix != "ne" for test in condition.tests)
        case search.Texts():
            return not condition.contains
        case search.Numbers():
            return all(test.prefix != "ne" for test in condition.tests)
    return True

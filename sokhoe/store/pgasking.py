"""The conditions of a search as SQL for PostgreSQL; what they mean stands in `sqlgen.Asking`.

    cur   pk  d  span  type  keys bigint[]  links bigint[]      one row per current record
          GIN(keys)     B-tree(type, d, pk)     B-tree(pk)
    dte, str, num       (p, value) -> pk   and   pk -> rows

A candidate `a` is a row of `cur`, so most tests look at its own columns and read nothing more:

    lead   a.keys && {h}            the index        few rows, sorted afterwards
    test   h = ANY(a.keys)          the row          written so that no index is tempted
    order  a.type=t ORDER BY d, pk  the B-tree       when every condition has very many rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sokhoe.fhir import search
from sokhoe.store.comparing import date_test, order_bounds
from sokhoe.store.layout import main_keys, type_codes
from sokhoe.store.pieces import FALSE, Sql, either, joined, sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES
from sokhoe.store.sqlgen import MANY, Asking, Leaf, Plain, patient_keys, table_of

# What a page of 50 costs: sorting n rows found by GIN, or walking the N rows of the type by date
# until 50 have passed (50 N / n tests, each at 0.4 of the cost of a row found and sorted).
WALKED = 20
# From so many patients on a list of them is hashed.
MANY_OWNERS = 16


@dataclass(frozen=True, slots=True)
class Common:
    """What the planner's statistics say: how many rows a hash that many records have has about,
    and how many records there are."""

    rows: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class PostgresAsking(Asking):
    """Writes the SQL of one search over arrays."""

    common: Common = field(default_factory=Common)
    side_by_side: bool = False

    # --- tests on a candidate, a row of cur ----------------------------------------------------

    def of_patients(self, patients: frozenset[str], pk: str) -> Sql:
        keys = list(patient_keys(patients))
        k = self.name()
        if len(keys) > MANY_OWNERS:  # looked up in a hash table instead of compared one by one
            o = self.name()
            return sql(
                f"EXISTS(SELECT 1 FROM res {k} CROSS JOIN LATERAL unnest({k}.own) AS {o}(t) "
                f"WHERE {k}.seq={pk} AND {o}.t=ANY({{}}::bigint[]))",
                keys,
            )
        return sql(
            f"EXISTS(SELECT 1 FROM res {k} WHERE {k}.seq={pk} AND {k}.own && {{}}::bigint[])", keys
        )

    def of_related(self, related: Sequence[search.Condition], pk: str) -> Sql:
        k, o, i = self.name(), self.name(), self.name()
        own = self.dialect.xor(search.type_keys("Patient").id, f"{o}.t")
        return sql(
            f"EXISTS(SELECT 1 FROM res {k} CROSS JOIN LATERAL unnest({k}.own) AS {o}(t) "
            f"WHERE {k}.seq={pk} AND EXISTS("
            f"SELECT 1 FROM cur {i} WHERE {i}.keys && ARRAY[{own}] AND {{}}))",
            self.all_hold("Patient", related, i),
        )

    def has_key(self, condition: search.Keys, a: str) -> Sql:
        found = self._has(self.hashes(condition), a)
        return sql("NOT {}", found) if condition.negated else found

    def _has(self, keys: Sequence[int], a: str) -> Sql:
        types = [type_codes()[key] for key in keys if key in type_codes()]
        if types:
            return sql(f"{a}.type=ANY({{}}::smallint[])", types)
        if len(keys) == 1:
            return sql(f"({{}}::bigint=ANY({a}.keys))", keys[0])
        # as a test, never as a way in: `IS TRUE` hides it from the planner
        return sql(f"(({a}.keys && {{}}::bigint[]) IS TRUE)", list(keys))

    def beside(self, a: str) -> str:
        return (
            f"SELECT -{a}.d*1000000 AS lo, ({a}.span-{a}.d)*1000000 AS hi "
            f"WHERE {a}.span IS NOT NULL"
        )

    # --- conditions on other records -----------------------------------------------------------

    def linked(self, condition: search.Linked, a: str) -> Sql:
        link = self.name()
        ways = []
        for type, where in condition.branches:
            i = self.name()
            own = self.dialect.xor(search.type_keys(type).id, f"{link}.t")
            test = self.all_hold(type, where, i)
            way = f"EXISTS(SELECT 1 FROM cur {i} WHERE {i}.keys && ARRAY[{own}] AND {{}})"
            ways.append(sql(way, test))
        reference = self.dialect.xor(condition.key, f"{link}.t")
        return sql(
            f"EXISTS(SELECT 1 FROM unnest({a}.links) AS {link}(t) "
            f"WHERE {reference}=ANY({a}.keys) AND {{}})",
            either(ways) if ways else FALSE,
        )

    def pointed(self, condition: search.Pointed, a: str) -> Sql:
        i, r = self.name(), self.name()
        own = f"(SELECT {r}.self FROM res {r} WHERE {r}.seq={a}.pk)"
        reference = self.dialect.xor(condition.key, own)
        return sql(
            f"EXISTS(SELECT 1 FROM cur {i} WHERE {i}.keys && ARRAY[{reference}] AND {{}})",
            self.all_hold(condition.type, condition.where, i),
        )

    def pointed_at(self, condition: search.Pointed) -> Sql:
        m, c, link = self.name(), self.name(), self.name()
        reference = self.dialect.xor(condition.key, f"{link}.t")
        return sql(
            f"SELECT DISTINCT {link}.t FROM ({{}}) {m} JOIN cur {c} ON {c}.pk={m}.pk "
            f"CROSS JOIN LATERAL unnest({c}.links) AS {link}(t) WHERE {reference}=ANY({c}.keys)",
            self.matches(condition.type, condition.where),
        )

    # --- leads ---------------------------------------------------------------------------------

    def known(self, leaf: Leaf) -> int | None:
        """What the statistics know to be common need not be counted, which would read all of a
        long list in the index."""
        if not isinstance(leaf, search.Keys):
            return None
        if any(key in type_codes() for key in leaf.keys):
            return max(MANY, self.common.rows)
        size = sum(self.common.sizes.get(key, 0) for key in self.hashes(leaf))
        return size if size >= MANY else None

    def at_most(self, leaf: search.Keys) -> int | None:
        sizes = self.common.sizes
        keys = self.hashes(leaf)
        if not sizes or any(key in sizes or key in type_codes() for key in keys):
            return None
        return len(keys) * min(sizes.values())

    def in_order(self, lead: Leaf) -> bool:
        """Whether the rows of a lead come in the order of the main date."""
        return isinstance(lead, search.Keys) and any(key in type_codes() for key in lead.keys)

    def once(self, leaf: Leaf) -> bool:
        return isinstance(leaf, search.Keys)

    def is_large(self, lead: Leaf) -> bool:
        """Whether walking all records of the type by date is cheaper than sorting these."""
        size = self.size(lead)
        return size >= MANY and size * size > WALKED * self.common.rows

    def by_main_date(self, key: int, test: search.DateTest) -> Sql:
        x, y = self.name(), self.name()
        code = TYPE_CODES[main_keys()[key]]
        return sql(
            f"SELECT {x}.* FROM cur {x} WHERE {x}.type={code} AND {{}} "
            f"AND EXISTS(SELECT 1 FROM ({self.beside(x)}) {y} WHERE {{}})",
            order_bounds(test, x),
            date_test(test, y),
        )

    def in_table(self, leaf: Plain) -> Sql:
        x = self.name()
        if isinstance(leaf, search.Keys):
            if leaf.keys and leaf.keys[0] in type_codes():
                return self._of_type(leaf.keys[0], x)
            return sql(
                f"SELECT {x}.* FROM cur {x} WHERE {x}.keys && {{}}::bigint[]",
                list(self.hashes(leaf)),
            )
        c = self.name()
        start = f"SELECT {c}.* FROM {table_of(leaf)} {x} JOIN cur {c} ON {c}.pk={x}.pk WHERE {{}}"
        return joined(" UNION ALL ", (sql(start, test) for test in self.ranges(leaf, x)))

    def _of_type(self, key: int, x: str) -> Sql:
        code = type_codes()[key]
        # without a main date all stand under 0, and so in the order in which they were written
        undated = "" if search.type_keys(TYPE_NAMES[code]).main else f" AND {x}.d=0"
        return Sql(f"SELECT {x}.* FROM cur {x} WHERE {x}.type={code}{undated}")

    def orders(self, pks: Sequence[int]) -> Sql:
        return sql("SELECT c.pk, c.d FROM cur c WHERE {}", self.dialect.one_of("c.pk", pks))

    def walk_written(self, type: str) -> Sql:
        x = self.name()
        return Sql(f"SELECT {x}.* FROM cur {x} WHERE {x}.type={TYPE_CODES[type]}")

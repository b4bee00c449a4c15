"""Rows of the index that should not be there: of records that are no longer current, and hashes
that a current record should not have.

Most tables are asked by record. SQLite's `eq` is ordered by hash, so it is walked once from end to
end, and what each record's hashes add up to is held against what they should (`sums`); only for
the few that differ is it walked again, to see which rows those are. Others may write meanwhile: a
row counts as stray only if its record is not current, or should not have it, in the same snapshot.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import ClassVar

from sokhoe.fhir import decode, extract
from sokhoe.store import bodies, registering
from sokhoe.store.mending import CURRENT, Mending
from sokhoe.store.planning import TYPE_NAMES
from sokhoe.store.searching import Reader
from sokhoe.store.shapes import Difference
from sokhoe.store.sums import Sums

STEP = 50_000
PKS = 20_000

Row = tuple[int, int, int]  # hash, order, pk


class Straying(Mending):
    # tables in which a record's rows are found by its pk
    by_pk: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _run(self, text: str, args: tuple[object, ...] = ()) -> None: ...

    def _all_hashes(self) -> Iterator[tuple[Reader, list[Row]]]:
        """All rows that are ordered by hash, in steps, each with the snapshot it was read in."""
        yield from ()

    def strays(self, sums: Sums, *, mend: bool) -> list[Difference]:
        """After every record was looked at (`reindex` with these `sums`)."""
        found: dict[int, int] = {}
        for table in self.by_pk:
            for pk, count in self._of_nobody(table, sums.upto, mend=mend):
                found[pk] = found.get(pk, 0) + count
        for _, rows in self._all_hashes():
            sums.see(rows)
        wrong = frozenset(sums.wrong())
        if wrong:
            for pk, count in self._too_many(wrong, mend=mend):
                found[pk] = found.get(pk, 0) + count
        return [
            Difference(self._named(pk), 0, count, ("stray",)) for pk, count in sorted(found.items())
        ]

    def _of_nobody(self, table: str, upto: int, *, mend: bool) -> Iterator[tuple[int, int]]:
        for low in range(0, upto, PKS):
            with self._snapshot() as read:
                rows = read(
                    f"SELECT x.pk, count(*) FROM {table} x WHERE x.pk>? AND x.pk<=? AND NOT "
                    "EXISTS(SELECT 1 FROM res r WHERE r.seq=x.pk AND r.deleted=0 "
                    f"AND {CURRENT}) GROUP BY x.pk",
                    (low, min(upto, low + PKS)),
                )
            yield from rows
            if rows and mend:
                with self._tray.alone(), self._transaction(durable=True) as again:
                    still = self._still(again, [pk for pk, _ in rows])
                    for pk, _ in rows:
                        if pk not in still:
                            self._run(f"DELETE FROM {table} WHERE pk=?", (pk,))

    def _too_many(self, wrong: Collection[int], *, mend: bool) -> Iterator[tuple[int, int]]:
        for read, rows in self._all_hashes():
            stray = [row for row in rows if row[2] in wrong and not self._belongs(read, row)]
            for _, _, pk in stray:
                yield pk, 1
            if stray and mend:
                with self._tray.alone(), self._transaction(durable=True) as again:
                    for row in stray:
                        if not self._belongs(again, row):
                            self._run("DELETE FROM eq WHERE h=? AND d=? AND pk=?", row)

    def _belongs(self, read: Reader, row: Row) -> bool:
        """Whether the record is current and should have this row."""
        key, order, pk = row
        found = read(
            "SELECT r.type, r.id, r.version, r.at, r.dict, r.body FROM res r WHERE r.seq=? "
            f"AND r.deleted=0 AND {CURRENT}",
            (pk,),
        )
        if not found:
            return False
        code, id, version, at, dictionary, body = found[0]
        stored = self.packer.open(dictionary, bytes(body))
        resource = decode(bodies.whole(TYPE_NAMES[code], id, version, at, stored))
        rows = extract(resource, registering.known(read))
        return order == rows.order and key in rows.keys

    def _named(self, pk: int) -> str:
        with self._snapshot() as read:
            rows = read("SELECT type, id, version FROM res WHERE seq=?", (pk,))
        if not rows:
            return f"number {pk}"
        return f"{TYPE_NAMES[rows[0][0]]}/{rows[0][1]} version {rows[0][2]}"

"""What the tables of SQLite's index have of given records (`mending` compares it).

`eq` is ordered by hash, so what it has of one record cannot be listed; it is asked for each hash
that should be there, and for those that should not be any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sokhoe.store.mending import Actual, Expected
from sokhoe.store.searching import Reader, Rows

_ASKED = (
    "SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[2]') FROM json_each(?) j "
    "WHERE {}EXISTS(SELECT 1 FROM eq e WHERE e.h=json_extract(j.value, '$[0]') "
    "AND e.d=json_extract(j.value, '$[1]') AND e.pk=json_extract(j.value, '$[2]'))"
)
_MISSING, _THERE = _ASKED.format("NOT "), _ASKED.format("")


def actual(read: Reader, expected: Sequence[Expected]) -> dict[int, Actual]:
    found = {one.pk: Actual() for one in expected}
    triples = ((key, one.rows.order, one.pk) for one in expected for key in one.rows.keys)
    for key, pk in read(_MISSING, (_listed(triples),)):
        found[pk].missing.add(key)
    leaving = [(key, one.rows.order, one.pk) for one in expected for key in one.leaving]
    if leaving:
        for key, pk in read(_THERE, (_listed(leaving),)):
            found[pk].extra.add(key)

    def of(columns: str, table: str, by: str = "pk") -> Rows:
        pks = "[" + ",".join(map(str, found)) + "]"
        return read(
            f"SELECT {by}, {columns} FROM {table} WHERE {by} IN (SELECT value FROM json_each(?))",
            (pks,),
        )

    for pk, param, low, high in of("p, lo, hi", "dte"):
        found[pk].dates.add((param, low, high))
    for pk, param, text in of("p, v", "str"):
        found[pk].texts.add((param, text))
    for pk, param, value in of("p, v", "num"):
        found[pk].numbers.add((param, value))
    for pk, target, own in of("t, own", "link"):
        found[pk].links.add((target, own))
    for pk, order, span in of("d, span", "res", "seq"):
        found[pk].order = (order, span)
    return found


def _listed(triples: Iterable[tuple[int, int, int]]) -> str:
    return "[" + ",".join(f"[{h},{d},{pk}]" for h, d, pk in triples) + "]"

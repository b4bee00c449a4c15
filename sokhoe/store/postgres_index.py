"""What the tables of PostgreSQL's index have of given records (`mending` compares it)."""

from __future__ import annotations

from collections.abc import Sequence

from sokhoe.store.layout import type_codes
from sokhoe.store.mending import Actual, Expected
from sokhoe.store.searching import Reader, Rows


def actual(read: Reader, expected: Sequence[Expected]) -> dict[int, Actual]:
    pks = [one.pk for one in expected]
    found = {one.pk: Actual() for one in expected}

    def of(columns: str, table: str, by: str = "pk") -> Rows:
        return read(f"SELECT {by}, {columns} FROM {table} WHERE {by}=ANY(?::bigint[])", (pks,))

    codes = type_codes()
    there: dict[int, set[int]] = {}
    own = {pk: set(listed or ()) for pk, listed in of("own", "res", "seq")}
    for pk, order, span, type, keys, links in of("d, span, type, keys, links", "cur"):
        # the hash under which all of a type stand is a column of its own
        there[pk] = {*keys, *(key for key, code in codes.items() if code == type)}
        found[pk].order = (order, span)
        found[pk].links = {(key, int(key in own[pk])) for key in links or ()}
    for one in expected:
        has, wanted = there.get(one.pk, set()), set(one.standing.keys)
        found[one.pk].missing = wanted - has
        found[one.pk].extra = has - wanted
    for pk, param, low, high in of("p, lo, hi", "dte"):
        found[pk].dates.add((param, low, high))
    for pk, param, text in of("p, v", "str"):
        found[pk].texts.add((param, text))
    for pk, param, value in of("p, v", "num"):
        found[pk].numbers.add((param, value))
    return found

"""Which of a record's index rows stand where, for both databases.

The main date of nearly every record is one stretch of whole seconds, at most a day long. Its
beginning is known already from the order (`d`, seconds before 1970), so its length in seconds
beside it (`span`) says all, and a row of `dte` with its two indexes is saved.
"""

from __future__ import annotations

from functools import cache

from sokhoe.fhir import IndexRows, search
from sokhoe.store.planning import TYPE_CODES

SECOND = 1_000_000
DAY = 86_400

Dates = tuple[tuple[int, int, int], ...]


@cache
def type_codes() -> dict[int, int]:
    """The code of a type by the hash under which all its records stand."""
    return {search.type_keys(type).all: code for type, code in TYPE_CODES.items()}


@cache
def main_keys() -> dict[int, str]:
    """The type by the key of the date that may stand beside the order."""
    return {key: type for type in TYPE_CODES for key in search.type_keys(type).main[:1]}


def dated(rows: IndexRows) -> tuple[int | None, Dates]:
    """The length of the main date in seconds if it can stand beside the order, and the dates that
    must stand in a table."""
    known = main_keys()
    main = [one for one in rows.dates if one[0] & ~3 in known]
    if len(main) != 1:
        return None, rows.dates
    _, low, high = main[0]
    length, rest = divmod(high - low, SECOND)
    if rest or length > DAY or low != -rows.order * SECOND:
        return None, rows.dates
    return length, tuple(one for one in rows.dates if one is not main[0])

"""Scopes for a part of a type: `system/Observation.rs?category=laboratory` (SMART v2). Pure.

The query becomes conditions on the index entries of each record, which the store tests wherever
the record would be shown (`Scope.only`). What needs other records (chains, `_has`), a look into the
text or a code list, or says how to answer (`_sort`, `_include`), is no part of a right: a scope
with it is refused when it is asked for.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl

from sokhoe.errors import SokhoeError
from sokhoe.fhir import Query, parse_query, search

_PLAIN = (search.Keys, search.Dates, search.Texts, search.Numbers)


@lru_cache(maxsize=1_024)
def where(scope: str) -> tuple[search.Condition, ...] | None:
    """What records must meet for a scope with a `?query`; None when it cannot be granted."""
    name, _, query = scope.partition("?")
    type = name.partition("/")[2].rpartition(".")[0]
    pairs = parse_qsl(query, keep_blank_values=True)
    if not pairs or type == "*":
        return None
    try:
        asked = parse_query(type, pairs)
    except SokhoeError:
        return None
    plain = Query(type, asked.where, parse_query(type, []).sort, text=asked.text)
    if asked != plain or not asked.where or not all(map(_judges, asked.where)):
        return None
    return asked.where


def _judges(condition: search.Condition) -> bool:
    match condition:
        case search.AnyOf():
            return all(_judges(one) for way in condition.options for one in way)
        case search.Not():
            return all(map(_judges, condition.where))
    return isinstance(condition, _PLAIN)

"""What a scope says of a version at hand, without a database: as its SQL (`sqlgen.allowed`) says
of current records. For versions that the index no longer has, and for single reads. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sokhoe.fhir import IndexRows, extract, search
from sokhoe.store.shapes import Scope


def hides(scope: Scope, people: Iterable[str], resource: dict[str, Any]) -> bool:
    """Whether `only` or `closed` leave out a record of these patients."""
    type, own = str(resource["resourceType"]), frozenset(people)
    asked: list[search.Condition] = []
    for share in scope.closed:
        what = share.of(type)
        if what is False or share.patients.isdisjoint(own):
            continue
        if what is True:
            return True
        asked.append(what)
    needed = scope.narrowed(type)
    if not asked and not needed:
        return False
    rows = extract(resource)
    return any(meets(one, rows) for one in asked) or not all(meets(one, rows) for one in needed)


def meets(condition: search.Condition, rows: IndexRows) -> bool:
    """Whether a condition of the record's own index entries holds."""
    match condition:
        case search.AnyOf():
            return any(all(meets(one, rows) for one in way) for way in condition.options)
        case search.Not():
            return not all(meets(one, rows) for one in condition.where)
    return search.holds(condition, rows.keys, rows.dates, rows.texts, rows.numbers)

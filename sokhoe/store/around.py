"""What lies around a few records: whatever points at them by given references, at once.

`Patient/$everything` asks for sixty types. One search for each would be sixty questions; the index
of hashes answers them as one, since a hash already holds type, parameter and target:

    h IN (Observation.subject=Patient/1, Condition.subject=Patient/1, …)

Answers come in the order in which they were written (`seq`). What is changed while somebody turns
pages moves to the end and is seen there: nothing is missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sokhoe.clock import Instant
from sokhoe.fhir import search
from sokhoe.store.pieces import Sql, joined, sql
from sokhoe.store.searching import in_scope
from sokhoe.store.sqlgen import Asking


def keys(roots: Sequence[str], by: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """The hashes under which the index has the roots and all that points at them."""
    hashes = {root: search.key(root) for root in roots}
    found = {search.type_keys(root.partition("/")[0]).id ^ own for root, own in hashes.items()}
    for type, parameters in by.items():
        starts = [search.key(search.prefix(type, one)) for one in parameters]
        found.update(start ^ own for start in starts for own in hashes.values())
    return tuple(sorted(found))


def wanted(
    asking: Asking,
    roots: Sequence[str],
    by: Mapping[str, Sequence[str]],
    columns: str,
    *,
    since: Instant | None,
    after: int,
    count: int,
) -> Sql:
    """The versions (`columns` of `res r`) in the order of writing, as far as the scope allows."""
    found = asking.rows(search.Keys("", keys(roots, by)))
    tests = [
        sql("r.seq IN (SELECT a.pk FROM ({}) a WHERE a.pk>{})", found, after),
        in_scope(asking, asking.scope),
    ]
    if since is not None:
        tests.append(sql("r.at>={}", since))
    return sql(
        f"SELECT {columns} FROM res r WHERE {{}} ORDER BY r.seq LIMIT {{}}",
        joined(" AND ", tests),
        count,
    )

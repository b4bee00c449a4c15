"""The fast way to the commonest questions: one statement, no counting, no decoding, no waiting.

It answers what is known to be cheap, so that the event loop may ask without a thread:

    read by id, of one version      one seek
    search by equal values          `Patient?identifier=`, `Observation?patient=&code=&_sort=-date`:
                                    walk the index entries of one value, seek the others on each

and says None to all else: the plain way (`reading`, `searching`) then answers, and is what the
tests compare this with (tests/contracts/test_soon.py). Before: 46 us for a read, 400 us for a
search on SQLite; now 12 and 60.

The patients concerned, by whom the audit line is found, come with the row: a body names them in
words, the index in hashes, and who is in both is concerned. So no body is decoded for the audit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sokhoe.fhir import compartments, decode, search
from sokhoe.store import ordering
from sokhoe.store.blinding import Blind
from sokhoe.store.shapes import Page, Version

WALKED = 1_000  # so many index entries of the leading value are walked at most
LARGEST = 100  # answers on a page
_NAMED = re.compile(rb"Patient/([A-Za-z0-9\-.]{1,64})")
# Values with few records each, best first; where none of these is asked for, the first is tried.
_LEADS = ("_id", "identifier", "patient", "subject")


@dataclass(frozen=True, slots=True)
class Cheap:
    """A search that is answered by walking the entries of `lead` and testing for each of `rest`.
    `by_date`: newest clinical date first, else what was written last first. `led`: the lead is a
    value that few records have."""

    lead: int
    rest: tuple[int, ...]
    by_date: bool
    limit: int
    led: bool


def cheap(query: search.Query, blind: Blind | None = None) -> Cheap | None:
    """The query in that shape, None if it has another."""
    sort = query.sort
    if query != search.Query(query.type, query.where, sort, count=query.count, text=query.text):
        return None  # includes, totals, cursors and whatever else a query may want
    if not sort.descending or sort.by not in ("main", "written") or query.count > LARGEST:
        return None
    keys: dict[str, int] = {}
    for one in query.where:
        if not isinstance(one, search.Keys) or one.param in keys or len(one.keys) != 1:
            return None
        if one.negated or (blind and one.personal == "some"):
            return None
        keys[one.param] = (blind.hashes(one.keys, one.personal) if blind else one.keys)[0]
    if not keys or query.count < 1:
        return None
    lead = next((name for name in _LEADS if name in keys), next(iter(keys)))
    rest = tuple(key for name, key in keys.items() if name != lead)
    return Cheap(keys[lead], rest, sort.by == "main", query.count + 1, lead in _LEADS)


@lru_cache(maxsize=64)
def statement(columns: str, rest: int, by_date: bool) -> str:
    """(d, pk, how far the log has come, columns…) of the next records; values: lead, rest…,
    limit."""
    tests = "".join(
        f" AND EXISTS(SELECT 1 FROM eq x{n} WHERE x{n}.h=? AND x{n}.d=a.d AND x{n}.pk=a.pk)"
        for n in range(rest)
    )
    order = "a.d, a.pk" if by_date else "a.pk DESC"
    return (
        f"SELECT s.d, s.pk, (SELECT seq FROM head WHERE kind='version'), {columns} "
        f"FROM (SELECT a.d AS d, a.pk AS pk FROM eq a WHERE a.h=?"
        f"{tests} ORDER BY {order} LIMIT ?) s CROSS JOIN res r WHERE r.seq=s.pk"
    )


def page(asked: Cheap, query: search.Query, found: list[tuple[int, int, int, Version]]) -> Page:
    """(d, pk, head, version) of up to one more than the page holds, as the page."""
    found.sort(key=(lambda one: one[:2]) if asked.by_date else (lambda one: -one[1]))
    shown = tuple(one[3] for one in found[: query.count])
    if len(found) <= query.count:
        return Page(shown)
    d, pk, head, _ = found[query.count - 1]
    last = ordering.Found(0, d if asked.by_date else pk, pk)
    return Page(shown, next=ordering.written(query, ordering.Place(last, head)))


def people(type: str, id: str, body: bytes, own: Iterable[int]) -> frozenset[str]:
    """The patients concerned: whom the body names and whose hash the index has as `own`."""
    left = set(own)
    found = []
    if type == "Patient":
        ref = f"Patient/{id}"
        if (key := search.key(ref)) in left:
            left.discard(key)
            found.append(ref)
    if left:
        for match in _NAMED.finditer(body):
            ref = match[0].decode()
            if (key := search.key(ref)) in left:
                left.discard(key)
                found.append(ref)
                if not left:
                    break
        else:  # named in a way that we do not read here
            return compartments(decode(body))
    return frozenset(found)

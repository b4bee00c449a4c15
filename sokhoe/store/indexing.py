"""Index everything anew from the bodies: after an upgrade that reads search parameters otherwise,
or when the local zone of the house was changed.

Goes by record, oldest version first, since a deletion takes its patients from the version before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sokhoe.fhir import IndexRows, decode, extract, search
from sokhoe.store import bodies, planning
from sokhoe.store.bodies import Packer
from sokhoe.store.planning import TYPE_NAMES
from sokhoe.store.searching import Reader

STEP = 1000

Link = tuple[int, int, int]


def again(
    read: Reader, packer: Packer, parameters: search.SearchParameters
) -> Iterator[tuple[list[tuple[int, IndexRows]], list[Link]]]:
    """Batches of what is to be written: (pk, rows) of current versions, links of all."""
    indexed: list[tuple[int, IndexRows]] = []
    links: list[Link] = []
    for _, versions in groupby(_all(read), key=lambda row: (row[1], row[2])):
        rows: IndexRows | None = None
        last = None
        for row in versions:
            seq, deleted = row[0], row[4]
            if deleted:
                links += planning.own_links(seq, rows) if rows is not None else []
            else:
                rows = _rows(packer, row, parameters)
                links += planning.all_links(seq, rows)
            last = row
        if last is not None and not last[4] and rows is not None:
            indexed.append((last[0], rows))
        if len(indexed) >= STEP:
            yield indexed, links
            indexed, links = [], []
    yield indexed, links


def _all(read: Reader) -> Iterator[tuple[Any, ...]]:
    """seq, type, id, version, deleted, at, dict, body of all versions, by record."""
    place: tuple[Any, ...] = (-(2**63), 0)
    while True:
        rows = read(
            "SELECT seq, type, id, version, deleted, at, dict, body, self FROM res "
            "WHERE (self, version)>(?, ?) ORDER BY self, version LIMIT ?",
            (*place, STEP),
        )
        yield from rows
        if len(rows) < STEP:
            return
        place = (rows[-1][8], rows[-1][3])


def _rows(packer: Packer, row: tuple[Any, ...], parameters: search.SearchParameters) -> IndexRows:
    _, code, id, version, _, at, dictionary, body, _ = row
    stored = packer.open(dictionary, bytes(body))
    return extract(decode(bodies.whole(TYPE_NAMES[code], id, version, at, stored)), parameters)

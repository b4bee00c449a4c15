"""A plan as rows of tables; sorted, since sorted rows are written about three times faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.fhir import IndexRows, encode
from sokhoe.store import chain
from sokhoe.store.layout import dated
from sokhoe.store.planning import TYPE_CODES, Heads, NewVersion, Plan, entry_keys


def version_rows(versions: list[NewVersion]) -> list[tuple[Any, ...]]:
    return [
        (
            one.version.seq,
            TYPE_CODES[one.version.type],
            one.version.id,
            one.version.version,
            one.version.commit,
            one.version.at,
            int(one.version.deleted),
            one.self_key,
            one.rows.order if one.rows else 0,
            dated(one.rows)[0] if one.rows else None,
            one.content,
            one.packed.dictionary,
            one.packed.data,
        )
        for one in versions
    ]


Indexed = Sequence[tuple[int, IndexRows]]


def eq_rows(indexed: Indexed) -> list[tuple[int, int, int]]:
    return sorted([(key, rows.order, pk) for pk, rows in indexed for key in rows.keys])


def date_rows(indexed: Indexed) -> list[tuple[int, int, int, int, int]]:
    return sorted((*one, rows.order, pk) for pk, rows in indexed for one in dated(rows)[1])


def text_rows(indexed: Indexed) -> list[tuple[int, str, int, int]]:
    return sorted((*one, rows.order, pk) for pk, rows in indexed for one in rows.texts)


def number_rows(indexed: Indexed) -> list[tuple[int, float, int, int]]:
    return sorted((*one, rows.order, pk) for pk, rows in indexed for one in rows.numbers)


def head_rows(heads: Heads) -> list[tuple[int, bytes, Instant, str]]:
    """The new values of the rows of `head`: seq, hash, at, kind."""
    return [
        (heads.commit, heads.commit_hash, heads.at, "commit"),
        (heads.seq, heads.commit_hash, heads.at, "version"),
        (heads.audit, heads.audit_hash, clock.now(), "audit"),
        *([(heads.index, chain.START, heads.at, "index")] if heads.index else []),
    ]


def keep_rows(plan: Plan) -> tuple[list[tuple[str, str]], list[tuple[str, str, bytes]]]:
    """The drawers to empty, and those to fill."""
    gone = list(plan.drawers)
    full = [(*drawer, encode(value)) for drawer, value in plan.drawers.items() if value is not None]
    return gone, full


def audit_rows(plan: Plan) -> list[tuple[int, Instant, bytes, bytes]]:
    return [(seq, entry.at, sealed, body) for seq, entry, body, sealed in plan.audit]


def audit_keys(plan: Plan) -> list[tuple[int, int]]:
    """Under whom each audit line is found."""
    return sorted((key, one[0]) for one in plan.audit for key in entry_keys(one[1]))

"""Records in bulk: what may be taken out, and the trail that each step leaves. Pure.

A sweep passes the same permits as a read and a search, again at every step: a client whose right
was taken away gets no further. Each step leaves its lines in the audit before what it took is
handed over: who, which job, how many records of which types, and every patient whose record was
among them. So a citizen finds in his access log that his record was exported, and by whom; whose
else was, he is not shown. A line names at most `NAMED_IN_LINE` patients; a step has as many lines
as it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sokhoe.errors import Forbidden, Unsupported
from sokhoe.fhir import TYPES
from sokhoe.store import Scope, Share, Sweep, Swept
from sokhoe.trust.permits import AUDIT, Deed

NAMED_IN_LINE = 1_000
# What a filter of an export cannot carry: it says which records, not how they are shown.
NO_FILTER = frozenset(
    "_include _revinclude _sort _count _summary _elements _total _cursor _contained "
    "_containedType _format _pretty _graph _score".split()
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an actor may take out: these `types`, and of them what lies in the compartments of
    these `patients` (None: of everybody), but of the `open` types all, less what is `closed`."""

    types: frozenset[str]
    patients: frozenset[str] | None = None
    open: frozenset[str] = frozenset()
    closed: tuple[Share, ...] = ()


def bounds(scopes: Mapping[str, Scope]) -> Bounds:
    """From what the permits say of each type. Forbidden when they name no type at all."""
    if not scopes:
        raise Forbidden(
            "Nothing that was asked for may be exported.",
            hint="Ask the province for scopes such as system/Patient.rs.",
            slug="scope-missing",
        )
    some = next(iter(scopes.values()))
    if some.related or some.only:
        raise Forbidden(
            "Records are taken out in bulk by software with whole types, not within these bounds.",
            hint="Search for the records, or ask for a scope without a query.",
            slug="export-narrow",
        )
    bound = [one.patients for one in scopes.values() if one.patients is not None]
    free = {type for type, one in scopes.items() if one.patients is None or type in one.open}
    patients = frozenset.intersection(*bound) if bound else None
    open = frozenset(free) if bound else frozenset[str]()
    return Bounds(frozenset(scopes), patients, open, some.closed)


def permitted(
    asked: Sequence[str] | None, allow: Callable[[Deed, str], Scope], ask: Callable[[str], Scope]
) -> dict[str, Scope]:
    """The scope of each type. A type asked for by name must be allowed (`ask` raises Forbidden and
    notes it); when none is named, all that are."""
    if asked is not None:
        return {type: ask(type) for type in asked}
    found = {}
    for type in sorted(TYPES - AUDIT):
        try:
            allow(Deed.READ, type)
            found[type] = allow(Deed.SEARCH, type)
        except Forbidden:
            continue
    return found


def within(wanted: Sweep, may: Bounds) -> Sweep:
    """A sweep that takes no more than the bounds allow."""
    if not wanted.types <= may.types:
        refused = ", ".join(sorted(wanted.types - may.types))
        raise Forbidden(f"This client may no longer export {refused}.", slug="scope-missing")
    wanted = replace(wanted, closed=may.closed)
    if may.patients is None:
        return wanted
    patients = may.patients if wanted.patients is None else wanted.patients & may.patients
    return replace(wanted, patients=patients, open=wanted.open & may.open)


def lines(swept: Swept) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(types, patients) of each audit line for one step; none when nothing was taken."""
    if not swept.taken:
        return
    types = tuple(sorted({type for type, _, _ in swept.taken}))
    people = sorted(swept.people)
    for at in range(0, max(1, len(people)), NAMED_IN_LINE):
        yield types, tuple(people[at : at + NAMED_IN_LINE])


def check_filter(pairs: Sequence[tuple[str, str]]) -> None:
    for name, _ in pairs:
        if name.partition(":")[0] in NO_FILTER:
            raise Unsupported(
                f"{name} says how an answer is shown; a filter only says which records are meant.",
                slug="type-filter",
                location="_typeFilter",
            )

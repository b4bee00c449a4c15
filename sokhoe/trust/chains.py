"""What a search looks into besides its own type: chains, `_has`, `_list`. Pure.

Who may search Observation but not Patient would learn names by `Observation?patient.name=Lan`, one
guess after another. So such a search is refused as a search for Patient is: by what the asker may
do, whatever records there are. Where a reference may point at several types, those that he may
search are looked into and the others match nothing (the store sees to that, as to `_include`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sokhoe.errors import Forbidden
from sokhoe.fhir import Query, search


def check(query: Query, types: frozenset[str] | None) -> None:
    """Forbidden when a step leads only to types outside `types` (None: all may be searched)."""
    if types is not None:
        _check(query.where, types)


def _check(where: Iterable[search.Condition], types: frozenset[str]) -> None:
    for one in where:
        match one:
            case search.Linked():
                _reach(one.param, [type for type, _ in one.branches], types)
                for type, inner in one.branches:
                    if type in types:
                        _check(inner, types)
            case search.Pointed():
                _reach(one.param, [one.type], types)
                _check(one.where, types)
            case search.AnyOf():
                for option in one.options:
                    _check(option, types)
            case search.Not():
                _check(one.where, types)


def _reach(param: str, wanted: list[str], types: frozenset[str]) -> None:
    if wanted and types.isdisjoint(wanted):
        named = ", ".join(wanted)
        raise Forbidden(
            f"{param} looks into {named}, which you may not search.",
            hint=f"Ask for the right to search {named}, or search without {param}.",
            slug="chain-refused",
            location=param,
        )

"""Composite parameters: several values that must stand in the same element.

Where the element is the resource itself (`Observation.code-value-quantity`) that is no more than
both conditions at once, and costs no index. Where it repeats (`component`) the values of each
element are indexed together:

    token $ token, reference   hash("Observation|combo-code-value-concept|" first $ second)
    token $ quantity           numbers under hash("Observation|combo-code-value-quantity|" first $)

with each token once with and once without its system. Three components in one repeating element
(MolecularSequence only) are asked for each by itself, and then looked up in the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sokhoe.fhir.search import leaves
from sokhoe.fhir.search.definitions import SearchParameter, search_parameters
from sokhoe.fhir.search.following import values_at
from sokhoe.fhir.search.hashing import cached, key, prefix


@dataclass(frozen=True, slots=True)
class Component:
    """One component below an element: the parameter that defines it, and its paths from there
    (from the resource, if `whole`)."""

    param: SearchParameter
    paths: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Base:
    """An element below which the components belong together; `path` is "" for the resource."""

    path: str
    components: tuple[Component, ...]

    @property
    def repeats(self) -> bool:
        return "*" in self.path


@lru_cache(maxsize=1024)
def bases(type: str, code: str) -> tuple[Base, ...]:
    known = search_parameters(type)
    param = known[code]
    starts = [path.partition(":")[0] for path in param.paths]
    return tuple(
        Base(start, tuple(_component(known[one], start, starts) for one in param.components))
        for start in starts
    )


def _component(param: SearchParameter, start: str, starts: list[str]) -> Component:
    others = tuple(f"{one}." for one in starts if one and one != start)
    if not start:
        mine = tuple(path for path in param.paths if not (others and path.startswith(others)))
        return Component(param, mine, True)
    below = tuple(
        path.removeprefix(f"{start}.") for path in param.paths if path.startswith(f"{start}.")
    )
    return Component(param, below or param.paths, not below)


def composite(rows: leaves.Rows, params: tuple[tuple[str, str, str], ...], value: Any) -> None:
    """Index one element. `params`: (resource type, code, path of the element)."""
    for type, code, path in params:
        base = next(one for one in bases(type, code) if one.path == path)
        first, second = base.components
        for end, one in _found(value, first):
            for text in written(end, one):
                _second(rows, f"{type}|{code}|{text}$", second, value)


def _second(rows: leaves.Rows, start: str, component: Component, element: Any) -> None:
    for end, one in _found(element, component):
        if component.param.type == "quantity":
            getattr(leaves, leaves.QUANTITIES.get(end, "quantity"))(
                rows, ((start, key(start)),), one
            )
        else:
            rows.keys.update(cached(start + text) for text in written(end, one))


def _found(element: Any, component: Component) -> list[tuple[str, Any]]:
    """(datatype, value) of a component in an element."""
    return [
        (path.partition(":")[2].partition("(")[0], value)
        for path in component.paths
        for value in values_at(element, path.partition(":")[0].split("."))
    ]


def written(end: str, value: Any) -> list[str]:
    """A token or reference as it may be asked for: the code alone, and with its system."""
    match end:
        case "CodeableConcept":
            return [text for one in value.get("coding", ()) for text in written("Coding", one)]
        case "Coding":
            code = value.get("code")
            return [code, f"{value.get('system', '')}|{code}"] if code else []
        case "Identifier" | "ContactPoint":
            code = value.get("value")
            return [code, f"{value.get('system', '')}|{code}"] if code else []
        case "boolean":
            return ["true" if value else "false"]
        case "Reference":
            found = leaves.target(value.get("reference", ""))
            return [found.ref] if found else []
    return [str(value)]


def component_rows(component: Component, element: Any, resource: dict[str, Any]) -> leaves.Rows:
    """The index rows of one component in one element, as its own parameter would have them."""
    rows = leaves.Rows()
    type, param = resource["resourceType"], component.param
    start = prefix(type, param.code)
    for end, value in _found(element, component):
        if param.type == "number":
            leaves.number(rows, ((start, key(start)),), value)
        else:
            rows.keys.update(cached(start + text) for text in written(end, value))
    return rows

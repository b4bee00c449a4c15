"""The values of a parameter in a resource, and the references that `_include` follows.

A path is either one of the distilled table, `subject:Reference`, or a FHIRPath expression behind an
equals sign, `=Patient.extension('urn:x').value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from sokhoe.errors import SokhoeError
from sokhoe.fhir.search.definitions import SearchParameter
from sokhoe.fhir.search.leaves import target
from sokhoe.fhir.search.units import UCUM

MOST_STEPS = 20_000  # of one expression on one resource

Found = tuple[str, Any]  # datatype (with the only target: `Reference(Patient)`), value


def references(resource: dict[str, Any], param: SearchParameter) -> set[str]:
    """The local references (`Patient/7`) that a reference parameter finds in a resource."""
    found: set[str] = set()
    for path in param.paths:
        for end, value in found_at(resource, path):
            only = end.partition("(")[2].rstrip(")")
            text = _reference(value, end)
            one = target(text) if isinstance(text, str) else None
            if one is not None and one.local and (not only or one.type == only):
                found.add(one.ref)
    return found


def _reference(value: Any, end: str) -> str | None:
    if not isinstance(value, dict):
        return value if isinstance(value, str) else None
    if end.startswith("resource"):  # Bundle.composition: the resource itself
        return f"{value.get('resourceType')}/{value.get('id')}"
    return value.get("reference")


def found_at(resource: dict[str, Any], path: str) -> Iterator[Found]:
    """What stands at a path."""
    if path.startswith("="):
        yield from expressed(resource, path[1:])
        return
    steps, _, end = path.partition(":")
    for value in values_at(resource, steps.split(".")):
        yield end, value


def values_at(value: Any, steps: list[str]) -> Iterator[Any]:
    """All values at a JSON path (`name*.given*`, `telecom*[system=phone]`, `entry*[0]`)."""
    if not steps:
        yield value
        return
    if steps == [""]:  # the resource itself
        yield value
        return
    name, _, filter_ = steps[0].partition("[")
    inner = value.get(name.rstrip("*")) if isinstance(value, dict) else None
    listed = inner if isinstance(inner, list) else [inner]
    if filter_ == "0]":
        listed, filter_ = listed[:1], ""
    for one in listed:
        if one is None:
            continue
        if filter_:
            element, _, wanted = filter_.rstrip("]").partition("=")
            if one.get(element) != wanted:
                continue
        yield from values_at(one, steps[1:])


# --- FHIRPath -------------------------------------------------------------------------------------


def expressed(
    context: Any, expression: str, resource: dict[str, Any] | None = None
) -> Iterator[Found]:
    """What an expression gives, nothing where it fails. `context`: a resource, or a node of
    `resource`."""
    from sokhoe.fhir import path

    whole = None if resource is None else path.root(resource)
    try:
        items = path.expression(expression).nodes(context, _world(), resource=whole)
    except SokhoeError:
        return
    for item in items:
        if isinstance(item, path.Node):
            if item.value is not None:
                yield item.kind, item.value
            continue
        match item:
            case bool():
                yield "boolean", item
            case int() | Decimal():
                yield "decimal", item
            case path.Quantity() if item.ucum is not None:
                yield "Quantity", {"value": item.value, "system": UCUM, "code": item.ucum}
            case path.Moment() if item.kind != "Time":
                yield "dateTime", str(item)
            case str():
                yield "string", item


@cache
def _world() -> Any:
    """Of another record only its type is known, which the reference names (`resolve() is X`)."""
    from sokhoe.fhir import path

    def resolve(reference: str) -> dict[str, Any] | None:
        found = target(reference)
        return {"resourceType": found.type} if found is not None and found.type else None

    return path.World(resolve=resolve, steps=MOST_STEPS)

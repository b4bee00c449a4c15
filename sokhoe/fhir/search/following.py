"""The references of a resource, as `_include` follows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sokhoe.fhir.search.definitions import search_parameters
from sokhoe.fhir.search.leaves import target


def references(resource: dict[str, Any], code: str) -> set[str]:
    """The local references (`Patient/7`) that a reference parameter finds in a resource."""
    found: set[str] = set()
    for path in search_parameters(resource["resourceType"])[code].paths:
        steps, _, end = path.partition(":")
        only = end.partition("(")[2].rstrip(")")
        for value in values_at(resource, steps.split(".")):
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

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
        for value in _values(resource, steps.split(".")):
            text = value.get("reference") if isinstance(value, dict) else None
            one = target(text) if isinstance(text, str) else None
            if one is not None and one.local and (not only or one.type == only):
                found.add(one.ref)
    return found


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    name, _, filter_ = steps[0].partition("[")
    inner = value.get(name.rstrip("*")) if isinstance(value, dict) else None
    for one in inner if isinstance(inner, list) else [inner]:
        if one is None:
            continue
        if filter_:
            element, _, wanted = filter_.rstrip("]").partition("=")
            if one.get(element) != wanted:
                continue
        yield from _values(one, steps[1:])

"""When something was done, as against when it was written down; and all it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sokhoe.fhir.search.dates import Stretch
from sokhoe.fhir.search.extraction import gather, type_keys
from sokhoe.fhir.search.leaves import target


def care_dates(resource: dict[str, Any]) -> Stretch | None:
    """[from, to) of the clinical date by which the type is sorted, in microseconds; None where the
    type has none or the resource does not say (an allergy without a date counts for all times)."""
    dates = gather(resource).dates
    for param in type_keys(resource["resourceType"]).main:
        found = [(low, high) for p, low, high in dates if p & ~3 == param]
        if found:
            return min(low for low, _ in found), max(high for _, high in found)
    return None


def all_references(resource: Any) -> set[str]:
    """Every local reference in a resource, wherever it stands, as `Type/id`."""
    return set(_references(resource))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        text = value.get("reference")
        one = target(text) if isinstance(text, str) else None
        if one is not None and one.local:
            yield one.ref
        for inner in value.values():
            if isinstance(inner, dict | list):
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)

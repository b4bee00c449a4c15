"""A resource with some of its elements only, marked as such, and still valid.

Rule: hl7.org/fhir/R4/search.html#elements: what R4 makes mandatory stays, and so do `id` and
`meta`, where the tag SUBSETTED warns that this is not the whole.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import Any

from sokhoe.fhir.definitions import structure

TAG = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ALWAYS = frozenset({"resourceType", "id", "meta"})


@cache
def mandatory(type: str) -> frozenset[str]:
    """The elements at the top of a type without which it is not valid, choices included."""
    return _ALWAYS | {name for name, one in structure(type).elements.items() if one.min}


@cache
def top_elements(type: str) -> frozenset[str]:
    """All names at the top of a type; a choice also by its stem (`value`)."""
    known = structure(type)
    return _ALWAYS | frozenset(known.elements) | frozenset(known.choices)


def subset(resource: dict[str, Any], names: Set[str]) -> dict[str, Any]:
    """The resource with these elements at the top (a choice by its stem or its full name)."""
    type = resource["resourceType"]
    choices = structure(type).choices
    wanted = names | mandatory(type)
    wanted = wanted | {full for stem in choices if stem in names for full in choices[stem]}
    out = {name: one for name, one in resource.items() if name.removeprefix("_") in wanted}
    meta = resource.get("meta", {})
    out["meta"] = {**meta, "tag": [*meta.get("tag", []), TAG]}
    return out

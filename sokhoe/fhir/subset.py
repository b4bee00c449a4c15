"""A resource with some of its elements only, marked as such, and still valid.

Rules: hl7.org/fhir/R4/search.html#elements and #summary: what R4 makes mandatory stays, and so do
`id` and `meta`, where the tag SUBSETTED warns that this is not the whole.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import Any

from sokhoe.fhir.definitions import structure, summary

TAG = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
# What changes the meaning of all else is never left out of a summary.
_MODIFIERS = frozenset({"implicitRules", "modifierExtension"})


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
    return tagged({name: one for name, one in resource.items() if name.removeprefix("_") in wanted})


def summarised(resource: dict[str, Any], how: str) -> dict[str, Any]:
    """The resource as `_summary` wants it: `true` (what R4 counts as summary, parts of parts too),
    `text` (the narrative and what must be), `data` (all but the narrative)."""
    if how == "text":
        return subset(resource, frozenset({"text"}))
    if how == "data":
        return tagged({name: one for name, one in resource.items() if name != "text"})
    return tagged(_brief(resource, resource["resourceType"]))


def tagged(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource of which something was left out, saying so."""
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "tag": [*meta.get("tag", []), TAG]}}


def _brief(part: dict[str, Any], name: str) -> dict[str, Any]:
    known, kept = structure(name), _kept(name)
    out: dict[str, Any] = {}
    for key, value in part.items():
        if key.removeprefix("_") not in kept:
            continue
        element = known.elements.get(key)
        inner = element.type if element is not None else ""
        if "." not in inner:
            out[key] = value
        elif isinstance(value, list):
            out[key] = [_brief(one, inner) for one in value]
        else:
            out[key] = _brief(value, inner)
    return out


@cache
def _kept(name: str) -> frozenset[str]:
    """The elements of a structure that a summary shows, choices by all their names."""
    known, brief = structure(name), summary(name)
    must = {one.name for one in known.elements.values() if one.min}
    choices = {full for stem in known.choices if stem in brief for full in known.choices[stem]}
    return _ALWAYS | _MODIFIERS | brief | must | choices

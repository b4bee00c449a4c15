"""What a record is sorted by where no index has it in words, and how far two places are apart."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Any

from sokhoe.fhir.search.composites import written
from sokhoe.fhir.search.custom import ENDS
from sokhoe.fhir.search.definitions import SearchParameter
from sokhoe.fhir.search.following import found_at, values_at
from sokhoe.fhir.search.leaves import target

EARTH = 6_371_008.8  # metres, its mean radius


def sort_words(param: SearchParameter, resource: dict[str, Any]) -> list[Any]:
    """The values of a parameter to sort by: a token's code, `Type/id`, a uri, a number."""
    found: list[Any] = []
    if param.paths and all(path.endswith(":exists") for path in param.paths):  # deceased
        there = [one for path in param.paths for one in values_at(resource, [path[:-7]])]
        return ["true" if any(one is not False for one in there) else "false"]
    for path in param.paths:
        for end, value in found_at(resource, path):
            only = end.partition("(")[2].rstrip(")")
            if param.custom is not None and end not in ENDS[param.type]:
                continue
            if param.type == "quantity":
                found += [float(one) for one in (value.get("value"),) if one is not None]
                continue
            words = written(end.partition("(")[0], value)
            # a code stands there with and without its system, the code first
            codes = words[::2] if end in _WITH_SYSTEM else words
            found += [one for one in codes if not only or _names(one, only)]
    return found


def _names(ref: str, type: str) -> bool:
    """Whether a reference, also one to another server, is to a record of this type."""
    there = target(ref)
    return there is not None and there.type == type


_WITH_SYSTEM = {"CodeableConcept", "Coding", "Identifier", "ContactPoint"}


def metres_between(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Along the surface (haversine), of two places as latitude and longitude in degrees."""
    north = radians(b[0] - a[0]) / 2
    east = radians(b[1] - a[1]) / 2
    part = sin(north) ** 2 + cos(radians(a[0])) * cos(radians(b[0])) * sin(east) ** 2
    return 2 * EARTH * asin(sqrt(min(1.0, part)))

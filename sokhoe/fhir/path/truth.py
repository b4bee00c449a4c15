"""When a collection counts as true: FHIRPath's singleton evaluation (N1, section 4.5)."""

from __future__ import annotations

from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.values import Items, system


def truth(items: Items) -> bool | None:
    """True, False, or None for an empty collection; one item that is no boolean is true."""
    if not items:
        return None
    if len(items) > 1:
        raise wrong(f"a yes or no is needed, found {len(items)} values")
    value = items[0]
    if value is True or value is False:
        return value
    value = system(value)
    return value if value is True or value is False else True

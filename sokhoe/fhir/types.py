"""Is this resource R4? One question: a fast yes, or a plain no that names every place.

`quick` looks first and is right whenever it says yes; all else goes to `plain`, which states the
meaning and is the reference in the tests.
"""

from __future__ import annotations

from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import plain, quick
from sokhoe.fhir.definitions import TYPES

__all__ = ["TYPES", "validate", "validate_all"]

MOST_ISSUES = 100  # a thousand wrong lines have one cause; more would only fill the answer


def validate(resource: dict[str, Any]) -> None:
    """Return if the resource is valid R4, else raise `Invalid` (422) naming the places.

    `resource` is as `decode` gives it: decimals are `Decimal` or `int`, never `float`.
    The first 100 problems are in `issues`, each with its FHIRPath (`Patient.name[0].family`).
    Checked: names, types, cardinalities, required value sets, target types of references, choices,
    calendar days. Not checked: invariants, profiles, whether a referred resource exists.
    """
    if quick.is_valid(resource):
        return
    issues = plain.issues_of(resource, MOST_ISSUES)
    if not issues:
        return
    first = issues[0]
    more = len(issues) - 1
    message = f"{first.location}: {first.message}" if first.location else first.message
    if more:
        least = "at least " if len(issues) == MOST_ISSUES else ""
        message += f" ({least}{more} more {'problem' if more == 1 else 'problems'})"
    raise Invalid(
        message,
        hint="Correct the places named and send it again.",
        slug="not-r4",
        status=422,
        code=first.code,
        issues=tuple(issues),
    )


def validate_all(resource: Any) -> list[Issue]:
    """Every problem of a resource in document order; an empty list if it is valid R4."""
    return [] if quick.is_valid(resource) else plain.issues_of(resource)

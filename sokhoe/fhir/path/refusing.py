"""How a FHIRPath expression is refused: one sentence that quotes it and points at the place."""

from __future__ import annotations

from sokhoe.errors import Invalid

SLUG = "fhirpath"


def wrong(
    reason: str, expression: str = "", position: int = -1, *, code: str = "invalid"
) -> Invalid:
    """The error to raise; `code` is `too-costly` where a bound was reached."""
    shown = ""
    if expression:
        start = max(0, position - 40)
        shown = f" near `{expression[start : start + 80]}`"
        if position >= 0:
            shown += f" (character {position + 1})"
    return Invalid(
        f"The FHIRPath expression cannot be used: {reason}{shown}.",
        hint="The language is described at hl7.org/fhirpath/N1.",
        slug=SLUG if code == "invalid" else code,
        code=code,
    )


def too_costly(reason: str) -> Invalid:
    return wrong(reason, code="too-costly")

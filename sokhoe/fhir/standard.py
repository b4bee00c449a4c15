"""Profiles and extensions that are part of R4 itself: vital signs, birth place, and the like.

Kept as their differentials only, made by `scripts/distil_definitions.py`, read when first needed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from sokhoe.fhir import definitions
from sokhoe.fhir.json import decode


@cache
def _packed() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(
        definitions.unpacked("profiles.json.zst"), type=dict[str, msgspec.Raw]
    )


def definition_of(url: str) -> dict[str, Any] | None:
    """The StructureDefinition of that canonical (with or without version), None if R4 has none."""
    raw = _packed().get(url.partition("|")[0])
    if raw is None:
        return None
    found: dict[str, Any] = decode(bytes(raw))
    return found

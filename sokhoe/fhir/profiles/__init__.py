"""Profiles: StructureDefinitions that narrow a type, and what does not fit them."""

from __future__ import annotations

from sokhoe.fhir.profiles.examining import Examiner
from sokhoe.fhir.profiles.rules import BASE, Load, Profile, compiled, is_base

__all__ = ["BASE", "Examiner", "Load", "Profile", "compiled", "is_base"]

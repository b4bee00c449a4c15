"""Which types lie in a compartment, and by which of their search parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from sokhoe.fhir.definitions import compartments
from sokhoe.fhir.search.definitions import patient_codes, searchable_types

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


@cache
def compartment_members(compartment: str) -> Mapping[str, tuple[str, ...]]:
    """type → codes of parameters, one of which must point at the compartment's resource; empty for
    what is no compartment. A patient lies in his own, as everybody expects and `{def}` says of the
    others (hl7.org/fhir/R4/compartmentdefinition.html)."""
    if compartment != "Patient":
        return compartments.members(compartment)
    found = {type: patient_codes(type) for type in searchable_types() if type != "AuditEvent"}
    found = {type: codes for type, codes in found.items() if codes}
    return MappingProxyType({**found, "Patient": ("_id", "link")})

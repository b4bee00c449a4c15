"""What of a record may lie in the warehouse: an allow-list of elements, and no free text at all.

A record's version becomes one line of JSON. Kept are codes, dates, quantities, flags and
references; references carry pseudonyms. Everything else is left out by not being named here:
names, identifiers, telecom, addresses, narratives, notes, display texts, extensions, contained
records. Of a Patient only birth year, sex, commune, life and house are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sokhoe.fhir import encode
from sokhoe.trust import Version
from sokhoe.warehouse.pseudonyms import Pseudonyms

AreaOf = Callable[[dict[str, Any]], str | None]

FACTS = frozenset(
    """
    AllergyIntolerance Condition DiagnosticReport Encounter EpisodeOfCare Immunization
    MedicationDispense MedicationRequest Observation Procedure ServiceRequest
    """.split()
)
KEPT_TYPES = FACTS | {"Patient", "Person"}
KEPT_ELEMENTS = frozenset(
    """
    abatementDateTime actor admitSource authoredOn basedOn bodySite category class clinicalStatus
    code coding comparator component condition criticality dataAbsentReason diagnosis
    dischargeDisposition dispenseRequest doseAndRate doseNumberPositiveInt doseQuantity
    dosageInstruction effectiveDateTime effectivePeriod encounter end expectedSupplyDuration
    frequency high hospitalization intent interpretation issued length low manifestation
    medicationCodeableConcept numberOfRepeatsAllowed occurrenceDateTime onsetDateTime partOf patient
    performedDateTime performedPeriod performer period periodUnit primarySource priority
    protocolApplied quantity rank reaction reasonCode reasonReference recordedDate reference
    referenceRange repeat result seriesDosesPositiveInt serviceProvider serviceType severity start
    status statusReason subject substance system targetDisease timing type use vaccineCode value
    valueBoolean valueCodeableConcept valueDateTime valueInteger valueQuantity verificationStatus
    whenHandedOver
    """.split()
)
_date = re.compile(r"\d{4}(-\d\d(-\d\d(T[\d:.]{8,20}(Z|[+-]\d\d:\d\d))?)?)?").fullmatch
# A code has no blank and only plain letters: a name seldom looks like that, a sentence never.
_code = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/|+%^*\[\]{}()-]{0,119}|[<>]=?").fullmatch
# Phone and card numbers look like this; codes of a named system (SNOMED CT) may as well.
_long_number = re.compile(r"\d{9}").search


def line(version: Version, pseudonyms: Pseudonyms, area_of: AreaOf) -> bytes | None:
    """The version as a line without names, or None when its type is not kept.

    `seq` as in the store, `arrived` its `at` (microseconds), `id` a pseudonym, `area` for patients.
    """
    if version.type not in KEPT_TYPES:
        return None
    row: dict[str, Any] = {
        "seq": version.seq,
        "arrived": version.at,
        "type": version.type,
        "id": pseudonyms.of(version.ref),
        "deleted": version.deleted,
    }
    if not version.deleted:
        resource = version.resource
        if version.type == "Patient":
            row["area"] = area_of(resource)
            row["resource"] = _patient(resource, pseudonyms)
        elif version.type == "Person":
            row["resource"] = _person(resource, pseudonyms)
        else:
            row["resource"] = _kept(resource, pseudonyms)
    return encode(row) + b"\n"


def _patient(resource: dict[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
    year = str(resource.get("birthDate", ""))[:4]
    house = resource.get("managingOrganization", {}).get("reference")
    return {
        "gender": resource.get("gender"),
        "birthYear": int(year) if year.isdigit() else None,
        "active": resource.get("active", True),
        "deceased": bool(resource.get("deceasedBoolean", "deceasedDateTime" in resource)),
        "managingOrganization": pseudonyms.reference(house) if house else None,
    }


def _person(resource: dict[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Which patients are this person: the key map that a merge or a parting rewrites."""
    targets = [one.get("target", {}).get("reference", "") for one in resource.get("link", [])]
    named = [pseudonyms.reference(target) for target in targets if "Patient/" in target]
    return {
        "active": resource.get("active", True),
        "patients": [one.partition("/")[2] for one in named if one],
    }


def _kept(value: dict[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if name not in KEPT_ELEMENTS:
            continue
        if isinstance(inner, str):
            if name == "reference":
                inner = pseudonyms.reference(inner)
            elif not _harmless(inner, "system" in value):
                continue
        else:
            inner = _value(inner, pseudonyms)
        if inner is not None:
            kept[name] = inner
    return kept


def _value(value: Any, pseudonyms: Pseudonyms) -> Any:
    """What is kept of an element; None when nothing is left of it. A string that repeats is never
    kept: no code or date does, names and lines do."""
    if isinstance(value, dict):
        return _kept(value, pseudonyms) or None
    if isinstance(value, list):
        inner = [_value(one, pseudonyms) for one in value]
        return [one for one in inner if one is not None] or None
    return value if isinstance(value, bool | int | Decimal) else None


def _harmless(text: str, has_system: bool) -> bool:
    if _date(text):
        return True
    return bool(_code(text)) and (has_system or not _long_number(text))

"""Parts of FHIR resources, and those of people, places and cards, from plain values.

Everything in this pack writes them through here and `clinical.py`, so they look the same.

Ids are made from what the sender calls a thing (facility, MA_LK, table, row), so the same thing is
the same resource however often and by whichever road it comes. Times are local with +07:00.
Dates and codes are taken as they are: who calls has checked them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from sokhoe.vietnam import code_lists, systems

Resource = dict[str, Any]

_OURS = UUID("6f1c7c1e-5b5e-5f0a-9a53-0b6d8f2b7a11")
_CODE = re.compile(r"[A-Za-z0-9]{3,16}")
HL7 = "http://terminology.hl7.org/CodeSystem"
_CODED_TEXT = "http://hl7.org/fhir/StructureDefinition/iso21090-SC-coding"
_IDENTIFIER_TYPES = {"citizen_id": "NI", "patient_number": "MR", "passport": "PPN", "licence": "MD"}


def made_id(type: str, *parts: str) -> str:
    """The id of a resource, from what names it. The same parts give the same id for ever."""
    return str(uuid5(_OURS, "|".join((type, *parts))))


@lru_cache(maxsize=4096)
def _shared_id(type: str, *parts: str) -> str:
    return made_id(type, *parts)


def organization_id(facility: str) -> str:
    """The facility's own code where that can be an id: people read it in links and accounts."""
    return facility if _CODE.fullmatch(facility) else _shared_id("Organization", facility)


def location_id(facility: str) -> str:
    return _shared_id("Location", facility)


def practitioner_id(facility: str, code: str) -> str:
    return _shared_id("Practitioner", facility, code)


def patient_id(facility: str, number: str) -> str:
    """A facility's own record of a person; which of them are one person is the index's matter."""
    return _shared_id("Patient", facility, number)


def encounter_id(facility: str, visit: str) -> str:
    return _shared_id("Encounter", facility, visit)


def row_id(type: str, facility: str, visit: str, table: str, row: str) -> str:
    """The id of what one row of one table of an episode became."""
    return made_id(type, facility, visit, table, row)


def ref(type: str, id: str, display: str = "") -> Resource:
    found: Resource = {"reference": f"{type}/{id}"}
    if display:
        found["display"] = display
    return found


def moment(local: datetime) -> str:
    """A local time as FHIR dateTime."""
    return f"{local.isoformat(timespec='minutes')}:00+07:00"


def coding(system: str, code: str, display: str = "") -> Resource:
    found: Resource = {"system": system, "code": code}
    if display:
        found["display"] = display
    return found


def concept(system: str, code: str, display: str = "", text: str = "") -> Resource:
    """A CodeableConcept with one coding; `system` is a key of systems.toml."""
    found: Resource = {"coding": [coding(systems.uri(system), code, display)]}
    if text or display:
        found["text"] = text or display
    return found


def standard(system: str, code: str) -> Resource:
    """A concept of one of HL7's own small code systems."""
    return {"coding": [coding(f"{HL7}/{system}", code)]}


def listed(system: str, name: str, code: str) -> Resource:
    """A concept of one of our short lists, with its Vietnamese name."""
    return concept(system, code, code_lists.name_of(name, code))


def identifier(key: str, value: str, *, facility: str = "") -> Resource:
    """An identifier; a patient number gets its facility's own system: it is unique only there."""
    found: Resource = {}
    if key in _IDENTIFIER_TYPES:
        found["type"] = standard("v2-0203", _IDENTIFIER_TYPES[key])
    own = key == "patient_number"
    found["system"] = systems.patient_number(facility) if own else systems.uri(key)
    found["value"] = value
    return found


def quantity(value: Decimal | int, unit: str, ucum: str = "") -> Resource:
    found: Resource = {"value": value}
    if unit:
        found["unit"] = unit
    if ucum:
        found |= {"system": "http://unitsofmeasure.org", "code": ucum}
    return found


def money(value: Decimal) -> Resource:
    return {"value": value, "currency": "VND"}


def organization(code: str, name: str, *, level: str = "") -> Resource:
    found: Resource = {
        "resourceType": "Organization",
        "id": organization_id(code),
        "identifier": [identifier("facility", code)],
        "active": True,
        "type": [standard("organization-type", "prov")],
        "name": name,
    }
    if level:
        found["type"].append(concept("facility_level", level))
    return found


def location(
    code: str, name: str, *, lat: float | None = None, lon: float | None = None
) -> Resource:
    """The place of a facility, with its centre where known (Decimal keeps what is written)."""
    found: Resource = {
        "resourceType": "Location",
        "id": location_id(code),
        "identifier": [identifier("facility", code)],
        "status": "active",
        "name": name,
        "mode": "instance",
        "physicalType": standard("location-physical-type", "si"),
        "managingOrganization": ref("Organization", organization_id(code)),
    }
    if lat is not None and lon is not None:
        found["position"] = {"longitude": Decimal(f"{lon:.4f}"), "latitude": Decimal(f"{lat:.4f}")}
    return found


def insurer() -> Resource:
    """The social insurance agency as payor; one for the whole country."""
    return {
        "resourceType": "Organization",
        "id": organization_id("BHXH"),
        "active": True,
        "type": [standard("organization-type", "pay")],
        "name": "Bảo hiểm xã hội Việt Nam",
    }


def practitioner(facility: str, code: str, name: str = "") -> Resource:
    found: Resource = {
        "resourceType": "Practitioner",
        "id": practitioner_id(facility, code),
        "identifier": [identifier("licence", code)],
        "active": True,
    }
    if name:
        found["name"] = [human_name(name)]
    return found


def human_name(name: str) -> Resource:
    """A Vietnamese name: the first word is the family name, the rest are given names as written,
    so that family and given names read one after the other are the name; the last tells people
    apart."""
    words = name.split()
    found: Resource = {"text": name}
    if words:
        found["family"] = words[0]
    if len(words) > 1:
        found["given"] = words[1:]
    return found


def address(
    *, line: str, commune: str, commune_name: str, province: str, province_name: str, text: str
) -> Resource:
    """A home address; the codes of commune and province stand beside the words (a standard
    extension), since words alone are spelt in many ways. Empty parts are left out."""
    found: Resource = {"use": "home", "country": "VN"}
    if text:
        found["text"] = text
    if line:
        found["line"] = [line]
    for part, code, name, system in (
        ("city", commune, commune_name, "commune"),
        ("state", province, province_name, "province"),
    ):
        if name:
            found[part] = name
        if code:
            value = coding(systems.uri(system), code)
            found[f"_{part}"] = {"extension": [{"url": _CODED_TEXT, "valueCoding": value}]}
    return found


def patient(
    *,
    facility: str,
    number: str,
    name: str,
    gender: str,
    birth: str,
    identifiers: Sequence[Resource],
    phone: str = "",
    home: Resource | None = None,
    ethnic: str = "",
    occupation: str = "",
    twin: bool = False,
) -> Resource:
    """A person as one facility has written them down."""
    extensions = [
        {"url": systems.uri(f"{key}_extension"), "valueCodeableConcept": listed(key, name_of, code)}
        for key, name_of, code in (
            ("ethnic_group", "ethnic_groups", ethnic),
            ("occupation", "occupations", occupation),
        )
        if code
    ]
    found: Resource = {
        "resourceType": "Patient",
        "id": patient_id(facility, number),
        **({"extension": extensions} if extensions else {}),
        "identifier": [identifier("patient_number", number, facility=facility), *identifiers],
        "active": True,
        "name": [{"use": "official", **human_name(name)}],
        "gender": gender,
    }
    if phone:
        found["telecom"] = [{"system": "phone", "value": phone, "use": "mobile"}]
    if birth:
        found["birthDate"] = birth
    if home:
        found["address"] = [home]
    if twin:
        found["multipleBirthBoolean"] = True
    found["managingOrganization"] = ref("Organization", organization_id(facility))
    return found


def coverage(
    *, facility: str, number: str, card: str, start: str = "", end: str = "", benefit: str = ""
) -> Resource:
    """The insurance by which a patient of this facility is treated."""
    found: Resource = {
        "resourceType": "Coverage",
        "id": made_id("Coverage", facility, number, card),
        "identifier": [identifier("insurance_number", card)],
        "status": "active",
        "type": {**standard("v3-ActCode", "PUBLICPOL"), "text": "Bảo hiểm y tế"},
        "subscriberId": card,
        "beneficiary": ref("Patient", patient_id(facility, number)),
        "payor": [ref("Organization", organization_id("BHXH"), "Bảo hiểm xã hội Việt Nam")],
    }
    period = {key: value for key, value in (("start", start), ("end", end)) if value}
    if period:
        found["period"] = period
    if benefit:
        group = {**standard("coverage-class", "group")}
        found["class"] = [{"type": group, "value": benefit}]
    return found

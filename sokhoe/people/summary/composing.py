"""The document: Composition first, then the person, the entries, and what they refer to. Pure.

Every entry is named `urn:uuid:…`, made from its address here, so that two summaries of the same
records name the same things alike. All records speak of the one Patient of the document, who has
the identifiers, names and addresses that any facility knows. What a record refers to and the
document does not hold is named by its full address here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from sokhoe import __version__, clock
from sokhoe.fhir import TYPES
from sokhoe.people.summary.sections import SECTIONS, Section
from sokhoe.people.summary.telling import narrative, row
from sokhoe.trust import Version
from sokhoe.web import Speaker

Resource = dict[str, Any]
_IPS = "http://hl7.org/fhir/uv/ips/StructureDefinition/"
PROFILE = _IPS + "Bundle-uv-ips"
_SPACE = UUID("3d9f1f0a-6a63-5f5e-8d0b-0f6f3f2f7a11")
_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
# A profile is claimed where its required elements are there ("x|y": one of them).
_PROFILES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Patient": ("Patient-uv-ips", ("name", "birthDate")),
    "Condition": ("Condition-uv-ips", ("code", "subject")),
    "AllergyIntolerance": ("AllergyIntolerance-uv-ips", ("code", "patient")),
    "MedicationStatement": (
        "MedicationStatement-uv-ips",
        (
            "subject",
            "medicationCodeableConcept|medicationReference",
            "effectiveDateTime|effectivePeriod",
        ),
    ),
    "MedicationRequest": (
        "MedicationRequest-uv-ips",
        ("subject", "medicationCodeableConcept|medicationReference"),
    ),
    "Medication": ("Medication-uv-ips", ("code",)),
    "Immunization": (
        "Immunization-uv-ips",
        ("vaccineCode", "patient", "occurrenceDateTime|occurrenceString"),
    ),
    "Procedure": (
        "Procedure-uv-ips",
        ("code", "subject", "performedDateTime|performedPeriod|performedString"),
    ),
    "Organization": ("Organization-uv-ips", ("name",)),
    "Practitioner": ("Practitioner-uv-ips", ("name",)),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A record as it stands in the memory, its body decoded once."""

    version: Version
    resource: Resource


def document(
    patients: Sequence[Source],
    entries: Sequence[Source],
    friends: Sequence[Source],
    sections: Mapping[str, Sequence[Resource]],
    hidden: frozenset[str],
    t: Speaker,
    base: str,
    now: int,
) -> Resource:
    """The Bundle. `patients`: the records of the person, the asked one first; `sections`: what
    stands in each, by name; `hidden`: types that the asker may not read."""
    person = patients[0].version.ref
    names = {one.version.ref: _urn(base, one.version.ref) for one in (*entries, *friends)}
    names |= dict.fromkeys((one.version.ref for one in patients), _urn(base, person))
    content = sorted(
        f"{one.version.ref}/{one.version.version}" for one in (*patients, *entries, *friends)
    )
    stamp = sha256("\n".join([base, t.language, person, *content, *sorted(hidden)]).encode())
    own = str(uuid5(_SPACE, stamp.hexdigest()))
    author = _urn(base, "Device/sokhoe")
    by_reference = {one.version.ref: one.resource for one in friends}
    composition = {
        "resourceType": "Composition",
        "id": str(uuid5(_SPACE, own)),
        "meta": {"profile": [_IPS + "Composition-uv-ips"]},
        "language": t.language,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{own}"},
        "status": "final",
        "type": _concept("http://loinc.org", "60591-5", "Patient summary Document"),
        "subject": {"reference": names[person]},
        "date": clock.iso_local(now),
        "author": [{"reference": author}],
        "title": t("International Patient Summary"),
        "confidentiality": "N",
        "section": [
            _section(one, sections.get(one.name, ()), names, by_reference, hidden, t)
            for one in SECTIONS
            if one.always or sections.get(one.name)
        ],
    }
    rest = [
        _entry(names[one.version.ref], _rewritten(one, names, base)) for one in (*entries, *friends)
    ]
    return {
        "resourceType": "Bundle",
        "id": own,
        "meta": {"profile": [PROFILE]},
        "language": t.language,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{own}"},
        "type": "document",
        "timestamp": clock.iso(now),
        "entry": [
            _entry(f"urn:uuid:{composition['id']}", composition),
            _entry(names[person], _person(patients, names, base)),
            _entry(author, _author(author)),
            *rest,
        ],
    }


def _section(
    section: Section,
    found: Sequence[Resource],
    names: Mapping[str, str],
    friends: Mapping[str, Resource],
    hidden: frozenset[str],
    t: Speaker,
) -> Resource:
    rows = [row(one, friends, t) for one in found]
    made: Resource = {
        "title": t(section.title),
        "code": _concept("http://loinc.org", section.code, section.display),
    }
    if found:
        made["text"] = narrative(rows, "", t)
        made["entry"] = [
            {"reference": names[f"{one['resourceType']}/{one['id']}"]} for one in found
        ]
        return made
    withheld = hidden.issuperset(section.types)
    nothing = t("This part is not shown to you.") if withheld else t(section.nothing)
    made["text"] = narrative([], nothing, t)
    reason = ("withheld", "Information Withheld") if withheld else ("unavailable", "Unavailable")
    made["emptyReason"] = {**_concept(_EMPTY, *reason), "text": nothing}
    return made


def _person(patients: Sequence[Source], names: Mapping[str, str], base: str) -> Resource:
    """The asked record, with what the others know besides."""
    made = _rewritten(patients[0], names, base)
    made.pop("link", None)
    for other in patients[1:]:
        more = _rewritten(other, names, base)
        for element in ("identifier", "name", "telecom", "address", "communication"):
            known = made.get(element, [])
            new = [one for one in more.get(element, []) if one not in known]
            if known or new:
                made[element] = [*known, *new]
        for element in ("birthDate", "gender", "maritalStatus", "generalPractitioner"):
            if element in more:
                made.setdefault(element, more[element])
    return _claimed(made)


def _author(urn: str) -> Resource:
    """Who made the document: a program, from what others recorded."""
    return {
        "resourceType": "Device",
        "id": urn.removeprefix("urn:uuid:"),
        "deviceName": [{"name": "Sổ Khoẻ", "type": "user-friendly-name"}],
        "version": [{"value": __version__}],
    }


def _rewritten(one: Source, names: Mapping[str, str], base: str) -> Resource:
    """A record as it stands in the document: its own id, references within the document, the
    profile it fulfils, and where it came from."""
    made = _moved(one.resource, names, base)
    assert isinstance(made, dict)
    meta = {
        name: some
        for name, some in one.resource.get("meta", {}).items()
        if name in {"lastUpdated", "versionId", "security", "tag"}
    }
    made["id"] = names[one.version.ref].removeprefix("urn:uuid:")
    made["meta"] = {**meta, "source": f"{base}/{one.version.ref}"}
    return _claimed(made)


def _claimed(made: Resource) -> Resource:
    name, needed = _PROFILES.get(made["resourceType"], ("", ()))
    if name and all(any(one in made for one in each.split("|")) for each in needed):
        made["meta"] = {**made["meta"], "profile": [_IPS + name]}
    return made


def _moved(value: Any, names: Mapping[str, str], base: str) -> Any:
    if isinstance(value, list):
        return [_moved(one, names, base) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _moved(one, names, base) for name, one in value.items()}
    reference = value.get("reference")
    if isinstance(reference, str):
        bare = reference.removeprefix(f"{base}/").partition("/_history/")[0]
        if bare in names:
            made["reference"] = names[bare]
        elif bare.partition("/")[0] in TYPES:
            made["reference"] = f"{base}/{bare}"
    return made


def _urn(base: str, ref: str) -> str:
    return f"urn:uuid:{uuid5(_SPACE, f'{base}/{ref}')}"


def _entry(url: str, resource: Resource) -> Resource:
    return {"fullUrl": url, "resource": resource}


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}

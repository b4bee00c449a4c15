"""The audit in FHIR's words: one line of the chain as an AuditEvent, and the search over it.

The chain itself lies in the store, since a change and its line are one transaction; here it only
gets its face. Shape: IHE Basic Audit Log Patterns (agent, entity, patient, purposeOfEvent).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sokhoe import clock
from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir import encode
from sokhoe.store import Recorded, Version

_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_ROLE_OF_ENTITY = "http://terminology.hl7.org/CodeSystem/object-role"
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SUBTYPE = "http://hl7.org/fhir/restful-interaction"
_ROLES = "urn:sokhoe:role"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
EXPORT = "export "  # a line whose note begins so is about records taken out in bulk
_INTERACTION = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "search"}
PARAMETERS = ("patient", "agent", "date", "_count", "_sort", "_total", "_format")


def as_event(line: Recorded) -> dict[str, Any]:
    """A line of the chain as an AuditEvent resource; its id is the line's number."""
    entry = line.entry
    agent: dict[str, Any] = {
        "requestor": True,
        "who": {"reference": entry.actor, "display": entry.name},
        "name": entry.name,
        "role": [{"coding": [{"system": _ROLES, "code": entry.role}], "text": entry.role}],
    }
    if entry.place:
        agent["extension"] = [
            {"url": "urn:sokhoe:place", "valueReference": {"reference": entry.place}}
        ]
    if entry.address:
        agent["network"] = {"address": entry.address, "type": "2"}
    entities: list[dict[str, Any]] = [
        {
            "what": {"reference": patient},
            "role": {"system": _ROLE_OF_ENTITY, "code": "1", "display": "Patient"},
        }
        for patient in entry.patients
    ]
    entities += [
        {
            "what": {"reference": ref} if "/" in ref else {"type": ref},
            "role": {"system": _ROLE_OF_ENTITY, "code": "4", "display": "Domain Resource"},
        }
        for ref in entry.what
        if ref not in entry.patients
    ]
    if entry.query:
        entities.append(
            {
                "role": {"system": _ROLE_OF_ENTITY, "code": "24", "display": "Query"},
                "query": b64encode(entry.query.encode()).decode(),
            }
        )
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(line.seq),
        "meta": {"versionId": "1", "lastUpdated": clock.iso(entry.at)},
        "type": {"system": _TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": _SUBTYPE, "code": _INTERACTION[entry.action]}],
        "action": entry.action,
        "recorded": clock.iso(entry.at),
        "outcome": entry.outcome,
        "agent": [agent],
        "source": {"observer": {"display": "sokhoe"}},
    }
    if entry.note.startswith(EXPORT):
        event["type"] = {"system": _DICOM, "code": "110106", "display": "Export"}
        event["subtype"] = [{"system": _SUBTYPE, "code": "operation"}]
    if entry.purpose:
        event["purposeOfEvent"] = [{"coding": [{"system": _PURPOSE, "code": entry.purpose}]}]
    if entry.note:
        event["outcomeDesc"] = entry.note
    if entities:
        event["entity"] = entities
    return event


def as_version(line: Recorded) -> Version:
    """A line as if it were a stored resource, so that pages and the API need no second way."""
    return Version(
        seq=line.seq,
        commit=0,
        type="AuditEvent",
        id=str(line.seq),
        version=1,
        at=line.entry.at,
        deleted=False,
        body=encode(as_event(line)),
    )


def _since(value: str) -> int:
    if not value.startswith("ge"):
        raise Unsupported(
            "The audit is searched by date with the prefix ge only, for example date=ge2026-01-01.",
            slug="audit-date",
            location="date",
        )
    try:
        moment = datetime.fromisoformat(value[2:])
    except ValueError:
        raise Invalid(f"{value[2:]!r} is not a date.", location="date") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=clock.zone())
    return int(moment.timestamp() * 1_000_000)


def arguments(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Search parameters as arguments of `Store.entries`; an unknown one is an error."""
    out: dict[str, Any] = {"count": 50}
    for name, value in pairs:
        if name not in PARAMETERS:
            raise Unsupported(
                f"Search parameter {name!r} is not known for AuditEvent.",
                hint="Known: " + ", ".join(PARAMETERS),
                slug="unknown-parameter",
                location=name,
            )
        if name == "patient":
            out["patient"] = value if "/" in value else f"Patient/{value}"
        elif name == "agent":
            out["actor"] = value
        elif name == "date":
            out["since"] = _since(value)
        elif name == "_count":
            if not value.isdigit():
                raise Invalid("_count must be a whole number.", location="_count")
            out["count"] = max(1, min(int(value), 1000))
        elif name == "_sort" and value not in {"-date", "-_lastUpdated"}:
            raise Unsupported("The audit is sorted by -date only.", location="_sort")
    return out

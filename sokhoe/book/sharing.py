"""Who may see my record: the citizen's switches, each kept as a FHIR Consent. Pure.

A switch closes the record to one facility, or one protected category to all others. Nothing is
ticked beforehand: without a Consent the law's default holds (who treats me may look), a Consent
exists only because somebody pressed a button, and each has an end. What stood on the screen is kept
with it (text, its SHA-1 as FHIR's Attachment wants it, and the channel).

The id follows from person and switch, so a switch is one Consent however often it is pressed, and
its history tells when it was on (Law 91/2025/QH15: provable consent).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha1, sha256
from typing import Any

from sokhoe import clock
from sokhoe.book.reading import Resource
from sokhoe.web import key

CATEGORY = "urn:sokhoe:category"
CHANNEL = "urn:sokhoe:channel"
CATEGORIES: Mapping[str, str] = {
    "mental": key("Mental health"),
    "hiv": key("HIV"),
    "reproductive": key("Pregnancy, birth and sexual health"),
    "addiction": key("Alcohol and drugs"),
    "genetic": key("Inherited diseases"),
}
# How long: months, and what stands on the button.
TERMS: Mapping[str, tuple[int, str]] = {
    "3": (3, key("for 3 months")),
    "12": (12, key("for 1 year")),
    "60": (60, key("for 5 years")),
}


@dataclass(frozen=True, slots=True)
class Switch:
    """`kind`: facility or category; `value`: Organization reference or category; `until`: the last
    day on which it is closed, "" when it is not."""

    kind: str
    value: str
    name: str
    until: str = ""


def switches(
    facilities: Mapping[str, str], consents: Iterable[Resource], person: str, today: date
) -> list[Switch]:
    """All switches with their state. `facilities`: name by Organization reference."""
    closed = {}
    for one in consents:
        end = str(((one.get("provision") or {}).get("period") or {}).get("end", ""))
        if one.get("status") == "active" and end >= str(today):
            closed[str(one.get("id"))] = end
    wanted = [("facility", ref, name) for ref, name in sorted(facilities.items(), key=_by_name)]
    wanted += [("category", code, name) for code, name in CATEGORIES.items()]
    return [
        Switch(kind, value, name, closed.get(id_of(person, kind, value), ""))
        for kind, value, name in wanted
    ]


def _by_name(one: tuple[str, str]) -> str:
    return one[1]


def id_of(person: str, kind: str, value: str) -> str:
    return "book-" + sha256(f"{person}|{kind}|{value}".encode()).hexdigest()[:40]


def consent(
    person: str, patient: str, switch: Switch, until: date, said: str, *, active: bool
) -> dict[str, Any]:
    """The Consent of a switch. `said`: the words that stood on the button and beside it."""
    now = clock.now()
    provision: dict[str, Any] = {
        "type": "deny",
        "period": {"start": str(clock.today()), "end": str(until)},
    }
    if switch.kind == "facility":
        role = {"coding": [{"system": _ROLES, "code": "IRCP"}]}
        provision["actor"] = [{"role": role, "reference": {"reference": switch.value}}]
    else:
        provision["securityLabel"] = [{"system": CATEGORY, "code": switch.value}]
    return {
        "resourceType": "Consent",
        "id": id_of(person, switch.kind, switch.value),
        "status": "active" if active else "inactive",
        "scope": {"coding": [{"system": _SCOPES, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient},
        "dateTime": clock.iso(now),
        "performer": [{"reference": patient}],
        "policyRule": {"coding": [{"system": _POLICIES, "code": "OPTIN"}]},
        "sourceAttachment": {
            "contentType": "text/plain; charset=utf-8",
            "data": b64encode(said.encode()).decode(),
            "hash": b64encode(sha1(said.encode(), usedforsecurity=False).digest()).decode(),
            "creation": clock.iso(now),
        },
        "extension": [{"url": CHANNEL, "valueCode": "health-book"}],
        "provision": provision,
    }


_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_ROLES = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_POLICIES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def until(today: date, months: int) -> date:
    """The last day of a term that begins today."""
    years, month = divmod(today.month - 1 + months, 12)
    day = min(today.day, 28)
    return date(today.year + years, month + 1, day)

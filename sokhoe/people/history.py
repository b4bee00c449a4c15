"""The history of links: one Provenance for each, to be read, shown and played again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sokhoe.people.persons import id_of
from sokhoe.trust import Actor, Role

ACTIVITY = "urn:sokhoe:activity"
LINK, UNLINK = "link", "unlink"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

Why = tuple[str, ...]


def provenance(
    person: str,
    version: int,
    activity: str,
    patients: Mapping[str, Why],
    *,
    actor: Actor,
    model: str,
    recorded: str,
) -> dict[str, Any]:
    """Who linked (or unlinked) which patients in this version of a Person, why, by which model.

    The same work done twice is a Conflict, since the Person stands at that version already.
    """
    agent: dict[str, Any] = {
        "type": {
            "coding": [
                {
                    "system": _PARTICIPANT,
                    "code": "assembler" if actor.role is Role.MACHINE else "verifier",
                }
            ]
        },
        "who": {"reference": actor.id, "display": actor.name},
    }
    if actor.place:
        agent["onBehalfOf"] = {"reference": actor.place}
    found: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": id_of(f"{person}|{version}|{activity}|{recorded}"),
        "target": [{"reference": f"Person/{person}"}],
        "recorded": recorded,
        "policy": [model],
        "activity": {"coding": [{"system": ACTIVITY, "code": activity}]},
        "agent": [agent],
        "entity": [{"role": "source", "what": {"reference": patient}} for patient in patients],
    }
    reasons = dict.fromkeys(text for texts in patients.values() for text in texts)
    if reasons:
        found["reason"] = [{"text": text} for text in reasons]
    return found


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One line of a person's link history."""

    person: str
    activity: str
    patients: tuple[str, ...]
    at: str
    who: str
    by_hand: bool
    reasons: tuple[str, ...]
    model: str


def event_of(provenance: Mapping[str, Any]) -> LinkEvent | None:
    """A Provenance as a line of the link history; None when it is about something else."""
    coding = provenance.get("activity", {}).get("coding", [])
    code = next((one.get("code") for one in coding if one.get("system") == ACTIVITY), None)
    if code not in {LINK, UNLINK}:
        return None
    agent = provenance["agent"][0]
    kind = agent.get("type", {}).get("coding", [{}])[0].get("code", "")
    return LinkEvent(
        person=provenance["target"][0]["reference"],
        activity=code,
        patients=tuple(one["what"]["reference"] for one in provenance.get("entity", [])),
        at=provenance["recorded"],
        who=agent["who"].get("display") or agent["who"].get("reference", ""),
        by_hand=kind == "verifier",
        reasons=tuple(one.get("text", "") for one in provenance.get("reason", [])),
        model=next(iter(provenance.get("policy", [])), ""),
    )


def replay(events: Iterable[LinkEvent]) -> dict[str, str]:
    """Which Person each patient is linked to after these events, oldest first."""
    now: dict[str, str] = {}
    for event in events:
        for patient in event.patients:
            if event.activity == LINK:
                now[patient] = event.person
            elif now.get(patient) == event.person:
                del now[patient]
    return now

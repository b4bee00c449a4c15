"""A case for the desk: is this record that person? Kept as a FHIR Task, one for each pair.

The id of a Task follows from patient and person, so a case exists once however often the index is
built again, and a decision is remembered for as long as the facts are those that were decided on.

    requested ──decide──▶ completed (same, different) │ on-hold (unsure) ──undo──▶ requested
    requested, on-hold ──newer facts settle it──▶ cancelled
    completed ──newer facts contradict──▶ requested
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe.people.persons import id_of
from sokhoe.trust import Version

TASKS = "urn:sokhoe:task"
CODE = "match-review"
TOKEN = f"{TASKS}|{CODE}"
REQUESTED, ON_HOLD, COMPLETED, CANCELLED = "requested", "on-hold", "completed", "cancelled"
_FROM, _TO, _WAS = "urn:sokhoe:from", "urn:sokhoe:to", "urn:sokhoe:was"


class Decision(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Moved:
    """What a decision moved, as much as its undoing needs: Person ids, and the assurance that the
    link had before."""

    patient: str
    source: str
    target: str
    was: str


@dataclass(frozen=True, slots=True)
class Review:
    """`patient` and `person` are references; `reasons` sentences (catalogue keys); `facts` the
    digest of the patient's facts that raised or decided it; `who` decided, `at` last changed. A
    case that newer facts opened again keeps its former `decision`, so that nobody overrules it
    but a person."""

    id: str
    patient: str
    person: str
    version: int = 0
    status: str = REQUESTED
    reasons: tuple[str, ...] = ()
    facts: str = ""
    decision: Decision | None = None
    moved: tuple[Moved, ...] = ()
    who: str = ""
    who_name: str = ""
    opened: str = ""
    at: str = ""

    @property
    def open(self) -> bool:
        return self.status in {REQUESTED, ON_HOLD}

    @property
    def decided(self) -> bool:
        """Stands there with a decision that can be taken back."""
        return self.decision is not None and self.status in {COMPLETED, ON_HOLD}

    @property
    def person_id(self) -> str:
        return self.person.removeprefix("Person/")


def review_id(patient: str, person: str) -> str:
    """The id of the case of a patient (reference) and a person (id)."""
    return id_of(f"review|{patient}|Person/{person}")


def task_of(review: Review) -> dict[str, Any]:
    """A case as a Task."""
    inputs = [_part("reason", {"valueString": text}) for text in review.reasons]
    inputs.append(_part("facts", {"valueString": review.facts}))
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": review.id,
        "status": review.status,
        "intent": "proposal",
        "code": {"coding": [{"system": TASKS, "code": CODE}]},
        "focus": {"reference": review.patient},
        "for": {"reference": review.person},
        "authoredOn": review.opened,
        "lastModified": review.at,
        "input": inputs,
    }
    if review.who:
        task["owner"] = {"reference": review.who, "display": review.who_name or review.who}
    output: list[dict[str, Any]] = []
    if review.decision:
        output.append(_part("decision", {"valueCode": str(review.decision)}))
    output += [_part("move", _move(one)) for one in review.moved]
    if output:
        task["output"] = output
    return task


def _part(code: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": {"coding": [{"system": TASKS, "code": code}]}, **value}


def _move(moved: Moved) -> dict[str, Any]:
    extension = [
        {"url": _FROM, "valueReference": {"reference": f"Person/{moved.source}"}},
        {"url": _TO, "valueReference": {"reference": f"Person/{moved.target}"}},
        {"url": _WAS, "valueCode": moved.was},
    ]
    return {"extension": extension, "valueReference": {"reference": moved.patient}}


def review_of(version: Version) -> Review:
    """A stored Task as a case."""
    task = version.resource
    reasons, facts = [], ""
    for one in task.get("input", []):
        match _code(one):
            case "reason":
                reasons.append(str(one.get("valueString", "")))
            case "facts":
                facts = str(one.get("valueString", ""))
    decision, moved = None, []
    for one in task.get("output", []):
        match _code(one):
            case "decision":
                decision = Decision(one["valueCode"])
            case "move":
                moved.append(_moved(one))
    owner = task.get("owner", {})
    return Review(
        id=version.id,
        version=version.version,
        patient=task["focus"]["reference"],
        person=task["for"]["reference"],
        status=task["status"],
        reasons=tuple(reasons),
        facts=facts,
        decision=decision,
        moved=tuple(moved),
        who=owner.get("reference", ""),
        who_name=owner.get("display", ""),
        opened=task.get("authoredOn", ""),
        at=task.get("lastModified", ""),
    )


def _code(part: Mapping[str, Any]) -> str:
    return str(part["type"]["coding"][0]["code"])


def _moved(part: Mapping[str, Any]) -> Moved:
    said = {one["url"]: one for one in part["extension"]}
    return Moved(
        patient=part["valueReference"]["reference"],
        source=said[_FROM]["valueReference"]["reference"].removeprefix("Person/"),
        target=said[_TO]["valueReference"]["reference"].removeprefix("Person/"),
        was=said[_WAS]["valueCode"],
    )

"""Opening one patient's record in an emergency: for a day, with a reason, told at once, looked at
afterwards by somebody else.

    open    who is of the staff, with a reason of the list and some words: the patients linked to
            this person are open to him, for him alone, for `HOURS`. In the same transaction the
            patient is told (Communication) and a review laid down for the head (Task)
    read    a session with the purpose ETREAT shows these and nothing else (`grounds`); what was
            closed by category, type or item stays closed (`consents`)
    judge   within `REVIEW_HOURS` another person says whether it was right

The line in the audit comes first: an opening that nobody could find does not take place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Busy, Forbidden, Invalid, NotFound
from sokhoe.store import Keep, Put, Version
from sokhoe.trust.actors import STAFF, Actor, Purpose, Role
from sokhoe.trust.grounds import OPENINGS
from sokhoe.trust.session import Session

HOUR = 3_600_000_000
HOURS = 24
REVIEW_HOURS = 72
LETTERS = 10
MOST = 20  # living openings of one actor
TASKS, CODE = "urn:sokhoe:task", "emergency-review"
TOKEN = f"{TASKS}|{CODE}"
NOTICE = "urn:sokhoe:notice"
REASONS_SYSTEM = "urn:sokhoe:emergency-reason"


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening: by whom, whose record (references of Patients), until when."""

    id: str
    actor: str
    patients: frozenset[str]
    until: Instant


@dataclass(frozen=True, slots=True)
class Review:
    """What the head sees of an opening. `due`: until when somebody must have judged it."""

    id: str
    patient: str
    who: str
    name: str
    reason: str
    text: str
    at: str
    due: str
    done: bool
    justified: bool | None = None


@lru_cache(maxsize=1)
def reasons() -> tuple[str, ...]:
    """The codes of reasons that hold today."""
    today = str(clock.today())
    listed = json.loads(files("sokhoe.trust").joinpath("emergency_reasons.json").read_bytes())
    return tuple(
        one["code"]
        for one in listed["reasons"]
        if one["valid"]["start"] <= today <= one["valid"].get("end", "9999")
    )


class BreakGlass:
    """Made by the gate. `session_of`: a session for an actor; `machine`: one that writes."""

    def __init__(
        self, machine: Session, session_of: Callable[[Actor, Purpose, str], Session]
    ) -> None:
        self._machine = machine
        self._session_of = session_of

    def open(self, session: Session, patient: str, reason: str, text: str) -> Opening:
        """Open the record of the person to whom this Patient belongs. Raises Forbidden, Invalid,
        NotFound, Busy."""
        actor = session.actor
        if actor.role not in STAFF:
            raise Forbidden("Only staff who treat people may open a record in an emergency.")
        if reason not in reasons():
            raise Invalid(
                "Choose a reason from the list.", slug="opening-reason", location="reason"
            )
        if sum(one.isalpha() for one in text) < LETTERS:
            raise Invalid(
                f"Say in at least {LETTERS} letters what has happened.",
                slug="opening-words",
                location="text",
            )
        found = self._machine.read_many([patient])
        emergency = self._session_of(actor, Purpose.ETREAT, session.address)
        if not found or found[0].type != "Patient":
            emergency.note("E", patient, f"emergency {reason}: no such person", outcome="4")
            raise NotFound("There is no such person.", slug="no-person")
        patients = self._linked(patient)
        kept = self._machine.kept(OPENINGS, actor.id) or []
        now = clock.now()
        living = [one for one in kept if one["until"] > now]
        if len(living) >= MOST:
            raise Busy(
                f"You have {MOST} emergencies open at once.",
                hint="Ask the head of your facility to judge them.",
                slug="opening-many",
                status=429,
            )
        emergency.note("E", patient, f"emergency {reason}: opened", people=patients)
        opening = Opening(str(uuid4()), actor.id, patients, now + HOURS * HOUR)
        row = {"id": opening.id, "patients": sorted(patients), "until": opening.until}
        self._machine.commit(
            [
                Put(_notice(opening, actor, patient, reason, text, now)),
                Put(_review(opening, actor, patient, reason, text, now)),
            ],
            note=f"emergency {reason}",
            keeps=[Keep(OPENINGS, actor.id, [*living, row], expected=kept or None)],
        )
        return opening

    def find(self, session: Session, identifiers: Sequence[str]) -> str:
        """A Patient (reference) with one of these identifiers (`system|value`), to be opened; ""
        where there is none. Shows nothing of him."""
        if session.actor.role not in STAFF:
            return ""
        asked = ",".join(one.replace("\\", "").replace(",", "") for one in identifiers)
        found = self._machine.search("Patient", [("identifier", asked), ("_count", "1")])
        return found.versions[0].ref if found.versions else ""

    def living(self, actor: Actor) -> list[Opening]:
        """What is open to him now, the newest first."""
        kept = self._machine.kept(OPENINGS, actor.id) or []
        now = clock.now()
        return [
            Opening(one["id"], actor.id, frozenset(one["patients"]), one["until"])
            for one in reversed(kept)
            if one["until"] > now
        ]

    def reviews(self, head: Session) -> list[Review]:
        """The openings at this head's facility, those to be judged first."""
        if head.actor.role is not Role.HEAD:
            raise Forbidden("The head of the facility judges what was opened in an emergency.")
        pairs = [("code", TOKEN), ("owner", head.actor.place), ("_sort", "-_lastUpdated")]
        found = self._machine.search("Task", [*pairs, ("_count", "100")]).versions
        return sorted(map(_review_of, found), key=lambda one: (one.done, one.due))

    def judge(self, head: Session, id: str, justified: bool, text: str) -> None:
        """Say whether an opening was right, never one's own. Raises Forbidden, NotFound,
        Invalid."""
        known = {one.id for one in self.reviews(head)}
        if id not in known:
            raise NotFound("There is no such opening at your facility.", slug="no-opening")
        version = self._machine.read("Task", id)
        task = version.resource
        if task["requester"]["reference"] == head.actor.id:
            raise Forbidden("Another person must judge what you opened.", slug="own-opening")
        if task["status"] == "completed":
            raise Invalid("This opening has been judged.", slug="opening-judged")
        said: list[dict[str, Any]] = [
            {"type": {"text": "justified"}, "valueBoolean": justified},
            {"type": {"text": "by"}, "valueReference": {"reference": head.actor.id}},
        ]
        if text.strip():
            said.append({"type": {"text": "text"}, "valueString": text.strip()[:500]})
        changed = {**task, "status": "completed", "output": said}
        changed["lastModified"] = clock.iso(clock.now())
        self._machine.commit(
            [Put(changed, if_version=version.version)],
            note=f"emergency judged {'right' if justified else 'wrong'} by {head.actor.id}",
        )

    def _linked(self, patient: str) -> frozenset[str]:
        persons = self._machine.search("Person", [("link", patient)]).versions
        links = (link for one in persons for link in one.resource.get("link", []))
        return frozenset({patient, *(str(one["target"]["reference"]) for one in links)})


def _notice(
    opening: Opening, actor: Actor, patient: str, reason: str, text: str, now: Instant
) -> dict[str, Any]:
    """What the citizen is told."""
    told: dict[str, Any] = {
        "resourceType": "Communication",
        "id": opening.id,
        "status": "completed",
        "category": [{"coding": [{"system": NOTICE, "code": "emergency"}]}],
        "reasonCode": [{"coding": [{"system": REASONS_SYSTEM, "code": reason}]}],
        "subject": {"reference": patient},
        "recipient": [{"reference": patient}],
        "sender": _who(actor),
        "sent": clock.iso(now),
        "payload": [{"contentString": text.strip()[:500]}],
    }
    if actor.place:
        told["note"] = [{"text": actor.place_name or actor.place}]
    return told


def _review(
    opening: Opening, actor: Actor, patient: str, reason: str, text: str, now: Instant
) -> dict[str, Any]:
    due = now + REVIEW_HOURS * HOUR
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": opening.id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASKS, "code": CODE}]},
        "for": {"reference": patient},
        "requester": _who(actor),
        "authoredOn": clock.iso(now),
        "restriction": {"period": {"end": clock.iso(due)}},
        "input": [
            {"type": {"text": "reason"}, "valueCode": reason},
            {"type": {"text": "text"}, "valueString": text.strip()[:500]},
        ],
    }
    if actor.place:
        task["owner"] = {"reference": actor.place}
    return task


def _who(actor: Actor) -> dict[str, Any]:
    return {"reference": actor.id, "display": actor.name}


def _review_of(version: Version) -> Review:
    task = version.resource
    given = {one["type"]["text"]: one for one in task["input"]}
    said = {one["type"]["text"]: one for one in task.get("output", [])}
    return Review(
        id=version.id,
        patient=task["for"]["reference"],
        who=task["requester"]["reference"],
        name=task["requester"].get("display", ""),
        reason=given["reason"]["valueCode"],
        text=given["text"]["valueString"],
        at=task["authoredOn"],
        due=task["restriction"]["period"]["end"],
        done=task["status"] == "completed",
        justified=said["justified"]["valueBoolean"] if said else None,
    )

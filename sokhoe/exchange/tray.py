"""The in-tray: foreign files are kept as they came, then translated, each wholly or not at all.

A file is two resources: `Binary` (the exact bytes) and `Task` (what became of it). The tray is a
follower of the feed: it takes each requested Task, translates its file and commits everything in
one transaction: the file's resources, the Provenance that names the file, the finished Task and
the follower's own mark. A crash at any point therefore repeats the file or has finished it, and
re-sending the same bytes finds the Task already there.

    Task.status   requested → completed (with warnings or not)
                            → failed    (contained OperationOutcome: every field and reason)

A later file about the same episode replaces the earlier: what the earlier one brought and the new
one no longer names is deleted (its history stays). The bytes of each sent version stay for ever.
"""

from __future__ import annotations

import logging
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SokhoeError
from sokhoe.exchange.seams import FileKind, Label, Problem, Translated
from sokhoe.trust import Change, Delete, Gate, Put, Session, Version, mark

log = logging.getLogger("sokhoe.exchange")
FOLLOWER = "exchange.tray"
TASK_SYSTEM = "urn:sokhoe:task"
IMPORT = "import-file"
TRACKING_SYSTEM = "urn:sokhoe:tracking"
SHA_SYSTEM = "urn:sokhoe:sha256"
MAX_PROBLEMS = 200
REGISTER = frozenset({"Organization", "Location", "Practitioner"})


@dataclass(frozen=True, slots=True)
class Slip:
    """What a sender gets for a file, and may ask for again: the Task in plain values."""

    tracking: str
    keys: tuple[str, ...]
    facility: str
    status: str
    received: str
    changed: str
    problems: tuple[Problem, ...]
    duplicate: bool = False


def receive(session: Session, kind: FileKind, content: bytes, label: Label) -> Slip:
    """Keep a file and ask for its translation; durable on return. The same bytes twice are one
    file. Raises Forbidden."""
    digest = sha256(content).hexdigest()
    id = str(uuid5(NAMESPACE_URL, f"{label.facility}|{digest}"))
    now = clock.iso_local(clock.now())
    binary = {
        "resourceType": "Binary",
        "id": id,
        "contentType": kind.media_type,
        "data": b64encode(content).decode(),
    }
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": id,
        "identifier": [
            *({"system": label.system, "value": key} for key in label.keys),
            {"system": TRACKING_SYSTEM, "value": id},
            {"system": SHA_SYSTEM, "value": digest},
        ],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": IMPORT}], "text": kind.name},
        "authoredOn": now,
        "lastModified": now,
        "requester": {"reference": session.actor.id, "display": session.actor.name},
        "owner": {"identifier": {"value": label.facility}},
        "input": [{"type": {"text": "file"}, "valueReference": {"reference": f"Binary/{id}"}}],
    }
    try:
        receipt = session.commit([Put(binary, if_version=0), Put(task, if_version=0)], note="file")
    except Conflict:
        return slip(session.read("Task", id), duplicate=True)
    return slip(receipt.versions[1])


def slip(version: Version, *, duplicate: bool = False) -> Slip:
    """A Task as a slip."""
    task = version.resource
    issues: list[dict[str, Any]] = next(
        (one["issue"] for one in task.get("contained", []) if one["id"] == "problems"), []
    )
    return Slip(
        tracking=task["id"],
        keys=_keys(task)[1],
        facility=task["owner"]["identifier"]["value"],
        status=task["status"],
        received=task["authoredOn"],
        changed=task["lastModified"],
        problems=tuple(
            Problem(
                field=one.get("expression", [""])[0],
                code=one["details"]["coding"][0]["code"],
                message=one["details"]["text"],
                severity=one["severity"],
            )
            for one in issues
        ),
        duplicate=duplicate,
    )


def slips(session: Session, system: str, key: str) -> list[Slip]:
    """Every file sent about an episode, newest first."""
    named = ("identifier", f"{system}|{escaped(key)}")
    pairs = [named, ("_sort", "-_lastUpdated"), ("_count", "50")]
    return [slip(one) for one in session.search("Task", pairs).versions]


class Tray:
    """The follower that works the tray off."""

    name = FOLLOWER

    def __init__(self, gate: Gate, kinds: Sequence[FileKind]) -> None:
        self._session = gate.machine("exchange")
        self._kinds = kinds

    def step(self) -> bool:
        """Translate the files of one batch of the feed; True when there may be more."""
        versions, reach = self._session.follow(FOLLOWER, 2000, types=frozenset({"Task"}))
        for version in versions:
            if version.type == "Task" and not version.deleted and _is_requested(version.resource):
                self._work(version)
        moved = reach > self._session.mark_of(FOLLOWER)
        if moved:
            self._session.done(FOLLOWER, reach)
        return moved or bool(versions)

    def _work(self, version: Version) -> None:
        try:
            standing = self._session.read("Task", version.id)
        except NotFound:
            return
        task = standing.resource
        if task["status"] != "requested":  # finished by an earlier run
            return
        content = b64decode(self._session.read("Binary", version.id).resource["data"])
        translated = self._translate(content)
        if translated.valid:
            try:
                self._finish(standing, translated, version.seq)
                return
            except Invalid as error:
                # Our own translation made something FHIR does not allow: the sender's file must
                # not vanish into a log, so the reasons go where he looks.
                translated = Translated(problems=_as_problems(error))
        self._fail(standing, translated, version.seq)

    def _translate(self, content: bytes) -> Translated:
        for kind in self._kinds:
            if kind.recognises(content):
                try:
                    return kind.translate(content)
                except SokhoeError as error:
                    return Translated(problems=_as_problems(error))
        return Translated(problems=(Problem("", "UNKNOWN_KIND", "No reader knows this file."),))

    def _finish(self, standing: Version, translated: Translated, seq: int) -> None:
        task = standing.resource
        known = self._known(translated.resources)
        changes: list[Change] = [
            Put(one)
            for one in translated.resources
            if (one["resourceType"], one["id"]) not in known
        ]
        names = {(one["resourceType"], one["id"]) for one in translated.resources}
        for type, id in self._brought_before(task) - names:
            changes.append(Delete(type, id))
        changes.append(Put(_provenance(task, translated)))
        changes.append(Put(_ended(task, "completed", translated), if_version=standing.version))
        self._session.commit(changes, note="file", keeps=[mark(FOLLOWER, seq)])

    def _fail(self, standing: Version, translated: Translated, seq: int) -> None:
        ended = _ended(standing.resource, "failed", translated)
        change = Put(ended, if_version=standing.version)
        self._session.commit([change], note="file refused", keeps=[mark(FOLLOWER, seq)])

    def _known(self, resources: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
        """Which of the file's places and staff are known already: a file says less of them than
        the register (a code without a name), so it may add them but not overwrite them."""
        wanted: dict[str, list[str]] = {}
        for one in resources:
            if one["resourceType"] in REGISTER:
                wanted.setdefault(one["resourceType"], []).append(one["id"])
        return {
            (version.type, version.id)
            for type, ids in wanted.items()
            for version in self._session.search(
                type, [("_id", ",".join(ids)), ("_count", "1000")]
            ).versions
        }

    def _brought_before(self, task: dict[str, Any]) -> set[tuple[str, str]]:
        """What earlier files about the same episode brought and shared with no other file.

        People, places and cards belong to many files, so only what hangs on the episode counts.
        """
        shared = {"Patient", "Organization", "Practitioner", "Coverage", "Location", "Medication"}
        system, keys = _keys(task)
        found: set[tuple[str, str]] = set()
        pairs = [
            ("identifier", ",".join(f"{system}|{escaped(key)}" for key in keys)),
            ("status", "completed"),
        ]
        for earlier in self._session.search("Task", pairs).versions:
            if earlier.resource["owner"] != task["owner"]:
                continue
            try:
                provenance = self._session.read("Provenance", earlier.id).resource
            except SokhoeError:
                continue
            for target in provenance["target"]:
                type, _, id = target["reference"].partition("/")
                if type not in shared:
                    found.add((type, id))
        return found


def escaped(value: str) -> str:
    """A value for a search parameter: its commas, bars and dollars are letters, not grammar."""
    return re.sub(r"([\\,|$])", r"\\\1", value)


def _keys(task: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The episodes a Task is about: their system and their keys."""
    own = {TRACKING_SYSTEM, SHA_SYSTEM}
    named = [one for one in task["identifier"] if one["system"] not in own]
    return (named[0]["system"] if named else "", tuple(one["value"] for one in named))


def _is_requested(task: dict[str, Any]) -> bool:
    codes = {one.get("code") for one in task.get("code", {}).get("coding", [])}
    return IMPORT in codes and task["status"] == "requested"


def _as_problems(error: SokhoeError) -> tuple[Problem, ...]:
    return tuple(
        Problem(issue.location, (issue.code or error.slug).upper(), issue.message)
        for issue in error.issues
    )


def _provenance(task: dict[str, Any], translated: Translated) -> dict[str, Any]:
    now = clock.now()
    return {
        "resourceType": "Provenance",
        "id": task["id"],
        "target": [
            {"reference": f"{one['resourceType']}/{one['id']}"} for one in translated.resources
        ],
        "recorded": clock.iso(now),
        "activity": {"text": "translated from a foreign file"},
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "author",
                        }
                    ]
                },
                "who": task["requester"],
            }
        ],
        "entity": [{"role": "source", "what": {"reference": f"Binary/{task['id']}"}}],
    }


def _ended(task: dict[str, Any], status: str, translated: Translated) -> dict[str, Any]:
    out = {**task, "status": status, "lastModified": clock.iso_local(clock.now())}
    out.pop("meta", None)
    if translated.problems:
        issues = [
            {
                "severity": one.severity,
                "code": "invalid",
                "details": {"coding": [{"code": one.code}], "text": one.message},
                **({"expression": [one.field]} if one.field else {}),
            }
            for one in translated.problems[:MAX_PROBLEMS]
        ]
        outcome = {"resourceType": "OperationOutcome", "id": "problems", "issue": issues}
        out["contained"] = [outcome]
        out["statusReason"] = {"text": translated.problems[0].message}
        out["output"] = [
            {"type": {"text": "problems"}, "valueReference": {"reference": "#problems"}}
        ]
    return out

"""Letting a citizen into the Health Book without an e-ID: a code on paper, given in person.

The staff see the person and the card, and print a code; the citizen types number and code on the
own phone and sets a passkey or a PIN there. A code is a `Task`, so that one printed at a station
without a line travels to the hub with everything else; in it is only the code's argon2 hash.

    Task  code book-code · focus Patient/… or Person/… · authoredOn · input: hash, kind, second

`kind`: "first", or "again" for somebody who lost the phone: then a second member of staff has
signed as well (`second`). A code is good for 72 hours and once; that it was used is kept at the
hub, since the station's Task is the station's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sokhoe import clock
from sokhoe.trust import Put, Session, draw_code, hash_password, password_fits, read_code

TASK = "urn:sokhoe:task"
CODE = "book-code"
LETTERS = 10  # Crockford's: 50 bits
HOURS = 72
MOST = 5  # open codes of one person that are looked at: each costs a hash
FIRST, AGAIN = "first", "again"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A code that fits. `again`: it replaces what the person had; two of the staff saw to it."""

    task: str
    again: bool


def issue(session: Session, focus: str, second: str = "") -> str:
    """Write a code for this person's record (`Patient/…` or `Person/…`); returns it, to be printed
    this once. `second`: reference of the second member of staff, for somebody who lost access."""
    code = draw_code(LETTERS)
    said = {"hash": hash_password(read_code(code)), "kind": AGAIN if second else FIRST}
    if second:
        said["second"] = second
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": str(uuid4()),
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": CODE}]},
        "focus": {"reference": focus},
        "authoredOn": clock.iso_local(clock.now()),
        "input": [{"type": {"text": name}, "valueString": value} for name, value in said.items()],
    }
    if focus.startswith("Patient/"):
        task["for"] = {"reference": focus}
    session.commit([Put(task)], note="code for the Health Book printed")
    return code


def fitting(session: Session, focuses: Sequence[str], typed: str) -> Ticket | None:
    """The ticket of this person (any of these references) that the typed code belongs to; None
    for a wrong or an old code."""
    code = read_code(typed)
    found = None
    for task in _open(session, focuses):
        said = {one["type"]["text"]: one.get("valueString", "") for one in task.get("input", [])}
        if password_fits(said.get("hash") or None, code) and len(code) == LETTERS:
            found = Ticket(task["id"], said.get("kind") == AGAIN and bool(said.get("second")))
            break
    else:
        password_fits(None, code)  # nobody's code takes as long as somebody's
    return found


def _open(session: Session, focuses: Sequence[str]) -> list[dict[str, Any]]:
    """Tasks of codes that are not too old, the newest first."""
    if not focuses:
        return []
    pairs = [
        ("code", f"{TASK}|{CODE}"),
        ("focus", ",".join(focuses[:50])),
        ("_sort", "-_lastUpdated"),
        ("_count", str(MOST)),
    ]
    tasks = [one.resource for one in session.search("Task", pairs).versions]
    return [one for one in tasks if _young(one)]


def _young(task: dict[str, Any]) -> bool:
    try:
        written = datetime.fromisoformat(str(task.get("authoredOn")))
    except ValueError:
        return False
    age = clock.now() - int(written.timestamp() * 1_000_000)
    # A station's clock may run ahead a little; a code of tomorrow is none.
    return -15 * 60_000_000 < age < HOURS * 3_600_000_000

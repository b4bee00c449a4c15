"""Check 19, break-glass: emergencies at a hub by random people for random reasons. None may be open
without a reason, a line in the audit, a notice to the citizen and a review for the head; none after
24 hours; and nothing that was closed by kind or one by one may be shown. At a station as at a hub:
an opening asks no other server."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardening import Outcome
from sokhoe import clock
from sokhoe.errors import SokhoeError
from sokhoe.fhir import compartments
from sokhoe.store import open_store
from sokhoe.trust import Actor, Gate, Purpose, Put, Role, Session, breakglass
from tests.trust.privacy import CATEGORIES, TYPES, a_consent, a_memory, kinds_of
from tests.worlds import settings_in

FAR = "Organization/z"
ROLES = (Role.DOCTOR, Role.NURSE, Role.HEAD, Role.STEWARD, Role.STATISTICIAN, Role.CITIZEN)
TEXTS = ("", "gấp", "1234567890!", "Bất tỉnh sau tai nạn", "Co giật, không ai đi cùng")
REASONS = ("", "curious", "unconscious", "life-threat")


def run(n: int = 500, seed: int = 20261123) -> Outcome:
    draw = random.Random(seed)
    bad: list[str] = []
    for role in ("hub", "station"):
        with _memory(role) as gate:
            _try(gate, n // 2, draw, bad)
    return Outcome("break-glass", n // 2 * 2, len(bad), _planted(seed), seed, tuple(bad[:5]))


@contextmanager
def _memory(role: str) -> Iterator[Gate]:
    with tempfile.TemporaryDirectory(prefix="sokhoe-hardening-") as folder:
        store = open_store(f"sqlite:///{folder}/store.db")
        try:
            yield Gate(store, settings_in(Path(folder), role=role))
        finally:
            store.close()


def _try(gate: Gate, n: int, draw: random.Random, bad: list[str]) -> None:
    rows = a_memory(gate, draw, people=6)
    groups = [
        [link["target"]["reference"] for link in one["link"]]
        for one in rows
        if one["resourceType"] == "Person"
    ]
    for number in range(n):
        group = draw.choice(groups)
        hidden = _close(gate, rows, group, draw)
        actor = Actor(f"Practitioner/e{number}", f"BS {number}", draw.choice(ROLES), FAR)
        reason, text = draw.choice(REASONS), draw.choice(TEXTS)
        may = actor.role in {Role.DOCTOR, Role.NURSE, Role.HEAD}
        right = may and reason in breakglass.reasons() and sum(map(str.isalpha, text)) >= 10
        try:
            gate.emergencies.open(gate.session(actor), group[0], reason, text)
        except SokhoeError:
            opened = False
        else:
            opened = True
        said = f"{number}: {actor.role} {reason!r} {text!r}"
        if opened != right:
            bad.append(f"{said} opened: {opened}")
        if may:
            bad += [f"{said}: {one}" for one in _faults(gate, rows, actor, group, hidden, opened)]


def _close(
    gate: Gate, rows: list[dict[str, Any]], group: list[str], draw: random.Random
) -> set[str]:
    """The person closes all facilities, two categories and two records; what must stay hidden."""
    theirs = [
        one for one in rows if one["resourceType"] in TYPES and compartments(one) & set(group)
    ]
    kinds = draw.sample(CATEGORIES, 2)
    refs = draw.sample([_ref(one) for one in theirs], 2)
    base = a_consent(draw, f"k-{group[0][8:]}", group[0], refs) | {"status": "active"}
    labels = [{"system": "urn:sokhoe:category", "code": one} for one in kinds]
    items = [{"meaning": "instance", "reference": {"reference": one}} for one in refs]
    rules = [{"type": "deny", "securityLabel": labels}, {"type": "deny", "data": items}]
    consent = base | {"provision": {"type": "deny", "provision": rules}}
    gate.machine("ops").commit([Put(consent)])
    return set(refs) | {_ref(one) for one in theirs if set(kinds_of(one)) & set(kinds)}


def _ref(record: dict[str, Any]) -> str:
    return f"{record['resourceType']}/{record['id']}"


def _faults(
    gate: Gate,
    rows: list[dict[str, Any]],
    actor: Actor,
    group: list[str],
    hidden: set[str],
    opened: bool,
) -> Iterator[str]:
    shown = _shown(gate.session(actor, Purpose.ETREAT))
    theirs = {
        _ref(one) for one in rows if one["resourceType"] in TYPES and compartments(one) & set(group)
    }
    wanted = theirs - hidden if opened else set()
    if shown != wanted:
        yield f"too much {sorted(shown - wanted)}, too little {sorted(wanted - shown)}"
    machine = gate.machine("ops")
    told = machine.search("Communication", [("sender", actor.id)]).versions
    reviews = machine.search("Task", [("requester", actor.id)]).versions
    if opened != bool(told) or opened != bool(reviews):
        yield f"told {len(told)}, to be judged {len(reviews)}"
    auditor = gate.session(Actor("Practitioner/auditor", "Auditor", Role.AUDITOR))
    lines = auditor.search("AuditEvent", [("patient", group[0]), ("agent", actor.id)]).versions
    if opened and not lines:
        yield "no line in the audit"
    real, later = clock.now, clock.now() + 24 * 3_600_000_000 + 1
    clock.now = lambda: later
    try:
        if _shown(gate.session(actor, Purpose.ETREAT)):
            yield "still open after 24 hours"
    finally:
        clock.now = real


def _shown(session: Session) -> set[str]:
    pairs = [("_count", "500")]
    return {one.ref for type in TYPES for one in session.search(type, pairs).versions}


def _planted(seed: int) -> bool:
    """Openings of two days must be noticed."""
    real = breakglass.HOURS
    breakglass.HOURS = 48
    bad: list[str] = []
    try:
        with _memory("hub") as gate:
            _try(gate, 20, random.Random(seed), bad)
    finally:
        breakglass.HOURS = real
    return any("24 hours" in one for one in bad)

"""Check 18, consent: random sets of consents × requests, judged by a second reading that shares no
code (tests/trust/consent_oracle.py): the decision, and what the hub shows by search and by read;
and how soon a revocation that another process wrote binds."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardening import Outcome
from sokhoe import clock
from sokhoe.errors import NotFound
from sokhoe.fhir import compartments
from sokhoe.store import Keep, open_store
from sokhoe.trust import Gate, Purpose, Put, Session, closing, consents
from sokhoe.trust.consents import Request, Rule
from sokhoe.trust.grounds import OPENINGS
from tests.trust import consent_oracle as oracle
from tests.trust.privacy import (
    CATEGORIES,
    DOCTORS,
    PLACES,
    TYPES,
    a_consent,
    a_memory,
    doctor,
    kinds_of,
)
from tests.worlds import settings_in

SOON = 1.0  # seconds within which a revocation must bind


def run(n: int = 5_000, seed: int = 20261123) -> Outcome:
    """`n` requests to the decision; one in twenty-five as many rounds at a hub, and one in ten
    as many revocations."""
    draw = random.Random(seed)
    examples: list[str] = []
    tried = _decisions(n, draw, examples)
    tried += _shown(max(1, n // 250), draw, examples)
    tried += _revoked(max(2, n // 10), draw, examples)
    return Outcome("consent", tried, len(examples), _planted(seed), seed, tuple(examples[:5]))


def _decisions(n: int, draw: random.Random, bad: list[str]) -> int:
    refs = [f"{type}/{number}" for type in TYPES for number in range(3)]
    for _ in range(n):
        given = [a_consent(draw, f"k{one}", "Patient/1", refs) for one in range(draw.randint(0, 3))]
        who = _a_request(draw)
        read = [one for one in map(consents.read, given) if one is not None]
        if consents.decide(read, _same(who)).permit != oracle.may(given, who):
            bad.append(f"decision: {given} {who}")
    return n


def _a_request(draw: random.Random) -> oracle.Who:
    return oracle.Who(
        [draw.choice(PLACES), draw.choice(DOCTORS)],
        draw.choice(("TREAT", "ETREAT")),
        clock.now(),
        {"resourceType": draw.choice(TYPES), "id": str(draw.randint(0, 2))},
        draw.sample(CATEGORIES, draw.randint(0, 2)),
        own=draw.random() < 0.2,
        treated=draw.random() < 0.5,
        opened=draw.random() < 0.3,
    )


def _same(who: oracle.Who) -> Request:
    type = str(who.record["resourceType"])
    return Request(
        frozenset(who.names),
        who.purpose,
        who.now,
        type,
        f"{type}/{who.record['id']}",
        frozenset(who.kinds),
        who.own,
        who.treated,
        who.opened,
    )


@contextmanager
def _hub() -> Iterator[tuple[Gate, Gate]]:
    """A hub, and a second process of it."""
    with tempfile.TemporaryDirectory(prefix="sokhoe-hardening-") as folder:
        store = open_store(f"sqlite:///{folder}/store.db")
        settings = settings_in(Path(folder), role="hub")
        try:
            yield Gate(store, settings), Gate(store, settings)
        finally:
            store.close()


def _shown(rounds: int, draw: random.Random, bad: list[str]) -> int:
    tried = 0
    with _hub() as (hub, _):
        rows = a_memory(hub, draw)
        people = _people(rows)
        refs = [
            f"{one['resourceType']}/{one['id']}" for one in rows if one["resourceType"] in TYPES
        ]
        for number in range(rounds):
            given = [a_consent(draw, f"k{one}", draw.choice(people)[0], refs) for one in range(5)]
            hub.machine("ops").commit([Put(one) for one in given])
            place = draw.choice(PLACES)
            purpose = draw.choice((Purpose.TREAT, Purpose.ETREAT))
            opened: list[str] = []
            if draw.random() < 0.5:
                opened = draw.choice(people)
                hub.emergencies.open(
                    hub.session(doctor(place)), opened[0], "unconscious", "Bất tỉnh, cần biết ngay"
                )
            session = hub.session(doctor(place), purpose)
            living = {
                one for each in hub.emergencies.living(session.actor) for one in each.patients
            }
            tried += _compare(session, rows, people, given, living, f"round {number}", bad)
            hub.memory.keep(Keep(OPENINGS, session.actor.id, None))
    return tried


def _ref(record: dict[str, Any]) -> str:
    return f"{record['resourceType']}/{record['id']}"


def _people(rows: list[dict[str, Any]]) -> list[list[str]]:
    persons = [one for one in rows if one["resourceType"] == "Person"]
    return [[link["target"]["reference"] for link in one["link"]] for one in persons]


def _compare(
    session: Session,
    rows: list[dict[str, Any]],
    people: list[list[str]],
    given: list[dict[str, Any]],
    living: set[str],
    name: str,
    bad: list[str],
) -> int:
    purpose, place = str(session.purpose), session.actor.place
    homes = {
        f"Patient/{one['id']}": one["managingOrganization"]["reference"]
        for one in rows
        if one["resourceType"] == "Patient"
    }
    wanted, tried = set(), 0
    for group in people:
        said = [one for one in given if one["patient"]["reference"] in group]
        treated = any(homes[one] == place for one in group) and purpose == "TREAT"
        for record in rows:
            own = compartments(record) & set(group)
            if record["resourceType"] not in TYPES or not own:
                continue
            tried += 1
            who = oracle.Who(
                [session.actor.id, place],
                purpose,
                clock.now(),
                record,
                kinds_of(record),
                # in an emergency only what was opened is looked at, its own as well
                own=any(homes[one] == place for one in own)
                and (purpose == "TREAT" or bool(own & living)),
                treated=treated,
                opened=purpose == "ETREAT" and bool(own & living),
            )
            reachable = purpose == "TREAT" or bool(own & living)
            if reachable and oracle.may(said, who):
                wanted.add(_ref(record))
    shown = {
        one.ref for type in TYPES for one in session.search(type, [("_count", "500")]).versions
    }
    if shown != wanted:
        bad.append(
            f"{name}: too much {sorted(shown - wanted)}, too little {sorted(wanted - shown)}"
        )
    for record in rows[:: max(1, len(rows) // 10)]:
        ref = _ref(record)
        if record["resourceType"] in TYPES and _reads(session, ref) != (ref in wanted):
            bad.append(f"{name}: read {ref}")
    return tried


def _reads(session: Session, ref: str) -> bool:
    type, _, id = ref.partition("/")
    try:
        session.read(type, id)
    except NotFound:
        return False
    return True


def _revoked(n: int, draw: random.Random, bad: list[str]) -> int:
    """Closed by one process, asked of another until it binds."""
    with _hub() as (hub, other):
        rows = a_memory(hub, draw, people=2)
        group = _people(rows)[0]
        homes = {f"Patient/{one['id']}": one for one in rows if one["resourceType"] == "Patient"}
        place = homes[group[0]]["managingOrganization"]["reference"]
        session = other.session(doctor(place))
        base = a_consent(draw, "k", group[0], ["Patient/a", "Patient/b"])
        for number in range(n):
            closed = number % 2 == 0
            rule = {"type": "deny" if closed else "permit"}
            hub.machine("ops").commit([Put(base | {"status": "active", "provision": rule})])
            since = time.monotonic()
            while True:
                began = time.monotonic()  # a question asked so late must get the new answer
                if _reads(session, group[1]) is not closed:
                    break
                if began - since > SOON:
                    bad.append(f"revocation {number} did not bind in {SOON} s")
                    break
                time.sleep(0.01)
    return n


def _planted(seed: int) -> bool:
    """A decision that overlooks what was closed by kind must be noticed, and so must SQL."""
    real, found = consents.effect, []

    def careless(rule: Rule, *, within: bool, emergency: bool) -> bool | None:
        return None if rule.of_records else real(rule, within=within, emergency=emergency)

    for module in (consents, closing):
        bad: list[str] = []
        module.effect = careless  # type: ignore[attr-defined]
        closing._what.cache_clear()
        try:
            draw = random.Random(seed)
            if module is consents:
                _decisions(300, draw, bad)
            else:
                _shown(12, draw, bad)
        finally:
            module.effect = real  # type: ignore[attr-defined]
            closing._what.cache_clear()
        found.append(bool(bad))
    return all(found)

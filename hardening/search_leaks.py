"""Check 17, search leaks: a citizen's random searches in two memories that differ in nothing but
other people's records. Whatever a search shows, counts, includes or refuses must be the same in
both, for else it tells something of others; and nothing of others may be shown in either.

Own records point at others' (a result derived from theirs, a visit that is part of theirs), so that
chains, `_has` and includes have something to leak.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardening import Outcome
from sokhoe.errors import SokhoeError
from sokhoe.fhir import compartments
from sokhoe.store import Scope, Sweep, open_store
from sokhoe.trust import Actor, Gate, Put, Role, Session, Version, permits
from sokhoe.trust.permits import DIRECTORY
from tests.worlds import a_patient, a_visit, settings_in

OWN = ("Patient/own1", "Patient/own2")
OTHERS = [f"other{n}" for n in range(6)]
NAMES = ("Lan", "Bình", "Đức", "Hoa")
CODES = ("I10", "F20", "B20", "E11")
TYPES = ("Patient", "Observation", "Condition", "Encounter", "List", "Person", "Communication")
Answer = tuple[Any, ...]


def run(n: int = 10_000, seed: int = 20261123) -> Outcome:
    draw = random.Random(seed)
    bad: list[str] = []
    with _memories(draw) as two:
        for _ in range(n):
            _try(draw, two, bad)
    return Outcome("search leaks", n, len(bad), _planted(seed), seed, tuple(bad[:5]))


@contextmanager
def _memories(draw: random.Random) -> Iterator[list[Session]]:
    with tempfile.TemporaryDirectory(prefix="sokhoe-hardening-") as folder:
        stores = [open_store(f"sqlite:///{folder}/{name}.db") for name in "ab"]
        try:
            made = []
            own = _own(draw)
            for number, store in enumerate(stores):
                gate = Gate(store, settings_in(Path(folder), role="hub"))
                others = _others(draw)
                ops = gate.machine("ops")
                ops.commit([Put(one) for one in others[: len(others) // 2]])
                ops.commit([Put(one) for one in own])
                ops.commit([Put(one) for one in others[len(others) // 2 :]])
                if number:
                    ops.commit([Put({**one, "language": "vi"}) for one in others[::3]])
                made.append(gate.session(Actor("Person/me", "Me", Role.CITIZEN)))
            yield made
        finally:
            for store in stores:
                store.close()


def _own(draw: random.Random) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [_person("me", [*OWN])]
    for ref in OWN:
        rows += _records(draw, ref.removeprefix("Patient/"), draw.choice(OTHERS))
    return rows


def _others(draw: random.Random) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for id in draw.sample(OTHERS, 5):
        rows.append(_person(f"x-{id}", [f"Patient/{id}"]))
        rows += _records(draw, id, draw.choice(["own1", *OTHERS]))
    return rows


def _person(id: str, patients: list[str]) -> dict[str, Any]:
    links = [{"target": {"reference": one}} for one in patients]
    return {"resourceType": "Person", "id": id, "link": links}


def _records(draw: random.Random, id: str, elsewhere: str) -> list[dict[str, Any]]:
    """A patient with two visits and a list, that point at the records of another."""
    patient = a_patient(id, name=f"Nguyễn {draw.choice(NAMES)}", citizen_id=f"{draw.random():.9f}")
    rows = [patient]
    for number in range(2):
        visit = a_visit(patient, systolic=draw.randint(90, 200), code=draw.choice(CODES))
        for one in visit:
            one["id"] = f"{id}-{one['resourceType'][0].lower()}{number}"
        visit[0]["partOf"] = {"reference": f"Encounter/{elsewhere}-e{number}"}
        visit[1]["derivedFrom"] = [{"reference": f"Observation/{elsewhere}-o{number}"}]
        visit[1]["encounter"] = visit[2]["encounter"] = {"reference": f"Encounter/{id}-e{number}"}
        rows += visit
    items = [{"item": {"reference": f"Observation/{one}-o0"}} for one in (id, elsewhere)]
    rows.append(
        {
            "resourceType": "List",
            "id": f"{id}-l",
            "status": "current",
            "mode": "working",
            "subject": {"reference": f"Patient/{id}"},
            "entry": items,
        }
    )
    return rows


# -- questions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    ask: Callable[[Session], Answer]


def _question(draw: random.Random) -> Question:
    kind = draw.random()
    someone = draw.choice([*OTHERS, "own1", "own2"])
    if kind < 0.75:
        return _search(draw)
    if kind < 0.85:
        type, id = draw.choice(
            (("Patient", someone), ("Observation", f"{someone}-o0"), ("Person", f"x-{someone}"))
        )
        version = draw.choice((None, 1, 2))
        if draw.random() < 0.5:
            return Question(
                f"read {type}/{id}/{version}", lambda one: _refs([one.read(type, id, version)])
            )
        return Question(f"history {type}/{id}", lambda one: _refs(one.history(type, id).versions))
    if kind < 0.9:
        name = draw.choice(TYPES)
        return Question(f"history {name}", lambda one: _refs(one.history(name).versions))
    if kind < 0.95:
        by = {type: ["subject"] for type in ("Observation", "Condition", "Encounter")}
        return Question(
            f"around {someone}", lambda one: _refs(one.around([f"Patient/{someone}"], by).versions)
        )
    return Question("export", _export)


def _search(draw: random.Random) -> Question:
    type = draw.choice(TYPES)
    pairs = [draw.choice(_words(draw, type)) for _ in range(draw.randint(0, 3))]
    pairs += [one for one in _about(draw) if draw.random() < 0.3]
    return Question(f"{type}?{pairs}", lambda one: _pages(one, type, pairs))


def _words(draw: random.Random, type: str) -> list[tuple[str, str]]:
    name, code, someone = draw.choice(NAMES), draw.choice(CODES), draw.choice(["own1", *OTHERS])
    amount = f"{draw.choice(('gt', 'lt'))}{draw.randint(90, 200)}"
    every = [
        ("_id", f"{someone}"),
        ("_lastUpdated", "gt2026-01-01"),
        ("_filter", f"not (_id eq {someone})"),
        ("_has:List:item:_id", f"{someone}-l"),
        ("_list", f"{someone}-l"),
    ]
    own = {
        "Patient": [
            ("name", name),
            ("_has:Condition:patient:code", code),
            ("_has:Observation:patient:_has:List:item:_id", f"{someone}-l"),
            ("_has:Person:link:_id", f"x-{someone}"),
            ("_has:Observation:subject:value-quantity", amount),
            ("_revinclude", "*:*"),
            ("_revinclude", "Observation:subject"),
        ],
        "Observation": [
            ("patient", f"Patient/{someone}"),
            ("patient.name", name),
            ("derived-from.patient.name", name),
            ("derived-from:Observation.value-quantity", amount),
            ("_has:Observation:derived-from:value-quantity", amount),
            ("encounter.part-of.subject:Patient.name", name),
            ("_include", "Observation:derived-from"),
            ("_include", "*"),
            ("_include:iterate", "*"),
            ("_revinclude", "Observation:derived-from"),
            ("value-quantity", amount),
        ],
        "Condition": [
            ("code", code),
            ("patient.name", name),
            ("encounter.part-of._id", f"{someone}-e0"),
            ("code:not", code),
            ("_include", "Condition:subject"),
        ],
        "Encounter": [
            ("part-of.patient.name", name),
            ("part-of:Encounter._has:Condition:encounter:code", code),
            ("_has:Encounter:part-of:patient.name", name),
            ("_include", "Encounter:part-of"),
            ("_revinclude:iterate", "Encounter:part-of"),
        ],
        "List": [("item:Observation.value-quantity", amount), ("_include", "List:item")],
        "Person": [("link:Patient.name", name), ("_include", "Person:link")],
    }
    return [*every, *own.get(type, [])]


def _about(draw: random.Random) -> list[tuple[str, str]]:
    return [
        ("_total", draw.choice(("accurate", "estimate"))),
        ("_summary", "count"),
        ("_count", str(draw.randint(1, 3))),
        ("_sort", draw.choice(("_id", "-_id", "-_lastUpdated"))),
    ]


# -- answers --------------------------------------------------------------------------------------


def _refs(versions: Any) -> Answer:
    found: list[Version] = list(versions)
    for one in found:
        if one.type in DIRECTORY or one.deleted:
            continue
        if not compartments(one.resource) & set(OWN) and one.ref != "Person/me":
            raise Leak(one.ref)
    return tuple(sorted(f"{one.ref}/{one.version}" for one in found))


class Leak(Exception):
    """Somebody else's record was shown."""


def _pages(one: Session, type: str, pairs: list[tuple[str, str]]) -> Answer:
    page = one.search(type, pairs)
    told: list[Any] = [page.total, _refs(page.versions), _refs(page.included)]
    for _ in range(4):
        if page.next is None:
            break
        page = one.search(type, [*pairs, ("_cursor", page.next)])
        told += [_refs(page.versions), _refs(page.included)]
    return tuple(told)


def _export(one: Session) -> Answer:
    may = one.exportable()
    swept = one.sweep(Sweep(may.types, one.point().upto), 0, "leaks")
    if swept.people - set(OWN):
        raise Leak(str(swept.people))
    return tuple(sorted((type, id) for type, id, _ in swept.taken))


def _try(draw: random.Random, two: list[Session], bad: list[str]) -> None:
    question = _question(draw)
    told: list[Any] = []
    for one in two:
        try:
            told.append(question.ask(one))
        except SokhoeError as error:
            told.append((type(error).__name__, error.slug))
        except Leak as leak:
            bad.append(f"{question.name} showed {leak}")
            return
    if told[0] != told[1]:
        bad.append(f"{question.name}: {told[0]} or {told[1]}")


def _planted(seed: int) -> bool:
    """A citizen whose bounds are forgotten in what comes along must be noticed."""
    real = permits.own_record
    permits_ = permits.PERMITS
    bad: list[str] = []
    try:
        permits.PERMITS = tuple(one if one.within is not real else _wide(one) for one in permits_)
        permits._staff.cache_clear()
        draw = random.Random(seed)
        with _memories(draw) as two:
            for _ in range(60):
                _try(draw, two, bad)
    finally:
        permits.PERMITS = permits_
        permits._staff.cache_clear()
    return bool(bad)


def _wide(permit: permits.Permit) -> permits.Permit:
    def own_and_lists(actor: Actor, links: permits.Links) -> Scope:
        return Scope(patients=links(actor.id), open=DIRECTORY | {"List", "Encounter"})

    return permits.Permit(permit.role, permit.deeds, permit.types, own_and_lists, permit.purposes)

"""Fill servers with the invented province that the country pack makes: same seed, same province.

Everything goes through the gate as it would in life: each facility's software commits what it
recorded, files go through the in-tray; the hub's followers do the rest once it runs.
Several visits share a commit, since each commit waits for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import groupby
from typing import Any

from sokhoe.country import Batch, Citizen, World
from sokhoe.errors import Unavailable
from sokhoe.exchange import receive
from sokhoe.trust import Actor, Gate, Purpose, Put, Role, Session
from sokhoe.web import Site

PER_COMMIT = 400  # resources
Progress = Callable[[str, int, int], None]  # what, done, of how many (0: unknown)


def world_of(site: Site) -> World:
    """The pack's invented province. Raises Unavailable for a pack without one."""
    world: World | None = site.pack.seam("world")
    if world is None:
        raise Unavailable(
            f"The country pack {site.pack.name!r} has no invented province.",
            hint="Set SOKHOE_COUNTRY=vietnam for the demo.",
            slug="no-world",
        )
    return world


def software(gate: Gate, facility: str, name: str) -> Session:
    """The session of a facility's software, as if it had signed in with its token."""
    actor = Actor(
        id=f"Device/{facility}",
        name=name,
        role=Role.SOFTWARE,
        place=f"Organization/{facility}",
        place_name=name,
        scopes=("system/*.cruds",),
    )
    return gate.session(actor, Purpose.TREAT)


def register(site: Site, world: World) -> int:
    """Facilities and staff, known to every server."""
    resources = world.register()
    session = site.gate.machine("ops", name="Sổ Khoẻ")
    for part in _parts(resources, PER_COMMIT):
        session.commit([Put(one) for one in part], note="register")
    return len(resources)


def fill(
    site: Site,
    world: World,
    batches: Iterable[Batch],
    progress: Progress,
    expected: int,
) -> int:
    """Commit what facilities recorded; returns the number of resources written."""
    names = dict(world.facilities())
    sessions: dict[str, Session] = {}
    done = 0
    people = 0
    kinds = site.pack.seam("exchange.file_kinds") or ()
    for facility, group in groupby(_gathered(batches), key=lambda one: one.facility):
        session = sessions.setdefault(
            facility, software(site.gate, facility, names.get(facility, facility))
        )
        for batch in group:
            if batch.content:
                kind = next(one for one in kinds if one.recognises(batch.content))
                receive(session, kind, batch.content, kind.label(batch.content))
            elif batch.resources:
                session.commit([Put(one) for one in batch.resources], note="import")
            done += len(batch.resources)
            people += 1
            progress("records", done, expected)
    return done


def _gathered(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches of one facility put together until a commit is worth its wait for the disk."""
    waiting: dict[str, list[dict[str, Any]]] = {}
    seen: dict[str, set[str]] = {}
    for batch in batches:
        if batch.content:
            yield batch
            continue
        rows = waiting.setdefault(batch.facility, [])
        names = seen.setdefault(batch.facility, set())
        refs = {f"{one['resourceType']}/{one['id']}" for one in batch.resources}
        if refs & names:  # the same resource again: an update, so a commit of its own
            yield Batch(batch.facility, tuple(rows))
            rows.clear()
            names.clear()
        rows.extend(batch.resources)
        names |= refs
        if len(rows) >= PER_COMMIT:
            yield Batch(batch.facility, tuple(rows))
            rows.clear()
            names.clear()
    for facility, rows in waiting.items():
        if rows:
            yield Batch(facility, tuple(rows))


def visit_as_staff(site: Site, world: World, citizens: Iterable[Citizen], today: date) -> None:
    """Let a few doctors look at the demo's citizens, so that their access log is not empty."""
    names = dict(world.facilities())
    people = site.gate.machine("people")
    for citizen in citizens:
        found = people.search("Patient", [("identifier", citizen.citizen_id), ("_count", "3")])
        for at, patient in enumerate(found.versions):
            # who treats somebody may look: the facility that has this record
            home = patient.resource.get("managingOrganization", {}).get("reference", "")
            code = home.removeprefix("Organization/")
            name = names.get(code, code)
            doctor = Actor(
                id=f"Practitioner/demo-{code}",
                name=("BS. Trần Minh Đức", "BS. Thạch Sô Phia", "BS. Lê Thị Ngọc Ánh")[at % 3],
                role=Role.DOCTOR,
                place=f"Organization/{code}",
                place_name=name,
            )
            session = site.gate.session(doctor, Purpose.TREAT)
            session.read("Patient", patient.id)
            session.search("Observation", [("patient", f"Patient/{patient.id}"), ("_count", "20")])


def _parts(items: Any, size: int) -> Iterator[Any]:
    for at in range(0, len(items), size):
        yield items[at : at + size]

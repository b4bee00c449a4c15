"""Where a working day begins: who was here today, who is expected, one box to find anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sokhoe import clock
from sokhoe.clinic.pages.words import age_text
from sokhoe.clinic.patients import Face, age, face_of
from sokhoe.clinic.visits import FOLLOW_UP, SNOMED, record
from sokhoe.people import identity_of
from sokhoe.trust import Page, Version
from sokhoe.web import Ask

MOST = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A visit in the list."""

    id: str
    face: Face | None
    age: str
    at: str
    by: str
    complaint: str
    version: Version


def today(ask: Ask) -> Response:
    """GET /today."""
    rows = _visits(ask)
    due = _due(ask)
    return ask.render("clinic/today.html", rows=rows, due=due, hour=_greeting(ask))


def _greeting(ask: Ask) -> str:
    hour = clock.local(clock.now()).hour
    if hour < 11:
        return ask.t("Good morning, {name}", name=ask.actor.name)
    if hour < 18:
        return ask.t("Good afternoon, {name}", name=ask.actor.name)
    return ask.t("Good evening, {name}", name=ask.actor.name)


def _visits(ask: Ask) -> list[Row]:
    pairs = [
        ("date", clock.today().isoformat()),
        ("_include", "Encounter:subject"),
        ("_sort", "-date"),
        ("_count", str(MOST)),
    ]
    if ask.actor.place:
        pairs.append(("service-provider", ask.actor.place))
    page = ask.session.search("Encounter", pairs)
    faces = _faces(ask, page)
    rows = []
    for version in page.versions:
        visit = record(version.resource, ())
        if visit.withdrawn:
            continue
        face = faces.get(visit.patient)
        old = age_text(ask.t, age(face.birth, clock.today())) if face else ""
        rows.append(Row(visit.id, face, old, visit.at, visit.by, visit.complaint, version))
    return rows


def _faces(ask: Ask, page: Page) -> dict[str, Face]:
    identity = identity_of(ask.site)
    return {
        version.ref: face_of(version.resource, identity)
        for version in page.included
        if version.type == "Patient"
    }


def _due(ask: Ask) -> list[tuple[Face, str]]:
    """People asked to come today: (person, since when that is planned)."""
    page = ask.session.search(
        "ServiceRequest",
        [
            ("occurrence", clock.today().isoformat()),
            ("status", "active"),
            ("code", f"{SNOMED}|{FOLLOW_UP}"),
            ("_include", "ServiceRequest:subject"),
            ("_count", str(MOST)),
        ],
    )
    faces = _faces(ask, page)
    found: dict[str, tuple[Face, str]] = {}
    for version in page.versions:
        request: dict[str, Any] = version.resource
        face = faces.get(request.get("subject", {}).get("reference", ""))
        if face:
            found.setdefault(face.id, (face, request.get("authoredOn", "")))
    return sorted(found.values(), key=lambda one: one[0].name)

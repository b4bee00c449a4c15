"""The pages of numbers: one sheet with everything worst first, one page per number, CSV files.

They show counts, not records, so they ask for a role and not for a permit on resources: nothing
here came from a Session of the reader, and small counts are already hidden (numbers.py). What the
reader's role must be stands in `READERS`; a HEAD of a facility reads them at the hub only, where
these pages are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from sokhoe import clock
from sokhoe.errors import NotFound
from sokhoe.trust import Role
from sokhoe.warehouse import charts, views
from sokhoe.warehouse.files import as_csv
from sokhoe.warehouse.indicators import catalogue
from sokhoe.warehouse.numbers import Answer, Numbers
from sokhoe.warehouse.seams import Places, Words
from sokhoe.warehouse.wording import Wording
from sokhoe.web import Ask, Site, page

READERS = frozenset({Role.STATISTICIAN, Role.HEAD})
HOME = "/numbers"
# Rows on the sheet; the number's own page has all.
FACILITIES, AREAS, DIAGNOSES, CHAPTERS = 8, 10, 12, 8


@dataclass(frozen=True, slots=True)
class Room:
    """What the pages of this room have at hand (site.rooms["warehouse"])."""

    numbers: Numbers
    places: Places
    words: Words


def routes(site: Site) -> list[Route]:
    """/numbers, /numbers/{indicator}, /numbers/{indicator}.csv: at the hub, not at a station."""
    if site.role == "station":
        return []
    return [
        page(HOME, sheet, roles=READERS),
        page(HOME + "/{indicator}.csv", download, roles=READERS),
        page(HOME + "/{indicator}", one_number, roles=READERS),
    ]


def sheet(ask: Ask) -> Response:
    """Everything at a glance."""
    room = _room(ask)
    answers = room.numbers.all()
    if not answers:
        return ask.render("warehouse/empty.html", say=_wording(ask))
    parts = {key: _part(ask, room, answers[key], short=True) for key in answers}
    return ask.render("warehouse/numbers.html", say=_wording(ask), answers=answers, **parts)


def one_number(ask: Ask) -> Response:
    """One number with all its rows and its definition. Raises NotFound."""
    room = _room(ask)
    key = ask.path["indicator"]
    if key not in catalogue():
        raise NotFound(f"There is no indicator {key!r}.", slug="no-number")
    answers = room.numbers.all()
    if not answers:
        return ask.render("warehouse/empty.html", say=_wording(ask))
    answer = room.numbers.answer(key)
    shown = {key: _part(ask, room, answer, short=False)}
    if key == "growth":
        shown["coverage"] = _part(ask, room, room.numbers.answer("coverage"), short=False)
    return ask.render(
        "warehouse/number.html", say=_wording(ask), answers=answers, answer=answer, **shown
    )


def download(ask: Ask) -> Response:
    """The rows as CSV, hidden numbers hidden. Raises NotFound."""
    room = _room(ask)
    answer = room.numbers.answer(ask.path["indicator"])
    name = f"{answer.indicator.key}-{clock.local(answer.as_of):%Y-%m-%d}.csv"
    return Response(
        as_csv(answer, _wording(ask), room.places.target),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _room(ask: Ask) -> Room:
    room: Room = ask.site.rooms["warehouse"]
    return room


def _wording(ask: Ask) -> Wording:
    room = _room(ask)
    return Wording(ask.t, room.words, room.numbers.mask_below)


def _part(ask: Ask, room: Room, answer: Answer, *, short: bool) -> Any:
    """What a template needs of one answer; `short` for the sheet."""
    say = _wording(ask)
    match answer.indicator.key:
        case "coverage":
            return _coverage(room, answer, short)
        case "growth":
            cover = views.coverage(room.numbers.answer("coverage"), room.places.target)
            return views.growth(answer, cover, room.numbers.mask_below)
        case "facilities":
            found = views.senders(answer)
            return {"all": found, "rows": found.rows[: FACILITIES if short else None]}
        case "visits":
            return views.weekly(answer)
        case "diagnoses":
            rows = [(row["category"], say.diagnosis(row), row["people"]) for row in answer.rows]
            return views.lanes(rows, DIAGNOSES if short else 0)
        case "chapters":
            rows = [(row["chapter"], ask.t(row["name"]), row["people"]) for row in answer.rows]
            return views.lanes(rows, CHAPTERS if short else 0)
        case "ages":
            return views.bands(answer)
        case _:
            return None


def _coverage(room: Room, answer: Answer, short: bool) -> dict[str, Any]:
    cover = views.coverage(answer, room.places.target)
    shares = {one.code: one for one in cover.areas}
    areas = [area for area in room.places.areas() if area.code in shares]
    drawn = charts.tile_map([(area.col, area.row, area.name) for area in areas])
    tiles = [(spot, shares[area.code]) for spot, area in zip(drawn.spots, areas, strict=True)]
    return {
        "all": cover,
        "map": drawn,
        "tiles": tiles,
        "rows": [one for one in cover.areas if not one.hidden][: AREAS if short else None],
    }

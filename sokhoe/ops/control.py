"""The demo's control page, /demo: every door with its account, and the lines that can be cut.

Cutting a line is a file in the station's folder (`line.cut`); the station's mail room looks for it
before each packet. Exists in the demo only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import NotFound
from sokhoe.fhir import decode
from sokhoe.sync import CUT_FILE
from sokhoe.web import Ask, Site, key, page


@dataclass(frozen=True, slots=True)
class StationView:
    """A station as the control page shows it."""

    name: str
    code: str
    server: str
    url: str
    cut: bool
    up: bool
    waiting: int
    accounts: list[dict[str, str]]


def routes(place: Any) -> list[Route]:
    def show(ask: Ask) -> Response:
        doors = decode((place.folder / "doors.json").read_bytes())
        return ask.render(
            "ops/demo.html",
            doors=doors,
            stations=[_station(ask.site, place, doors, n) for n in range(len(doors["stations"]))],
            password=doors["accounts"][0]["password"],
        )

    def switch(ask: Ask) -> Response:
        server, deed = ask.path["server"], ask.path["deed"]
        folder: Path = place.folder / server
        if not server.startswith("station-") or not folder.is_dir():
            raise NotFound("There is no such station in this demo.")
        if deed == "cut":
            (folder / CUT_FILE).touch()
        elif deed == "restore":
            (folder / CUT_FILE).unlink(missing_ok=True)
        else:
            raise NotFound("A line can be cut or restored.")
        return ask.go("/demo")

    return [
        page("/demo", show, public=True),
        page("/demo/line/{server}/{deed}", switch, methods=("POST",), public=True),
    ]


def signpost(place: Any) -> list[Route]:
    """At a station: /demo leads to the hub's control page."""
    return [page("/demo", lambda ask: ask.go(f"{place.url('hub')}/demo"), public=True)]


def banner() -> str:
    """The words over every page of the demo (a catalogue key)."""
    return key("Demonstration: every person here is invented.")


def _station(site: Site, place: Any, doors: dict[str, Any], number: int) -> StationView:
    one = doors["stations"][number]
    server = f"station-{number + 1}"
    names = dict(site.pack.seam("world").facilities())
    status = _status(one["url"])
    return StationView(
        name=names.get(one["facility"], one["facility"]),
        code=one["facility"],
        server=server,
        url=one["url"],
        cut=(place.folder / server / CUT_FILE).exists(),
        up=bool(status.get("up")),
        waiting=int(status.get("waiting", 0)),
        accounts=[a for a in doors["accounts"] if a["place"] == one["facility"]],
    )


def _status(url: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = httpx.get(f"{url}/health", timeout=2).json()
    except (httpx.HTTPError, ValueError):
        return {}
    line: dict[str, Any] = answer.get("line", {})
    return line

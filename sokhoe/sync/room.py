"""Opening the room: a station gets a sender and a line, a hub gets a letter box."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from starlette.routing import Route

from sokhoe.settings import Settings
from sokhoe.store import Store
from sokhoe.sync.enrol import Enrolment, enrol_at
from sokhoe.sync.keys import load_key
from sokhoe.sync.letters import letter_routes
from sokhoe.sync.line import LineMemory, StationLine, file_cut
from sokhoe.sync.pages import hub, station
from sokhoe.sync.receive import LetterBox
from sokhoe.sync.sender import Sender
from sokhoe.web import NavItem, Site, key

CUT_FILE = "line.cut"
# A bad line needs patience, a dead one must be noticed: connect soon or not at all.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)


@dataclass(slots=True)
class StationMail:
    """What a station with a hub has in this room."""

    store: Store
    sender: Sender
    line: StationLine
    settings: Settings

    def enrol(self, code: str) -> Enrolment:
        """Enrol with a code from the province, and begin to send."""
        told = enrol_at(self.sender.client, self.store, self.settings.folder, code)
        self.sender.send_now()
        return told

    def reach_by(self, wire: httpx.BaseTransport) -> None:
        """Reach the hub by another wire than the network (tests, drills)."""
        self.sender.client.close()
        self.sender.client = hub_client(self.settings, wire)


def hub_client(settings: Settings, wire: httpx.BaseTransport | None = None) -> httpx.Client:
    """One kept connection to the hub, with no more header than it needs: an idle station pays
    for each byte 288 times a day."""
    return httpx.Client(
        base_url=settings.hub_url,
        timeout=TIMEOUT,
        headers={"User-Agent": "sokhoe", "Accept": "*/*", "Accept-Encoding": "identity"},
        transport=wire,
    )


def open_room(site: Site) -> None:
    """At a station with a hub: the line in the header, the sender, the page. At a hub: the
    letter box and the list of stations. Elsewhere nothing."""
    store = memory_of(site)
    if site.role == "hub":
        site.rooms["sync"] = LetterBox(site.gate, store)
        site.nav.append(NavItem(key("Stations"), hub.PATH, hub.ROLES))
    elif site.role == "station" and site.settings.hub_url:
        mail = open_station(site.settings, store)
        site.rooms["sync"] = mail
        site.line = mail.line
        site.line_page = station.PATH
        site.nav.append(NavItem(key("Line to the province"), station.PATH, station.ROLES))


def open_station(settings: Settings, store: Store) -> StationMail:
    """The sender and the line of a station, ready to be stepped."""
    folder = settings.folder
    memory = LineMemory(store)
    sender = Sender(
        store,
        memory,
        hub_client(settings),
        lambda: load_key(folder),
        every=float(settings.sync_seconds),
        is_cut=file_cut(folder / CUT_FILE),
    )
    return StationMail(store, sender, StationLine(store, memory, sender), settings)


def routes(site: Site) -> list[Route]:
    """The pages of this room, and at a hub the addresses for stations."""
    mail = site.rooms.get("sync")
    if isinstance(mail, LetterBox):
        most = int(site.settings.max_body_bytes)
        return [*letter_routes(mail, memory_of(site), most), *hub.routes(memory_of(site))]
    if isinstance(mail, StationMail):
        return station.routes(mail)
    return []


def followers(site: Site) -> list[Sender]:
    """The sender of a station that has a hub."""
    mail = site.rooms.get("sync")
    return [mail.sender] if isinstance(mail, StationMail) else []


def memory_of(site: Site) -> Store:
    """The store behind the gate. This room may ask the store (house, "What a room may ask"), and a
    site carries it for nobody else: pages must not come past the gate."""
    return site.gate.memory

"""A hub and a station on real stores, with a line between them that a test can spoil.

No app and no threads: `Sender.step` is called by the test, and the line is a transport of httpx
that hands the request's bytes to the hub's letter box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from sokhoe import clock
from sokhoe.settings import load
from sokhoe.store import Commit, Delete, Put, Store, open_store
from sokhoe.sync import (
    ENROL,
    PUSH,
    STATE,
    LetterBox,
    LineMemory,
    Node,
    Request,
    Sender,
    StationLine,
    as_answer,
    enrol_directly,
    load_key,
    node_of,
)
from sokhoe.sync.letters import take_in
from sokhoe.trust import Gate

FACILITY = {"resourceType": "Organization", "id": "86001", "name": "Trạm Y tế Ba Càng"}
OTHER = {"resourceType": "Organization", "id": "86002", "name": "Trạm Y tế Loan Mỹ"}

Answering = Callable[[httpx.Request, bytes], httpx.Response]
Passing = Callable[[httpx.Request, bytes, Answering], httpx.Response]


def straight(request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
    """A line on which nothing goes wrong."""
    return hub(request, body)


class Wire(httpx.BaseTransport):
    """From a station to a hub; `passing` may drop, double, damage or delay what passes."""

    def __init__(self, hub: HubEnd) -> None:
        self.hub = hub
        self.passing: Passing = straight
        self.sent: list[tuple[str, bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.sent.append((request.url.path, body))
        return self.passing(request, body, self.hub.answer)


class HubEnd:
    """A hub's store and letter box."""

    def __init__(self, folder: Path, box: type[LetterBox] = LetterBox, url: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.kind = box
        self.url = url or f"sqlite:///{folder / 'hub.db'}"
        self.start()
        self.store.commit([Put(FACILITY), Put(OTHER)], author="Device/setup")

    def start(self) -> None:
        self.store: Store = open_store(self.url)
        self.gate = Gate(self.store, load({"data": str(self.folder), "role": "hub"}))
        self.box = self.kind(self.gate, self.store)

    def restart(self) -> None:
        """As after a power cut: nothing but the disk is left."""
        self.store.close()
        self.start()

    def answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        work = {
            PUSH: self.box.push,
            STATE: self.box.state,
            ENROL: lambda asked: take_in(self.store, asked),
        }[request.url.path]
        asked = Request(
            request.method, request.url.path, dict(request.headers), body, "203.0.113.7"
        )
        status, content = as_answer(work, asked)
        return httpx.Response(status, content=content, request=request)


class StationEnd:
    """A station's store, its sender and its line."""

    def __init__(self, folder: Path, hub: HubEnd, **given: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.given = given
        self.wire = Wire(hub)
        self.client = httpx.Client(base_url="http://hub", transport=self.wire)
        self.start()

    def start(self) -> None:
        self.store: Store = open_store(f"sqlite:///{self.folder / 'station.db'}")
        memory = LineMemory(self.store)
        self.sender = Sender(
            self.store,
            memory,
            self.client,
            lambda: load_key(self.folder),
            chance=lambda: 0.5,
            **self.given,
        )
        self.line = StationLine(self.store, memory, self.sender)

    def restart(self) -> None:
        """As after a power cut: nothing but the disk is left."""
        self.store.close()
        self.start()

    def save(self, *resources: dict[str, Any], author: str = "Practitioner/hoa") -> int:
        """One commit; its number."""
        return self.store.commit([Put(one) for one in resources], author=author).commit

    def delete(self, type: str, id: str) -> int:
        return self.store.commit([Delete(type, id)], author="Practitioner/hoa").commit

    def send(self, steps: int = 50) -> None:
        """Send until everything has arrived, whatever the waiting time says."""
        for _ in range(steps):
            self.sender.send_now()
            if not self.sender.step() and not self.line.status().waiting:
                return
        raise AssertionError(f"did not arrive: {self.line.status()}")

    def commits(self) -> list[Commit]:
        return self.store.commits(0, limit=100_000, max_bytes=1 << 30)

    def node(self, hub: HubEnd) -> Node:
        node = node_of(hub.store, self.store.node)
        assert node is not None
        return node


@contextmanager
def a_pair(
    folder: Path,
    *,
    enrolled: bool = True,
    box: type[LetterBox] = LetterBox,
    url: str = "",
    **given: Any,
) -> Iterator[tuple[HubEnd, StationEnd]]:
    """A hub (its store at `url`, else SQLite) and one station of it."""
    hub = HubEnd(folder / "hub", box, url)
    station = StationEnd(folder / "station", hub, **given)
    if enrolled:
        enrol_directly(hub.store, station.store, station.folder, "Organization/86001")
    try:
        yield hub, station
    finally:
        station.store.close()
        hub.store.close()


def contents(store: Store) -> dict[str, list[bytes]]:
    """What a store holds: for each resource its versions in order, without number and time.

    The hub's own two facilities are left out.
    """
    found: dict[str, list[bytes]] = {}
    for version in store.feed(0, 1_000_000):
        resource = {} if version.deleted else version.resource
        resource.get("meta", {}).pop("versionId", None)
        resource.get("meta", {}).pop("lastUpdated", None)
        found.setdefault(version.ref, []).append(repr(resource).encode())
    return {ref: all for ref, all in found.items() if not ref.startswith("Organization/860")}


def order(store: Store) -> list[str]:
    """The versions of a store in the order in which they became visible."""
    return [
        f"{one.ref}@{one.version}"
        for one in store.feed(0, 1_000_000)
        if not one.ref.startswith("Organization/860")
    ]


def a_patient(id: str = "", name: str = "Nguyễn Thị Sen") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id or str(uuid4()),
        "meta": {"source": "urn:test:card-reader"},
        "name": [{"text": name}],
        "birthDate": "1961-03-02",
    }


def a_reading(patient: str, value: str = "72.50") -> dict[str, Any]:
    """A weight whose decimal must arrive as it was written."""
    return {
        "resourceType": "Observation",
        "id": str(uuid4()),
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": clock.iso_local(clock.now()),
        "valueQuantity": {"value": Decimal(value), "unit": "kg"},
    }

"""Check 29: who is no station of this province gets nothing in, and no message is lost while keys
are changed.

guesses    enrolment codes tried from many addresses, and codes that are used or too old
forgeries  pages signed with a closed station's key, with another station's, with none, with a
           signature of another page; pages that claim another station or another facility
rotations  the station's key, the hub's data key and master key change while records flow
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from hardening import Outcome
from sokhoe import clock
from sokhoe.errors import SokhoeError
from sokhoe.store import Held, Keys, open_store
from sokhoe.sync import (
    PUSH,
    Head,
    NodeKey,
    Request,
    admit,
    enrol_directly,
    load_key,
    make_code,
    node_of,
    nodes,
    pack,
    revoke,
)
from tests.sync.world import HubEnd, StationEnd, a_patient

HERE, THERE = "Organization/86001", "Organization/86002"
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HOUR = 3_600_000_000


@dataclass(slots=True)
class Tally:
    tried: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)

    def count(self, what: str, wrong: bool) -> None:
        self.tried += 1
        if wrong:
            self.bad += 1
            self.examples = [*self.examples, what][:5]


class SealedHub(HubEnd):
    """A hub whose store is encrypted, with data keys that can be changed."""

    keys = Keys(Held((bytes(range(32)),), bytes(32), {1: bytes([1]) * 32}, 1))

    def start(self) -> None:
        with mock.patch("tests.sync.world.open_store", lambda url: open_store(url, keys=self.keys)):
            super().start()

    def another_data_key(self) -> None:
        held = self.keys.held
        number = held.current + 1
        data = {**held.data, number: bytes([number % 255 + 1]) * 32}
        self.keys._take(Held(held.files, held.blind, data, number))


@contextmanager
def province(folder: Path) -> Iterator[tuple[SealedHub, StationEnd, StationEnd]]:
    """A hub and two stations of different facilities."""
    hub = SealedHub(folder / "hub")
    stations = []
    for name, facility in (("a", HERE), ("b", THERE)):
        station = StationEnd(folder / name, hub)
        enrol_directly(hub.store, station.store, station.folder, facility)
        station.save(a_patient())
        station.send()
        stations.append(station)
    try:
        yield hub, stations[0], stations[1]
    finally:
        for store in (*(one.store for one in stations), hub.store):
            store.close()


def run(n: int = 10_000, seed: int = 20261123) -> Outcome:
    """`n` guesses, a twentieth as many forgeries, and n/200 (50 in full) rotations of each key."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-keys-"))
    try:
        with province(folder) as (hub, station, other):
            guesses(hub, n, random.Random(seed), tally)
            forgeries(hub, station, other, max(12, n // 20), tally)
            rotations(hub, station, max(3, n // 200), tally)
            caught = planted(hub, station, other)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome("29 node keys", tally.tried, tally.bad, caught, seed, tuple(tally.examples))


# -- guesses --------------------------------------------------------------------------------------


def guesses(hub: HubEnd, n: int, luck: random.Random, tally: Tally) -> None:
    for _ in range(3):
        make_code(hub.store, HERE)
    before = len(nodes(hub.store))
    for number in range(n):
        code = "".join(luck.choice(LETTERS) for _ in range(8))
        address = f"203.0.{number // 4 % 250}.{number // 1000}"
        tally.count(f"guessed {code}", _admitted(hub, code, f"guess-{number}", address))
    for number in range(max(2, n // 500)):
        used, old = make_code(hub.store, HERE), make_code(hub.store, HERE)
        tally.count("a good code was refused", not _admitted(hub, used, f"good-{number}", "local"))
        tally.count("used twice", _admitted(hub, used, f"again-{number}", f"198.51.100.{number}"))
        with mock.patch.object(clock, "_source", _in_an_hour()):
            tally.count("too old", _admitted(hub, old, f"late-{number}", f"192.0.2.{number}"))
    good = max(2, n // 500)
    tally.count("stations that nobody enrolled", len(nodes(hub.store)) != before + good)
    tally.count("codes were spent by guessing", len(hub.store.all_kept("enrol-code")) < 3)


def _in_an_hour() -> Callable[[], int]:
    later = clock.now() + HOUR
    return lambda: later


def _admitted(hub: HubEnd, code: str, node: str, address: str) -> bool:
    key = NodeKey.draw().public
    try:
        admit(hub.store, code, node=node, epoch="e", public_key=key, address=address)
    except SokhoeError:
        return False
    return True


# -- forgeries ------------------------------------------------------------------------------------


def _page(station: StationEnd, node: str = "") -> bytes:
    """A page of the station's newest commit, as if `node` had written it."""
    station.save(a_patient())
    last = station.commits()[-1]
    head = Head(last.seq, last.hash)
    return pack(node or station.store.node, station.store.epoch, [last], head).body


def _asked(node: str, key: NodeKey, body: bytes, path: str = PUSH) -> Request:
    headers = key.headers(node, "POST", path, body, clock.now())
    return Request("POST", PUSH, {name.lower(): one for name, one in headers.items()}, body)


def _own(station: StationEnd) -> NodeKey:
    key = load_key(station.folder)
    assert key is not None
    return key


def others_key(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    return _asked(station.store.node, _own(other), _page(station))


def drawn_key(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    return _asked(station.store.node, NodeKey.draw(), _page(station))


def no_signature(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    asked = _asked(station.store.node, _own(station), _page(station))
    return Request(asked.method, asked.path, {"x-node": station.store.node}, asked.body)


def signature_of_another_page(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    asked = _asked(station.store.node, _own(station), _page(station))
    return Request(asked.method, asked.path, asked.headers, _page(station))


def signature_of_another_address(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    return _asked(station.store.node, _own(station), _page(station), "/sync/v1/state")


def unknown_station(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    return _asked("nobody", _own(station), _page(station, "nobody"))


def body_of_another_station(hub: HubEnd, station: StationEnd, other: StationEnd) -> Request:
    """Signed as itself, the page speaks for the other one."""
    return _asked(station.store.node, _own(station), _page(station, other.store.node))


FORGERIES = (
    others_key,
    drawn_key,
    no_signature,
    signature_of_another_page,
    signature_of_another_address,
    unknown_station,
    body_of_another_station,
)


def forgeries(hub: HubEnd, station: StationEnd, other: StationEnd, n: int, tally: Tally) -> None:
    for number in range(n):
        forge = FORGERIES[number % len(FORGERIES)]
        tally.count(forge.__name__, _accepted(hub, forge(hub, station, other)))
    stolen = _own(other)
    revoke(hub.store, other.store.node, "stolen", "Practitioner/operator")
    for _ in range(max(3, n // 10)):
        asked = _asked(other.store.node, stolen, _page(other))
        tally.count("stolen and closed", _accepted(hub, asked))
    station.send()  # all that was forged is its own after all, and arrives by the right way
    for _ in range(max(3, n // 10)):
        claimed = {"resourceType": "Organization", "id": "86002", "name": "Ours now"}
        head = hub.store.head()
        station.save(claimed)
        station.send()
        held = hub.store.read("Organization", "86002")
        wrong = held is None or b"Ours now" in held.body or hub.store.head() != head
        tally.count("claims another facility", wrong)


def _accepted(hub: HubEnd, asked: Request) -> bool:
    head = hub.store.head()
    with suppress(SokhoeError):
        hub.box.push(asked)
    return hub.store.head() != head


# -- rotations ------------------------------------------------------------------------------------


def rotations(hub: SealedHub, station: StationEnd, n: int, tally: Tally) -> None:
    """Between each two records a key changes: the station's, the hub's data key, in turns; now and
    then the hub restarts. Everything saved must have arrived once."""
    saved = []
    for number in range(2 * n):
        patient = a_patient()
        saved.append(patient["id"])
        station.save(patient)
        if number % 2:
            hub.another_data_key()
        else:
            (station.folder / "node.key").unlink()
            enrol_directly(hub.store, station.store, station.folder, HERE)
            station.restart()
        if number % 7 == 3:
            hub.restart()
        station.send()
    for id in saved:
        found = hub.store.read("Patient", id)
        tally.count(f"lost or doubled: Patient/{id}", found is None or found.version != 1)
    tally.count("the chains of the hub", bool(list(hub.store.verify())))
    tally.count("the station's facility", _facility(hub, station) != HERE)


def _facility(hub: HubEnd, station: StationEnd) -> str:
    node = node_of(hub.store, station.store.node)
    return node.facility if node else ""


# -- the planted fault ----------------------------------------------------------------------------


def planted(hub: HubEnd, station: StationEnd, other: StationEnd) -> bool:
    """A hub that looks at no signature must be noticed."""
    tally = Tally()
    with mock.patch("sokhoe.sync.registry.signature_fits", lambda *_: True):
        tally.count("planted", _accepted(hub, drawn_key(hub, station, other)))
    return tally.bad == 1

"""Check 30: people are planted through forms and API, then everything that lies about is searched
for them: database files, write-ahead files, journals, backups, the warehouse, logs, metrics, the
doctor's report, and answers to those who asked for something else.

A station on SQLite and a hub on PostgreSQL (on SQLite where none is here), both with keys. Packed
files (zstd, Parquet) are unpacked first. Planted: a log line with a number in it, and the same
station without keys, must both be found.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import zstandard

from hardening import Outcome
from sokhoe.fhir.search.fold import fold
from sokhoe.ops import run as command
from sokhoe.sync import enrol_directly
from sokhoe.trust import Role, keys
from tests import postgres
from tests.testland import Pack
from tests.worlds import Form, Line, Server, a_patient, a_visit

FACILITY = "B1"
SYLLABLES = "thuong khuyen nghiem quyet truoc phuoc khuong nguyet huynh truong".split()
_unpack = zstandard.ZstdDecompressor()


@dataclass(frozen=True, slots=True)
class Somebody:
    """An invented person. Number, phone and name occur nowhere else in the world."""

    number: str
    phone: str
    name: str

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What must not be found, as people and programs write it."""
        spaced = f"{self.phone[:4]} {self.phone[4:7]} {self.phone[7:]}"
        return tuple(
            one.encode() for one in (self.number, self.phone, spaced, self.name, fold(self.name))
        )


def people(n: int, luck: random.Random) -> list[Somebody]:
    found = []
    for number in range(n):
        words = [luck.choice(SYLLABLES) + luck.choice("xzwjf") for _ in range(3)]
        name = " ".join(word.capitalize() for word in words)
        digits = f"{number:05}"
        found.append(
            Somebody(f"T-{digits}", f"09{luck.randrange(10**3):03}{digits}", f"{name} Đặng")
        )
    return found


@dataclass(slots=True)
class Search:
    """Looks for everybody in bytes; counts places."""

    who: list[Somebody]
    tried: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)

    def look(self, where: str, raw: bytes, asked: bytes = b"") -> None:
        """`asked`: what the question said itself may stand in its answer."""
        self.tried += 1
        for one in self.who:
            for secret in one.secrets:
                if secret in raw and secret not in asked:
                    self.bad += 1
                    self.examples = [*self.examples, f"{where}: {secret.decode()}"][:5]
                    return

    def folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                for raw in contents(path):
                    self.look(str(path.relative_to(folder)), raw)


def contents(path: Path) -> Iterator[bytes]:
    """A file as it lies, and unpacked if it is packed."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:  # it was swept meanwhile
        return
    yield raw
    if path.suffix == ".zst":
        with _unpack.stream_reader(io.BytesIO(raw)) as reader:
            yield reader.read()
    elif path.suffix == ".gz":
        yield gzip.decompress(raw)
    elif path.suffix == ".parquet":
        rows = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
        yield repr(rows).encode()


class Heard(logging.Handler):
    """Everything that is logged, as it would stand in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("httpx", "httpcore")):
            return  # the check's own browser says where it goes
        self.lines.append(self.format(record))


@contextmanager
def heard() -> Iterator[Heard]:
    handler, root = Heard(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def ring_in(folder: Path) -> dict[str, str]:
    """Make keys for a server that is about to be made; the setting that opens them."""
    folder.mkdir(parents=True)
    opener = keys.master.draw()
    keys.ring.save(folder, keys.ring.new(opener))
    return {"master_key": opener.hex()}


@contextmanager
def province(folder: Path, url: str, *, locked: bool) -> Iterator[tuple[Server, Server]]:
    """A hub and a station of it, with keys or without."""
    pack = Pack()
    more = {"database": url} if url else {}
    opened = ring_in(folder / "hub") if locked else {}
    hub = Server(folder / "hub", "hub", pack, **more, **opened)
    opened = ring_in(folder / "station") if locked else {}
    station = Server(
        folder / "station",
        "station",
        pack,
        hub_url=hub.settings.url,
        facility=FACILITY,
        **opened,
    )
    hub.put({"resourceType": "Organization", "id": FACILITY, "name": "Beta Post"})
    enrol_directly(hub.store, station.store, station.folder, f"Organization/{FACILITY}")
    station.site.rooms["sync"].reach_by(Line(hub))
    try:
        yield hub, station
    finally:
        station.close()
        hub.close()


def run(n: int = 1_000, seed: int = 20261123) -> Outcome:
    """`n` people, one in ten by the station's forms and the others by the hub's API."""
    who = people(n, random.Random(seed))
    search = Search(who)
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-leaks-"))
    programs = postgres.programs()
    server = postgres.Server(programs) if programs else None
    try:
        with (
            heard() as log,
            province(folder / "locked", server.new() if server else "", locked=True) as (
                hub,
                station,
            ),
        ):
            plant(hub, station, who, search)
            for one in (hub, station):
                one.store.backup(str(folder / "locked" / f"{one.settings.role}.backup"))
            search.folder(folder / "locked")
            if server is not None:
                with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                    connection.execute("CHECKPOINT")
                search.folder(server.folder)
            for one in (hub, station):
                search.look("metrics", one.client().get("/health").content)
                search.look("doctor", doctor(one))
            search.look("log", "\n".join(log.lines).encode())
            caught = planted(who, log)
        with province(folder / "open", "", locked=False) as (hub, station):
            plant(hub, station, who[:10], Search(who))
            bare = Search(who)
            bare.folder(folder / "open" / "station")
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    caught = caught and bare.bad > 0
    return Outcome("30 leaks", search.tried, search.bad, caught, seed, tuple(search.examples))


# -- planting -------------------------------------------------------------------------------------


def plant(hub: Server, station: Server, who: list[Somebody], search: Search) -> None:
    nurse = station.signed_in(Role.NURSE, FACILITY)
    program = hub.software()
    for number, one in enumerate(who):
        if number % 10 == 0:
            register(nurse, one)
        else:
            send(program, one)
        if number % 25 == 0:
            wrong(program, nurse, one, search)
    station.site.line.send_now()
    station.settle()
    hub.settle()
    operator = hub.signed_in(Role.OPERATOR)
    for path in ("/nothing", "/fhir/Patient/nobody", "/sync/v1/state"):
        search.look(path, operator.get(path).content)


def register(nurse: Any, one: Somebody) -> None:
    card = f"{one.number}/{one.name}/1961-04-12/female"
    read = Form(nurse.get("/people/new").text, action="/people/new").typed(card=card)
    filled = Form(read.send(nurse, "card").text, action="/people/new").typed(phone=one.phone)
    saved = filled.send(nurse, "save")
    assert saved.url.path.startswith("/people/"), saved.text
    found = nurse.get("/people", params={"q": one.name})
    assert one.name in found.text


def send(program: Any, one: Somebody) -> None:
    patient = a_patient(
        name=one.name, citizen_id=one.number, system="urn:testland:citizen", facility=FACILITY
    )
    patient["telecom"] = [{"system": "phone", "value": one.phone}]
    patient["text"] = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{one.name}</div>',
    }
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": name}}
        for each in (patient, *a_visit(patient))
        for name in [f"{each['resourceType']}/{each['id']}"]
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = program.post("/fhir", json=bundle)
    assert answer.status_code == 200, answer.text
    for name, value in (("identifier", one.number), ("phone", one.phone), ("name", one.name)):
        found = program.get("/fhir/Patient", params={name: value}).json()
        assert [each["resource"]["id"] for each in found["entry"]] == [patient["id"]], (name, found)


def wrong(program: Any, nurse: Any, one: Somebody, search: Search) -> None:
    """What goes wrong tells nothing but what was said."""
    said = "\n".join(secret.decode() for secret in one.secrets).encode()
    bad = a_patient(name=one.name, citizen_id=one.number)
    for answer in (
        program.post("/fhir/Patient", json={**bad, "gender": "?"}),
        program.post("/fhir/Patient", content=b"{" + said),
        program.get("/fhir/Patient", params={"identifer": one.number}),
        program.get(f"/fhir/Patient/{one.number}"),
        program.post("/fhir/Patient/_search", data={"identifier": one.number, "nonsense": "1"}),
        nurse.get(f"/people/{one.number}"),
        nurse.post("/people/new", data={"name": one.name, "do": "save"}),
    ):
        assert answer.status_code >= 400
        search.look("an error page", answer.content, said)


# -- looking --------------------------------------------------------------------------------------


def doctor(server: Server) -> bytes:
    """What `sokhoe doctor` prints, which is made to be sent to whoever helps."""
    out = io.StringIO()
    words = ["doctor", "--data", str(server.folder), "--country", "none"]
    if server.settings.database:
        words += ["--database", server.settings.database]
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        _environment("SOKHOE_MASTER_KEY", server.settings.master_key),
    ):
        command(words)
    assert "keys" in out.getvalue(), out.getvalue()
    return out.getvalue().encode()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def planted(who: list[Somebody], log: Heard) -> bool:
    """A careless log line."""
    logging.getLogger("sokhoe.planted").warning("could not read %s", who[-1].number)
    search = Search(who)
    search.look("log", "\n".join(log.lines).encode())
    return search.bad == 1

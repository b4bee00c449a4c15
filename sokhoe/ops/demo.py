"""`sokhoe demo`: an invented province on this machine, with one command.

A hub and two stations, each its own process with its own SQLite file, as in life; only the line
between them is loopback and can be cut on the control page (/demo). The data folder is written
under the name `…/seeding` first and counts only when `demo.json` is there, so an interrupted first
start begins anew and a finished one is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sokhoe import __version__, clock, country
from sokhoe.app import build
from sokhoe.errors import Conflict, Invalid, Unavailable
from sokhoe.fhir import decode, encode
from sokhoe.ops import eid, elsewhere, world
from sokhoe.ops.serving import check_port
from sokhoe.settings import Settings, load
from sokhoe.sync import enrol_directly
from sokhoe.trust import DEMO_PASSWORD as PASSWORD
from sokhoe.trust import Role

HOST = "127.0.0.1"
STATIONS = ("station-1", "station-2")
CITIZENS = 5
CITIZENS_FILE = "eid-citizens.json"
READY_SECONDS = 60
SETTLE_SECONDS, NUMBERS_SECONDS = 30, 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a demo lives: its folder and its three ports."""

    folder: Path
    port: int

    def url(self, server: str) -> str:
        return f"http://{HOST}:{self.port + ('hub', *STATIONS).index(server)}"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8600, help="of the hub; stations take the next")
    parser.add_argument("--data", default="demo-data", help="folder of the demo's files")
    parser.add_argument("--seed", type=int, default=86, help="another seed, another province")
    parser.add_argument("--people", type=int, default=2700, help="how many people are invented")
    parser.add_argument("--fresh", action="store_true", help="forget what is there, begin anew")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(arguments: argparse.Namespace) -> int:
    console = Console(stderr=True)
    place = Place(Path(arguments.data).resolve(), arguments.port)
    for server in ("hub", *STATIONS):
        check_port(HOST, int(place.url(server).rsplit(":", 1)[1]))
    known = prepare_folder(place.folder, arguments.fresh)
    if known is None:
        seed(place, arguments.seed, arguments.people, console)
    elif (known["seed"], known["people"]) != (arguments.seed, arguments.people) and _chosen():
        console.print(
            f"Keeping the province of seed {known['seed']} with {known['people']} people. "
            "For another: --fresh"
        )
    doors = write_doors(place)
    with servers(place, console) as processes:
        wait_ready(place, processes, console)
        wait_followers(place, console)
        show(doors)
        if not arguments.no_browser:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(f"{place.url('hub')}/demo")
        return watch(processes, console)


def _chosen() -> bool:
    return any(word.startswith(("--seed", "--people")) for word in sys.argv)


def prepare_folder(folder: Path, fresh: bool) -> dict[str, Any] | None:
    """Make the folder usable; what a finished demo there says of itself, None for a new one.

    Raises Conflict for a folder with other things in it, Unavailable for one we cannot write.
    """
    marker = folder / "demo.json"
    try:
        if folder.exists() and not folder.is_dir():
            raise Conflict(
                f"{folder} is a file, not a folder.",
                hint="Choose a folder: --data DIR",
                slug="data-folder",
            )
        there = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
        if there and not there & {"demo.json", "seeding"}:
            raise Conflict(
                f"{folder} holds other things and no demo; nothing was touched.",
                hint="Choose an empty folder: --data DIR",
                slug="data-folder",
            )
        if marker.is_file() and not fresh:
            known: dict[str, Any] = decode(marker.read_bytes())
            if known["version"] == __version__:
                return known
        for name in ("demo.json", "doors.json", "population.csv", "hub", *STATIONS, "seeding"):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seeding").touch()
    except OSError as error:
        raise Unavailable(
            f"The data folder {folder} cannot be used: {error.strerror or error}.",
            hint="Choose a folder you may write to: --data DIR",
            slug="data-folder",
        ) from None
    return None


def settings_of(place: Place, server: str) -> Settings:
    """The settings of one of the three servers."""
    hub = server == "hub"
    (place.folder / server).mkdir(mode=0o700, exist_ok=True)
    about: dict[str, Any] = decode((place.folder / "demo.json").read_bytes())
    given: dict[str, Any] = {
        "role": "hub" if hub else "station",
        "demo": True,
        "host": HOST,
        "port": int(place.url(server).rsplit(":", 1)[1]),
        "data": str(place.folder / server),
        "idle_minutes": 240,
        "citizen_idle_minutes": 240,
        "sync_seconds": 2,
    }
    if hub:
        given["oidc_issuer"] = f"{place.url('hub')}/eid"
        given["oidc_client_secret"] = eid.open_secret(place.folder / server)
        given["population"] = str(place.folder / "population.csv")
    else:
        given["hub_url"] = place.url("hub")
        given["facility"] = about["stations"][STATIONS.index(server)]
    environment = {
        key: value
        for key, value in os.environ.items()
        if key in {"SOKHOE_COUNTRY", "SOKHOE_PROVINCE", "SOKHOE_LANGUAGE"}
    }
    return load(given, environment)


# -- seeding -----------------------------------------------------------------------------------


def seed(place: Place, number: int, people: int, console: Console) -> None:
    """Invent the province and fill the three memories; `demo.json` is written last."""
    if people < 50:
        raise Invalid("A province needs at least 50 people.", hint="--people 50", location="people")
    source = country.load(*_pack_names()).seam("world")
    if source is None:
        raise Unavailable("This country pack has no invented province.", slug="no-world")
    stations = [code for code, _ in source.facilities()][-len(STATIONS) :]
    about = {
        "version": __version__,
        "seed": number,
        "people": people,
        "stations": stations,
        "client_secret": secrets.token_urlsafe(32),
        "made": clock.iso(clock.now()),
    }
    marker = place.folder / "demo.json"
    marker.write_bytes(encode(about))
    try:
        with _progress(console) as progress:
            _fill(place, about, progress)
    except BaseException:
        marker.unlink(missing_ok=True)
        raise
    (place.folder / "seeding").unlink(missing_ok=True)


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        yield progress


def _fill(place: Place, about: dict[str, Any], progress: Progress) -> None:
    today = clock.today()
    number, people, stations = about["seed"], about["people"], about["stations"]
    _write_population(place, about, today)
    apps = {
        server: build(settings_of(place, server), followers=False) for server in ("hub", *STATIONS)
    }
    try:
        hub = apps["hub"].state.site
        source = world.world_of(hub)
        for app in apps.values():
            world.register(app.state.site, source)
        total = people * 15  # resources a person leaves behind, roughly: for the bar only
        task = progress.add_task("Inventing people and visits", total=total)

        def tell(what: str, done: int, of: int) -> None:
            progress.update(task, completed=done, total=max(total, done))

        own: dict[str, list[country.Batch]] = {code: [] for code in stations}

        def hubs() -> Iterator[country.Batch]:
            offset = hub.settings.utc_offset
            for batch in elsewhere.batches(_pack_names(), offset, number, people, today):
                if batch.facility in own and not batch.content:
                    own[batch.facility].append(batch)
                else:
                    yield batch

        world.fill(hub, source, hubs(), tell, total)
        for server, code in zip(STATIONS, stations, strict=True):
            world.fill(apps[server].state.site, source, own[code], lambda *_: None, 0)
        progress.update(task, completed=total, total=total)
        _open_doors(place, about, apps, source, today)
        citizens = source.citizens(number, people, today, CITIZENS)
        world.visit_as_staff(hub, source, citizens, today)
    finally:
        for app in apps.values():
            app.state.store.close()


def _write_population(place: Place, about: dict[str, Any], today: date) -> None:
    """How many invented people live in each commune: what the demo's shares are taken of."""
    source: country.World = country.load(*_pack_names()).seam("world")
    counts = source.population(about["seed"], about["people"], today)
    lines = ["area,population", *(f"{area},{count}" for area, count in sorted(counts.items()))]
    (place.folder / "population.csv").write_text("\n".join(lines) + "\n", "utf-8")


def _pack_names() -> tuple[str, str]:
    """The country pack and province of this demo, which the environment may choose."""
    return (
        os.environ.get("SOKHOE_COUNTRY", "vietnam"),
        os.environ.get("SOKHOE_PROVINCE", "vinh_long"),
    )


def _open_doors(
    place: Place, about: dict[str, Any], apps: dict[str, Any], source: country.World, today: date
) -> None:
    """Accounts, clients, the stations' keys and the citizens of the test e-ID."""
    names = dict(source.facilities())
    hub = apps["hub"].state.site
    for role, name in (
        (Role.STEWARD, "Nguyễn Thị Thu Vân"),
        (Role.STATISTICIAN, "Trần Quốc Thống"),
        (Role.AUDITOR, "Lê Minh Tra"),
        (Role.OPERATOR, "Phạm Văn Máy"),
    ):
        hub.gate.add_account(
            str(role), PASSWORD, role=role, name=name, actor=f"Practitioner/demo-{role}"
        )
    gateway = gateway_facility(source)
    hub.gate.add_account(
        f"gw{gateway}",
        PASSWORD,
        role=Role.SOFTWARE,
        name=names[gateway],
        actor=f"Device/{gateway}",
        place=f"Organization/{gateway}",
        place_name=names[gateway],
        scopes=("system/*.cruds",),
    )
    for server in ("hub", *STATIONS):
        apps[server].state.site.gate.add_client(
            "demo-software",
            "Phần mềm dùng thử",
            ["system/*.cruds"],
            secret=about["client_secret"],
        )
    for server, code in zip(STATIONS, about["stations"], strict=True):
        station = apps[server]
        for role, name in (
            (Role.NURSE, "Điều dưỡng Nguyễn Thị Sáu"),
            (Role.DOCTOR, "BS. Lâm Thanh Tùng"),
            (Role.HEAD, "BS. Huỳnh Thị Kim Hoa"),
        ):
            station.state.site.gate.add_account(
                str(role),
                PASSWORD,
                role=role,
                name=name,
                actor=f"Practitioner/demo-{code}-{role}",
                place=f"Organization/{code}",
                place_name=names[code],
            )
        enrol_directly(
            apps["hub"].state.store,
            station.state.store,
            place.folder / server,
            f"Organization/{code}",
        )
    citizens = source.citizens(about["seed"], about["people"], today, CITIZENS)
    eid.write_citizens(place.folder / "hub" / CITIZENS_FILE, citizens, PASSWORD)


def gateway_facility(source: country.World) -> str:
    """The facility whose software the gateway's demo account belongs to: the first one."""
    return source.facilities()[0][0]


# -- doors -------------------------------------------------------------------------------------


def write_doors(place: Place) -> dict[str, Any]:
    """Every way in, for people and for programs: `doors.json` in the data folder."""
    about: dict[str, Any] = decode((place.folder / "demo.json").read_bytes())
    source: country.World = country.load(*_pack_names()).seam("world")
    hub = place.url("hub")
    accounts = [
        {"role": role, "place": "hub", "username": role, "password": PASSWORD}
        for role in ("steward", "statistician", "auditor", "operator")
    ]
    stations = []
    for server, code in zip(STATIONS, about["stations"], strict=True):
        url = place.url(server)
        stations.append({"url": url, "fhir": f"{url}/fhir", "facility": code})
        accounts += [
            {"role": role, "place": code, "username": role, "password": PASSWORD}
            for role in ("nurse", "doctor", "head")
        ]
    gateway = gateway_facility(source)
    doors = {
        "hub": {"url": hub, "fhir": f"{hub}/fhir", "token": f"{hub}/oauth/token"},
        "stations": stations,
        "accounts": accounts,
        "clients": [
            {
                "client_id": "demo-software",
                "client_secret": about["client_secret"],
                "scope": "system/*.cruds",
            }
        ],
        "gateway": {"username": f"gw{gateway}", "password": PASSWORD, "facility": gateway},
        "citizens": [
            {"citizen_id": one.citizen_id, "name": one.name, "password": PASSWORD}
            for one in eid.read_citizens(place.folder / "hub" / CITIZENS_FILE).values()
        ],
    }
    (place.folder / "doors.json").write_bytes(encode(doors))
    return doors


def show(doors: dict[str, Any]) -> None:
    """The doors as plain lines: an address must never be cut to fit a narrow window."""
    hub, gateway, citizen = doors["hub"], doors["gateway"], doors["citizens"][0]
    rows = [("control page", f"{hub['url']}/demo", "cut and restore the lines")]
    for number, station in enumerate(doors["stations"], 1):
        here = [one for one in doors["accounts"] if one["place"] == station["facility"]]
        names = ", ".join(one["username"] for one in here)
        rows.append((f"station {number}", station["url"], names))
    rows += [
        ("Health Book", f"{hub['url']}/book", f"{citizen['name']}, {citizen['citizen_id']}"),
        ("numbers", f"{hub['url']}/numbers", "statistician"),
        ("steward desk", f"{hub['url']}/desk", "steward"),
        ("FHIR", hub["fhir"], f"{doors['clients'][0]['client_id']} (secret: doors.json)"),
        ("gateway", f"{hub['url']}/api", gateway["username"]),
    ]
    print("\n".join(f"{door:<13} {address:<32} {who}" for door, address, who in rows))
    print(f"Everybody's password: {PASSWORD}")
    client = doors["clients"][0]
    print(
        f"\nTry FHIR:\n  TOKEN=$(curl -s {hub['token']} -d grant_type=client_credentials "
        f"-d client_id={client['client_id']} -d client_secret={client['client_secret']} "
        '| sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')\n'
        '  curl -s -H "Authorization: Bearer $TOKEN" '
        f"'{hub['fhir']}/Patient?name=nguyen&_count=2'\n"
        "\nReady. Ctrl-C stops everything; the data stays.",
        flush=True,
    )


# -- processes ---------------------------------------------------------------------------------


@contextlib.contextmanager
def servers(place: Place, console: Console) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The three servers. Each holds the read end of a pipe from us: should we die without a
    word, the pipe closes and they stop too."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    stop = _Stop()
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        for server in ("hub", *STATIONS):
            command = [sys.executable, "-m", "sokhoe", "demo-server", server]
            command += ["--data", str(place.folder), "--port", str(place.port)]
            processes[server] = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, start_new_session=True
            )
            if (
                server == "hub"
            ):  # a station that finds no hub says so, which would alarm for nothing
                wait_ready(place, processes, console)
        yield processes
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.terminate()
        for process in processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one, handler in before.items():
            signal.signal(one, handler)


class _Stop:
    """SIGINT and SIGTERM end the demo in order: servers first, then we."""

    def __call__(self, number: int, frame: object) -> None:
        raise KeyboardInterrupt


def wait_ready(
    place: Place, processes: dict[str, subprocess.Popen[bytes]], console: Console
) -> None:
    started = time.monotonic()
    with console.status("Starting the servers …"):
        for server, process in processes.items():
            while True:
                if process.poll() is not None:
                    raise Unavailable(
                        f"The {server} did not start (exit {process.returncode}).",
                        hint="Its own words stand above. Begin anew with: sokhoe demo --fresh",
                        slug="no-start",
                    )
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{place.url(server)}/health", timeout=2).status_code == 200:
                        break
                if time.monotonic() - started > READY_SECONDS:
                    raise Unavailable(f"The {server} does not answer.", slug="no-start")
                time.sleep(0.1)


def wait_followers(place: Place, console: Console) -> None:
    """Let the hub link people, translate files and count, so that every door shows something.

    They are followers: were one slow, the rest works meanwhile, so this waits only so long; for
    the numbers, which nobody's sign-in needs, less long.
    """
    started = time.monotonic()
    with _progress(console) as progress:
        task = progress.add_task("Linking people, reading files, counting", total=None)
        while (waited := time.monotonic() - started) < SETTLE_SECONDS:
            state = httpx.get(f"{place.url('hub')}/health", timeout=10).json()
            marks, head = state["marks"], state["head"]
            progress.update(task, completed=min(marks.values(), default=head), total=head)
            late = {name for name, mark in marks.items() if mark < head}
            if not late or (waited > NUMBERS_SECONDS and late == {"warehouse"}):
                return
            time.sleep(0.3)
    console.print("The hub is still linking and counting; its pages fill up by themselves.")


def watch(processes: dict[str, subprocess.Popen[bytes]], console: Console) -> int:
    try:
        while True:
            for server, process in processes.items():
                if process.poll() is not None:
                    console.print(f"The {server} stopped (exit {process.returncode}); ending.")
                    return 1
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("\nStopping … the data stays. Start again with: make demo")
        return 0

"""`sokhoe demo` as a newcomer meets it: one command, three servers, doors.json, and the whole way
of a file and of a citizen over real HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

from sokhoe import country
from sokhoe.fhir import fold
from tests.demos import Demo, free_ports
from tests.worlds import Form

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    made = Demo(tmp_path_factory.mktemp("demo") / "data", free_ports())
    yield made
    if made.process.poll() is None:
        made.stop()


def total(software: httpx.Client, type: str) -> int:
    return int(software.get(f"/fhir/{type}?_summary=count").json()["total"])


def test_every_door_of_the_file_opens(demo: Demo) -> None:
    doors = demo.doors
    for url in (doors["hub"]["url"], *(one["url"] for one in doors["stations"])):
        health = httpx.get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
    places = {"hub": doors["hub"]["url"]}
    places |= {one["facility"]: one["url"] for one in doors["stations"]}
    for account in doors["accounts"]:
        with httpx.Client(base_url=places[account["place"]], follow_redirects=True) as browser:
            form = {"username": account["username"], "password": account["password"]}
            page = browser.post("/signin", data=form)
            assert page.status_code == 200, account
            assert "/signin" not in str(page.url), account
    assert httpx.get(f"{demo.hub}/demo").status_code == 200
    for station in doors["stations"]:
        client = doors["clients"][0]
        token = httpx.post(
            f"{station['url']}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
        )
        assert token.status_code == 200


def test_the_province_is_alive(demo: Demo) -> None:
    with demo.software() as software:
        persons, patients = total(software, "Person"), total(software, "Patient")
        assert 90 < persons < patients  # facilities know the same people
        assert total(software, "Encounter") > 2 * persons
        assert total(software, "Organization") >= 47


def test_a_citizen_signs_in_with_the_e_id_and_reads_book_and_access_log(demo: Demo) -> None:
    citizen = demo.doors["citizens"][0]
    with httpx.Client(base_url=demo.hub, follow_redirects=True, timeout=30) as phone:
        page = phone.get("/book")
        assert "/book/signin" in str(page.url)
        asked = phone.get("/book/signin/go")
        assert "/eid/authorize" in str(asked.url)
        form = Form(asked.text)
        values = dict(form.fields)
        free = [name for name, value in form.fields if not value]
        values |= {"citizen_id": citizen["citizen_id"], "password": citizen["password"]}
        assert set(free) <= set(values)
        book = phone.post(str(asked.url.join(form.action)), data=values)
        assert book.url.path == "/book", book.text[:3000]
        assert fold(citizen["name"]) in fold(book.text)
        assert phone.get("/book/medicines").status_code == 200
        assert phone.get("/book/sources").status_code == 200
        log = phone.get("/book/access")
        assert "BS." in log.text  # a doctor looked, and stands there by name


def test_load_sends_a_folder_of_both_kinds_and_names_what_is_refused(
    demo: Demo, tmp_path: Path
) -> None:
    facility = demo.doors["gateway"]["facility"]
    world = country.load("vietnam", "vinh_long").seam("world")
    files = [
        one.content
        for one in world.batches(99, 1500, date(2026, 11, 23))
        if one.content and one.facility == facility
    ]
    assert files
    (tmp_path / "visit.xml").write_bytes(files[0])
    (tmp_path / "broken.xml").write_bytes(files[0].replace(b"<LOAIHOSO>XML1", b"<LOAIHOSO>XML9"))
    patient = {"resourceType": "Patient", "id": "from-a-file", "gender": "female"}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    (tmp_path / "bad.json").write_text('{"resourceType":"Patient","gender":"manly"}')
    command = [sys.executable, "-m", "sokhoe", "load", str(tmp_path), "--to", demo.hub]
    command += ["--doors", str(demo.folder / "doors.json")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "2 refused" in ran.stdout
    assert "Bundle.entry[0].resource.gender" in ran.stdout
    with demo.software() as software:
        assert software.get("/fhir/Patient/from-a-file").status_code == 200


def test_a_line_is_cut_and_restored_on_the_control_page(demo: Demo) -> None:
    station = demo.doors["stations"][0]

    def up() -> bool:
        return bool(httpx.get(f"{station['url']}/health").json()["line"]["up"])

    def becomes(wanted: bool) -> bool:
        for _ in range(100):
            if up() == wanted:
                return True
            time.sleep(0.2)
        return False

    assert becomes(True)
    cut = httpx.post(f"{demo.hub}/demo/line/station-1/cut")
    assert cut.status_code == 303
    assert becomes(False)
    httpx.post(f"{demo.hub}/demo/line/station-1/restore")
    assert becomes(True)


def test_the_audit_is_whole_beside_the_running_server(demo: Demo) -> None:
    command = [sys.executable, "-m", "sokhoe", "audit", "verify", "--data", f"{demo.folder}/hub"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("OK:")


def test_a_taken_port_and_a_foreign_folder_get_a_sentence(demo: Demo, tmp_path: Path) -> None:
    port = httpx.URL(demo.hub).port
    (tmp_path / "letter.txt").write_text("mine")
    for more, words in (
        (["--port", str(port), "--data", str(tmp_path / "x")], "--port"),
        (["--port", str(free_ports()), "--data", str(tmp_path)], "--data"),
        (["--port", str(free_ports()), "--data", str(tmp_path / "letter.txt")], "--data"),
    ):
        command = [sys.executable, "-m", "sokhoe", "demo", "--no-browser", *more]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 1
        assert words in ran.stderr
        assert "Traceback" not in ran.stderr
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_it_stops_cleanly_and_a_second_start_keeps_everything(demo: Demo) -> None:
    with demo.software() as software:
        software.put("/fhir/Basic/kept", json={
            "resourceType": "Basic", "id": "kept", "code": {"text": "kept"}
        }, headers={"Content-Type": "application/fhir+json"}).raise_for_status()  # fmt: skip
    port = httpx.URL(demo.hub).port or 0
    assert demo.stop() == 0
    assert "Traceback" not in demo.said
    for each in range(port, port + 3):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", each)) != 0
    again = Demo(demo.folder, port)
    try:
        assert again.doors == demo.doors
        with again.software() as software:
            assert software.get("/fhir/Basic/kept").status_code == 200
    finally:
        assert again.stop() == 0

"""One visit, end to end: a nurse's form → the gate → the memory → the line → one record under the
citizen ID → the Health Book → the province's numbers. Told twice: in Vietnam and in Testland."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe import country
from sokhoe.country import Pack
from sokhoe.ops import world
from sokhoe.trust import Actor, Role
from tests.testland import Pack as Testland
from tests.worlds import Form, Hub, Station

CARDS = {
    "vietnam": "086161000123||NGUYỄN THỊ SÁU|12041961|Nữ|Ấp 3, Cổ Chiên|01012022",
    "testland": "T-00061/Ada Six/1961-04-12/female",
}
NUMBERS = {"vietnam": "086161000123", "testland": "T-00061"}


@pytest.fixture(params=["vietnam", "testland"])
def pack(request: pytest.FixtureRequest) -> Pack:
    return Testland() if request.param == "testland" else country.load("vietnam", "vinh_long")


@pytest.fixture
def hub(tmp_path: Path, pack: Pack) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", pack) as made:
        world.register(made.site, world.world_of(made.site))
        yield made


@pytest.fixture
def facility(pack: Pack) -> str:
    return str(pack.seam("world").facilities()[-1][0])


@pytest.fixture
def station(tmp_path: Path, hub: Hub, facility: str) -> Iterator[Station]:
    with Station(tmp_path / "station", hub, facility) as made:
        yield made


def register_and_visit(station: Station, pack: Pack, facility: str) -> tuple[Any, Any]:
    """The nurse scans a card, registers, and saves a visit; the browser and the visit's page."""
    nurse = station.signed_in(Role.NURSE, facility)
    read = Form(nurse.get("/people/new").text, action="/people/new").typed(card=CARDS[pack.name])
    filled = read.send(nurse, "card")
    saved = Form(filled.text, action="/people/new").send(nurse, "save")
    assert saved.status_code == 200, saved.text
    person = str(saved.url.path)
    assert person.startswith("/people/"), saved.text
    page = nurse.get(f"{person}/visit").text
    form = Form(page, action=f"{person}/visit").typed(
        pulse="78", systolic="150", diastolic="90", complaint="Nhức đầu", dx_words="I10"
    )
    found = form.send(nurse, "find")
    picked = Form(found.text, action=f"{person}/visit")
    assert "I10" in found.text
    visit = picked.send(nurse, "pick-0") if 'value="pick-0"' in found.text else found
    done = Form(visit.text, action=f"{person}/visit").send(nurse, "save")
    assert done.url.path.startswith("/visits/"), done.text
    return nurse, done


def count(hub: Hub, type: str) -> int:
    return int(hub.software().get(f"/fhir/{type}?_summary=count").json()["total"])


def test_a_visit_saved_behind_a_cut_line_arrives_exactly_once(
    hub: Hub, station: Station, pack: Pack, facility: str
) -> None:
    station.line.cut = True
    nurse, done = register_and_visit(station, pack, facility)
    station.send()
    assert count(hub, "Encounter") == 0
    assert "đã lưu tại trạm" in done.text.lower()

    station.line.cut = False
    station.line.lose_answers = 1  # the hub has it, the station does not know
    station.send()
    station.send()
    assert count(hub, "Encounter") == 1
    assert "đã lên tỉnh" in nurse.get(done.url.path).text.lower()
    station.send()
    assert count(hub, "Encounter") == 1


def test_two_facilities_become_one_person_in_the_book_and_in_the_numbers(
    hub: Hub, station: Station, pack: Pack, facility: str
) -> None:
    register_and_visit(station, pack, facility)
    station.send()
    identity = pack.seam("people.identity")
    hub.put(
        {
            "resourceType": "Patient",
            "id": "elsewhere",
            "identifier": [{"system": identity.citizen_system, "value": NUMBERS[pack.name]}],
            "name": [{"text": "Nguyen Thi Sau" if pack.name == "vietnam" else "Ada Six"}],
            "birthDate": "1961",
            "gender": "female",
        }
    )
    hub.settle()
    api = hub.software()
    persons = api.get("/fhir/Person", params={"identifier": NUMBERS[pack.name]}).json()["entry"]
    assert len(persons) == 1
    person = persons[0]["resource"]
    assert len(person["link"]) == 2

    citizen = hub.gate.session(Actor(f"Person/{person['id']}", "Sáu", Role.CITIZEN))
    encounters = citizen.search("Encounter", [])
    assert len(encounters.versions) == 1
    assert citizen.search("AuditEvent", []).versions  # who looked, or wrote

    statistician = hub.signed_in(Role.STATISTICIAN)
    numbers = statistician.get("/numbers")
    assert numbers.status_code == 200
    assert NUMBERS[pack.name] not in numbers.text


def test_a_parents_card_used_for_a_child_goes_to_the_desk(
    hub: Hub, station: Station, pack: Pack, facility: str
) -> None:
    register_and_visit(station, pack, facility)
    station.send()
    identity = pack.seam("people.identity")
    hub.put(
        {
            "resourceType": "Patient",
            "id": "child",
            "identifier": [{"system": identity.citizen_system, "value": NUMBERS[pack.name]}],
            "name": [{"text": "Nguyễn Minh Khang"}],
            "birthDate": "2019-06-01",
            "gender": "male",
        }
    )
    hub.settle()
    persons = hub.software().get("/fhir/Person", params={"identifier": NUMBERS[pack.name]}).json()
    linked = {one["target"]["reference"] for one in persons["entry"][0]["resource"]["link"]}
    assert "Patient/child" not in linked
    steward = hub.signed_in(Role.STEWARD)
    assert "Nguyễn Minh Khang" in steward.get("/desk").text

"""The two pages, as their readers see them, over the whole route: sign-in, roles, forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.pofile import read_po
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sokhoe import sync, web
from sokhoe.country import NoPack
from sokhoe.settings import load
from sokhoe.store import Put, open_store
from sokhoe.sync import StationMail, enrolment_of, head_of, make_code, node_of
from sokhoe.trust import Gate, Role
from sokhoe.web import Site, Texts, make_templates
from tests.sync.world import FACILITY, OTHER, a_patient
from tests.worlds import csrf_of

ROOM = Path(sync.__file__).parent
WORD = "sông dài cá lội"


class House:
    """One server of a role with this room and the face."""

    def __init__(self, folder: Path, role: str, **given: Any) -> None:
        folder.mkdir()
        self.settings = load(
            {
                "second_factor_roles": "none",
                "data": str(folder),
                "role": role,
                "language": "en",
                "public_url": "http://house",
            }
            | given
        )
        self.store = open_store(self.settings.database_url)
        self.gate = Gate(self.store, self.settings)
        self.site = Site(
            settings=self.settings,
            gate=self.gate,
            pack=NoPack(),
            texts=Texts([ROOM.parent / room / "locale" for room in ("web", "sync")]),
            templates=make_templates(["web", "sync"]),
        )
        sync.open_room(self.site)
        routes = [*web.routes(self.site), *sync.routes(self.site)]
        self.app = Starlette(routes=routes)
        self.app.state.site = self.site

    @property
    def mail(self) -> StationMail:
        mail = self.site.rooms["sync"]
        assert isinstance(mail, StationMail)
        return mail

    def browser(self, role: Role) -> TestClient:
        if str(role) not in {one.username for one in self.gate.accounts.all()}:
            self.gate.add_account(
                str(role), WORD, role=role, name=f"Chị {role}", actor=f"Practitioner/{role}"
            )
        browser = TestClient(self.app, base_url="http://house")
        browser.post("/signin", data={"username": str(role), "password": WORD, "next": ""})
        return browser

    def page(self, role: Role, path: str = "/sync") -> str:
        answer = self.browser(role).get(path)
        assert answer.status_code == 200
        return str(answer.text)

    def press(self, role: Role, path: str, *, on: str = "/sync", **fields: str) -> Any:
        browser = self.browser(role)
        fields["csrf"] = csrf_of(browser.get(on).text)
        return browser.post(path, data=fields)


class ToTheHub(httpx.BaseTransport):
    """Real requests of the station into the hub's app."""

    def __init__(self, hub: House) -> None:
        self.browser = TestClient(hub.app, base_url="http://hub")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.browser.request(
            request.method, request.url.path, content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, content=answer.content, request=request)


@contextmanager
def a_province(folder: Path) -> Iterator[tuple[House, House]]:
    """A hub with two facilities, and a station that is not enrolled."""
    hub = House(folder / "hub", "hub")
    hub.store.commit([Put(FACILITY), Put(OTHER)], author="Device/setup")
    station = House(folder / "station", "station", hub_url="http://hub")
    station.mail.reach_by(ToTheHub(hub))
    try:
        yield hub, station
    finally:
        station.store.close()
        hub.store.close()


@pytest.fixture
def province(folder: Path) -> Iterator[tuple[House, House]]:
    with a_province(folder) as both:
        yield both


Province = tuple[House, House]
CODE = re.compile(r'id="code">([0-9A-Z-]{9})<')


def enrol(hub: House, station: House) -> None:
    page = hub.press(
        Role.OPERATOR,
        "/sync/stations/code",
        on="/sync/stations",
        facility="Organization/86001",
    ).text
    found = CODE.search(page)
    assert found
    station.press(Role.HEAD, "/sync/enrol", code=found[1])


def test_from_the_operators_code_to_all_sent_by_the_pages_alone(province: Province) -> None:
    hub, station = province
    station.store.commit([Put(a_patient())], author="Practitioner/hoa")
    assert "has not been enrolled" not in station.page(Role.NURSE)
    station.mail.sender.step()
    page = station.page(Role.NURSE)
    assert "This station has not been enrolled at the province yet." in page
    assert "The head of this station must type a code" in page
    enrol(hub, station)
    assert enrolment_of(station.store) is not None
    while station.mail.sender.step():
        pass
    page = station.page(Role.NURSE)
    assert "Everything saved here has arrived at the province." in page
    assert "Trạm Y tế Ba Càng" in page
    assert "All sent to the province" in page  # the header says the same
    table = hub.page(Role.STATISTICIAN, "/sync/stations")
    assert "Trạm Y tế Ba Càng" in table
    assert "in touch" in table


def test_a_wrong_code_is_said_beside_the_field_and_what_was_typed_stays(province: Province) -> None:
    _, station = province
    answer = station.press(Role.HEAD, "/sync/enrol", code="ABCD-EFGH")
    assert answer.status_code == 400
    assert "wrong, used or too old" in answer.text
    assert 'value="ABCD-EFGH"' in answer.text


def test_a_fresh_station_shows_an_empty_state_with_words(province: Province) -> None:
    _, station = province
    page = station.page(Role.DOCTOR)
    assert "Nothing has been sent yet" in page
    assert "nothing yet" in page


def test_a_down_line_says_since_when_what_waits_and_what_to_do(province: Province) -> None:
    hub, station = province
    enrol(hub, station)
    (station.settings.folder / "line.cut").touch()
    station.store.commit([Put(a_patient()), Put(a_patient())], author="Practitioner/hoa")
    station.mail.sender.step()
    page = station.page(Role.NURSE)
    for words in (
        "The line is cut.",
        "Go on working.",
        "2 records",
        "The first of them was saved",
        "The line is down since",
        "When it stays down",
        "Make the file for support",
    ):
        assert words in page


def test_send_now_wakes_the_sender(province: Province) -> None:
    hub, station = province
    enrol(hub, station)
    station.mail.sender.step()
    station.store.commit([Put(a_patient())], author="Practitioner/hoa")
    station.mail.sender.step()
    answer = station.press(Role.NURSE, "/sync/send")
    assert "The machine is trying now." in answer.text
    station.mail.sender.step()
    assert station.site.line.status().waiting == 0


def test_the_table_of_what_was_sent_names_nobody(province: Province) -> None:
    hub, station = province
    enrol(hub, station)
    for name in ("Thạch Thị Út", "Sơn Minh"):
        station.store.commit([Put(a_patient(name=name))], author="Practitioner/hoa")
    while station.mail.sender.step():
        pass
    page = station.page(Role.NURSE)
    assert page.count('data-label="Number"') == 2
    assert "Út" not in page
    assert "Practitioner/hoa" not in page


def test_the_support_file_tells_what_helps_and_nothing_about_a_person(province: Province) -> None:
    hub, station = province
    enrol(hub, station)
    station.store.commit([Put(a_patient("p1", "Thạch Thị Út"))], author="Practitioner/hoa")
    answer = station.browser(Role.NURSE).get("/sync/support")
    assert "attachment" in answer.headers["content-disposition"]
    told = answer.json()
    assert told["waiting"] == 1
    assert told["node"] == station.store.node
    assert "Út" not in answer.text
    assert "PRIVATE" not in answer.text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.STATISTICIAN, Role.STEWARD])
def test_the_stations_page_is_for_its_staff(province: Province, role: Role) -> None:
    _, station = province
    assert station.browser(role).get("/sync").status_code == 403


@pytest.mark.parametrize("role", [Role.NURSE, Role.STEWARD])
def test_the_list_of_stations_is_not_for_everybody(province: Province, role: Role) -> None:
    hub, _ = province
    assert hub.browser(role).get("/sync/stations").status_code == 403


@pytest.mark.parametrize("path", ["code", "close", "release"])
def test_only_the_operator_acts(province: Province, path: str) -> None:
    hub, _ = province
    browser = hub.browser(Role.AUDITOR)
    page = browser.get("/sync/stations").text
    assert "Make a code" not in page.split("<details")[0]
    fields = {"csrf": csrf_of(page), "facility": "Organization/86001"}
    assert browser.post(f"/sync/stations/{path}", data=fields).status_code == 403


def test_only_the_head_enrols(province: Province) -> None:
    _, station = province
    assert station.press(Role.NURSE, "/sync/enrol", code="ABCD-EFGH").status_code == 403


def test_a_hub_without_stations_says_what_to_do(province: Province) -> None:
    hub, _ = province
    page = hub.page(Role.OPERATOR, "/sync/stations")
    assert "No station is connected yet" in page
    assert "Trạm Y tế Loan Mỹ" in page  # a code can be made for it


def test_closing_a_station_shows_why(province: Province) -> None:
    hub, station = province
    enrol(hub, station)
    node = station.store.node
    answer = hub.press(
        Role.OPERATOR, "/sync/stations/close", on="/sync/stations", node=node, why="stolen <b>"
    )
    assert "access closed" in answer.text
    assert "stolen &lt;b&gt;" in answer.text


def test_quarantine_can_be_tried_again_from_the_page(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = province
    enrol(hub, station)
    station.store.commit([Put(a_patient())], author="Practitioner/hoa")
    with monkeypatch.context() as patch:
        patch.setattr("sokhoe.sync.receive.attempt", lambda *given: "rule: not so")
        while station.mail.sender.step():
            pass
    node = node_of(hub.store, station.store.node)
    assert node is not None
    assert head_of(hub.store, node).quarantined == 1
    assert "needs a look" in hub.page(Role.AUDITOR, "/sync/stations")
    answer = hub.press(Role.OPERATOR, "/sync/stations/release", on="/sync/stations", node=node.id)
    assert "Stored now: 1. Still in quarantine: 0." in answer.text
    assert head_of(hub.store, node).quarantined == 0


def test_an_unknown_station_or_facility_is_named_as_such(province: Province) -> None:
    hub, _ = province
    for path, fields in (("close", {"node": "x"}), ("code", {"facility": "Organization/x"})):
        answer = hub.press(Role.OPERATOR, f"/sync/stations/{path}", on="/sync/stations", **fields)
        assert answer.status_code in {400, 404}


def test_a_body_beyond_the_bound_is_refused_before_it_is_kept(folder: Path) -> None:
    hub = House(folder / "hub", "hub", max_body_bytes=1000)
    browser = TestClient(hub.app, base_url="http://hub")
    answer = browser.post("/sync/v1/push", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.json()["error"] == "too-large"
    hub.store.close()


def test_a_station_without_a_hub_has_no_line_and_no_sender(folder: Path) -> None:
    house = House(folder / "alone", "station")
    assert sync.routes(house.site) == []
    assert sync.followers(house.site) == []
    assert house.site.line.status().configured is False
    house.store.close()


def test_a_station_with_a_hub_has_one_sender(province: Province) -> None:
    hub, station = province
    assert [one.name for one in sync.followers(station.site)] == ["sync"]
    assert sync.followers(hub.site) == []
    assert station.site.line_page == "/sync"


def test_the_code_the_page_shows_is_the_code_that_works(province: Province) -> None:
    hub, station = province
    station.mail.enrol(make_code(hub.store, "Organization/86002"))
    told = enrolment_of(station.store)
    assert told is not None
    assert told.name == "Trạm Y tế Loan Mỹ"


# -- words ----------------------------------------------------------------------------------------


def said_texts() -> set[str]:
    """Every text that code and templates of this room say."""
    call = re.compile(r"(?<![\w.])(?:ask\.t|t|key|text)\(\s*(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)')")
    return {
        double or single
        for suffix in ("*.py", "*.html")
        for file in ROOM.rglob(suffix)
        for double, single in call.findall(file.read_text("utf-8"))
    }


@pytest.mark.parametrize("language", ["vi", "km"])
def test_every_text_is_translated(language: str) -> None:
    with (ROOM / "locale" / f"{language}.po").open("rb") as stream:
        known = {str(one.id): str(one.string) for one in read_po(stream) if one.id and one.string}
    assert said_texts() - set(known) == set()
    for text, said in known.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", said)), text


def test_the_pages_speak_vietnamese(province: Province) -> None:
    _, station = province
    browser = station.browser(Role.NURSE)
    browser.cookies.set("language", "vi")
    page = browser.get("/sync").text
    assert "Gửi ngay" in page
    assert "Đường truyền lên tỉnh" in page

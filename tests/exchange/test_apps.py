"""The page of apps and software: seen, ended, allowed again, added; agreements beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.errors import SignIn
from sokhoe.ops.cli import run
from sokhoe.trust import Actor, Client, Kind, Role
from tests.exchange.launching import App, an_app, answer_of, asked, browser_of, staff
from tests.testland import Pack
from tests.trust.vendor import an_ec_key, public
from tests.worlds import Form, Hub, Station, a_patient


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        yield made


def keeper(hub: Any, role: Role = Role.OPERATOR, place: str = "") -> TestClient:
    browser = browser_of(hub, Actor(f"Practitioner/{role}", "Máy", role, place=place))
    browser.follow_redirects = True
    return browser


def press(browser: TestClient, html: str, action: str, **fields: str) -> Any:
    return Form(html, action=action).typed(**fields).send(browser)


def test_the_operator_adds_software_and_its_secret_is_shown_once(hub: Hub) -> None:
    browser = keeper(hub)
    page = browser.get("/apps/new").text
    made = press(browser, page, "/apps/new", name="Bệnh viện Hậu", scope="system/*.rs")
    assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
    (client,) = hub.gate.clients.all()
    assert client.id.startswith("benh-vien-hau-")
    secret = made.text.split('id="secret">')[1].split("<")[0]
    assert hub.gate.client_token(client.id, secret, "").scope == "system/*.rs"
    again = browser.get("/apps").text
    assert secret not in again and "Bệnh viện Hậu" in again and "Xem" in again
    assert any("registered the client" in one.entry.note for one in hub.store.entries())


def test_an_access_is_ended_and_that_is_undone(hub: Hub) -> None:
    secret = hub.gate.add_client("lab", "Labor", ["system/*.rs"])
    token = hub.gate.client_token("lab", secret, "").access_token
    browser = keeper(hub)
    ended = press(browser, browser.get("/apps").text, "/apps/end")
    with pytest.raises(SignIn):
        hub.gate.bearer(token)
    press(browser, ended.text, "/apps/allow")
    assert hub.gate.bearer(token).actor.username == "lab"


def test_who_proved_himself_long_ago_does_so_again_before_he_gives_a_right(hub: Hub) -> None:
    with clock.standing_at(datetime(2026, 11, 23, 5, tzinfo=UTC)) as ahead:
        browser = keeper(hub)
        page = browser.get("/apps/new").text
        ahead(360)
        press(browser, page, "/apps/new", name="Lab", scope="system/*.rs")
        assert not hub.gate.clients.all()
        hub.gate.add_client("lab", "Labor", ["system/*.rs"])
        press(browser, browser.get("/apps").text, "/apps/end")  # taking away does not wait
        assert not hub.gate.clients.get("lab").active


def test_a_form_that_is_wrong_comes_back_with_what_was_typed(hub: Hub) -> None:
    browser = keeper(hub)
    page = browser.get("/apps/new").text
    for wrong in (
        {"name": "X1"},
        {"name": "", "scope": "system/*.rs"},
        {"name": "X1", "more": "everything"},
        {"name": "X1", "scope": "system/*.rs", "kind": "key", "jwks": "{"},
        {"name": "X1", "scope": "system/*.rs", "kind": "public"},
        {"name": "X1", "scope": "openid", "kind": "public", "redirects": "javascript:x"},
        {"name": "X1", "scope": "system/*.rs", "agreement": "none-such"},
    ):
        answer = press(browser, page, "/apps/new", **wrong)
        assert 400 <= answer.status_code < 500, (wrong, answer.status_code)
        assert not wrong["name"] or 'value="X1"' in answer.text
    assert not hub.gate.clients.all()


def test_a_program_with_a_key_of_its_own_is_added_by_its_key_set(hub: Hub) -> None:
    browser = keeper(hub)
    keys = json.dumps(public(an_ec_key()))
    page = browser.get("/apps/new").text
    made = press(browser, page, "/apps/new", name="K", kind="key", scope="system/*.rs", jwks=keys)
    assert made.status_code == 200 and 'id="secret"' not in made.text
    assert hub.gate.clients.all()[0].kind is Kind.KEY


def test_a_head_at_the_hub_sees_and_ends_the_software_of_his_own_facility_only(hub: Hub) -> None:
    hub.gate.clients.add(Client("mine", "Mine", scopes=("user/*.rs",), place="Organization/1"))
    hub.gate.clients.add(Client("other", "Other", scopes=("user/*.rs",), place="Organization/2"))
    browser = keeper(hub, Role.HEAD, "Organization/1")
    page = browser.get("/apps").text
    assert "Mine" in page and "Other" not in page
    assert press(browser, page, "/apps/end", client="other").status_code == 403
    assert hub.gate.clients.get("other").active
    form = browser.get("/apps/new").text
    assert "system/*.rs" not in form
    refused = press(browser, form, "/apps/new", name="X", more="system/*.rs")
    assert refused.status_code == 400
    assert browser.get("/apps/agreements").status_code == 403
    for role in (Role.NURSE, Role.CITIZEN, Role.STEWARD):
        assert keeper(hub, role).get("/apps").status_code == 403


def test_an_agreement_is_made_on_the_page_and_shows_what_is_used(hub: Hub) -> None:
    browser = keeper(hub)
    page = browser.get("/apps/agreements").text
    wrong = press(browser, page, "/apps/agreements", organisation="BHXH", purpose="TREAT")
    assert wrong.status_code == 400 and 'value="BHXH"' in wrong.text  # no data was ticked
    typed = {"organisation": "BHXH", "purpose": "TREAT", "class": "results", "quota": "5"}
    made = press(browser, page, "/apps/agreements", **typed)
    assert made.status_code == 200
    (agreement,) = hub.gate.agreements.all()
    assert (agreement.classes, agreement.quota, agreement.stands) == (("results",), 5, True)
    form = browser.get("/apps/new").text
    press(browser, form, "/apps/new", name="B", scope="system/*.rs", agreement=agreement.id)
    (client,) = hub.gate.clients.all()
    scopes = hub.gate.clients.rights(client)
    assert "system/Observation.rs" in scopes and "system/Patient.rs" not in scopes
    assert "BHXH" in browser.get("/apps").text
    hub.gate.agreements.spend(agreement.id)
    assert "1 trên 5" in browser.get("/apps/agreements").text
    ended = press(browser, made.text, "/apps/agreements/end")
    assert not hub.gate.agreements.get(agreement.id).stands
    press(browser, ended.text, "/apps/agreements/end")
    assert hub.gate.agreements.get(agreement.id).stands


def test_who_let_an_app_in_throws_it_out(hub: Hub) -> None:
    an_app(hub)
    app = App(hub, staff(hub))
    made = app.tokens("offline_access user/Observation.rs")
    page = app.browser.get("/apps/mine").text
    assert "App app" in page
    foreign = browser_of(hub, Actor("Practitioner/9", "x", Role.DOCTOR))
    assert "App app" not in foreign.get("/apps/mine").text
    stolen = dict(Form(page, action="/apps/mine/end").fields)
    csrf = dict(Form(foreign.get("/help").text, action="/signout").fields)["csrf"]
    answer = foreign.post("/apps/mine/end", data={**stolen, "csrf": csrf})
    assert answer.status_code == 404
    assert "1 người đã cho vào" in keeper(hub).get("/apps").text
    press(app.browser, page, "/apps/mine/end")
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 401


def test_an_app_is_opened_from_a_patient_s_page_at_the_station(hub: Hub, tmp_path: Path) -> None:
    hub.put({"resourceType": "Organization", "id": "86001", "name": "Trạm"})
    with Station(tmp_path / "station", hub, "86001") as station:
        station.put(a_patient("p1"))
        an_app(station, launch="https://app.example/launch")
        browser = staff(station)
        person = browser.get("/people/p1").text
        assert "/apps/open?patient=p1" in person
        page = browser.get("/apps/open?patient=p1")
        assert "https://app.example" in page.headers["content-security-policy"]
        off = press(browser, page.text, "/apps/open").headers["location"]
        assert off.startswith("https://app.example/launch?iss=")
        launch = parse_qs(urlsplit(off).query)["launch"][0]
        app = App(station, browser)
        made = app.tokens("launch patient/*.rs", tick=("patient/*.rs",), launch=launch)
        assert made["patient"] == "p1"
        assert app.browser.get("/apps/open?patient=nobody").status_code == 404


def test_an_app_under_an_agreement_asks_for_less(hub: Hub) -> None:
    browser = keeper(hub)
    page = browser.get("/apps/agreements").text
    press(
        browser, page, "/apps/agreements", organisation="A", purpose="TREAT", **{"class": "results"}
    )
    (agreement,) = hub.gate.agreements.all()
    an_app(hub, agreement=agreement.id)
    app = App(hub, staff(hub))
    shown = app.browser.get("/oauth/authorize", params=asked(hub, scope="user/*.rs")).text
    assert "user/Observation.rs" in shown and "user/Condition" not in shown
    outside = app.browser.get("/oauth/authorize", params=asked(hub, scope="user/Condition.rs"))
    assert answer_of(outside)["error"] == "invalid_scope"


def test_the_terminal_knows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Hub(tmp_path / "hub", Pack()):
        pass
    data = ["--data", str(tmp_path / "hub")]

    def said(*words: str, code: int = 0) -> str:
        assert run(["clients", *words, *data]) == code
        out = capsys.readouterr()
        return out.out + out.err

    assert "No software" in said()
    assert "client_secret" in said("add", "lab", "--name", "Labor", "--scope", "system/*.rs")
    assert "never here" in said("list")
    assert "access ended" in said("end", "lab")
    assert "ENDED" in said()
    assert "may come in again" in said("allow", "lab")
    assert "no client" in said("end", "nobody", code=1)
    keys = tmp_path / "keys.json"
    keys.write_text("{")
    assert "no key set" in said("add", "k", "--scope", "system/*.rs", "--jwks", str(keys), code=1)

"""My account, changing the person at a shared computer, and the head's page of accounts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.trust import Role
from sokhoe.trust.devices import check_pin_rules
from sokhoe.trust.totp import code_of, step_at
from tests.web.house import PASSWORD, PLACE, House, field_of, send

NOON = datetime(2026, 11, 23, 5, tzinfo=UTC)
PIN = "482915"


def come_in(house: House, role: Role = Role.NURSE, browser: TestClient | None = None) -> TestClient:
    """A browser that has signed in with the password."""
    browser = browser or house.visitor()
    answer = browser.post("/signin", data={"username": str(role), "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


def people_at(browser: TestClient) -> dict[str, str]:
    """Name → handle of whom the computer offers."""
    found = re.findall(
        r'name="who" value="([0-9a-f]+)"[^>]*> ([^<]+)</label>', browser.get("/switch").text
    )
    return {name: handle for handle, name in found}


def pin_in(browser: TestClient, name: str, pin: str) -> Any:
    handle = people_at(browser).get(name, "0" * 16)
    found = re.search(r'name="csrf" value="([^"]*)"', browser.get("/switch").text)
    fields = {"who": handle, "pin": pin, "csrf": found[1] if found else ""}
    return browser.post("/switch", data=fields)


def name_on(browser: TestClient) -> str:
    found = re.search(r"<summary><span>([^<]+)</span>", browser.get("/help").text)
    return found[1] if found else ""


def test_two_people_take_turns_at_one_computer_with_a_pin(house: House) -> None:
    house.account(Role.NURSE)
    house.account(Role.DOCTOR)
    computer = come_in(house)
    assert send(computer, "/me/pin", pin=PIN).headers["location"] == "/me?done=pin"
    send(computer, "/signout")
    come_in(house, Role.DOCTOR, computer)
    assert list(people_at(computer)) == ["Chị nurse"]
    send(computer, "/me/pin", pin="730264")
    before = dict(computer.cookies)
    assert pin_in(computer, "Chị nurse", PIN).status_code == 303
    assert name_on(computer) == "Chị nurse"
    assert pin_in(computer, "Chị doctor", "730264").status_code == 303
    assert name_on(computer) == "Chị doctor"
    name = next(one for one in before if not one.endswith("device"))
    assert house.gate.signed_in(str(before[name])) is None  # who left is out
    assert "username" not in computer.get("/switch").text
    assert people_at(house.visitor()) == {}  # another computer knows nobody
    assert house.gate.idle_minutes(house.gate.signed_in(computer.cookies[name])) == 10  # type: ignore[arg-type]


def test_five_wrong_pins_ask_for_the_password_here_and_nowhere_else(house: House) -> None:
    house.account(Role.NURSE)
    here, there = come_in(house), come_in(house)
    for computer in (here, there):
        send(computer, "/me/pin", pin=PIN)
        send(computer, "/signout")
    for _ in range(5):
        assert pin_in(here, "Chị nurse", "000001").status_code == 401
    assert pin_in(here, "Chị nurse", PIN).status_code == 401
    assert people_at(here) == {}
    assert pin_in(there, "Chị nurse", PIN).status_code == 303
    come_in(house, Role.NURSE, here)
    send(here, "/signout")
    assert pin_in(here, "Chị nurse", PIN).status_code == 303


def test_a_pin_is_good_for_the_working_day_and_not_for_what_is_delicate(house: House) -> None:
    house.account(Role.NURSE)
    with clock.standing_at(NOON) as ahead:
        computer = come_in(house)
        send(computer, "/me/pin", pin=PIN)
        ahead(11 * 3600)
        assert pin_in(computer, "Chị nurse", PIN).status_code == 303
        refused = send(computer, "/me/pin", pin="999000")
        assert refused.status_code == 403
        assert 'action="/stepup"' in refused.text
        assert field_of(refused.text, "kept:pin") == "999000"
        ahead(3601)
        assert people_at(computer) == {}


def test_a_pin_ends_with_signing_out_everywhere(house: House) -> None:
    house.account(Role.NURSE)
    with clock.standing_at(NOON) as ahead:
        computer, phone = come_in(house), come_in(house)
        send(computer, "/me/pin", pin=PIN)
        ahead(60)
        assert len(re.findall('action="/me/end"', phone.get("/me").text)) == 1
        send(phone, "/me/end-all")
        assert computer.get("/me").status_code == 303
        assert people_at(computer) == {}
        assert phone.get("/me").status_code == 200


@pytest.mark.parametrize(
    "pin", ["111111", "123456", "654321", "246810", "121212", "12345", "12a456"]
)
def test_pins_that_are_tried_first_are_refused(pin: str) -> None:
    with pytest.raises(Invalid):
        check_pin_rules(pin)


def test_one_sign_in_is_ended_from_another(house: House) -> None:
    house.account(Role.NURSE)
    house.account(Role.DOCTOR)
    phone, computer, stranger = come_in(house), come_in(house), come_in(house, Role.DOCTOR)
    key = field_of(phone.get("/me").text, "key")
    assert send(stranger, "/me/end", key=key).status_code == 404
    assert send(phone, "/me/end", key=key).status_code == 303
    assert computer.get("/me").status_code == 303


def test_what_is_delicate_comes_back_after_the_password(house: House) -> None:
    house.account(Role.NURSE)
    with clock.standing_at(NOON) as ahead:
        browser = come_in(house)
        ahead(400)
        new = "con đò nhỏ qua sông"
        asked = send(browser, "/me/password", old=PASSWORD, password=new)
        assert 'action="/stepup"' in asked.text
        fields = dict(
            re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text)
        )
        back = browser.post("/stepup", data={**fields, "password": PASSWORD})
        assert field_of(back.text, "password") == new
        done = browser.post(
            "/me/password",
            data={"csrf": field_of(back.text, "csrf"), "old": PASSWORD, "password": new},
        )
        assert done.headers["location"] == "/me?done=password"


def test_an_app_is_set_up_and_taken_off(house: House) -> None:
    house.account(Role.NURSE)
    browser = come_in(house)
    browser.get("/me/second")
    secret = house.gate.factors.propose("nurse")
    codes = send(browser, "/me/app", code=code_of(secret, step_at(clock.now())))
    assert codes.text.count("<li><code>") == 8
    assert house.gate.factors.of("nurse").totp
    send(browser, "/me/app/drop")
    assert not house.gate.factors.of("nurse").any


# -- the head's page ------------------------------------------------------------------------------


def test_the_head_makes_closes_opens_and_resets_accounts_of_the_own_facility(house: House) -> None:
    head = house.client(Role.HEAD)
    about = {"name": "Nguyễn Thị Bảy", "username": "bay.nguyen", "role": "nurse"}
    paper = send(head, "/accounts/new", **about)
    password = re.findall(r"<dd><code>([^<]+)</code>", paper.text)[1]
    account = house.gate.accounts.find("bay.nguyen")
    assert account is not None
    assert (account.place, account.role, account.once) == (PLACE, Role.NURSE, True)
    assert send(head, "/accounts/new", **about).status_code == 409
    assert "Nguyễn Thị Bảy" in head.get("/accounts").text
    cookie = house.gate.sign_in("bay.nguyen", password)
    closed = head.get(send(head, "/accounts/bay.nguyen/close").headers["location"])
    assert 'action="/accounts/bay.nguyen/open"' in closed.text  # undo
    assert house.gate.entrance.half(cookie) is None
    send(head, "/accounts/bay.nguyen/open")
    house.gate.factors.confirm(
        "bay.nguyen", code_of(house.gate.factors.propose("bay.nguyen"), step_at(clock.now()))
    )
    send(head, "/accounts/bay.nguyen/reset")
    assert not house.gate.factors.of("bay.nguyen").any
    with pytest.raises(Exception, match="wrong"):
        house.gate.sign_in("bay.nguyen", password)


def test_nobody_makes_accounts_beyond_the_own_office(house: House) -> None:
    head = house.client(Role.HEAD)
    house.gate.add_account(
        "far", PASSWORD, role=Role.NURSE, name="Xa", actor="Practitioner/x", place="Organization/2"
    )
    house.gate.add_account(
        "boss", PASSWORD, role=Role.OPERATOR, name="Ops", actor="Practitioner/o", place=PLACE
    )
    assert "Xa" not in head.get("/accounts").text
    for name in ("far", "boss", "nobody"):
        assert send(head, f"/accounts/{name}/close").status_code == 404
        assert send(head, f"/accounts/{name}/reset").status_code == 404
    made = send(head, "/accounts/new", name="A", username="aa", role="operator")
    assert made.status_code == 400
    assert house.gate.accounts.find("aa") is None
    nurse = house.client(Role.NURSE)
    assert nurse.get("/accounts").status_code == 403
    assert send(nurse, "/accounts/new", name="A", username="aa", role="nurse").status_code == 403


def test_nobody_closes_the_own_account(house: House) -> None:
    house.account(Role.HEAD)
    assert send(house.client(Role.HEAD), "/accounts/head/close").status_code == 403


def test_staying_needs_the_page_s_token(house: House) -> None:
    browser = house.client()
    page = browser.get("/help").text
    assert 'id="idle"' in page
    token = field_of(page, "csrf")
    assert browser.post("/state/stay").status_code == 403
    assert browser.post("/state/stay", headers={"X-Csrf": token}).status_code == 204
    assert house.visitor().post("/state/stay").status_code == 401

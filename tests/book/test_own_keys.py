"""A citizen without an e-ID: a code from the staff, then a passkey or a PIN on the own phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.people import issue_code
from sokhoe.trust import Actor, Level, Role
from sokhoe.web import cookie_name
from tests.book.library import BAY, SAU, STATION, Library, come_in
from tests.trust.authenticator import Authenticator

SAFE = "https://hub.test"
PIN = "482915"
MORNING = datetime(2026, 11, 23, 1, tzinfo=UTC)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path, hub=SAFE)
    made.register()
    yield made
    made.close()


def code_for(library: Library, patient: str = "sau-station", second: str = "") -> str:
    """As the nurse prints it; the station's Task has come with the mail."""
    nurse = Actor("Practitioner/n", "Điều dưỡng", Role.NURSE, f"Organization/{STATION}")
    return issue_code(library.gate.session(nurse), f"Patient/{patient}", second)


def first_page(browser: TestClient, code: str, number: str = SAU.citizen_id) -> Any:
    return browser.post("/book/open", data={"number": number, "code": code})


def ticket_of(page: Any) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def set_pin(browser: TestClient, code: str, pin: str = PIN, **more: str) -> Any:
    ticket = ticket_of(first_page(browser, code))
    return browser.post("/book/open", data={"ticket": ticket, "pin": pin, "again": pin, **more})


def pin_in(browser: TestClient, pin: str = PIN) -> Any:
    page = browser.get("/book/signin").text
    found = re.search(r'name="who" value="([0-9a-f]+)"', page)
    who = found[1] if found else "0" * 16
    return browser.post("/book/signin/pin", data={"who": who, "pin": pin})


def level_of(library: Library, browser: TestClient) -> Level:
    cookie = browser.cookies.get(cookie_name(library.site), domain="hub.test")
    signed_in = library.gate.signed_in(str(cookie))
    assert signed_in is not None
    return signed_in.session.actor.level


def is_in(browser: TestClient) -> bool:
    return browser.get("/book").status_code == 200


def out(browser: TestClient) -> None:
    page = browser.get("/book/me").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    browser.post("/signout", data={"csrf": token[1]})
    assert not is_in(browser)


def test_a_pin_opens_the_book_on_this_phone_also_while_the_e_id_is_down(library: Library) -> None:
    phone = library.browser()
    assert set_pin(phone, code_for(library).lower()).headers["location"] == "/book"
    assert is_in(phone)
    assert level_of(library, phone) is Level.SEEN
    out(phone)
    library.wire.down = True
    assert pin_in(phone).status_code == 303
    assert is_in(phone)
    assert 'name="who"' not in library.browser().get("/book/signin").text


def test_a_passkey_does_the_same(library: Library) -> None:
    phone, key = library.browser(), Authenticator(SAFE)
    page = first_page(phone, code_for(library))
    asked = unescape(re.findall(r'data-asked="([^"]*)"', page.text)[0])
    phone.post("/book/open", data={"ticket": ticket_of(page), "answer": key.make(asked)})
    assert is_in(phone)
    other = library.browser()
    asked = unescape(re.findall(r'data-asked="([^"]*)"', other.get("/book/signin").text)[0])
    answer = key.prove(asked)
    assert other.post("/book/signin/passkey", data={"answer": answer}).status_code == 303
    assert is_in(other)
    thief = library.browser()
    assert thief.post("/book/signin/passkey", data={"answer": answer}).status_code == 401
    assert thief.post("/signin", data={"answer": answer}).status_code == 401  # no way to the staff


def test_a_code_is_good_once_for_its_person_for_three_days(library: Library) -> None:
    with clock.standing_at(MORNING) as ahead:
        code, late = code_for(library), code_for(library, "bay")
        assert first_page(library.browser(), code, BAY.citizen_id).status_code == 400
        assert first_page(library.browser(), code, "999").status_code == 400
        phone = library.browser()
        first = first_page(phone, code)
        ticket = ticket_of(first)
        fields = {"ticket": ticket, "pin": PIN, "again": PIN}
        assert phone.post("/book/open", data=fields).status_code == 303
        assert library.browser().post("/book/open", data=fields).status_code == 400
        assert first_page(library.browser(), code).status_code == 400
        ahead(72 * 3600 + 1)
        assert first_page(library.browser(), late, BAY.citizen_id).status_code == 400


def test_a_second_code_needs_a_second_member_of_staff_and_ends_the_lost_phone(
    library: Library,
) -> None:
    with clock.standing_at(MORNING) as ahead:
        lost = library.browser()
        set_pin(lost, code_for(library))
        ahead(60)
        again = first_page(library.browser(), code_for(library))
        assert again.status_code == 400
        assert "hai cán bộ" in again.text
        new = library.browser()
        set_pin(new, code_for(library, second="Practitioner/other"), "730264")
        assert is_in(new)
        assert not is_in(lost)
        assert pin_in(lost).status_code == 401


def test_codes_are_guessed_five_times(library: Library) -> None:
    code = code_for(library)
    thief = library.browser()
    for _ in range(5):
        assert first_page(thief, "ABCD-EFGH-JK").status_code == 400
    assert first_page(thief, code).status_code == 429


def test_five_wrong_pins_and_only_the_staff_help(library: Library) -> None:
    phone = library.browser()
    set_pin(phone, code_for(library))
    out(phone)
    for _ in range(5):
        assert pin_in(phone, "000001").status_code == 401
    assert pin_in(phone).status_code == 401
    assert come_in(phone).status_code == 303  # the e-ID is another way


def test_a_pin_once_more_raises_the_level_for_five_minutes(library: Library) -> None:
    with clock.standing_at(MORNING) as ahead:
        phone = library.browser()
        set_pin(phone, code_for(library))
        page = phone.get("/stepup")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token
        fields = {"csrf": token[1], "next": "/book"}
        assert phone.post("/stepup", data={**fields, "pin": "000001"}).status_code == 401
        assert phone.post("/stepup", data={**fields, "pin": PIN}).status_code == 303
        assert level_of(library, phone) is Level.PROVED
        ahead(301)
        assert level_of(library, phone) is Level.SEEN


def test_what_is_shared_is_changed_after_proving_it_once_more(library: Library) -> None:
    phone = library.browser()
    set_pin(phone, code_for(library))
    page = phone.get("/book/sharing").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    press = {"csrf": token[1], "kind": "category", "value": "mental", "do": "close", "term": "year"}
    asked = phone.post("/book/sharing", data=press)
    assert asked.status_code == 403
    assert 'name="kept:value" value="mental"' in asked.text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text))
    back = phone.post("/stepup", data={**fields, "pin": PIN})
    assert 'action="/book/sharing"' in back.text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', back.text))
    assert phone.post("/book/sharing", data=fields).status_code != 403


def test_the_e_id_is_the_highest_level(library: Library) -> None:
    browser = library.browser()
    come_in(browser)
    assert level_of(library, browser) is Level.PROVED


def test_a_key_opens_nothing_when_the_person_is_another_now(library: Library) -> None:
    phone = library.browser()
    set_pin(phone, code_for(library))
    out(phone)
    person = library.person()
    holder = library.gate.holders.of(person.ref)
    assert holder is not None
    library.gate.holders.begin(person.ref, "086000000000", holder.name, "another-task")
    assert pin_in(phone).status_code == 401


def test_differing_or_usual_pins_leave_the_code_unused(library: Library) -> None:
    phone, code = library.browser(), code_for(library)
    assert set_pin(phone, code, "123456").status_code == 400
    ticket = ticket_of(first_page(phone, code))
    fields = {"ticket": ticket, "pin": PIN, "again": "730264"}
    assert phone.post("/book/open", data=fields).status_code == 400
    assert (
        phone.post("/book/open", data={**fields, "ticket": "forged.x", "again": PIN}).status_code
        == 400
    )
    assert set_pin(phone, code).status_code == 303


def test_neither_code_nor_pin_is_kept_as_it_is(library: Library) -> None:
    code = code_for(library)
    set_pin(library.browser(), code)
    tasks = library.gate.machine("people").search("Task", [("code", "book-code")]).versions
    kept = repr([one.resource for one in tasks]) + repr(library.store.all_kept("device"))
    assert code not in kept
    assert code.replace("-", "") not in kept
    assert PIN not in kept

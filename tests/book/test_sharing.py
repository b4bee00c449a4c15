"""The citizen's switches: press, and the facility sees no more; press again, and it does."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sokhoe.book import sharing
from sokhoe.book.sharing import Switch
from sokhoe.errors import NotFound
from sokhoe.fhir import validate
from sokhoe.trust import Session
from tests.book.library import HOSPITAL, STATION, Library
from tests.worlds import Form


@pytest.fixture
def registered(library: Library) -> Library:
    library.register()
    return library


def press(browser: Any, at: int, **typed: str) -> str:
    form = Form(browser.get("/book/sharing").text, at, action="/book/sharing")
    answer = form.typed(**typed).send(browser)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def reads(session: Session, id: str) -> bool:
    try:
        session.read("Patient", id)
    except NotFound:
        return False
    return True


def test_a_closed_facility_sees_no_more_than_its_own(registered: Library) -> None:
    doctor = registered.gate.session(registered.doctor())  # at the hospital
    assert reads(doctor, "sau-station")
    browser = registered.reader()
    html = browser.get("/book/sharing").text
    facilities = [f"Organization/{HOSPITAL}", f"Organization/{STATION}"]
    forms = [dict(Form(html, at, action="/book/sharing").fields) for at in range(2)]
    assert {one["value"] for one in forms} == set(facilities)
    assert not any("term" in one for one in forms)  # nothing is ticked beforehand
    at = next(n for n, one in enumerate(forms) if one["value"] == facilities[0])
    assert "Đã đóng" in press(browser, at, term="12")
    assert not reads(doctor, "sau-station")
    assert reads(doctor, "sau-hospital")
    (kept,) = registered.gate.machine("ops").search("Consent").versions
    consent = kept.resource
    validate(consent)
    assert consent["provision"]["period"]["end"] > consent["provision"]["period"]["start"]
    assert consent["sourceAttachment"]["hash"]
    assert consent["extension"][0]["valueCode"] == "health-book"
    assert "Đã mở lại" in press(browser, at, do="open")
    assert reads(doctor, "sau-station")


def test_a_category_is_closed_and_each_switch_wants_an_end(registered: Library) -> None:
    browser = registered.reader()
    html = browser.get("/book/sharing").text
    form = Form(html, 2, action="/book/sharing")
    assert dict(form.fields)["value"] == "mental"
    assert form.send(browser).status_code == 400
    press(browser, 2, term="3")
    (kept,) = registered.gate.machine("ops").search("Consent").versions
    assert kept.resource["provision"]["securityLabel"][0]["code"] == "mental"


def test_nobody_closes_what_is_not_on_his_page(registered: Library) -> None:
    browser = registered.reader()
    form = Form(browser.get("/book/sharing").text, 0, action="/book/sharing")
    assert form.typed(value="Organization/else", term="3").send(browser).status_code == 400


def test_an_emergency_stands_on_the_page_of_who_looked(registered: Library) -> None:
    gate = registered.gate
    words = "Bất tỉnh, cần biết thuốc đang dùng"
    gate.emergencies.open(
        gate.session(registered.doctor()), "Patient/sau-station", "unconscious", words
    )
    html = registered.reader().get("/book/access").text
    assert words in html
    assert "Phạm Văn Tám" in html


def test_terms_end_on_a_day_that_exists() -> None:
    assert sharing.until(date(2026, 11, 30), 3) == date(2027, 2, 28)
    assert sharing.until(date(2026, 12, 5), 12) == date(2027, 12, 5)


def test_a_switch_that_has_ended_is_open() -> None:
    switch = Switch("category", "hiv", "HIV")
    made = sharing.consent("Person/1", "Patient/1", switch, date(2026, 1, 1), "x", active=True)
    states = sharing.switches({}, [made], "Person/1", date(2026, 1, 2))
    assert not any(one.until for one in states)
    states = sharing.switches({}, [made], "Person/1", date(2026, 1, 1))
    assert [one.value for one in states if one.until] == ["hiv"]

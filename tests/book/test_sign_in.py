"""A citizen comes in by the real test e-ID, and nobody else does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from sokhoe import book, clock
from sokhoe.book import CitizenFacts, PlainSignIn
from sokhoe.book.sign_in import fits
from sokhoe.errors import Invalid
from sokhoe.people import Link, PersonView
from sokhoe.settings import load
from sokhoe.trust import Role
from tests.book.library import (
    BAY,
    HOSPITAL,
    SAU,
    STATION,
    STRANGER,
    Library,
    agree,
    come_in,
    leave,
)
from tests.book.papers import a_patient, a_visit


def trouble(answer: Any) -> str:
    """The support code on the page of a sign-in that did not work."""
    found = re.search(r"Mã để báo hỗ trợ: ([a-z-]+)", answer.text)
    assert found, answer.text
    return found[1]


def is_out(browser: Any) -> bool:
    """Does the Book send this browser to the door?"""
    answer = browser.get("/book")
    return answer.status_code == 303 and "/book/signin" in answer.headers["location"]


def test_a_citizen_comes_in_and_sees_the_book(library: Library) -> None:
    browser = library.browser()
    answer = come_in(browser)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/book"
    page = browser.get("/book")
    assert page.status_code == 200
    assert "Nguyễn Thị Sáu" in page.text


def test_after_signing_in_he_goes_on_where_he_wanted_to_go(library: Library) -> None:
    browser = library.browser()
    door = browser.get("/book/medicines")
    assert door.headers["location"] == "/book/signin?next=/book/medicines"
    assert (
        'href="/book/signin/go?next=/book/medicines"' in browser.get(door.headers["location"]).text
    )
    assert come_in(browser, next="/book/medicines").headers["location"] == "/book/medicines"


@pytest.mark.parametrize(
    "next", ["https://evil.test/", "//evil.test", "/desk", "/book\\evil", "/booked", "/book/signin"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(library: Library, next: str) -> None:
    assert come_in(library.browser(), next=next).headers["location"] == "/book"


def test_the_citizen_id_stands_in_no_address_and_no_cookie(library: Library) -> None:
    browser = library.browser()
    address = leave(browser)
    back = agree(browser, address)
    done = browser.get(back.headers["location"])
    said = [address, back.headers["location"], *done.headers.get_list("set-cookie")]
    assert not any(SAU.citizen_id in one for one in said)
    assert all("HttpOnly" in one and "samesite=lax" in one.lower() for one in said[2:3])


def test_a_sign_in_replaces_the_one_before(library: Library) -> None:
    browser = library.reader(BAY)
    old = dict(browser.cookies)
    browser.follow_redirects = False
    come_in(browser, SAU)
    assert "Nguyễn Thị Sáu" in browser.get("/book").text
    stale = library.browser()
    for name, value in old.items():
        stale.cookies.set(name, value)
    assert is_out(stale)


def test_who_says_no_at_the_e_id_gets_a_plain_page(library: Library) -> None:
    browser = library.browser()
    back = agree(browser, leave(browser), do="deny")
    answer = browser.get(back.headers["location"])
    assert trouble(answer) == "eid-denied"
    assert "/book/signin/go" in answer.text
    assert is_out(browser)


def test_the_answer_opens_nothing_in_another_browser(library: Library) -> None:
    mine, other = library.browser(), library.browser()
    back = agree(mine, leave(mine))
    assert trouble(other.get(back.headers["location"])) == "seal"
    leave(other)  # an attempt of his own does not help him
    assert trouble(other.get(back.headers["location"])) == "eid-state"
    assert is_out(other)


def test_an_answer_opens_once(library: Library) -> None:
    browser = library.browser()
    where = leave(browser)
    note = dict(browser.cookies)
    back = agree(browser, where).headers["location"]
    assert browser.get(back).status_code == 303
    replayed = library.browser()
    for name, value in note.items():  # even with the sealed note copied
        replayed.cookies.set(name, value)
    assert trouble(replayed.get(back)) == "eid-code"
    assert is_out(replayed)


def test_loading_the_answer_twice_leads_into_the_book(library: Library) -> None:
    browser = library.browser()
    back = agree(browser, leave(browser)).headers["location"]
    browser.get(back)
    again = browser.get(back)
    assert (again.status_code, again.headers["location"]) == (303, "/book")


def test_a_changed_note_is_refused(library: Library) -> None:
    browser = library.browser()
    back = agree(browser, leave(browser)).headers["location"]
    (name, note), *_ = [(n, v) for n, v in browser.cookies.items() if n.endswith("-eid")]
    body, _, tag = note.strip('"').rpartition(".")
    other = "1" if tag[-1] == "0" else "0"  # one tag in sixteen ends in 0 by itself
    for changed in (f"{body[:-8]}AAAAAAAA.{tag}", f"{body}.{tag[:-1]}{other}", "x.y", ""):
        broken = library.browser()
        broken.cookies.set(name, changed)
        assert trouble(broken.get(back)) == "seal"
        assert is_out(broken)


def test_a_note_sealed_for_something_else_is_refused(library: Library) -> None:
    browser = library.browser()
    leave(browser)
    name = next(n for n in browser.cookies if n.endswith("-eid"))
    browser.cookies.clear()
    note = {"what": "form", "state": "s", "nonce": "n", "verifier": "v", "back": ""}
    browser.cookies.set(name, library.gate.seal(note, 600))
    assert trouble(browser.get("/book/callback?code=c&state=s")) == "seal"


def test_an_attempt_that_took_too_long_is_over(library: Library) -> None:
    with clock.standing_at(1_800_000_000_000_000) as ahead:
        browser = library.browser()
        where = leave(browser)
        ahead(601)
        back = agree(browser, where).headers["location"]
        assert trouble(browser.get(back)) == "seal-old"


def test_two_phones_that_sign_in_at_once_do_not_mix(library: Library) -> None:
    one, two = library.browser(), library.browser()
    first, second = leave(one), leave(two)
    back_two = agree(two, second, BAY).headers["location"]
    back_one = agree(one, first, SAU).headers["location"]
    one.get(back_one)
    two.get(back_two)
    assert "Nguyễn Thị Sáu" in one.get("/book").text
    assert "Trần Văn Bảy" in two.get("/book").text


def test_a_provider_that_is_down_gets_a_plain_page_and_others_go_on(library: Library) -> None:
    inside = library.reader()
    library.provider_over(library.wire)  # nothing kept of the provider yet
    library.wire.down = True
    answer = library.browser().get("/book/signin/go")
    assert (answer.status_code, trouble(answer)) == (503, "eid-down")
    assert inside.get("/book").status_code == 200
    library.wire.down = False
    assert come_in(library.browser()).status_code == 303


def test_a_provider_that_goes_down_on_the_way_back_opens_nothing(library: Library) -> None:
    browser = library.browser()
    back = agree(browser, leave(browser)).headers["location"]
    library.wire.down = True
    answer = browser.get(back)
    assert (answer.status_code, trouble(answer)) == (503, "eid-down")
    assert is_out(browser)


def test_without_a_provider_the_door_says_so(tmp_path: Any) -> None:
    library = Library(tmp_path)
    library.site.rooms["book"].provider = None
    door = library.browser().get("/book/signin")
    assert "/book/signin/go" not in door.text
    assert trouble(library.browser().get("/book/signin/go")) == "eid-down"
    library.close()


def test_staff_do_not_read_a_book(library: Library) -> None:
    library.gate.add_account(
        "nurse", "long enough 1", role=Role.NURSE, name="Hoa", actor="Practitioner/hoa"
    )
    browser = library.browser()
    browser.post("/signin", data={"username": "nurse", "password": "long enough 1", "next": ""})
    assert browser.get("/book").status_code == 403


# -- whose record is it? ------------------------------------------------------------------------


def test_a_citizen_without_a_record_is_told_so(library: Library) -> None:
    answer = come_in(library.browser(), STRANGER)
    assert (answer.status_code, trouble(answer)) == (404, "eid-nobody")
    assert tasks(library) == []


def tasks(library: Library) -> list[dict[str, Any]]:
    found = library.gate.machine("people").search("Task", [("code", "book-sign-in")])
    return [one.resource for one in found.versions]


def test_a_record_under_another_name_is_not_shown_and_the_desk_gets_one_task(
    library: Library,
) -> None:
    library.arrive(
        a_patient(
            "la", HOSPITAL, name="Huỳnh Thị Khác", born=STRANGER.birth_date,
            citizen_id=STRANGER.citizen_id,
        )
    )  # fmt: skip
    for _ in range(3):
        answer = come_in(library.browser(), STRANGER)
        assert (answer.status_code, trouble(answer)) == (403, "eid-unsure")
        assert "Huỳnh" not in answer.text
    (task,) = tasks(library)
    assert task["focus"]["reference"] == library.person(STRANGER).ref
    assert {one["valueString"] for one in task["input"]} == {
        STRANGER.citizen_id,
        STRANGER.name,
        STRANGER.birth_date,
    }


def a_person(name: str = SAU.name, born: str = SAU.birth_date, linked: bool = True) -> PersonView:
    return PersonView(
        "p",
        citizen_id=SAU.citizen_id,
        name=name,
        birth_date=born,
        links=(Link("Patient/1"),) if linked else (),
    )


@pytest.mark.parametrize(
    ("name", "born", "open"),
    [
        (SAU.name, SAU.birth_date, True),
        ("NGUYEN THI SAU", SAU.birth_date, True),
        (SAU.name, "1959", True),  # the papers of many elders give only the year
        ("Nguyễn Thị Bảy", SAU.birth_date, False),
        ("", SAU.birth_date, False),
        (SAU.name, "1959-12-04", False),  # day and month turned: good for linking, not for this
        (SAU.name, "1959-04-13", False),
        (SAU.name, "1958", False),
        (SAU.name, "1995-04-12", False),
        (SAU.name, "", False),
    ],
)
def test_name_and_birth_date_must_fit_beside_the_number(name: str, born: str, open: bool) -> None:
    facts = CitizenFacts(SAU.citizen_id, SAU.name, SAU.birth_date, 2)
    assert fits(facts, a_person(name, born)) is open


def test_another_number_or_an_empty_person_never_fits() -> None:
    facts = CitizenFacts("000000000000", SAU.name, SAU.birth_date, 2)
    assert not fits(facts, a_person())
    own = CitizenFacts(SAU.citizen_id, SAU.name, SAU.birth_date, 2)
    assert not fits(own, a_person(linked=False))


def test_an_e_id_that_was_never_confirmed_in_person_opens_nothing(library: Library) -> None:
    citizens = library.citizens
    citizens[SAU.citizen_id] = replace(citizens[SAU.citizen_id], level=1)
    answer = come_in(library.browser())
    assert (answer.status_code, trouble(answer)) == (403, "eid-level")


def test_a_visit_of_somebody_else_is_not_found(library: Library) -> None:
    library.arrive(
        a_visit("bay", id="of-bay", facility=STATION),
        a_visit("sau-station", id="of-sau", facility=STATION),
    )
    sau = library.reader(SAU)
    assert sau.get("/book/visits/of-sau").status_code == 200
    refused = sau.get("/book/visits/of-bay")
    unknown = sau.get("/book/visits/there-is-none")
    assert (refused.status_code, unknown.status_code) == (404, 404)
    tell = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d")
    assert tell.sub("", refused.text) == tell.sub("", unknown.text)


# -- the Null twin --------------------------------------------------------------------------------


def test_plain_claims_become_facts() -> None:
    said = {"citizen_id": " 1 ", "name": "Sáu", "birthdate": "1959-04-12", "acr": "urn:x:loa:2"}
    assert PlainSignIn().facts(said) == CitizenFacts("1", "Sáu", "1959-04-12", 2)
    assert PlainSignIn("number").facts({**said, "number": "7"}).citizen_id == "7"


@pytest.mark.parametrize("changed", [{"name": ""}, {"citizen_id": 7}, {"birthdate": "1959"}])
def test_missing_claims_are_named(changed: dict[str, Any]) -> None:
    said = {"citizen_id": "1", "name": "Sáu", "birthdate": "1959-04-12", "acr": "2", **changed}
    with pytest.raises(Invalid) as refusal:
        PlainSignIn().facts(said)
    assert refusal.value.slug == "eid-claims"
    assert next(iter(changed)) in refusal.value.issues[0].location


def test_an_e_id_that_does_not_say_how_sure_it_is_counts_as_not_sure() -> None:
    said = {"citizen_id": "1", "name": "Sáu", "birthdate": "1959-04-12"}
    assert PlainSignIn().facts(said).level < PlainSignIn().lowest_level


def test_at_a_station_there_is_no_book(tmp_path: Any) -> None:
    library = Library(tmp_path)
    library.site.settings = load({"data": str(tmp_path), "role": "station", "country": "none"})
    assert book.routes(library.site) == []
    library.close()

"""The nurse prints a code for the Health Book, for the person whose card she has seen."""

from __future__ import annotations

import re

from sokhoe.trust import Role
from tests.web.house import PASSWORD, House, csrf, send

CARD = "086159000123|Nguyễn Thị Sáu|12041959|female"


def registered(house: House) -> str:
    """The id of a person who was registered by card."""
    nurse = house.client()
    page = send(nurse, "/people/new", do="card", card=CARD)
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
    fields |= {"gender": "female", "csrf": csrf(nurse), "do": "save"}
    answer = nurse.post("/people/new", data=fields)
    return str(answer.headers["location"]).split("?")[0].removeprefix("/people/")


def test_the_card_must_be_the_record_s_and_the_code_is_shown_once(house: House) -> None:
    id = registered(house)
    nurse, path = house.client(), f"/people/{id}/book-code"
    assert send(nurse, path, number="086000000000", kind="first").status_code == 400
    for number in ("086159000123", CARD):
        paper = send(nurse, path, number=number, kind="first")
        code = re.search(r"<code>([0-9A-HJKMNP-TV-Z-]{12})</code>", paper.text)
        assert code, paper.text
        assert code[1] not in nurse.get(path).text


def test_a_lost_phone_needs_another_member_of_staff(house: House) -> None:
    house.account(Role.DOCTOR)
    house.account(Role.NURSE)
    nurse, path = house.client(), f"/people/{registered(house)}/book-code"
    about = {"number": "086159000123", "kind": "again"}
    assert send(nurse, path, **about).status_code == 401
    alone = send(nurse, path, **about, username="nurse", password=PASSWORD)
    assert alone.status_code == 400
    both = send(nurse, path, **about, username="doctor", password=PASSWORD)
    assert "<code>" in both.text

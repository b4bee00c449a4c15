"""Twin of vietnam/card_qr.py. All cards are invented."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.vietnam.card_qr import (
    CitizenCard,
    InsuranceCard,
    citizen_card_text,
    insurance_card_text,
    read_citizen_card,
    read_insurance_card,
)

CARD = "086190001234|331234567|NGUYỄN THỊ BÔNG|02041990|Nữ|ấp 3, xã Long Hồ, Vĩnh Long|15062021"


def test_a_citizen_card_is_read() -> None:
    card = read_citizen_card(CARD)
    assert card.number == "086190001234"
    assert card.old_number == "331234567"
    assert card.name == "NGUYỄN THỊ BÔNG"
    assert (card.birth, card.sex, card.issued) == ("1990-04-02", "female", "2021-06-15")


def test_the_old_number_may_be_empty_or_missing_altogether() -> None:
    assert read_citizen_card(CARD.replace("331234567", "")).old_number == ""
    six = read_citizen_card(CARD.replace("331234567|", ""))
    assert (six.old_number, six.name, six.birth) == ("", "NGUYỄN THỊ BÔNG", "1990-04-02")


def test_newer_cards_have_more_fields_which_are_ignored() -> None:
    assert read_citizen_card(f"{CARD}|NGUYỄN VĂN A|TRẦN THỊ B||x") == read_citizen_card(CARD)


def test_the_scanners_enter_key_is_cut_off() -> None:
    assert read_citizen_card(f"{CARD}\r\n") == read_citizen_card(CARD)


def test_a_birth_day_that_nobody_knows_leaves_the_year() -> None:
    assert read_citizen_card(CARD.replace("02041990", "00001950")).birth == "1950"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "086190001234",
        CARD.replace("086190001234", "8619000123"),
        CARD.replace("331234567", "12"),
        CARD.replace("02041990", "31021990"),
        CARD.replace("02041990", "0204199"),
        CARD.replace("NGUYỄN THỊ BÔNG", " "),
    ],
)
def test_what_is_no_citizen_card_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_citizen_card(text)
    assert "thẻ căn cước" in caught.value.message


def test_a_built_citizen_card_reads_back() -> None:
    card = CitizenCard(
        "084305000077", "", "THẠCH SA RINH", "2005-12-31", "female", "ấp 1", "2022-01-02"
    )
    assert read_citizen_card(citizen_card_text(card)) == card


NEW = InsuranceCard(
    number="8612345678",
    name="Lê Thị Út",
    birth="1975-08-09",
    sex="female",
    address="ấp 5, xã Trà Ôn",
    facility="86103",
    valid_from="2026-01-01",
    valid_to="",
    issued="2025-12-20",
    management="12345678901234",
    five_years="2028-03-01",
    issuer="BHXH tỉnh mẫu",
)


def test_a_new_insurance_card_reads_back_with_its_hex_names() -> None:
    text = insurance_card_text(NEW)
    assert text.endswith("|$")
    assert "Lê" not in text
    assert read_insurance_card(text) == NEW


def test_an_old_insurance_card_begins_with_fifteen_characters_and_ends_early() -> None:
    old = replace(
        NEW,
        number="GD4868612345678",
        management="",
        five_years="",
        issuer="",
        valid_to="2026-12-31",
    )
    text = insurance_card_text(old)
    assert text.split("|")[9] == "$"
    assert read_insurance_card(text) == old


def test_only_the_year_of_birth_and_no_address_are_read() -> None:
    card = replace(NEW, birth="1948", address="")
    assert read_insurance_card(insurance_card_text(card)) == card


@pytest.mark.parametrize(
    ("part", "instead"),
    [("$", ""), ("8612345678", "12"), ("86 - 103", "86 - 1"), (NEW.name.encode().hex(), "zz")],
)
def test_a_damaged_insurance_card_is_refused(part: str, instead: str) -> None:
    with pytest.raises(Invalid):
        read_insurance_card(insurance_card_text(NEW).replace(part, instead))


@given(st.text(max_size=200))
def test_no_scanned_text_breaks_the_readers(text: str) -> None:
    for read in (read_citizen_card, read_insurance_card):
        for tried in (text, f"{CARD}{text}", f"8612345678|{text}|$"):
            try:
                read(tried)
            except Invalid as error:
                assert error.message

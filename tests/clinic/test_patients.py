"""A person from the form to the record and back."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sokhoe.clinic.patients import (
    Age,
    Typed,
    age,
    check,
    citizen_number,
    face_of,
    from_card,
    mother,
    new_id,
    read_date,
    resource,
    spoken_name,
    typed_of,
)
from sokhoe.fhir import validate
from sokhoe.people import CardFacts, NoIdentity

TODAY = date(2026, 11, 23)
IDENTITY = NoIdentity()


def a_form(**changes: str) -> Typed:
    given = {"name": "Nguyễn Văn Á", "birth": "05/03/1957", "gender": "male", **changes}
    return Typed(**given)


@pytest.mark.parametrize(
    ("text", "fhir"),
    [
        ("05/03/1957", "1957-03-05"),
        ("5.3.1957", "1957-03-05"),
        ("5-3-1957", "1957-03-05"),
        ("05031957", "1957-03-05"),
        ("3/1957", "1957-03"),
        ("1957", "1957"),
        ("1957-03-05", "1957-03-05"),
        ("29/02/2024", "2024-02-29"),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, fhir: str) -> None:
    assert read_date(text) == fhir


@pytest.mark.parametrize("text", ["", "31/02/1957", "29/02/2023", "13/1957", "57", "hôm qua"])
def test_what_is_no_day_is_refused(text: str) -> None:
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("birth", "expected"),
    [
        ("1957-03-05", Age(69 * 12 + 8, 25465)),
        ("2026-11-11", Age(0, 12)),
        ("2025-11-24", Age(11, 364)),
        ("1957", Age(69 * 12, exact=False)),
        ("2026-03", Age(8, exact=False)),
        ("", Age(None)),
        ("unknown", Age(None)),
    ],
)
def test_age(birth: str, expected: Age) -> None:
    assert age(birth, TODAY) == expected


def test_a_form_becomes_a_valid_patient_and_the_same_form_again() -> None:
    typed = a_form(
        citizen_id="086 057 000001",
        insurance="gd4860123456789",
        phone="0100 456 789",
        address="Ấp 3",
    )
    patient = resource(typed, IDENTITY, id="p1", place="Organization/86901")
    validate(patient)
    assert patient["name"] == [
        {"use": "official", "text": "Nguyễn Văn Á", "family": "Nguyễn", "given": ["Văn", "Á"]}
    ]
    assert patient["identifier"][0]["value"] == "086057000001"
    assert patient["managingOrganization"] == {"reference": "Organization/86901"}
    again = typed_of(patient, IDENTITY)
    assert again == a_form(
        citizen_id="086057000001", insurance="GD4860123456789", phone="0100456789", address="Ấp 3"
    )


def test_a_newborn_needs_no_number_and_an_elder_only_a_year() -> None:
    assert check(a_form(name="Con bà Trần Thị Hai"), TODAY, NoIdentity()) == {}
    assert check(a_form(birth="1930"), TODAY, NoIdentity()) == {}
    patient = resource(a_form(birth="1930"), IDENTITY, id="p1", place="")
    validate(patient)
    assert patient["birthDate"] == "1930"
    assert "identifier" not in patient and "telecom" not in patient


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("birth", "31/02/1990"),
        ("birth", "24/11/2026"),
        ("birth", "1850"),
        ("gender", ""),
        ("gender", "nam"),
        ("phone", "12"),
        ("citizen_id", "12!45678"),
        ("insurance", "1"),
    ],
)
def test_each_wrong_field_is_named(field: str, value: str) -> None:
    assert list(check(a_form(**{field: value}), TODAY, NoIdentity())) == [field]


def test_correcting_keeps_what_the_form_does_not_know() -> None:
    standing: dict[str, Any] = {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"versionId": "3"},
        "text": {"status": "generated", "div": "<div>old name</div>"},
        "identifier": [
            {"system": IDENTITY.citizen_system, "value": "111111"},
            {"system": "urn:hospital", "value": "BN7"},
        ],
        "name": [{"text": "Tên Cũ", "use": "old"}, {"text": "Nguyễn Văn A", "use": "official"}],
        "telecom": [
            {"system": "email", "value": "a@example.org"},
            {"system": "phone", "value": "0100000001"},
            {"system": "phone", "value": "0100000002"},
        ],
        "address": [{"line": ["Số 1"], "city": "X"}],
        "maritalStatus": {"text": "M"},
        "managingOrganization": {"reference": "Organization/first"},
    }
    typed = typed_of(standing, IDENTITY)
    assert (typed.name, typed.phone, typed.address) == ("Nguyễn Văn A", "0100000001", "Số 1, X")
    changed = resource(
        a_form(citizen_id="222222", phone="0100000003", address=typed.address),
        IDENTITY,
        id="p1",
        place="Organization/second",
        standing=standing,
    )
    assert changed["identifier"] == [
        {"system": IDENTITY.citizen_system, "value": "222222"},
        {"system": "urn:hospital", "value": "BN7"},
    ]
    assert [one["value"] for one in changed["telecom"]] == [
        "a@example.org",
        "0100000003",
        "0100000002",
    ]
    assert changed["address"] == standing["address"]
    assert [one["use"] for one in changed["name"]] == ["official", "old"]
    assert changed["managingOrganization"] == {"reference": "Organization/first"}
    assert changed["maritalStatus"] == {"text": "M"}
    assert "meta" not in changed and "text" not in changed
    assert standing["name"][1]["text"] == "Nguyễn Văn A", "the standing record must not be touched"


def test_a_card_fills_in_what_it_says_and_leaves_the_rest() -> None:
    card = CardFacts(citizen_id="086057000001", name="NGUYỄN VĂN Á", birth_date="1957-03-05")
    typed = from_card(card, Typed(phone="0100456789", name="nguyen"))
    assert typed == Typed(
        name="Nguyễn Văn Á", birth="05/03/1957", citizen_id="086057000001", phone="0100456789"
    )


def test_capitals_of_a_card_become_a_name() -> None:
    assert spoken_name("  NGUYỄN  THỊ ÁNH ") == "Nguyễn Thị Ánh"
    assert spoken_name("Kim Sô Phia") == "Kim Sô Phia"


def test_the_mother_is_named_in_the_childs_record() -> None:
    her = face_of(resource(a_form(citizen_id="222222"), IDENTITY, id="m", place=""), IDENTITY)
    related = mother("Patient/c", her, IDENTITY, id="r1")
    validate(related)
    assert related["patient"] == {"reference": "Patient/c"}
    assert related["relationship"][0]["coding"][0]["code"] == "MTH"
    assert related["identifier"][0]["value"] == "222222"


def test_pages_show_only_the_end_of_a_number() -> None:
    face = face_of(
        resource(a_form(citizen_id="086057000001"), IDENTITY, id="p", place=""), IDENTITY
    )
    assert face.tail == "•••0001"


def test_the_same_form_key_gives_the_same_id() -> None:
    assert new_id("k") == new_id("k") != new_id("k", "Encounter") != new_id("other", "Encounter")


class _Dashed(NoIdentity):
    """A country whose numbers have a dash of their own."""

    def is_citizen_id(self, text: str) -> bool:
        return text.startswith("T-")


def test_a_number_is_kept_as_its_country_writes_it() -> None:
    assert citizen_number(" 086 070-000.111 ", NoIdentity()) == "086070000111"
    assert citizen_number("T-00017", _Dashed()) == "T-00017"


def test_a_number_that_is_none_is_refused() -> None:
    assert list(check(a_form(citizen_id="12345"), TODAY, NoIdentity())) == ["citizen_id"]

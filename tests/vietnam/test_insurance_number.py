"""Twin of vietnam/insurance_number.py."""

from __future__ import annotations

import pytest

from sokhoe.errors import Invalid
from sokhoe.vietnam import insurance_number


def test_the_long_form_is_taken_apart() -> None:
    found = insurance_number.parse("gd4 86 8612345678")
    assert (found.form, found.group, found.level, found.province) == ("card15", "GD", 4, "86")
    assert found.key == "8612345678"


def test_the_short_form_is_its_own_key_and_the_citizen_form_has_none() -> None:
    assert insurance_number.parse("8612345678").key == "8612345678"
    found = insurance_number.parse("086305001234")
    assert (found.form, found.key) == ("citizen12", "")


def test_the_key_stays_when_group_and_card_change() -> None:
    cards = ("GD4868612345678", "HT3868612345678", "8612345678")
    assert {insurance_number.stable_key(card) for card in cards} == {"8612345678"}
    assert insurance_number.stable_key("no number") == ""


@pytest.mark.parametrize("text", ["GD6868612345678", "G14868612345678", "123456789", "", "GD48686"])
def test_other_shapes_are_refused(text: str) -> None:
    assert not insurance_number.is_insurance_number(text)
    with pytest.raises(Invalid):
        insurance_number.parse(text)


def test_army_police_and_cipher_are_marked_and_so_are_childrens_provisional_codes() -> None:
    assert insurance_number.parse("QN5868612345678").special
    assert not insurance_number.parse("GD4868612345678").special
    assert insurance_number.parse("TE1868612345678").temporary_child

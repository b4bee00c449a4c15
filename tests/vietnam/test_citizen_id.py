"""Twin of vietnam/citizen_id.py."""

from __future__ import annotations

from itertools import islice

import pytest

from sokhoe.errors import Invalid
from sokhoe.vietnam import citizen_id


def test_a_number_says_province_sex_and_birth_year() -> None:
    said = citizen_id.parse("086305001234")
    assert (said.province, said.sex, said.year, said.serial) == ("086", "female", 2005, "001234")
    assert citizen_id.parse("083058354335").year == 1958
    assert citizen_id.parse("083058354335").sex == "male"


def test_spaces_dots_and_dashes_from_the_keyboard_do_not_matter() -> None:
    assert citizen_id.parse(" 086 305.001-234 ").number == "086305001234"


@pytest.mark.parametrize(
    "text", ["", "86305001234", "0863050012345", "08630500123a", "٠٨٦٣٠٥٠٠١٢٣٤"]
)
def test_anything_but_twelve_digits_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        citizen_id.parse(text)
    assert caught.value.hint
    assert not citizen_id.is_citizen_id(text)


def test_an_unknown_province_is_never_a_reason_to_refuse() -> None:
    assert citizen_id.parse("999305001234").province == "999"
    assert citizen_id.warnings("999305001234", birth="2005-02-01", sex="female") == ()


def test_a_parents_card_used_for_a_child_is_a_warning_not_a_refusal() -> None:
    found = citizen_id.warnings("086185001234", birth="2021-03-04", sex="male")
    assert len(found) == 2
    assert "1985" in found[0] and "2021" in found[0]


def test_a_year_alone_is_enough_to_compare_and_nothing_known_says_nothing() -> None:
    assert citizen_id.warnings("086185001234", birth="1985", sex="female") == ()
    assert citizen_id.warnings("086185001234", birth="", sex="unknown") == ()


def test_old_cards_have_nine_digits() -> None:
    assert citizen_id.is_old_card("331 234 567")
    assert not citizen_id.is_old_card("086185001234")


def test_invented_numbers_fit_the_person_and_never_repeat() -> None:
    start = citizen_id.prefix("086", "female", 2005)
    made = list(islice(citizen_id.invented(start), 5000))
    assert len(set(made)) == 5000
    for number in made[:20]:
        assert citizen_id.warnings(number, birth="2005-01-01", sex="female") == ()


def test_a_year_no_number_can_say_is_refused() -> None:
    with pytest.raises(Invalid):
        citizen_id.prefix("086", "male", 1899)

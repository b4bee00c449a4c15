"""Sheets of paper: what is mistyped is noticed, and the group in which it is gets named."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.trust.keys import paper
from sokhoe.trust.keys.paper import GROUPS, LETTERS, Sheet, read

SHEET = Sheet(b"\x12\xab", 2, bytes(range(32)))
sheets = st.builds(
    Sheet,
    st.binary(min_size=2, max_size=2),
    st.integers(1, 255),
    st.binary(min_size=32, max_size=32),
)


@given(sheets)
def test_what_is_printed_is_read(sheet: Sheet) -> None:
    assert read(sheet.text) == sheet
    assert read("  " + sheet.text.lower().replace("-", " \n")) == sheet


def test_letters_that_look_alike_are_understood() -> None:
    text = SHEET.text.replace("0", "o").replace("1", "l")
    assert text != SHEET.text and read(text) == SHEET


@given(sheets, st.randoms())
def test_every_single_wrong_letter_is_found_in_its_group(
    sheet: Sheet, random: random.Random
) -> None:
    groups = sheet.groups
    at, place = random.randrange(GROUPS), random.randrange(5)
    other = random.choice([one for one in LETTERS if one != groups[at][place]])
    wrong = groups[at][:place] + other + groups[at][place + 1 :]
    groups[at] = wrong
    with pytest.raises(Invalid) as refused:
        read("-".join(groups))
    assert [one.location for one in refused.value.issues] == [str(at + 1)]
    assert f"{at + 1} ({wrong})" in refused.value.message


def test_every_pair_of_neighbours_exchanged_is_found() -> None:
    for at in range(GROUPS):
        for place in range(4):
            groups = SHEET.groups
            one = groups[at]
            if one[place] == one[place + 1]:
                continue
            groups[at] = one[:place] + one[place + 1] + one[place] + one[place + 2 :]
            with pytest.raises(Invalid) as refused:
                read("-".join(groups))
            assert [issue.location for issue in refused.value.issues] == [str(at + 1)]


def test_groups_in_another_order_are_found() -> None:
    for at in range(GROUPS - 1):
        groups = SHEET.groups
        groups[at], groups[at + 1] = groups[at + 1], groups[at]
        with pytest.raises(Invalid) as refused:
            read("-".join(groups))
        assert {issue.location for issue in refused.value.issues} == {str(at + 1), str(at + 2)}


def test_a_left_out_group_is_told() -> None:
    with pytest.raises(Invalid, match="15 groups of 5 letters; 70"):
        read("-".join(SHEET.groups[:-1]))


def test_two_mistakes_that_cancel_in_a_group_are_found_in_the_whole() -> None:
    """The twelve bits over all let one of 4,096 through."""
    passed = 0
    luck = random.Random(5)
    for _ in range(300):
        groups = SHEET.groups
        at = luck.randrange(GROUPS)
        values = [luck.randrange(32) for _ in range(4)]
        if [LETTERS[one] for one in values] == list(groups[at][:4]):
            continue
        groups[at] = "".join(LETTERS[one] for one in [*values, paper._sum(at, values)])
        try:
            read("-".join(groups))
            passed += 1
        except Invalid:
            pass
    assert passed <= 3


def test_a_foreign_version_is_refused() -> None:
    with pytest.raises(Invalid):
        read("-".join(["00000"] * GROUPS))

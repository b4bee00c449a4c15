"""How alike are two names?"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.people.names import NameLevel, compare, marked, one_edit, words

LETTERS = "aăâeêioôơuưydđbcnghtmàáảãạằễếệỗộờớùúủĩỹ"
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=0, max_size=5).map(" ".join)


@pytest.mark.parametrize(
    ("one", "two", "level"),
    [
        ("Nguyễn Văn An", "NGUYỄN VĂN AN", NameLevel.EXACT),
        ("Nguyễn Thị Hòa", "Nguyễn Thị Hoà", NameLevel.EXACT),
        ("Trần Thị Thúy", "Trần Thị Thuý", NameLevel.EXACT),
        ("Nguyễn Văn Đức", "Nguyen Van Duc", NameLevel.UNACCENTED),
        ("Lê Văn Dũng", "Lê Văn Dùng", NameLevel.ACCENTS),
        ("Phạm Văn Dung", "Phạm Văn Dũng", NameLevel.ACCENTS),
        ("Nguyễn Văn Đa", "Nguyễn Văn Da", NameLevel.ACCENTS),
        ("Nguyễn Văn An", "An Nguyễn Văn", NameLevel.TURNED),
        ("Nguyễn Văn An", "VAN AN NGUYEN", NameLevel.TURNED),
        ("Nguyễn Minh Anh", "Nguyễn Anh Minh", NameLevel.PARTS),
        ("Nguyễn Thị Ngọc Lan", "Nguyễn Ngọc Lan", NameLevel.MIDDLE),
        ("Nguyễn Thị Lan", "Nguyễn Lan", NameLevel.MIDDLE),
        ("Nguyễn Minh Anh", "Nguyễn Ngọc Anh", NameLevel.PARTS),
        ("Nguyễn Văn An", "Nguyn Văn An", NameLevel.LETTER),
        ("NguyễnVăn An", "Nguyễn Văn An", NameLevel.LETTER),
        ("Lê Văn An", "Lý Văn An", NameLevel.PARTS),
        ("Nguyễn Thị Lan", "Nguyễn Thị Lam", NameLevel.GIVEN_LETTER),
        ("Nguyễn Thị Hoa", "Nguyễn Văn Bình", NameLevel.DIFFERENT),
        ("Nguyễn Thị Hoa", "Trần Văn Bình", NameLevel.DIFFERENT),
        ("Thạch Sô Phia", "Thạch Sô Phia", NameLevel.EXACT),
        ("សុខ ដារ៉ា", "សុខ ដារ៉ា", NameLevel.EXACT),
        ("សុខ ដារ៉ា", "ចាន់ ថា", NameLevel.DIFFERENT),
        ("", "Nguyễn Văn An", NameLevel.MISSING),
    ],
)
def test_two_names_stand_on_the_right_level(one: str, two: str, level: NameLevel) -> None:
    assert compare(one, two) is level
    assert compare(two, one) is level


def test_the_two_unicode_forms_of_a_name_are_one_name() -> None:
    name = "Nguyễn Thị Hường"
    assert compare(name, unicodedata.normalize("NFD", name)) is NameLevel.EXACT


@given(NAMES, NAMES)
def test_comparing_is_the_same_whichever_comes_first(one: str, two: str) -> None:
    assert compare(one, two) is compare(two, one)


@given(NAMES.filter(bool))
def test_a_name_is_itself_with_or_without_accents(name: str) -> None:
    assert compare(name, name.upper()) is NameLevel.EXACT
    bare = " ".join(word.letters for word in words(name))
    assert compare(name, bare) in {NameLevel.EXACT, NameLevel.UNACCENTED}


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_edit_is_symmetric_and_means_near(one: str, two: str) -> None:
    assert one_edit(one, two) == one_edit(two, one)
    if one_edit(one, two):
        assert one != two and abs(len(one) - len(two)) <= 1


@pytest.mark.parametrize(
    ("one", "two", "near"),
    [
        ("nguyen", "nguyn", True),
        ("nguyen", "ngueyn", True),
        ("nguyen", "nguyan", True),
        ("nguyen", "nguyen", False),
        ("nguyen", "ngyuan", False),
    ],
)
def test_one_edit_knows_typing_slips(one: str, two: str, near: bool) -> None:
    assert one_edit(one, two) is near


def test_the_letters_that_differ_are_marked_and_case_is_no_difference() -> None:
    left, right = marked("Nguyễn Thị Hoa", "NGUYỄN THỊ HOÀ")
    assert [piece.text for piece in left if piece.differs] == ["a"]
    assert [piece.text for piece in right if piece.differs] == ["À"]


def test_words_that_are_not_alike_are_marked_whole() -> None:
    left, right = marked("Nguyễn Gia Bảo", "Nguyễn Văn An")
    assert [piece.text for piece in left] == ["Nguyễn ", "Gia", " ", "Bảo"]
    assert [piece.text for piece in right if piece.differs] == ["Văn", "An"]
    left, right = marked("01/06/2019", "02/03/1961")
    assert [piece.text for piece in left if piece.differs] == ["1", "6", "2019"]


@given(NAMES, NAMES)
def test_marked_pieces_give_the_texts_back(one: str, two: str) -> None:
    left, right = marked(one, two)
    assert "".join(piece.text for piece in left) == unicodedata.normalize("NFC", one)
    assert "".join(piece.text for piece in right) == unicodedata.normalize("NFC", two)
    if not any(piece.differs for piece in (*left, *right)):
        assert one.lower() == two.lower() or unicodedata.normalize(
            "NFC", one.lower()
        ) == unicodedata.normalize("NFC", two.lower())

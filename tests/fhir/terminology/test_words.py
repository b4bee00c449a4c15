"""What a nurse types finds the concept: without accents, by beginnings of words, best first."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.fhir import fold
from sokhoe.fhir.terminology import Words

ROWS: list[tuple[str, str, list[str]]] = [
    ("E10", "Đái tháo đường phụ thuộc insulin", ["Bệnh tiểu đường týp 1"]),
    ("E11", "Đái tháo đường không phụ thuộc insulin", ["Bệnh tiểu đường týp 2"]),
    ("E11.9", "Đái tháo đường týp 2, chưa có biến chứng", []),
    ("I10", "Tăng huyết áp vô căn", ["Cao huyết áp"]),
    ("R73", "Tăng đường huyết", []),
    ("O24", "Đái tháo đường khi có thai", []),
    ("N39", "Đái dầm", []),
    ("Z13", "Khám sàng lọc phát hiện đái tháo đường", []),
    ("J06.9", "Nhiễm khuẩn hô hấp trên cấp", []),
]


def found(text: str) -> list[str]:
    return [ROWS[row][0] for row in Words(ROWS).find(text)]


def test_accents_may_be_left_out_and_words_be_begun_only() -> None:
    assert found("dai thao duong") == ["O24", "E10", "E11", "E11.9", "Z13"]
    assert found("đái thao đuong kho") == ["E11"]
    assert found("duong thao insulin") == ["E10", "E11"]


def test_another_name_finds_the_concept_too() -> None:
    assert found("tieu duong") == ["E10", "E11"]
    assert found("cao huyet ap") == ["I10"]


def test_a_code_or_its_beginning_comes_first() -> None:
    assert found("E11") == ["E11", "E11.9"]
    assert found("e11.9") == ["E11.9"]
    assert found("j06.9 nhiem") == ["J06.9"]


def test_accents_that_were_typed_count() -> None:
    words = Words([("1", "Bo", []), ("2", "Bơ", []), ("3", "Bò", [])])
    assert words.find("bò")[0] == 2
    assert words.find("bơ")[0] == 1
    assert sorted(words.find("bo")) == [0, 1, 2]


def test_nothing_typed_finds_nothing_and_neither_do_signs() -> None:
    assert found("  ") == [] and found("--- ,") == []


TEXT = st.text(alphabet="aáăbđe .-", max_size=8)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=2)), max_size=6), asked=TEXT)
def test_the_index_finds_what_looking_at_every_concept_finds(
    rows: list[tuple[str, str, list[str]]], asked: str
) -> None:
    def fits(row: tuple[str, str, list[str]]) -> bool:
        code, display, others = row
        texts = [fold(one) for one in (display, *others)]
        words = {*(w for t in texts for w in re.findall(r"\w+", t)), fold(code)}

        def begins(part: str) -> bool:
            return any(word.startswith(part) for word in words)

        tokens = fold(asked).split()
        return bool(tokens) and all(
            begins(token) or (bool(parts := re.findall(r"\w+", token)) and all(map(begins, parts)))
            for token in tokens
        )

    assert sorted(Words(rows).find(asked)) == [n for n, row in enumerate(rows) if fits(row)]


def plain_rank(
    row: int, rows: list[tuple[str, str, list[str]]], asked: str
) -> tuple[int, int, int]:
    """The order in plain words: which group a concept is in, then the shorter name."""
    code, display, others = rows[row]
    first = fold(display)
    more = [fold(one) for one in others if one != display]
    everything = " | ".join([first, *more])
    single = re.fullmatch(r"\w+", asked)
    tests = [
        fold(code) == asked,
        fold(code).startswith(asked),
        first == asked,
        first.startswith(asked),
        asked in more,
        any(one.startswith(asked) for one in more),
        any(word.startswith(asked) for word in re.findall(r"\w+", first))
        if single
        else f" {asked}" in f" {first}",
        bool(single) or f" {asked}" in f" {everything}",
        True,
    ]
    return tests.index(True), len(first), row


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=2)), max_size=6),
    asked=st.text(alphabet="abde .-", max_size=5),
)
def test_the_fast_order_is_the_plain_one(
    rows: list[tuple[str, str, list[str]]], asked: str
) -> None:
    words = Words(rows)
    found = words.matches(asked) or set()
    folded = fold(asked)
    if folded != " ".join(asked.lower().split()):
        return
    assert words.find(asked) == sorted(found, key=lambda row: plain_rank(row, rows, folded))

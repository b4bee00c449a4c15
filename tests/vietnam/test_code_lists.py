"""Twin of vietnam/code_lists.py and of codes/*.csv, and of the pictures that use them."""

from __future__ import annotations

import re

from sokhoe.vietnam import code_lists
from sokhoe.vietnam.illnesses import illnesses


def test_the_starter_lists_are_long_enough_to_work_with() -> None:
    assert len(code_lists.diseases()) >= 250
    assert len(code_lists.medicines()) >= 80
    assert len(code_lists.lab()) >= 40
    assert len(code_lists.services()) >= 36
    assert len(code_lists.codes("ethnic_groups")) == 56


def test_disease_codes_look_like_icd10_and_have_both_names() -> None:
    for one in code_lists.diseases().values():
        assert re.fullmatch(r"[A-Z]\d\d(\.\d)?", one.code)
        assert one.name and one.english and one.sex in {"", "m", "f"}


def test_every_lab_index_belongs_to_a_laboratory_service_and_its_range_is_a_range() -> None:
    for one in code_lists.lab().values():
        assert code_lists.services()[one.service].kind == "lab"
        low, high = one.range("female")
        assert (low is None) == (high is None)
        assert low is None or high is None or low < high


def test_a_range_may_differ_by_sex() -> None:
    haemoglobin = code_lists.lab()["HGB"]
    assert haemoglobin.range("male") != haemoglobin.range("female")


def test_medicines_say_how_to_take_them() -> None:
    for one in code_lists.medicines().values():
        assert one.dose and one.unit and one.route and one.price > 0


def test_an_unknown_code_stands_for_itself() -> None:
    assert code_lists.name_of("sexes", "1") == "Nam"
    assert code_lists.name_of("sexes", "9") == "9"


def test_every_clinical_picture_uses_codes_that_are_in_the_lists() -> None:
    for one in illnesses().values():
        assert {one.icd, *one.also} <= code_lists.diseases().keys()
        assert set(one.labs) <= code_lists.lab().keys()
        assert set(one.services) <= code_lists.services().keys()
        assert {code for code, _ in one.medicines + one.child_medicines} <= (
            code_lists.medicines().keys()
        )
        assert {*one.abnormal, *one.words} <= set(one.labs)

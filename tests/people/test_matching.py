"""Are these two records one person?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sokhoe.people import Facts, NoIdentity, Reason, Verdict, facts_of, judge
from sokhoe.people.matching import compare_births, judge_all

AN = Facts(
    patient="Patient/1",
    citizen_id="086061000001",
    insurance="4012345678",
    name="Nguyễn Văn An",
    birth_date="1961-03-02",
    gender="male",
)


def like_an(**changes: Any) -> Facts:
    return replace(AN, patient="Patient/2", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "NGUYEN VAN AN"},
        {"name": "Nguyn Văn An"},
        {"name": "Nguyễn An"},
        {"birth_date": "1961"},
        {"birth_date": "1961-01-01"},
        {"birth_date": "1961-02-03"},
        {"birth_date": "1961-03-12"},
        {"birth_date": "1962-03-02"},
        {"birth_date": ""},
        {"gender": ""},
        {"gender": "unknown"},
        {"insurance": ""},
    ],
)
def test_the_same_citizen_id_and_facts_that_fit_are_one_person(changes: dict[str, str]) -> None:
    assert judge(AN, like_an(**changes)).verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        (
            {"name": "Nguyễn Minh Khôi", "birth_date": "2019-05-06"},
            {Reason.NAME_DIFFERENT, Reason.BIRTH_FAR},
        ),
        ({"birth_date": "1991-03-02"}, {Reason.BIRTH_FAR}),
        ({"gender": "female"}, {Reason.SEX_OTHER}),
        ({"name": "Nguyễn Văn Ân"}, {Reason.NAME_ACCENTS}),
        ({"name": "Nguyễn Văn Am"}, {Reason.NAME_GIVEN_LETTER}),
        ({"name": "Nguyễn Hữu An"}, {Reason.NAME_PARTS}),
        ({"name": ""}, {Reason.NAME_MISSING}),
        ({"birth_date": "", "name": "Nguyễn An"}, {Reason.BIRTH_MISSING}),
        ({"birth_date": "1962-04-02"}, {Reason.BIRTH_NEAR}),
    ],
)
def test_the_same_citizen_id_with_a_contradiction_goes_to_the_desk(
    changes: dict[str, str], because: set[Reason]
) -> None:
    found = judge(AN, like_an(**changes))
    assert found.verdict is Verdict.DOUBT
    assert because <= set(found.reasons)
    assert Reason.SAME_ID in found.reasons


def test_twins_with_one_card_are_never_one_person() -> None:
    for one, two in [
        ("Trần Minh Anh", "Trần Anh Minh"),
        ("Trần Văn Hùng", "Trần Văn Hưng"),
        ("Trần Ngọc Lan", "Trần Ngọc Lam"),
        ("Trần Gia Bảo", "Trần Gia Bình"),
        ("Trần Minh Anh", "Trần Ngọc Anh"),
    ]:
        assert judge(like_an(name=one), like_an(name=two)).verdict is Verdict.DOUBT, (one, two)


def test_the_same_insurance_number_is_a_suggestion_never_a_link() -> None:
    one = replace(AN, citizen_id="")
    assert judge(one, like_an()).verdict is Verdict.DOUBT
    assert judge(one, like_an(citizen_id="")).verdict is Verdict.DOUBT
    other = judge(AN, like_an(citizen_id="086061000002"))
    assert other.verdict is Verdict.DOUBT
    assert Reason.OTHER_ID in other.reasons


def test_without_a_common_number_there_is_no_guess() -> None:
    assert judge(AN, like_an(citizen_id="", insurance="")).verdict is Verdict.DIFFERENT
    one = replace(AN, citizen_id="")
    assert judge(one, like_an(citizen_id="", name="Lê Thị Hoa")).verdict is Verdict.DIFFERENT


FACTS = st.builds(
    Facts,
    patient=st.just("Patient/x"),
    citizen_id=st.sampled_from(["", "1", "2"]),
    insurance=st.sampled_from(["", "a", "b"]),
    name=st.sampled_from(
        [
            "",
            "Nguyễn Văn An",
            "Nguyen Van An",
            "An Nguyễn Văn",
            "Nguyễn An",
            "Nguyễn Văn Ân",
            "Lê Hoa",
        ]
    ),
    birth_date=st.one_of(
        st.just(""),
        st.integers(1958, 1963).map(str),
        st.dates().map(str),
        st.sampled_from(["1961-03-02", "1961-02-03", "1961-01-01", "1961-03", "1962-03-02"]),
    ),
    gender=st.sampled_from(["", "male", "female", "other", "unknown"]),
)


@given(FACTS, FACTS)
def test_judging_is_the_same_whichever_comes_first(one: Facts, two: Facts) -> None:
    assert judge(one, two) == judge(two, one)


@given(FACTS, FACTS)
def test_nothing_is_linked_without_the_same_citizen_id(one: Facts, two: Facts) -> None:
    if judge(one, two).verdict is Verdict.SAME:
        assert one.citizen_id and one.citizen_id == two.citizen_id
        assert "female" not in {one.gender, two.gender} or "male" not in {one.gender, two.gender}


@given(FACTS, st.lists(FACTS, max_size=4), st.randoms())
def test_judging_against_many_does_not_depend_on_their_order(
    one: Facts, others: list[Facts], chance: Any
) -> None:
    mixed = list(others)
    chance.shuffle(mixed)
    assert judge_all(one, others).verdict is judge_all(one, mixed).verdict


def test_a_bare_birth_year_ties_no_two_people_together() -> None:
    march, year, october = (
        like_an(birth_date=birth) for birth in ("1961-03-02", "1961", "1961-10-20")
    )
    assert judge(year, october).verdict is Verdict.SAME
    assert judge_all(october, [year]).verdict is Verdict.SAME
    assert judge_all(october, [year, march]).verdict is Verdict.DOUBT


def test_a_name_without_accents_ties_no_two_people_together() -> None:
    names = ("Trần Văn Hùng", "TRAN VAN HUNG", "Trần Văn Hưng")
    first, bare, second = (like_an(name=name) for name in names)
    assert judge_all(bare, [first]).verdict is Verdict.SAME
    assert judge_all(second, [bare]).verdict is Verdict.SAME
    assert judge_all(second, [bare, first]).verdict is Verdict.DOUBT


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ("1961", "1962", Reason.BIRTH_NEAR),
        ("1961", "1991", Reason.BIRTH_FAR),
        ("1961-03", "1961-03-09", Reason.BIRTH_LESS_EXACT),
        ("1961-03", "1961-01-01", Reason.BIRTH_NEW_YEAR),
        ("1961-03", "1962-03-02", Reason.BIRTH_NEAR),
    ],
)
def test_birth_dates_may_be_less_than_a_day(one: str, two: str, reason: Reason) -> None:
    assert compare_births(one, two) is reason
    assert compare_births(two, one) is reason


def test_facts_are_read_from_a_patient() -> None:
    patient = {
        "resourceType": "Patient",
        "id": "7",
        "identifier": [
            {"system": "urn:sokhoe:citizen-id", "value": "086061000001 "},
            {"use": "old", "system": "urn:sokhoe:citizen-id", "value": "086061000009"},
            {"system": "urn:sokhoe:citizen-id", "value": "soon"},
            {"system": "urn:sokhoe:insurance", "value": "4012345678"},
        ],
        "name": [
            {"use": "old", "text": "Nguyễn Văn Cũ"},
            {"family": "Nguyễn", "given": ["Văn", "An"], "text": "An Nguyễn"},
        ],
        "birthDate": "1961",
        "gender": "male",
        "telecom": [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "0900"}],
        "address": [{"line": ["Ấp 1"], "city": "Vĩnh Long"}],
    }
    found = facts_of(patient, NoIdentity())
    assert found == Facts(
        patient="Patient/7",
        citizen_id="086061000001",
        insurance="4012345678",
        name="Nguyễn Văn An",
        birth_date="1961",
        gender="male",
        address="Ấp 1, Vĩnh Long",
        phone="0900",
    )


def test_a_patient_with_nothing_in_it_has_empty_facts() -> None:
    assert facts_of({"resourceType": "Patient", "id": "7"}, NoIdentity()) == Facts("Patient/7")


def test_the_digest_changes_with_what_is_weighed_and_with_nothing_else() -> None:
    assert AN.digest == like_an(address="elsewhere", phone="0900").digest
    for name, value in {
        "citizen_id": "1", "insurance": "1", "name": "X", "birth_date": "1961", "gender": "female",
    }.items():  # fmt: skip
        assert AN.digest != replace(AN, **{name: value}).digest  # type: ignore[arg-type]

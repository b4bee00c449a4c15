"""From papers to cards."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.book.reading import Places, age_at, day, sort_key, target
from sokhoe.book.timeline import Kind, Record, card, cards, years
from sokhoe.book.words import sentence
from sokhoe.web import Speaker
from tests.book.papers import (
    a_diagnosis,
    a_medicine,
    a_pressure,
    a_result,
    a_vaccination,
    a_visit,
)

ENGLISH = Speaker("en", {})
PLACES = Places(
    names={"Organization/h": "Hospital", "Organization/s": "Station"},
    homes={"Patient/1": "Organization/s", "Patient/2": "Organization/h"},
    staff={"Practitioner/tam": "Dr Tám"},
)


def record(**papers: Any) -> Record:
    return Record(places=PLACES, births={"Patient/1": "1959"}, **papers)


def test_a_visit_is_one_card_with_all_that_belongs_to_it() -> None:
    (found,) = cards(
        record(
            encounters=[a_visit("1", id="v", facility="h", reason="ho", doctor="tam")],
            conditions=[a_diagnosis("1", "v", "Viêm họng", "J02")],
            medications=[a_medicine("1", "v", "Paracetamol", "MORN")],
            observations=[a_pressure("1", "v", 150, 80)],
            procedures=[
                {
                    "resourceType": "Procedure",
                    "status": "completed",
                    "code": {"text": "Khí dung"},
                    "encounter": {"reference": "Encounter/v"},
                    "subject": {"reference": "Patient/1"},
                }
            ],
        ),
        2026,
    )
    assert (found.id, found.facility, found.doctor, found.reason) == (
        "v",
        "Hospital",
        "Dr Tám",
        "ho",
    )
    assert [one.text for one in found.diagnoses] == ["Viêm họng"]
    assert [one.name for one in found.medicines] == ["Paracetamol"]
    assert [one.key for one in found.results] == ["85354-9"]
    assert found.done == ("Khí dung",)


def test_the_newest_visit_stands_first() -> None:
    found = cards(
        record(encounters=[a_visit("1", "2026-01-05"), a_visit("2", "2026-07-05"),
                           a_visit("1", "2026-03-05")]), 2026,
    )  # fmt: skip
    assert [day(one.at) for one in found] == ["2026-07-05", "2026-03-05", "2026-01-05"]


def test_a_year_shows_its_own_visits_by_local_time() -> None:
    new_year = a_visit("1", "2026-01-01")
    new_year["period"]["start"] = "2025-12-31T18:00:00Z"  # one in the morning of the first, here
    found = record(encounters=[new_year, a_visit("1", "2025-06-01")])
    assert len(cards(found, 2026)) == 1
    assert len(cards(found, 2025)) == 1


def test_visits_of_two_facilities_stay_two_cards_each_with_its_name() -> None:
    found = cards(record(encounters=[a_visit("1"), a_visit("2")]), 2026)
    assert {one.facility for one in found} == {"Station", "Hospital"}


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "planned"])
def test_what_did_not_happen_is_not_shown(status: str) -> None:
    assert cards(record(encounters=[a_visit("1", status=status)]), 2026) == []


def test_what_was_written_by_mistake_is_not_shown() -> None:
    wrong = {"coding": [{"code": "entered-in-error"}]}
    (found,) = cards(
        record(
            encounters=[a_visit("1", id="v")],
            conditions=[a_diagnosis("1", "v", "Sai", verificationStatus=wrong)],
            medications=[a_medicine("1", "v", "Sai", status="entered-in-error")],
            observations=[a_result("1", "v", "Sai", "1", status="entered-in-error")],
        ),
        2026,
    )
    assert not found.says_something


def test_diagnoses_stand_in_the_order_of_the_visit_and_once() -> None:
    second = a_diagnosis("1", "v", "Đái tháo đường", "E11")
    first = a_diagnosis("1", "", "Tăng huyết áp", "I10")
    visit = a_visit("1", id="v")
    visit["diagnosis"] = [
        {"condition": {"reference": f"Condition/{first['id']}"}, "rank": 1},
        {"condition": {"reference": f"Condition/{second['id']}"}, "rank": 2},
    ]
    again = a_diagnosis("1", "v", "TĂNG HUYẾT ÁP", "I10")
    (found,) = cards(record(encounters=[visit], conditions=[second, again, first]), 2026)
    assert [one.text for one in found.diagnoses] == ["Tăng huyết áp", "Đái tháo đường"]
    assert [one.main for one in found.diagnoses] == [True, False]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AMB", Kind.VISIT), ("IMP", Kind.STAY), ("EMER", Kind.EMERGENCY), ("HH", Kind.HOME),
     ("VR", Kind.REMOTE), ("", Kind.VISIT), ("something", Kind.VISIT)],
)  # fmt: skip
def test_the_kind_of_visit_is_said_in_the_patients_words(code: str, kind: Kind) -> None:
    assert cards(record(encounters=[a_visit("1", kind=code)]), 2026)[0].kind is kind


def test_a_stay_knows_its_days() -> None:
    (found,) = cards(
        record(encounters=[a_visit("1", "2026-08-06", kind="IMP", until="2026-08-11")]), 2026
    )
    assert found.days == 5


def test_what_came_without_a_visit_is_a_card_by_day_and_facility() -> None:
    found = cards(
        record(
            observations=[a_pressure("1", "", 120, 80, "2026-02-01"),
                          a_result("1", "", "Glucose", "5", day="2026-02-01"),
                          a_result("2", "", "Glucose", "5", day="2026-02-01")],
            immunizations=[a_vaccination("1", "Cúm", "2026-10-05"),
                           a_vaccination("1", "Uốn ván", "2025-10-05")],
        ), 2026,
    )  # fmt: skip
    assert [(one.kind, one.facility) for one in found] == [
        (Kind.LOOSE, "Station"),
        (Kind.LOOSE, "Station"),
        (Kind.LOOSE, "Hospital"),
    ]
    assert found[0].vaccines == ("Cúm",)
    assert sum(len(one.results) for one in found) == 3


def test_a_diagnosis_sent_without_a_visit_is_not_lost() -> None:
    (found,) = cards(record(conditions=[a_diagnosis("1", "", "Hen", day="2026-02-01")]), 2026)
    assert (found.kind, [one.text for one in found.diagnoses]) == (Kind.LOOSE, ["Hen"])


def test_papers_of_a_visit_we_do_not_have_are_not_lost() -> None:
    (found,) = cards(record(observations=[a_pressure("1", "elsewhere", 120, 80)]), 2026)
    assert (found.kind, len(found.results)) == (Kind.LOOSE, 1)


def test_a_result_of_an_old_visit_dated_this_year_does_not_stand_alone() -> None:
    late = a_result("1", "v", "Glucose", "5", day="2026-01-03")
    found = record(encounters=[a_visit("1", "2025-12-28", id="v")], observations=[late])
    assert cards(found, 2026) == []
    assert len(cards(found, 2025)[0].results) == 1


def test_one_visit_is_found_by_its_id() -> None:
    found = record(encounters=[a_visit("1", id="v"), a_visit("1", id="w", status="cancelled")])
    assert card(found, "v") is not None
    assert card(found, "w") is None
    assert card(found, "x") is None


def test_years_have_no_gaps_and_say_how_many_visits_they_have() -> None:
    found = years([a_visit("1", "2024-01-05"), a_visit("1", "2026-07-05")], "2022-05", 2026)
    assert found == [(2026, 1), (2025, 0), (2024, 1), (2023, 0), (2022, 0)]
    assert years([], "", 2026) == [(2026, 0)]


# -- in plain words -------------------------------------------------------------------------------


def said(**papers: Any) -> str:
    (found,) = cards(record(**papers), 2026)
    return sentence(found, ENGLISH)


def test_a_visit_is_told_in_plain_sentences() -> None:
    assert said(
        encounters=[a_visit("1", id="v", reason="ho, sốt")],
        conditions=[a_diagnosis("1", "v", "Viêm họng cấp")],
        observations=[a_result("1", "v", "Glucose", "5", low="3.9", high="6.4")],
    ) == (
        "You came because of: ho, sốt. The doctor found: Viêm họng cấp. Blood sugar is normal."
    )  # fmt: skip


def test_results_outside_the_range_are_named_and_the_others_are_not() -> None:
    high = {"low": "1", "high": "2"}
    observations = [
        a_result("1", "v", f"Chất {letter}", "5", code=letter, **high) for letter in "ABCDE"
    ]
    told = said(encounters=[a_visit("1", id="v")], observations=observations)
    assert told == "Needs a look: Chất A, Chất B, Chất C and 2 more."


def test_nothing_is_said_when_nothing_is_known() -> None:
    assert said(encounters=[a_visit("1")]) == ""


# -- small readings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("Encounter/7", "Encounter/7"),
        ("https://x.test/fhir/Encounter/7", "Encounter/7"),
        ("Encounter/7/_history/3", "Encounter/7"),
        ("#inside", "#inside"),
        ("", ""),
    ],
)
def test_a_reference_is_read_in_each_of_its_forms(reference: str, found: str) -> None:
    assert target({"reference": reference}) == found


def test_partial_dates_sort_before_what_they_contain() -> None:
    dates = ["2026-05-02T08:00:00+07:00", "2026", "2026-05", "2026-05-02", ""]
    assert sorted(dates, key=sort_key) == ["", "2026", "2026-05", "2026-05-02", dates[0]]


@pytest.mark.parametrize(
    ("born", "at", "age"),
    [("1959-04-12", "2026-04-11", 66), ("1959-04-12", "2026-04-12", 67), ("1959", "2026-05", 66),
     ("", "2026", None)],
)  # fmt: skip
def test_age_in_whole_years(born: str, at: str, age: int | None) -> None:
    assert age_at(born, at) == age

"""A visit from the form to resources and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.clinic import summary
from sokhoe.clinic.checks import allergy_clashes, doubled
from sokhoe.clinic.visits import (
    Diagnosis,
    Dose,
    Typed,
    check,
    may_withdraw,
    read_follow_up,
    record,
    resources,
    retyped,
    withdrawn,
)
from sokhoe.fhir import validate
from sokhoe.trust import Actor, Role

TODAY = date(2026, 11, 23)
NOW = int(datetime(2026, 11, 23, 8, 12, tzinfo=clock.zone()).timestamp() * 1_000_000)
ICD = "http://hl7.org/fhir/sid/icd-10"
HOA = Actor("Practitioner/hoa", "Lê Thị Hoa", Role.NURSE, "Organization/86901", "Trạm Y tế")


def a_form(**changes: Any) -> Typed:
    given: dict[str, Any] = {
        "key": "k1",
        "signs": {"systolic": "186", "diastolic": "104", "weight": "62,5", "height": "160"},
        "complaint": "Đau đầu",
        "diagnoses": (
            Diagnosis("Tăng huyết áp", "I10", ICD, lasting=True),
            Diagnosis("mất ngủ"),
        ),
        "note": "Dặn ăn nhạt.\nTái khám đúng hẹn.",
        "medicines": (
            Dose("Amlodipin 5mg", "Sáng 1 viên", "28", "viên", "28", "T010", "urn:d"),
            Dose(),
        ),
        "follow_up": "7",
        **changes,
    }
    return Typed(**given)


def made(typed: Typed, months: int = 480) -> list[dict[str, Any]]:
    checked = check(typed, months, TODAY)
    assert not checked.problems
    return resources(typed, checked, patient="Patient/p1", months=months, actor=HOA, at=NOW)


def test_every_resource_of_a_visit_is_valid_and_knows_its_person_and_visit() -> None:
    visit, *parts = made(a_form())
    assert visit["resourceType"] == "Encounter"
    kinds = [one["resourceType"] for one in parts]
    assert sorted(kinds) == sorted(
        ["Observation"] * 4
        + ["Condition"] * 2
        + ["MedicationRequest", "ClinicalImpression", "ServiceRequest"]
    )
    for one in (visit, *parts):
        validate(one)
        assert one["subject"] == {"reference": "Patient/p1"}
    for one in parts:
        assert one["encounter"] == {"reference": f"Encounter/{visit['id']}"}
    assert len({one["id"] for one in parts}) == len(parts)


def test_a_visit_says_who_where_when() -> None:
    visit, *parts = made(a_form())
    assert visit["period"]["start"] == "2026-11-23T08:12:00+07:00"
    assert visit["serviceProvider"]["reference"] == "Organization/86901"
    assert visit["participant"][0]["individual"]["reference"] == "Practitioner/hoa"
    assert visit["reasonCode"] == [{"text": "Đau đầu"}]
    whos = {
        (one.get("performer") or [one.get("recorder") or one.get("requester") or one["assessor"]])[
            0
        ]["reference"]
        for one in parts
    }
    assert whos == {"Practitioner/hoa"}


def test_the_first_diagnosis_is_the_main_one() -> None:
    visit, *parts = made(a_form())
    conditions = {one["id"]: one for one in parts if one["resourceType"] == "Condition"}
    ranked = sorted(visit["diagnosis"], key=lambda one: int(one["rank"]))
    first = conditions[ranked[0]["condition"]["reference"].split("/")[1]]
    assert first["code"]["coding"] == [{"system": ICD, "code": "I10", "display": "Tăng huyết áp"}]
    assert len(first["category"]) == 2
    second = conditions[ranked[1]["condition"]["reference"].split("/")[1]]
    assert second["code"] == {"text": "mất ngủ"}


def test_the_same_form_gives_the_same_resources() -> None:
    assert made(a_form()) == made(a_form())
    ids = {one["id"] for one in made(a_form())}
    assert not ids & {one["id"] for one in made(a_form(key="k2"))}


def test_the_fingerprint_follows_the_content_and_not_the_key() -> None:
    assert a_form().fingerprint == a_form(key="k2").fingerprint
    assert a_form().fingerprint == a_form(medicines=(*a_form().medicines, Dose())).fingerprint
    assert a_form().fingerprint != a_form(note="").fingerprint
    assert a_form().fingerprint != a_form(signs={"systolic": "185"}).fingerprint


def test_a_visit_reads_back_as_it_was_typed() -> None:
    visit, *parts = made(a_form())
    found = record(visit, reversed(parts))
    assert found.values == {
        "systolic": Decimal(186),
        "diastolic": Decimal(104),
        "weight": Decimal("62.5"),
        "height": Decimal(160),
        "bmi": Decimal("24.4"),
    }
    again = retyped(found, "k9")
    assert again == replace(
        a_form(key="k9", follow_up="30/11/2026"), medicines=a_form().medicines[:1]
    )


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("systolic", {"signs": {"systolic": "1860"}}),
        ("diastolic", {"signs": {"systolic": "100", "diastolic": "100"}}),
        ("pulse", {"signs": {"pulse": "tám mươi"}}),
        ("medicine-0", {"medicines": (Dose(dose="Sáng 1 viên"),)}),
        ("quantity-1", {"medicines": (Dose(), Dose("A", quantity="nhiều"))}),
        ("days-0", {"medicines": (Dose("A", days="0"),)}),
        ("days-0", {"medicines": (Dose("A", days="400"),)}),
        ("follow_up", {"follow_up": "23/11/2026"}),
        ("follow_up", {"follow_up": "mai"}),
        ("complaint", {"complaint": "x" * 8001}),
    ],
)
def test_each_wrong_field_is_named(field: str, changes: dict[str, Any]) -> None:
    assert list(check(a_form(**changes), 480, TODAY).problems) == [field]


def test_an_empty_form_is_no_visit() -> None:
    assert list(check(Typed("k", medicines=(Dose(), Dose())), 480, TODAY).problems) == ["complaint"]


@pytest.mark.parametrize(
    ("text", "day"),
    [("7", "2026-11-30"), ("01/12/2026", "2026-12-01"), ("0", None), ("2027", None), ("", None)],
)
def test_follow_up(text: str, day: str | None) -> None:
    assert read_follow_up(text, TODAY) == day


def test_a_visit_taken_back_is_valid_and_counts_no_more() -> None:
    visit, *parts = made(a_form())
    back = [withdrawn({**one, "meta": {"versionId": "1"}}) for one in (visit, *parts)]
    for one in back:
        validate(one)
        assert "entered-in-error" in str(one) and "meta" not in one
    assert record(back[0], back[1:]).withdrawn
    assert summary.problems([one for one in back if one["resourceType"] == "Condition"]) == []
    assert summary.trends([one for one in back if one["resourceType"] == "Observation"], 480) == []
    requests = [one for one in back if one["resourceType"] == "MedicationRequest"]
    assert summary.current(requests, TODAY) == []


def test_only_the_writer_takes_back_and_only_today() -> None:
    found = record(made(a_form())[0], ())
    assert may_withdraw(found, HOA, TODAY)
    assert not may_withdraw(found, HOA, date(2026, 11, 24))
    assert not may_withdraw(found, replace(HOA, id="Practitioner/lan"), TODAY)


def test_current_medicines_end_when_the_days_are_over() -> None:
    request = next(one for one in made(a_form()) if one["resourceType"] == "MedicationRequest")
    assert [one.until for one in summary.current([request], TODAY)] == ["2026-12-21"]
    assert summary.current([request], date(2026, 12, 21))
    assert not summary.current([request], date(2026, 12, 22))


def test_long_term_illnesses_are_the_marked_and_the_repeated_ones() -> None:
    one = [r for r in made(a_form()) if r["resourceType"] == "Condition"]
    two = [r for r in made(a_form(key="k2")) if r["resourceType"] == "Condition"]
    assert [p.diagnosis.text for p in summary.problems(one)] == ["Tăng huyết áp"]
    both = summary.problems([*one, *two])
    assert [(p.diagnosis.text, p.times) for p in both] == [("Tăng huyết áp", 2), ("mất ngủ", 2)]


def test_the_trend_runs_from_old_to_new_and_shows_both_pressures() -> None:
    old = made(a_form(key="k0", signs={"systolic": "150", "diastolic": "90"}))
    for one in old:
        if one["resourceType"] == "Observation":
            one["effectiveDateTime"] = "2026-10-01T08:00:00+07:00"
    found = summary.trends(
        [r for r in made(a_form()) + old if r["resourceType"] == "Observation"], 480
    )
    pressure = found[0]
    assert (pressure.value, pressure.second) == (Decimal(186), Decimal(104))
    assert list(pressure.values) == [Decimal(150), Decimal(186)]
    assert pressure.judged and pressure.judged.level == "warning"
    assert [one.name for one in found] == ["systolic", "weight", "height", "bmi"]


def test_a_laboratory_value_is_shown_as_a_result() -> None:
    lab = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Đường huyết"},
        "valueQuantity": {"value": Decimal("7.20"), "unit": "mmol/L"},
        "interpretation": [{"coding": [{"code": "H"}]}],
    }
    found = record({"id": "e", "status": "finished"}, [lab])
    assert [(one.name, one.value, one.letter) for one in found.results] == [
        ("Đường huyết", "7,20 mmol/L", "H")
    ]


def test_a_foreign_visit_with_little_in_it_is_still_shown() -> None:
    found = record(
        {"resourceType": "Encounter", "id": "e", "reasonCode": [{"coding": [{"code": "R51"}]}]},
        [{"resourceType": "Condition", "id": "c", "code": {"coding": [{"code": "I10"}]}}],
    )
    assert found.complaint == "R51" and found.diagnoses[0].text == "I10"


@pytest.mark.parametrize(
    ("allergy", "clash"),
    [("Aspirin (nổi mẩn)", True), ("aspirin", True), ("Tôm", False), ("Penicillin", False)],
)
def test_an_allergy_is_seen_in_the_name_of_a_medicine(allergy: str, clash: bool) -> None:
    assert bool(allergy_clashes([Dose("Aspirin 81mg")], [allergy])) is clash


def test_a_medicine_written_twice_is_seen() -> None:
    assert doubled([Dose("A"), Dose("A"), Dose(), Dose()]) == ["A"]


def test_allergies_that_were_refuted_are_not_shown() -> None:
    good = {"code": {"text": "Penicillin"}, "reaction": [{"description": "nổi mẩn"}]}
    refuted = {
        "code": {"text": "Sulfamid"},
        "verificationStatus": {"coding": [{"code": "refuted"}]},
    }
    assert summary.allergies([good, refuted, good]) == ["Penicillin (nổi mẩn)"]

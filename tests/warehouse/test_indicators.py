"""What each number means, on small worlds whose answer can be counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sokhoe import clock
from sokhoe.errors import Invalid, NotFound
from sokhoe.warehouse import Hidden, NoPlaces, catalogue
from sokhoe.warehouse.engine import connection
from sokhoe.warehouse.indicators import chapters
from sokhoe.warehouse.numbers import Row
from sokhoe.warehouse.populations import Counted, read_population
from tests.warehouse.conftest import (
    DAY,
    NOW,
    Hub,
    Province,
    a_diagnosis,
    a_patient,
    a_person,
    a_visit,
    patients,
)


def by_area(hub: Hub) -> dict[str, object]:
    return {row["area"]: row["people"] for row in hub.rows("coverage")}


def test_people_are_counted_by_commune_and_those_without_one_apart(hub: Hub) -> None:
    hub.put(*patients("a", 7), *patients("b", 6, area="Ba"), *patients("x", 5, area="Elsewhere"))
    assert by_area(hub) | {"cu": 0} == by_area(hub)
    assert (by_area(hub)["an"], by_area(hub)["ba"], by_area(hub)[""]) == (7, 6, 5)
    assert hub.numbers.answer("coverage").total == 18


def test_records_of_one_person_at_two_facilities_count_once(hub: Hub) -> None:
    hub.put(*patients("a", 8), *patients("b", 8, house="h2"))
    hub.put(*[a_person(f"p{n}", f"a{n}", f"b{n}") for n in range(8)])
    assert by_area(hub)["an"] == 8


def test_a_person_parted_again_counts_as_two(hub: Hub) -> None:
    hub.put(*patients("a", 8), a_person("p", "a0", "a1"))
    assert by_area(hub)["an"] == 7
    hub.put(a_person("p", "a0"))
    assert by_area(hub)["an"] == 8


def test_a_patient_in_two_persons_belongs_to_the_one_said_last(hub: Hub) -> None:
    hub.put(*patients("a", 9), a_person("p", "a0", "a1"))
    hub.put(a_person("q", "a1", "a2"))
    assert by_area(hub)["an"] == 8


def test_the_dead_and_records_out_of_use_do_not_count(hub: Hub) -> None:
    hub.put(*patients("a", 6))
    hub.put(a_patient("d1", deceasedBoolean=True), a_patient("d2", deceasedDateTime="2026-01-01"))
    hub.put(a_patient("old", active=False))
    assert by_area(hub)["an"] == 6


def test_whoever_moves_counts_where_he_lives_now(hub: Hub) -> None:
    hub.put(*patients("a", 7), *patients("b", 6, area="Ba"))
    hub.put(a_patient("a0", area="Ba"))
    assert (by_area(hub)["an"], by_area(hub)["ba"]) == (6, 7)


def test_small_communes_are_hidden_with_a_second_one(hub: Hub) -> None:
    hub.put(*patients("a", 30), *patients("b", 3, area="Ba"), *patients("c", 8, area="Cu"))
    found = by_area(hub)
    assert found["ba"] is Hidden.FEW
    assert found["cu"] is Hidden.COVERED
    assert found["an"] == 30
    assert hub.numbers.answer("coverage").total == 41


def test_growth_counts_by_the_week_in_which_the_first_record_arrived(hub: Hub) -> None:
    with clock.standing_at(NOW - timedelta(days=14)) as ahead:
        hub.put(*patients("a", 6))
        ahead(14 * DAY)
    hub.put(*patients("b", 5))
    hub.put(a_patient("a0", area="Ba"))  # corrected today, arrived long ago
    assert hub.rows("growth") == [
        {"week": "2026-11-23", "people": 11},
        {"week": "2026-11-16", "people": 6},
        {"week": "2026-11-09", "people": 6},
    ]


# -- facilities ------------------------------------------------------------------------------


def facility(hub: Hub, code: str) -> Row:
    return next(row for row in hub.rows("facilities") if row["code"] == code)


def test_a_facility_that_never_sent_stands_first(hub: Hub) -> None:
    with clock.standing_at(NOW - timedelta(days=4)):
        hub.put(a_patient("a", house="h1"))
    hub.put(a_patient("b", house="h2"))
    assert [(row["code"], row["state"]) for row in hub.rows("facilities")] == [
        ("h3", "never"),
        ("h1", "silent"),
        ("h2", "sending"),
    ]


def test_a_sender_that_nobody_listed_is_shown(hub: Hub) -> None:
    hub.put(a_patient("a", house="unknown"))
    row = next(row for row in hub.rows("facilities") if row["state"] == "unlisted")
    assert row["organization"] == "Organization/unknown"


def test_lag_counts_from_the_end_of_a_visit_to_its_arrival(hub: Hub) -> None:
    with clock.standing_at(NOW - timedelta(days=10)) as ahead:
        hub.put(a_patient("a", house="h1"))
        ahead(3600)
    ended = datetime(2026, 11, 23, 9, 0, tzinfo=clock.zone())
    for number, minutes in enumerate((60, 120, 600)):
        end = (ended - timedelta(minutes=minutes - 60)).isoformat()
        hub.put(a_visit(f"v{number}", "a", "2026-11-22T08:00:00+07:00", end))
    row = facility(hub, "h1")
    assert (row["lag_median"], row["visits"]) == (120 * 60_000_000, 3)
    assert row["lag_p95"] == pytest.approx(552 * 60_000_000)


def test_old_visits_loaded_at_the_start_are_no_lag(hub: Hub) -> None:
    hub.put(a_patient("a", house="h1"))
    hub.put(a_visit("v", "a", "2026-11-01T08:00:00+07:00", "2026-11-01T08:10:00+07:00"))
    assert facility(hub, "h1")["lag_median"] is None


def test_lag_ends_when_the_end_arrives_and_not_at_a_later_correction(hub: Hub) -> None:
    with clock.standing_at(NOW - timedelta(days=2)) as ahead:
        hub.put(a_patient("a", house="h1"))
        ahead(3600)
        start = "2026-11-21T11:00:00+07:00"
        hub.put(a_visit("v", "a", start, status="in-progress"))
        ahead(3600)
        end = clock.local(clock.now()).isoformat()
        ahead(60)
        hub.put(a_visit("v", "a", start, end))
        ahead(DAY)
        hub.put(a_visit("v", "a", "2026-11-21T11:05:00+07:00", end))
    assert facility(hub, "h1")["lag_median"] == 60_000_000


def test_visits_that_did_not_take_place_do_not_count(hub: Hub) -> None:
    hub.put(a_patient("a"))
    for number, status in enumerate(("planned", "cancelled", "entered-in-error", "finished")):
        hub.put(a_visit(f"v{number}", "a", "2026-11-22T08:00:00+07:00", status=status))
    assert facility(hub, "h1")["visits"] == 1


# -- visits ----------------------------------------------------------------------------------


def test_a_visit_after_midnight_belongs_to_the_local_day(hub: Hub) -> None:
    """00:30 on Monday is Sunday 17:30 in UTC, and another week."""
    hub.put(a_patient("a"), a_visit("v1", "a", "2026-11-16T00:30:00+07:00"))
    hub.put(a_visit("v2", "a", "2026-11-15T17:30:00Z", house="h2"))
    assert hub.rows("visits") == [
        {"week": "2026-11-16", "level": "Commune health station", "visits": 1},
        {"week": "2026-11-16", "level": "Provincial hospital", "visits": 1},
    ]


def test_the_week_that_is_not_over_is_left_out(hub: Hub) -> None:
    hub.put(a_patient("a"), a_visit("v", "a", "2026-11-23T08:00:00+07:00"))
    assert hub.rows("visits") == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-05-06T00:30:00+07:00", "2026-05-06"),
        ("2026-05-05T17:30:00Z", "2026-05-06"),
        ("2026-05-06T00:30:00.123456+07:00", "2026-05-06"),
        ("2026-05-06", "2026-05-06"),
        ("2026-05", "2026-05-01"),
        ("2026", "2026-01-01"),
        ("2026-02-31", None),
        ("soon", None),
    ],
)
def test_partial_dates_are_local(tmp_path: Path, text: str, day: str | None) -> None:
    with connection(tmp_path) as duck:
        found = duck.execute("SELECT local_day(instant(?))::VARCHAR", [text]).fetchone()
    assert found == (day,)


def test_the_zone_is_the_clocks_and_not_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    instant = int(datetime(2026, 11, 22, 23, 0, tzinfo=UTC).timestamp() * 1_000_000)
    for offset, day in ((420, "2026-11-23"), (0, "2026-11-22"), (345, "2026-11-23")):
        clock.set_offset(offset)
        try:
            with connection(tmp_path) as duck:
                found = duck.execute("SELECT local_day(?)::VARCHAR", [instant]).fetchone()
        finally:
            clock.set_offset(420)
        assert found == (day,)


# -- diagnoses -------------------------------------------------------------------------------


def test_a_person_counts_once_in_a_diagnosis(hub: Hub) -> None:
    hub.put(*patients("a", 6), a_person("p", "a0", "a1"))
    hub.put(*[a_diagnosis(f"d{n}", f"a{n}", "E11.9") for n in range(6)])
    hub.put(*[a_diagnosis(f"e{n}", f"a{n}", "E11.2") for n in range(3)])
    assert hub.rows("diagnoses") == [{"category": "E11", "commonest": "E11.9", "people": 5}]
    assert hub.rows("chapters") == [
        {
            "chapter": "IV",
            "name": "Endocrine, nutritional and metabolic diseases",
            "people": 5,
        }
    ]


def test_a_rare_diagnosis_is_hidden(hub: Hub) -> None:
    hub.put(*patients("a", 2), a_diagnosis("d", "a0", "B20"), a_diagnosis("e", "a1", "B20"))
    assert hub.rows("diagnoses")[0]["people"] is Hidden.FEW


def test_refuted_old_and_foreign_codes_do_not_count(hub: Hub) -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    status = {"coding": [{"system": system, "code": "refuted"}]}
    snomed = {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]}
    hub.put(
        a_patient("a"),
        a_diagnosis("d1", "a", "I10", verificationStatus=status),
        a_diagnosis("d2", "a", "I11", recordedDate="2025-11-01"),
        a_diagnosis("d3", "a", "x") | {"code": snomed},
    )
    assert hub.rows("diagnoses") == []


def test_a_diagnosis_without_a_date_takes_the_day_of_its_visit(hub: Hub) -> None:
    diagnosis = a_diagnosis("d", "a", "I10", encounter={"reference": "Encounter/v"})
    del diagnosis["recordedDate"]
    hub.put(a_patient("a"), a_visit("v", "a", "2026-10-01T08:00:00+07:00"), diagnosis)
    assert [row["category"] for row in hub.rows("diagnoses")] == ["I10"]


def test_every_icd10_letter_has_a_chapter() -> None:
    found = {
        chr(c) for c in range(65, 91) for one in chapters() if one.first[0] <= chr(c) <= one.last[0]
    }
    assert found == {chr(c) for c in range(65, 91)}
    assert len(chapters()) == 22


# -- age and sex -----------------------------------------------------------------------------


def test_ages_stand_in_bands_of_ten_and_the_oldest_together(hub: Hub) -> None:
    hub.put(*patients("a", 5, birth="1961"), *patients("b", 6, birth="1936-01", gender="female"))
    hub.put(
        *patients("c", 7, birth="1920-01-01", gender="female"), *patients("d", 5, gender="other")
    )
    assert hub.rows("ages") == [
        {"band": 60, "sex": "male", "people": 5},
        {"band": 60, "sex": "unknown", "people": 5},
        {"band": 80, "sex": "female", "people": 13},
    ]


# -- the rest --------------------------------------------------------------------------------


def test_numbers_stand_without_a_country(hub: Hub) -> None:
    hub.loader.places = NoPlaces()
    hub.put(*patients("a", 6), a_visit("v", "a0", "2026-11-18T08:00:00+07:00"))
    assert hub.rows("coverage") == [{"area": "", "name": "", "population": 0, "people": 6}]
    assert [row["state"] for row in hub.rows("facilities")] == ["unlisted"]
    assert hub.rows("visits")[0]["level"] == ""


def test_an_empty_memory_gives_empty_numbers(hub: Hub) -> None:
    for key in catalogue():
        assert all(row.get("people", 0) == 0 for row in hub.rows(key)), key


def test_an_unknown_number_is_not_found(hub: Hub) -> None:
    hub.load()
    with pytest.raises(NotFound, match="no indicator 'nonsense'"):
        hub.numbers.answer("nonsense")


def test_results_are_computed_again_when_time_passes(hub: Hub) -> None:
    hub.put(a_patient("a"), a_visit("v", "a", "2026-11-17T08:00:00+07:00"))
    assert facility(hub, "h1")["visits"] == 1
    with clock.standing_at(NOW + timedelta(days=3)):
        assert facility(hub, "h1")["visits"] == 0


def test_populations_come_from_a_file_where_one_is_set(province: Province, tmp_path: Path) -> None:
    file = tmp_path / "population.csv"
    file.write_text("area,population\nan,17\nba,0\n")
    counted = Counted(province, read_population(file))
    assert [(one.code, one.population) for one in counted.areas()][:3] == [
        ("an", 17),
        ("ba", 0),
        ("cu", 0),
    ]
    assert counted.target == 0.8


@pytest.mark.parametrize("line", ["an,many", "an,-1", ",5", "an,5\nan,6", "an"])
def test_a_wrong_population_file_names_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "population.csv"
    file.write_text(f"area,population\n{line}\n")
    with pytest.raises(Invalid, match=r"line \d of .*population\.csv"):
        read_population(file)


def test_a_missing_population_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere"):
        read_population(tmp_path / "nowhere.csv")


def test_today_is_a_monday() -> None:
    assert NOW.astimezone(clock.zone()).date() == date(2026, 11, 23)
    assert date(2026, 11, 23).weekday() == 0

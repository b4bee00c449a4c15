"""Twin of vietnam/history.py and places.py."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import chain

import pytest

from sokhoe.vietnam import code_lists, places
from sokhoe.vietnam.history import DAYS, visits
from sokhoe.vietnam.population import Person, people
from sokhoe.vietnam.visit import Visit

TODAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def histories() -> list[tuple[Person, tuple[Visit, ...]]]:
    return [(one, visits(one, TODAY)) for one in people(7, 1500)]


@pytest.fixture(scope="module")
def every(histories: list[tuple[Person, tuple[Visit, ...]]]) -> list[Visit]:
    return list(chain.from_iterable(found for _, found in histories))


def test_the_same_person_and_day_have_the_same_visits(
    histories: list[tuple[Person, tuple[Visit, ...]]],
) -> None:
    for person, found in histories[:50]:
        assert visits(person, TODAY) == found


def test_there_are_more_than_three_visits_each_and_all_47_facilities_work(
    every: list[Visit],
) -> None:
    assert len(every) / 1500 >= 3
    assert len({one.facility for one in every}) == 47


def test_an_episode_has_one_number_in_the_province(every: list[Visit]) -> None:
    assert len({one.id for one in every}) == len(every)


def test_nobody_is_seen_before_birth_or_after_today_or_too_long_ago(
    histories: list[tuple[Person, tuple[Visit, ...]]],
) -> None:
    for person, found in histories:
        for one in found:
            assert one.start.date() >= TODAY - timedelta(days=DAYS)
            assert one.start.date() <= TODAY
            assert person.birth <= f"{one.start:%Y-%m-%d}"[: len(person.birth)]
            assert one.start < one.end


def test_diagnoses_fit_the_sex(histories: list[tuple[Person, tuple[Visit, ...]]]) -> None:
    known = code_lists.diseases()
    for person, found in histories:
        for diagnosis in chain.from_iterable(one.diagnoses for one in found):
            assert known[diagnosis.code].sex in ("", person.sex[0])


def test_dengue_comes_with_the_rain(every: list[Visit]) -> None:
    months = [one.start.month for one in every if one.main.code == "A90"]
    assert len(months) > 50
    assert sum(5 <= month <= 11 for month in months) / len(months) > 0.75


def test_high_blood_pressure_is_an_illness_of_age_and_shows_in_the_figures(
    histories: list[tuple[Person, tuple[Visit, ...]]],
) -> None:
    old = [(p, v) for p, found in histories for v in found if v.main.code == "I10"]
    assert sum(p.birth < "1987" for p, _ in old) / len(old) > 0.9
    mean = sum(v.vitals.systolic or 0 for _, v in old) / len(old)
    assert mean > 145


def test_vital_signs_are_possible(every: list[Visit]) -> None:
    for one in every:
        signs = one.vitals
        assert 30 <= signs.pulse <= 200 and 80 <= signs.spo2 <= 100
        assert 35 <= signs.temperature <= 41 and 2 <= signs.weight <= 110
        if signs.systolic is not None and signs.diastolic is not None:
            assert signs.diastolic < signs.systolic


def test_mothers_are_followed_to_the_birth_and_children_are_vaccinated(
    histories: list[tuple[Person, tuple[Visit, ...]]],
) -> None:
    codes: Counter[str] = Counter()
    for person, found in histories:
        for one in found:
            codes[one.main.code] += 1
            if one.main.code in {"O80.0", "O82.9"}:
                assert one.start.date().isoformat() in person.births
                assert one.admitted or one.facility
    assert codes["Z34.9"] > codes["O80.0"] > 0
    shots = [shot for _, found in histories for one in found for shot in one.shots]
    assert {shot.code for shot in shots} >= {"BCG", "DPT5", "OPV", "MEA", "MR"}
    assert {shot.dose for shot in shots if shot.code == "DPT5"} >= {1, 2, 3}


def test_the_allergic_get_no_penicillin(
    histories: list[tuple[Person, tuple[Visit, ...]]],
) -> None:
    allergic = [found for person, found in histories if "Penicillin" in person.allergies]
    assert allergic
    given = {one.code for found in allergic for visit in found for one in visit.medicines}
    assert not given & {"T013", "T014", "T015"}


def test_stations_do_no_hospital_laboratory(every: list[Visit]) -> None:
    stations = [one for one in every if one.facility[2] == "3"]
    assert {lab.code for one in stations for lab in one.labs} <= {"GLU", "UPRO", "NS1"}


def test_a_facility_never_gives_one_number_to_two_people() -> None:
    numbers = {places.patient_number("86101", person) for person in range(1, 20_001)}
    assert len(numbers) == 20_000
    assert places.patient_number("86102", 5) != places.patient_number("86101", 5)


def test_a_facility_keeps_its_doctors() -> None:
    assert places.doctors("86001") == places.doctors("86001")
    assert len(places.doctors("86001")) > len(places.doctors("86301"))

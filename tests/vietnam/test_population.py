"""Twin of vietnam/population.py, names.py and as_written.py."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import islice

import pytest

from sokhoe.vietnam import citizen_id, insurance_number
from sokhoe.vietnam.as_written import as_written, without_tones
from sokhoe.vietnam.population import AS_OF, Person, households, people
from sokhoe.vietnam.province import province

N = 12_000


@pytest.fixture(scope="module")
def everyone() -> list[Person]:
    return list(people(7, N))


def test_the_same_seed_gives_the_same_people_and_a_longer_list_begins_with_the_shorter(
    everyone: list[Person],
) -> None:
    assert list(people(7, 500)) == everyone[:500]
    assert list(people(8, 50)) != everyone[:50]


def test_numbers_agree_with_sex_and_birth_and_no_two_people_share_one(
    everyone: list[Person],
) -> None:
    cards = [one.citizen_id for one in everyone if one.citizen_id]
    assert len(set(cards)) == len(cards) > 0.98 * N
    for one in everyone:
        if one.citizen_id:
            assert citizen_id.warnings(one.citizen_id, birth=one.birth, sex=one.sex) == ()
    socials = [one.social for one in everyone if one.social]
    assert len(set(socials)) == len(socials)


def test_insurance_comes_in_three_forms_and_some_have_none(everyone: list[Person]) -> None:
    forms = Counter(insurance_number.parse(one.insurance).form for one in everyone if one.insurance)
    assert set(forms) == {"card15", "social10", "citizen12"}
    assert 0.04 * N < sum(not one.insurance for one in everyone) < 0.12 * N
    for one in everyone:
        key = insurance_number.stable_key(one.insurance)
        assert key in ("", one.social)


def test_ages_make_a_pyramid(everyone: list[Person]) -> None:
    ages = [AS_OF.year - int(one.birth[:4]) for one in everyone]
    assert 0.15 < sum(age < 15 for age in ages) / N < 0.30
    assert 0.09 < sum(age >= 60 for age in ages) / N < 0.20
    assert 0.48 < sum(one.sex == "female" for one in everyone) / N < 0.56
    assert max(one.birth for one in everyone) <= AS_OF.isoformat()


def test_names_follow_the_delta(everyone: list[Person]) -> None:
    kinh = [one for one in everyone if one.ethnic == "01"]
    khmer = [one for one in everyone if one.ethnic == "05"]
    nguyen = sum(one.name.startswith("Nguyễn ") for one in kinh) / len(kinh)
    assert 0.33 < nguyen < 0.43
    assert 0.05 < len(khmer) / N < 0.2
    assert any(one.name.startswith("Thạch ") for one in khmer)


def test_newborns_have_no_number_and_know_their_mother(everyone: list[Person]) -> None:
    by_number = {one.number: one for one in everyone}
    newborns = [one for one in everyone if not one.citizen_id]
    assert newborns
    for one in newborns:
        mother = by_number[one.mother]
        assert mother.sex == "female"
        assert one.birth in mother.births


def test_twins_point_to_each_other_and_share_the_birthday(everyone: list[Person]) -> None:
    by_number = {one.number: one for one in everyone}
    twins = [one for one in everyone if one.twin and one.twin in by_number]
    assert twins
    for one in twins:
        other = by_number[one.twin]
        assert other.twin == one.number
        assert (other.birth, other.household) == (one.birth, one.household)


def test_of_some_elders_only_the_year_is_known(everyone: list[Person]) -> None:
    years = [one for one in everyone if len(one.birth) == 4]
    assert years
    assert all(int(one.birth) < 1975 for one in years)


def test_a_household_shares_its_address_and_communes_fill_by_size() -> None:
    where = province()
    found = list(islice(households(3), 3000))
    for one in found:
        assert {member.address for member in one.members} == {one.address}
        assert {member.commune for member in one.members} == {one.commune}
    counts = Counter(one.commune for one in found)
    assert len(counts) == 124
    assert counts["28777"] > counts["29062"]  # the town against the small commune
    assert all(code in where.communes for code in counts)


def test_phones_are_plainly_invented(everyone: list[Person]) -> None:
    assert all(one.phone.startswith("0100") for one in everyone if one.phone)


def test_another_day_makes_the_same_families_a_day_older() -> None:
    later = next(people(7, 1, as_of=date(2027, 11, 1)))
    assert later.name.split()[0] == next(people(7, 1)).name.split()[0]


def test_a_facility_writes_a_person_down_in_its_own_way_and_always_the_same(
    everyone: list[Person],
) -> None:
    written = [as_written(one, "86101") for one in everyone[:3000]]
    assert written == [as_written(one, "86101") for one in everyone[:3000]]
    pairs = list(zip(everyone[:3000], written, strict=True))
    lost = sum(bool(one.citizen_id) and not seen.citizen_id for one, seen in pairs) / 3000
    assert 0.05 < lost < 0.11
    assert sum(seen.name.isupper() for _, seen in pairs) > 500
    assert sum(seen.name == without_tones(one.name) for one, seen in pairs) > 300
    assert any(seen != as_written(one, "86102") for one, seen in pairs)


def test_a_childs_record_may_carry_the_mothers_number(everyone: list[Person]) -> None:
    by_number = {one.number: one for one in everyone}
    children = [one for one in everyone if one.mother in by_number and one.birth > "2012"]
    taken = [
        one
        for one in children
        if (mother := by_number[one.mother]).citizen_id
        and as_written(one, "86101", mother=mother).citizen_id == mother.citizen_id
    ]
    assert 0 < len(taken) < len(children) / 8


def test_tones_are_dropped_as_on_a_plain_keyboard() -> None:
    assert without_tones("Đặng Thị Thúy Hòa") == "Dang Thi Thuy Hoa"

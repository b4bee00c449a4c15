"""Twin of vietnam/province.py and of its data."""

from __future__ import annotations

from collections import Counter

import pytest

from sokhoe.errors import NotFound
from sokhoe.vietnam.province import province, provinces


def test_vinh_long_has_105_communes_and_19_wards_with_the_wanted_number_of_people() -> None:
    here = province()
    assert Counter(one.kind for one in here.communes.values()) == {"xa": 105, "phuong": 19}
    assert sum(one.population for one in here.communes.values()) == here.population == 4_200_000
    assert (here.code, here.record_target, here.utc_offset) == ("86", 0.8, 420)


def test_no_two_communes_share_a_tile() -> None:
    tiles = {(one.col, one.row) for one in province().communes.values()}
    assert len(tiles) == 124


def test_there_are_47_facilities_each_in_a_known_commune_with_a_code_of_its_old_province() -> None:
    here = province()
    assert len(here.facilities) == 47
    for one in here.facilities.values():
        former = here.former[here.communes[one.commune].former_province]
        assert one.code.startswith(former.facility_prefix)
        assert len(one.code) == 5


def test_each_of_the_354_old_wards_has_one_commune_of_today() -> None:
    here = province()
    main = [one for one in here.former_communes if one.main]
    assert len(main) == len({one.code for one in main}) == 354
    assert Counter(one.province for one in main) == {"083": 148, "084": 104, "086": 102}
    assert all(one.now in here.communes for one in here.former_communes)
    assert all(here.before(code) for code in here.communes)


def test_an_old_code_leads_to_the_commune_of_today() -> None:
    here = province()
    assert here.commune_now("28759") == "28756"  # Phường 8 went into Phường Phú Khương
    assert here.commune_now("28756") == "28756"
    assert here.commune_now("00001") == ""


def test_an_unknown_folder_names_those_there_are() -> None:
    assert "vinh_long" in provinces()
    with pytest.raises(NotFound, match="nowhere") as caught:
        province("nowhere")
    assert "vinh_long" in caught.value.hint

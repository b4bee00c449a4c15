"""Twin of giamdinh/build.py."""

from __future__ import annotations

from decimal import Decimal

import pytest
from lxml import etree

from sokhoe.vietnam.as_written import as_written
from sokhoe.vietnam.giamdinh import build, parse, profile_on, write
from tests.vietnam.giamdinh.samples import TODAY, a_file, a_summary, inner_xml, some_visits


def test_fields_are_written_in_the_order_of_the_guide() -> None:
    row = etree.fromstring(inner_xml(a_file(), "XML2")).find(".//CHI_TIET_THUOC")
    assert row is not None
    names = [str(child.tag) for child in row]
    assert names == list(profile_on(TODAY).tables["XML2"].fields)
    assert names.index("T_BNTT") < names.index("T_BNCCT") < names.index("T_BHTT")


def test_a_file_holds_the_person_as_the_facility_wrote_them_down() -> None:
    for person, visit in some_visits()[:60]:
        row = parse(build(visit, person)).records[0].summary
        seen = as_written(person, visit.facility)
        assert row["HO_TEN"] == seen.name
        assert row["NGAY_SINH"].startswith(seen.birth[:4])
        assert row["MA_BN"] == visit.patient_number


def test_what_insurance_and_patient_pay_is_what_it_costs() -> None:
    for person, visit in some_visits()[:80]:
        row = parse(build(visit, person)).records[0].summary
        parts = [Decimal(row[name]) for name in ("T_BNTT", "T_BNCCT", "T_BHTT", "T_NGUONKHAC")]
        assert sum(parts, Decimal(0)) == Decimal(row["T_TONGCHI_BV"])
        if not row["MA_THE_BHYT"]:
            assert row["MA_DOITUONG_KCB"] == "9" and Decimal(row["T_BHTT"]) == 0


def test_text_that_xml_cannot_hold_is_left_out_and_marks_are_escaped() -> None:
    content = a_file(XML1=[a_summary(LY_DO_VV="Sốt < 38 & ho\x0b")])
    assert parse(content).records[0].summary["LY_DO_VV"] == "Sốt < 38 & ho"


def test_a_field_that_does_not_exist_is_our_own_mistake() -> None:
    with pytest.raises(KeyError, match="KHONG_CO"):
        write("86101", TODAY, [{"XML1": [{"KHONG_CO": "1"}]}])


def test_the_same_visit_is_the_same_bytes() -> None:
    person, visit = some_visits()[3]
    assert build(visit, person) == build(visit, person)

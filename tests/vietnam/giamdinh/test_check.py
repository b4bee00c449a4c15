"""Twin of giamdinh/check.py and profile.py: each rule, with its place."""

from __future__ import annotations

from datetime import date

import pytest

from sokhoe.vietnam.giamdinh import Problem, check, parse, profile, profile_on, read, write
from tests.vietnam.giamdinh.samples import (
    TODAY,
    Values,
    a_drug,
    a_file,
    a_note,
    a_result,
    a_service,
    a_summary,
    inner,
    tables,
)


def found(content: bytes, facility: str = "") -> list[Problem]:
    return check(parse(content), facility=facility)


def one(content: bytes, code: str) -> Problem:
    matching = [problem for problem in found(content) if problem.code == code]
    assert len(matching) == 1, found(content)
    return matching[0]


def summary(**changes: str) -> bytes:
    return a_file(XML1=[a_summary(**changes)])


def test_a_right_file_has_no_problem_at_all() -> None:
    assert found(a_file(), facility="86101") == []


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"HO_TEN": ""}, "REQUIRED", "ERROR"),
        ({"NGAY_SINH": ""}, "REQUIRED", "ERROR"),
        ({"GIOI_TINH": ""}, "REQUIRED", "ERROR"),
        ({"MA_BENH_CHINH": ""}, "REQUIRED", "ERROR"),
        ({"MA_BN": ""}, "REQUIRED", "ERROR"),
        ({"DIA_CHI": ""}, "REQUIRED", "WARNING"),
        ({"GIOI_TINH": "4"}, "NOT_IN_LIST", "ERROR"),
        ({"KET_QUA_DTRI": "9"}, "NOT_IN_LIST", "WARNING"),
        ({"NGAY_VAO": "202613010800"}, "NOT_A_TIME", "ERROR"),
        ({"NGAY_VAO": "01/09/2026"}, "NOT_A_TIME", "ERROR"),
        ({"NGAY_SINH": "19901345"}, "NOT_A_DATE", "ERROR"),
        ({"NGAY_SINH": "19900402"}, "OLD_FORM", "WARNING"),
        ({"T_BHTT_GDV": "1.000,5"}, "NOT_A_NUMBER", "ERROR"),
        ({"T_BHTT_GDV": "-5"}, "NEGATIVE", "WARNING"),
        ({"SO_NGAY_DTRI": "1.5", "MA_LOAI_KCB": "02"}, "NOT_A_NUMBER", "ERROR"),
        ({"NHOM_MAU": "O dương tính"}, "TOO_LONG", "WARNING"),
        ({"NGAY_TAI_KHAM": "20260931"}, "NOT_A_DATE", "ERROR"),
        ({"MA_BENH_CHINH": "N40"}, "ICD_SEX", "WARNING"),
        ({"MA_BENH_KT": ";".join(f"A0{n % 10}" for n in range(13))}, "TOO_MANY", "WARNING"),
        ({"SO_NGAY_DTRI": "3"}, "STAY_NOT_ZERO", "WARNING"),
        ({"SO_CCCD": ""}, "NO_CITIZEN_ID", "WARNING"),
        ({"SO_CCCD": "08619000123"}, "NOT_A_CITIZEN_ID", "WARNING"),
        ({"SO_CCCD": "086090001234"}, "CITIZEN_ID_CONTRADICTS", "WARNING"),
        ({"MA_THE_BHYT": "GD9868612345678"}, "NOT_A_CARD", "WARNING"),
        ({"MA_THE_BHYT": "GD4868612345678;8612345678"}, "LIST_COUNT", "WARNING"),
        ({"MA_KHUVUC": "K9"}, "NOT_IN_LIST", "WARNING"),
    ],
)
def test_each_rule_of_the_summary_names_its_field(
    changes: Values, code: str, severity: str
) -> None:
    problems = [each for each in found(summary(**changes)) if each.code == code]
    assert problems
    assert problems[0].severity == severity
    if code != "LIST_COUNT":
        assert problems[0].path == f"HOSO[0]/XML1/{next(iter(changes))}"


def test_two_cards_beside_each_other_need_two_of_each() -> None:
    cards = "GD4868612345678;HT3868612345678"
    right = summary(
        MA_THE_BHYT=cards, MA_DKBD="86101;86101", GT_THE_TU="20260101;20260701",
        GT_THE_DEN="20260630;20261231",
    )  # fmt: skip
    assert found(right) == []


def test_a_birth_of_which_only_the_year_is_known_is_right() -> None:
    assert found(summary(NGAY_SINH="199000000000")) == []


def test_a_newborn_needs_the_hour() -> None:
    number = "086326001234"
    assert one(summary(NGAY_SINH="202608200000", SO_CCCD=number), "NO_BIRTH_TIME")
    assert found(summary(NGAY_SINH="202608201015", SO_CCCD=number)) == []


def test_the_sender_must_be_who_signs_in_and_whom_the_visit_names() -> None:
    assert [p.code for p in found(a_file(), facility="86102")] == ["MACSKCB_MISMATCH"]
    wrong = one(a_file(facility="86102"), "MACSKCB_MISMATCH")
    assert (wrong.path, wrong.severity) == ("HOSO[0]/XML1/MA_CSKCB", "ERROR")


def test_the_thirteen_digit_code_is_not_the_five_character_one() -> None:
    long = a_file(facility="8930000000017", XML1=[a_summary(MA_CSKCB="8930000000017")])
    assert one(long, "GLN_NOT_CODE").path == "THONGTINDONVI/MACSKCB"


def test_every_table_must_name_the_same_episode() -> None:
    wrong = one(a_file(XML2=[a_drug(), a_drug(STT="2", MA_LK="LK9")]), "MA_LK_MISMATCH")
    assert (wrong.path, wrong.severity) == ("HOSO[0]/XML2[1]/MA_LK", "ERROR")


def test_one_episode_may_not_have_two_records() -> None:
    twice = write("86101", TODAY, [tables(), tables()])
    assert one(twice, "MA_LK_TWICE").path == "HOSO[1]/XML1/MA_LK"
    assert one(twice, "MANY_RECORDS").severity == "WARNING"


def test_a_record_needs_exactly_one_summary() -> None:
    assert one(a_file(XML1=[]), "XML1_MISSING").severity == "ERROR"
    first = inner(a_file(), "XML1").encode()
    content = b"<LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>%b</NOIDUNGFILE>" % first
    twice = a_file().replace(b"</HOSO>", b"<FILEHOSO>%b</FILEHOSO></HOSO>" % content)
    assert one(twice, "XML1_MANY").path == "HOSO[0]/XML1"


def test_money_that_does_not_add_up_is_a_warning_at_the_sum() -> None:
    wrong = one(summary(T_THUOC="9999.00"), "SUM_MISMATCH")
    assert (wrong.path, wrong.severity) == ("HOSO[0]/XML1/T_THUOC", "WARNING")
    assert "4200" in wrong.message
    assert found(summary(T_THUOC="4200.90")) == []  # within one đồng


def test_a_stay_that_ends_before_it_begins_keeps_the_file_out() -> None:
    wrong = [p for p in found(summary(NGAY_RA="202608311000")) if p.severity == "ERROR"]
    assert [p.path for p in wrong] == ["HOSO[0]/XML1/NGAY_RA"]


def test_times_out_of_order_are_warnings_at_the_row() -> None:
    wrong = one(a_file(XML2=[a_drug(NGAY_TH_YL="202609010820")]), "TIME_ORDER")
    assert (wrong.path, wrong.severity) == ("HOSO[0]/XML2[0]/NGAY_TH_YL", "WARNING")
    assert one(a_file(XML3=[a_service(NGAY_KQ="202609011100")]), "TIME_ORDER")
    assert one(summary(NGAY_TTOAN="202609010900"), "TIME_ORDER").path.endswith("NGAY_TTOAN")


def test_admission_and_referral_call_for_their_papers() -> None:
    assert one(summary(MA_LOAI_KCB="03", SO_NGAY_DTRI="1"), "TABLE_MISSING").path == "HOSO[0]/XML7"
    codes = [p.path for p in found(summary(MA_LOAI_RV="2"))]
    assert codes == ["HOSO[0]/XML1/MA_NOI_DEN", "HOSO[0]/XML13"]


def test_rows_without_content_and_numbers_used_twice_are_named() -> None:
    assert one(a_file(XML4=[a_result(GIA_TRI="")]), "REQUIRED").path == "HOSO[0]/XML4[0]/GIA_TRI"
    assert one(a_file(XML5=[a_note(), a_note()]), "STT_TWICE").path == "HOSO[0]/XML5[1]/STT"
    assert one(a_file(XML3=[a_service(MA_DICH_VU="")]), "REQUIRED").path.endswith("MA_DICH_VU")


def test_hiv_data_stays_in_the_file() -> None:
    assert one(a_file(XML6=[{"MA_LK": "LK1"}]), "PROTECTED").severity == "WARNING"


def test_the_day_the_visit_ended_decides_the_rules() -> None:
    assert profile_on(date(2024, 12, 31)).name == "4750"
    assert profile_on(date(2025, 1, 1)).name == "3176"
    assert profile_on(date(2026, 6, 30)).name == "3176"
    assert profile_on(date(2026, 7, 1)).name == "1931"
    assert profile_on(date(2010, 1, 1)).name == "4750"
    late = a_file(XML2=[a_drug(MUC_HUONG="80.5")])
    assert found(late) == []
    early = summary(NGAY_VAO="202606010800", NGAY_RA="202606011000")
    assert profile("3176").tables["XML2"].fields["MUC_HUONG"].limit == 3
    assert "TIME_ORDER" in {p.code for p in found(early)}


def test_profiles_have_the_decrees_number_of_fields() -> None:
    counts = {name: len(table.fields) for name, table in profile("3176").tables.items()}
    assert counts == {
        "XML1": 66, "XML2": 39, "XML3": 47, "XML4": 12, "XML5": 9, "XML6": 47, "XML7": 26,
        "XML8": 22, "XML9": 35, "XML10": 13, "XML11": 23, "XML13": 37, "XML14": 22, "XML15": 20,
    }  # fmt: skip
    assert list(profile("1931").tables["XML1"].fields) == list(
        profile("3176").tables["XML1"].fields
    )


def test_reading_never_raises_for_bad_input() -> None:
    file, problems = read(b"<x>")
    assert file is None
    assert [(p.code, p.path) for p in problems] == [("NOT_XML", "GIAMDINHHS")]
    assert read(a_file())[1] == []

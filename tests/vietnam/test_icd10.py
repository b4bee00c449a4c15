"""Diagnoses in Vietnamese: from the first day, and whole once the Ministry's table is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.clinic.diagnoses import diagnosis, find_diagnoses
from sokhoe.errors import Invalid
from sokhoe.fhir import validate
from sokhoe.fhir.terminology import Library, System, subsumes
from sokhoe.ops import run
from sokhoe.vietnam import icd10, systems
from tests.ops.test_terms import sheet
from tests.worlds import Hub

ICD = systems.uri("icd10")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


@pytest.fixture(scope="module")
def starter() -> System:
    found = Library(icd10.lists()).system(ICD)
    assert found is not None
    return found


def codes(system: System, typed: str) -> list[str]:
    return [system.codes[row] for row in system.words.find(typed)]


def test_the_lists_of_the_pack_are_valid_resources() -> None:
    validate(icd10.starter())
    validate(icd10.everyday())


def test_a_name_without_accents_finds_the_illness(starter: System) -> None:
    assert codes(starter, "dai thao duong")[0] == "E11"
    assert set(codes(starter, "dai thao duong")) >= {"E10.9", "E11", "E11.9", "O24.4"}
    assert codes(starter, "đái tháo đường týp 2 biến chứng thận")[0] == "E11.2"


def test_the_everyday_name_finds_it_too(starter: System) -> None:
    assert set(codes(starter, "tieu duong")) >= {"E10.9", "E11", "E11.9", "O24.4"}
    assert codes(starter, "cao huyet ap")[0] == "I10"
    assert "K29.7" in codes(starter, "dau bao tu")
    assert starter.displays[starter.row_of["E11"]] == "Đái tháo đường týp 2"


def test_the_usual_diagnoses_are_all_in_the_starter_list(starter: System) -> None:
    assert [code for code in icd10.USUAL if starter.row(code) is None] == []


def test_the_list_is_asked_over_the_api_from_the_first_day(hub: Hub) -> None:
    ask = {"url": f"{ICD}?fhir_vs", "filter": "tieu duong", "count": "3"}
    found = hub.software().get("/fhir/ValueSet/$expand", params=ask).json()
    first = found["expansion"]["contains"][0]
    assert (first["code"], first["display"]) == ("E11", "Đái tháo đường týp 2")
    used = [one["valueUri"] for one in found["expansion"]["parameter"] if "valueUri" in one]
    assert used == [f"{ICD}|starter", f"{ICD}/everyday-vi|1"]


WIDE = [
    *("STT", "STT CHƯƠNG", "PHẠM VI MÃ CHƯƠNG", "CHAPTER NAME", "TÊN CHƯƠNG"),
    *("MÃ KHỐI", "BLOCK NAME", "TÊN KHỐI"),
    *("MÃ TIỂU KHỐI 1", "SUB-BLOCK NAME 1", "TÊN TIỂU KHỐI 1"),
    *("MÃ TIỂU KHỐI 2", "SUB-BLOCK NAME 2", "TÊN TIỂU KHỐI 2"),
    *("MÃ NHÓM 3 KÝ TỰ", "CATEGORY NAME", "TÊN NHÓM BỆNH 3 KÝ TỰ"),
    *("MÃ BỆNH", "MÃ BỆNH KHÔNG DẤU", "DISEASE NAME WHO 2019 (ENGLISH)"),
    *("ADDITIONAL CODING GUIDANCE", "TÊN BỆNH", "HƯỚNG DẪN MÃ HÓA BỔ SUNG"),
    *(
        "KHÔNG LÀ BỆNH CHÍNH",
        "KHÔNG KHUYẾN KHÍCH",
        "KHÔNG DÙNG",
        "CHỈ TỬ VONG",
        "CHỈ NỮ",
        "CHỈ NAM",
    ),
]


def row(
    code: str,
    name: str,
    english: str = "",
    flags: str = "",
    block: str = "E10-E14",
    chapter: str = "E00-E90",
) -> list[str]:
    """A row of the wide table; `flags`: numbers 1 to 6 of the six that are set."""
    chapter_name, block_name = f"Chương {chapter}", f"Khối {block}"
    group = code.rstrip("†*").partition(".")[0]
    cells = ["1", "IV", chapter, "", chapter_name, block, "", block_name, *[""] * 6]
    cells += [group, "", f"Nhóm {group}", code, code.replace(".", ""), english, "", name, ""]
    return cells + [code if str(n) in flags else "" for n in range(1, 7)]


TABLE = [
    ["BỘ Y TẾ"],
    [""],
    WIDE,
    row("E10", "Đái tháo đường phụ thuộc insulin", "Type 1 diabetes mellitus"),
    row("E11", "Đái tháo đường không phụ thuộc insulin", "Type 2 diabetes mellitus"),
    row("E11.9", "Đái tháo đường không phụ thuộc insulin, không biến chứng"),
    row(
        "G63.2*",
        "Bệnh đa dây thần kinh do đái tháo đường",
        flags="1",
        block="G60-G64",
        chapter="G00-G99",
    ),
    row(
        "O24.4",
        "Đái tháo đường phát sinh trong thai kỳ",
        flags="5",
        block="O20-O29",
        chapter="O00-O99",
    ),
    row("E14", "Đái tháo đường không xác định", flags="23"),
]


def test_the_ministry_s_wide_table_is_read_with_levels_and_flags() -> None:
    assert icd10.Table().recognises(TABLE)
    made = icd10.Table().code_system(TABLE)
    validate(made)
    system = System(made)
    assert made["version"] == "TT 06/2026" and system.whole
    assert subsumes(system, "E00-E90", "E11.9") == subsumes(system, "E10-E14", "E11") == "subsumes"
    assert subsumes(system, "E11", "E11.9") == "subsumes"
    assert system.abstract(system.row_of["E00-E90"]) and system.abstract(system.row_of["E14"])
    assert not system.abstract(system.row_of["E11"])
    said = {
        code: [one for one in system.properties(system.row_of[code]) if one["code"] != "parent"]
        for code in ("G63.2", "O24.4")
    }
    assert said["G63.2"] == [
        {"code": "sign", "valueString": "*"},
        {"code": "notMain", "valueBoolean": True},
    ]
    assert said["O24.4"] == [{"code": "sex", "valueCode": "female"}]
    assert codes(system, "type 2 diabetes") == ["E11"]


def test_the_older_table_and_codes_with_both_signs_are_read() -> None:
    table = [
        ["MÃ CHƯƠNG", "TÊN CHƯƠNG", "MÃ BỆNH", "MÃ BỆNH KHÔNG DẤU", "DISEASE NAME", "TÊN BỆNH"],
        ["G00-G99", "Bệnh hệ thần kinh", "G99", "G99", "Disorder", "Bệnh thần kinh"],
        ["G00-G99", "Bệnh hệ thần kinh", "G99*", "G99", "Disorder", "Bệnh thần kinh, nơi khác"],
        ["", "", "", "", "", ""],
    ]
    made = icd10.Table().code_system(table)
    assert made["version"] == "QĐ 4469/2020"
    system = System(made)
    assert [one.value for one in system.designations(system.row_of["G99"])] == [
        "Disorder",
        "Bệnh thần kinh, nơi khác",
    ]
    assert system.displays[system.row_of["G00-G99"]] == "Bệnh hệ thần kinh"


def test_a_wrong_row_of_the_table_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        icd10.Table().code_system([*TABLE, row("E1", "Hỏng"), row("E12", "")])
    assert [one.message for one in caught.value.issues] == [
        "Row 10: 'E1' is no code of ICD-10.",
        "Row 11: E12 has no name.",
    ]


def test_once_loaded_the_whole_list_stands_before_the_starter_on_the_screen_too(
    tmp_path: Path,
) -> None:
    with Hub(tmp_path / "hub") as hub:
        assert [one.code for one in find_diagnoses(hub.site, "", 20)] == list(icd10.USUAL)
        assert find_diagnoses(hub.site, "cao huyet ap", 1)[0].code == "I10"
        file = sheet(tmp_path / "icd10.xlsx", TABLE)
        assert run(["terms", "load", str(file), "--data", str(hub.folder)]) == 0
        found = find_diagnoses(hub.site, "tieu duong", 20)
        assert {one.code for one in found} == {"E10", "E11", "E11.9", "O24", "O24.4"}
        assert {one.system for one in found} == {ICD}
        term = diagnosis(hub.site, "E10")
        assert term is not None and term.name == "Đái tháo đường phụ thuộc insulin"
        term = diagnosis(hub.site, "E11.9")
        assert term is not None and term.name.endswith("không biến chứng")
        assert diagnosis(hub.site, "I10") is None and diagnosis(hub.site, "") is None
        # E14 is not to be chosen, and neither are headings
        assert find_diagnoses(hub.site, "khong xac dinh", 20) == []
        assert find_diagnoses(hub.site, "E10-E14", 20) == []

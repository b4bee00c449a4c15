"""A table of codes becomes a code system, or every wrong line is named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sokhoe.errors import Invalid
from sokhoe.fhir import validate
from sokhoe.fhir.terminology import About, System, code_system, subsumes

TABLE = """\
# url: http://example.org/toys
# version: 2026-07
# title: Đồ chơi trẻ em
# language: vi
code;display;parent;designation:en;property:weight:decimal;abstract;inactive
T1;Đồ chơi;;Toy;;true;
T1.1;"Gấu bông; loại to";T1;Teddy bear|Plush bear;0.30;;false

T1.2;Con quay;T1;;;;true
"""


def test_a_table_is_a_valid_code_system_with_all_it_says() -> None:
    made = code_system(TABLE)
    validate(made)
    assert (made["url"], made["version"], made["count"]) == (
        "http://example.org/toys",
        "2026-07",
        3,
    )
    assert made["name"] == "Đồ_chơi_trẻ_em" or made["name"].isascii()
    system = System(made)
    bear = system.row("T1.1")
    assert bear is not None and system.displays[bear] == "Gấu bông; loại to"
    assert [one.value for one in system.designations(bear)] == ["Teddy bear", "Plush bear"]
    assert {"code": "weight", "valueDecimal": Decimal("0.30")}.items() <= (
        made["concept"][1]["property"][1].items()
    )
    assert subsumes(system, "T1", "T1.2") == "subsumes"
    assert system.abstract(0) and not system.inactive(1) and system.inactive(2)


def test_url_and_version_may_be_given_beside_the_file_but_the_file_goes_before() -> None:
    made = code_system("code,display\na,A\n", About("http://x", "1"))
    assert (made["url"], made["version"], made["name"]) == ("http://x", "1", "X")
    assert code_system(TABLE, About("http://x", "1"))["url"] == "http://example.org/toys"


def test_every_wrong_line_is_named_at_once() -> None:
    table = (
        "# url: http://example.org/x\n"
        "code,display,parent,property:n:integer,abstract\n"
        "a,A,,1,\n"
        "b,,a,,\n"
        "a,Again,,,\n"
        ",Nameless,,,\n"
        "c,C,z,,\n"
        "d,D,,many,perhaps\n"
        "e,E,,,,too,many\n"
        "f,F,g,,\n"
        "g,G,f,,\n"
    )
    with pytest.raises(Invalid) as caught:
        code_system(table)
    said = [one.message for one in caught.value.issues]
    assert said == [
        "Line 4: the code b has no display.",
        "Line 5: the code a is on line 3 already.",
        "Line 6: there is no code.",
        "Line 8: 'many' is no integer.",
        "Line 8: 'perhaps' is no boolean.",
        "Line 9: 7 cells, but there are 5 columns.",
        "Line 7: the parent z of c is not in the list.",
        "Line 10: f is below g is below f: a circle.",
    ]
    assert "Nothing was loaded" in caught.value.hint


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("code,display\na,A\n", "no URL"),
        ("# url: http://x\n", "empty"),
        ("# url: http://x\n# colour: red\ncode,display\n", "'# colour:' is not known"),
        ("# url: http://x\ncode,name\na,A\n", "Line 2: the column 'name' is not known"),
        ("# url: http://x\ncode,definition\na,A\n", "must have one 'display'"),
        ("# url: http://x\ncode,display,property:n:number\na,A,1\n", "'property:n:number'"),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_reason(table: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        code_system(table)
    assert message in caught.value.message

"""`sokhoe terms load`: lists of codes are there at the next question; loading again is nothing."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.errors import Invalid
from sokhoe.ops import run, sheets
from tests.fhir.terminology.worlds import animals, value_set
from tests.worlds import Hub

TABLE = "# url: http://example.org/toys\n# version: 1\ncode,display\nb,Gấu bông\nt,Con quay\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as made:
        yield made


def load(hub: Hub, *paths: Path, more: tuple[str, ...] = ()) -> int:
    return run(["terms", "load", *map(str, paths), "--data", str(hub.folder), *more])


def test_a_list_is_there_at_the_next_question_of_a_running_server(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = {"url": "http://example.org/toys?fhir_vs", "filter": "gau"}
    program = hub.software()
    assert program.get("/fhir/ValueSet/$expand", params=ask).status_code == 404
    file = tmp_path / "toys.csv"
    file.write_text(TABLE, "utf-8")
    assert load(hub, file) == 0
    assert "CodeSystem http://example.org/toys|1: new, 2 concepts" in capsys.readouterr().err
    found = program.get("/fhir/ValueSet/$expand", params=ask).json()
    assert found["expansion"]["contains"][0]["code"] == "b"
    before = hub.store.head()
    assert load(hub, file) == 0
    assert "is there already" in capsys.readouterr().err
    assert hub.store.head() == before
    file.write_text(TABLE + "x,Xe\n", "utf-8")
    assert load(hub, file) == 0
    assert "updated, 3 concepts" in capsys.readouterr().err
    everything = program.get("/fhir/CodeSystem", params={"url": "http://example.org/toys"}).json()
    assert len(everything["entry"]) == 1


def test_fhir_resources_are_loaded_and_keep_the_place_of_their_url(
    hub: Hub, tmp_path: Path
) -> None:
    program = hub.software()
    sent = program.post("/fhir/CodeSystem", json=animals()).json()
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": animals(title="Loài vật")},
            {"resource": value_set("http://example.org/v", {"system": animals()["url"]})},
        ],
    }
    file = tmp_path / "all.json"
    file.write_text(json.dumps(bundle), "utf-8")
    assert load(hub, file) == 0
    assert program.get(f"/fhir/CodeSystem/{sent['id']}").json()["title"] == "Loài vật"
    url = {"url": "http://example.org/v"}
    assert program.get("/fhir/ValueSet/$expand", params=url).status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"# url: http://x\ncode,display\na,A\na,B\n", "Line 4: the code a is on line 3"),
        ("a.csv", "code,display\na,é".encode("latin-1"), "line 2: this is not UTF-8"),
        ("a.csv", b"code,display\na,A\n", "or give --url"),
        ("a.json", b'{"resourceType":"Patient"}', "is a Patient"),
        ("a.json", b'{"resourceType":"CodeSystem","url":"http://x"}', "CodeSystem.status"),
        ("a.xlsx", b"no zip", "damaged or no .xlsx"),
        ("a.pdf", b"", "neither .json, .csv nor .xlsx"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_loaded(
    hub: Hub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    message: str,
) -> None:
    (tmp_path / name).write_bytes(content)
    before = hub.store.head()
    assert load(hub, tmp_path / name) == 1
    said = capsys.readouterr().err
    assert "REFUSED" in said and message in said
    assert hub.store.head() == before


def test_a_folder_without_a_server_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["terms", "load", "x.csv", "--data", str(tmp_path)]) == 1
    assert "There is no memory" in capsys.readouterr().err


def sheet(path: Path, rows: list[list[str]]) -> Path:
    """An .xlsx file of these rows: some texts shared, some in place, empty cells left out."""
    shared: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for column, text in enumerate(row):
            place = f"{chr(65 + column // 26 - 1) if column > 25 else ''}{chr(65 + column % 26)}"
            if not text:
                continue
            if (number + column) % 2:
                cells.append(f'<c r="{place}{number}" t="s"><v>{len(shared)}</v></c>')
                shared.append(text)
            else:
                inline = f"<is><r><t>{text[:1]}</t></r><r><t>{text[1:]}</t></r></is>"
                cells.append(f'<c r="{place}{number}" t="inlineStr">{inline}</c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    texts = "".join(f"<si><t>{text}</t><rPh><t>x</t></rPh></si>" for text in shared)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/sharedStrings.xml", f"<sst {main}>{texts}</sst>")
        body = f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", body)
    return path


def test_a_spreadsheet_is_read_like_a_table(hub: Hub, tmp_path: Path) -> None:
    rows = [["code", "display", "designation:en"], ["b", "Gấu bông", ""], ["t", "Con quay", "Top"]]
    file = sheet(tmp_path / "toys.xlsx", rows)
    assert sheets.sheet_of(file) == [rows[0], ["b", "Gấu bông"], rows[2]]
    assert load(hub, file, more=("--url", "http://example.org/t", "--version", "3")) == 0
    ask = {"url": "http://example.org/t?fhir_vs", "filter": "top"}
    found = hub.software().get("/fhir/ValueSet/$expand", params=ask).json()
    assert found["expansion"]["contains"][0] | {"system": ""} == {
        "system": "",
        "version": "3",
        "code": "t",
        "display": "Con quay",
    }


def test_a_spreadsheet_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", b" " * (sheets.MOST_BYTES + 1))
    with pytest.raises(Invalid, match="200 MB"):
        sheets.sheet_of(file)

"""Tables as people send them: CSV in any usual separator, or the first sheet of an .xlsx file.

An .xlsx file is a zip of XML (ECMA-376). Only the texts of the cells are read; formulas come with
the value they had when the file was saved. Bounded: a file that unpacks to more than 200 MB, or
has more than a million rows, is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lxml import etree

from sokhoe.errors import Invalid

MOST_BYTES = 200_000_000
MOST_ROWS = 1_000_000
MOST_COLUMNS = 500
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_REFERENCE = re.compile(r"([A-Z]{1,3})\d+")


def text_of(path: Path) -> str:
    """A text file. Raises Invalid with the line that is not UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid(
            f"{path.name}, line {line}: this is not UTF-8.",
            hint="Save the table as 'CSV UTF-8'.",
            slug="encoding",
        ) from None


def sheet_of(path: Path) -> list[list[str]]:
    """The rows of the first sheet, as texts; empty cells are "". Raises Invalid."""
    try:
        with zipfile.ZipFile(path) as book:
            if sum(one.file_size for one in book.infolist()) > MOST_BYTES:
                raise Invalid(f"{path.name} unpacks to more than 200 MB.", slug="too-costly")
            names = book.namelist()
            texts: list[str] = []
            if "xl/sharedStrings.xml" in names:
                with book.open("xl/sharedStrings.xml") as file:
                    texts = list(_texts(file))
            sheets = sorted(
                (one for one in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", one)),
                key=lambda name: (len(name), name),
            )
            if not sheets:
                raise Invalid(f"{path.name} has no sheet.", slug="table")
            with book.open(sheets[0]) as file:
                return list(_rows(file, texts))
    except (zipfile.BadZipFile, etree.XMLSyntaxError) as error:
        raise Invalid(f"{path.name} is damaged or no .xlsx file ({error}).", slug="table") from None


def _elements(file: IO[bytes], name: str) -> Iterator[etree._Element]:
    events = etree.iterparse(file, tag=_MAIN + name, resolve_entities=False, no_network=True)
    for _, element in events:
        yield element
        element.clear()


def _texts(file: IO[bytes]) -> Iterator[str]:
    for one in _elements(file, "si"):
        yield _said(one)


def _said(element: etree._Element) -> str:
    """All text runs of an element; phonetic readings (rPh) are not part of it."""
    return "".join(
        one.text or ""
        for one in element.iter(_MAIN + "t")
        if (parent := one.getparent()) is None or parent.tag != _MAIN + "rPh"
    )


def _rows(file: IO[bytes], texts: list[str]) -> Iterator[list[str]]:
    for number, row in enumerate(_elements(file, "row")):
        if number >= MOST_ROWS:
            raise Invalid("The sheet has more than a million rows.", slug="too-costly")
        cells: list[str] = []
        for cell in row.iter(_MAIN + "c"):
            at = _column(cell.get("r") or "", len(cells))
            cells += [""] * (at - len(cells))
            cells.append(_value(cell, texts))
        yield cells


def _column(reference: str, otherwise: int) -> int:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return otherwise
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return max(otherwise, min(number - 1, MOST_COLUMNS))


def _value(cell: etree._Element, texts: list[str]) -> str:
    kind = cell.get("t")
    if kind == "inlineStr":
        return _said(cell).strip()
    value = cell.find(_MAIN + "v")
    text = (value.text or "") if value is not None else ""
    if kind == "s":
        return texts[int(text)].strip() if text.isdecimal() and int(text) < len(texts) else ""
    return text.strip()

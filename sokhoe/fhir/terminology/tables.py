"""A code system out of a table, as people keep one in a spreadsheet.

    # url: http://example.org/toys          lines with # say what the list is
    # version: 2026-07
    # language: vi
    code,display,parent,designation:en,property:weight:decimal
    T1,Đồ chơi,,Toy,
    T1.1,Gấu bông,T1,Teddy bear|Plush bear,0.3

Columns: `code` and `display`; and if wanted `parent` (a code of the list), `definition`,
`inactive` and `abstract` (true or false), `designation:LANGUAGE`, `property:NAME` or
`property:NAME:TYPE` (string, code, integer, decimal, boolean, dateTime). Several values of one
cell stand with `|` between them. Separators may be comma, semicolon or tab.

What is wrong is told with the line it stands on, all of it at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir.search.fold import fold

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
MOST_ISSUES = 50
_CODE = re.compile(r"\S+( \S+)*")
_PLAIN = ("code", "display", "parent", "definition", "inactive", "abstract")
_TYPES = {"string", "code", "integer", "decimal", "boolean", "dateTime"}
_ABOUT = {"url", "version", "name", "title", "language", "content", "status", "date", "publisher"}
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class About:
    """What a list is, where the file itself does not say it by `# name: value` lines."""

    url: str = ""
    version: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `line` is its number in the file."""

    line: int
    cells: Sequence[str]


def rows_of(text: str) -> tuple[dict[str, str], list[Row]]:
    """What the `#` lines say, and the rows that are not empty."""
    said: dict[str, str] = {}
    lines = text.splitlines(keepends=True)
    start = 0
    while start < len(lines) and (lines[start].startswith("#") or not lines[start].strip()):
        name, _, value = lines[start].lstrip("# \t").partition(":")
        if value:
            said[name.strip().lower()] = value.strip()
        start += 1
    head = lines[start] if start < len(lines) else ""
    comma = max(",;\t", key=head.count)
    reader = csv.reader(lines[start:], delimiter=comma)
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(start + reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise Invalid(
            f"Line {start + reader.line_num}: {error}.", slug="table", location="line"
        ) from None
    return said, rows


def code_system(text: str, about: About | None = None) -> dict[str, Any]:
    """The CodeSystem of a table. Raises Invalid naming every line that is wrong (at most 50)."""
    said, rows = rows_of(text)
    about = about or About()
    for name in said:
        if name not in _ABOUT:
            raise Invalid(
                f"'# {name}:' is not known.",
                hint=f"Known: {', '.join(sorted(_ABOUT))}",
                slug="table",
                location=name,
            )
    url, version = said.pop("url", about.url), said.pop("version", about.version)
    about = About(url, version, {**about.more, **said})
    if not about.url:
        raise Invalid(
            "The list has no URL, so nobody could ask for it.",
            hint="Put '# url: http://…' on its first line, or give --url.",
            slug="table",
            location="url",
        )
    if not rows:
        raise Invalid("The list is empty.", slug="table")
    columns = _columns(rows[0])
    return resource(about, columns, _Reader(columns).read(rows[1:]))


def resource(
    about: About, columns: Sequence[_Column], concepts: list[dict[str, Any]]
) -> dict[str, Any]:
    """The resource around concepts."""
    title = about.more.get("title", "") or about.url.rstrip("/").rpartition("/")[2]
    name = "".join(word.capitalize() for word in _WORD.findall(fold(title)))
    made: dict[str, Any] = {
        "resourceType": "CodeSystem",
        "url": about.url,
        "version": about.version,
        "name": name,
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "count": len(concepts),
        **{key: value for key, value in about.more.items() if key in _ABOUT and value},
        "property": [one.declared for one in columns if one.declared],
        "concept": concepts,
    }
    return {key: value for key, value in made.items() if value not in ("", [])}


@dataclass(frozen=True, slots=True)
class _Column:
    kind: str
    name: str = ""
    type: str = "string"

    @property
    def declared(self) -> dict[str, str]:
        """Its line in CodeSystem.property; {} where it is none."""
        if self.kind == "property":
            return {"code": self.name, "type": self.type}
        standard = {"parent": ("parent", "code"), "inactive": ("inactive", "boolean")}
        standard["abstract"] = ("notSelectable", "boolean")
        if self.kind not in standard:
            return {}
        code, type = standard[self.kind]
        return {"code": code, "uri": PROPERTIES + code, "type": type}


def _columns(head: Row) -> list[_Column]:
    found: list[_Column] = []
    for cell in head.cells:
        kind, _, rest = cell.strip().partition(":")
        kind = kind.strip().lower()
        name, _, type = rest.partition(":")
        if kind in _PLAIN and not rest:
            found.append(_Column(kind))
        elif kind == "designation" and rest.strip():
            found.append(_Column(kind, rest.strip()))
        elif kind == "property" and name.strip() and (type or "string") in _TYPES:
            found.append(_Column(kind, name.strip(), type or "string"))
        elif cell.strip():
            raise Invalid(
                f"Line {head.line}: the column {cell!r} is not known.",
                hint="Known: " + ", ".join(_PLAIN) + ", designation:LANGUAGE, property:NAME[:TYPE]"
                f" with TYPE of {', '.join(sorted(_TYPES))}.",
                slug="table",
                location=f"line {head.line}",
            )
        else:
            found.append(_Column(""))
    for needed in ("code", "display"):
        if sum(one.kind == needed for one in found) != 1:
            raise Invalid(
                f"Line {head.line} names the columns and must have one {needed!r}.",
                hint="The first line without # is like: code,display,parent",
                slug="table",
                location=f"line {head.line}",
            )
    return found


class _Reader:
    def __init__(self, columns: Sequence[_Column]) -> None:
        self._columns = columns
        self._issues: list[Issue] = []
        self._line_of: dict[str, int] = {}

    def read(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        concepts = [one for row in rows if (one := self._concept(row)) is not None]
        self._check_parents(concepts)
        if self._issues:
            more = len(self._issues) - 1
            message = self._issues[0].message + (f" (and {more} more)" if more else "")
            raise Invalid(
                message,
                hint="Nothing was loaded. Correct the lines named and load the file again.",
                slug="table",
                issues=tuple(self._issues[:MOST_ISSUES]),
            )
        return concepts

    def _wrong(self, line: int, message: str) -> None:
        self._issues.append(Issue(f"Line {line}: {message}", f"line {line}", "value"))

    def _concept(self, row: Row) -> dict[str, Any] | None:
        if len(row.cells) > len(self._columns) and any(row.cells[len(self._columns) :]):
            columns = len(self._columns)
            self._wrong(row.line, f"{len(row.cells)} cells, but there are {columns} columns.")
            return None
        made: dict[str, Any] = {"code": "", "display": ""}
        for column, cell in zip(self._columns, row.cells, strict=False):
            if cell:
                self._cell(made, column, cell, row.line)
        code = made["code"]
        if not code or not _CODE.fullmatch(code):
            self._wrong(row.line, f"{code!r} is no code." if code else "there is no code.")
        elif code in self._line_of:
            self._wrong(row.line, f"the code {code} is on line {self._line_of[code]} already.")
        else:
            self._line_of[code] = row.line
        if not made["display"]:
            self._wrong(row.line, f"the code {code} has no display.")
        return made

    def _cell(self, made: dict[str, Any], column: _Column, cell: str, line: int) -> None:
        if column.kind in {"code", "display", "definition"}:
            made[column.kind] = cell
        elif column.kind == "designation":
            names = [part.strip() for part in cell.split("|") if part.strip()]
            found = made.setdefault("designation", [])
            found += [{"language": column.name, "value": name} for name in names]
        elif column.kind:
            declared = column.declared
            for part in cell.split("|"):
                value = self._value(declared["type"], part.strip(), line)
                key = "value" + declared["type"][0].upper() + declared["type"][1:]
                if value is not None:
                    made.setdefault("property", []).append({"code": declared["code"], key: value})

    def _value(self, type: str, text: str, line: int) -> Any:
        if type == "boolean":
            if text.lower() in {"true", "false"}:
                return text.lower() == "true"
        elif type in {"integer", "decimal"}:
            try:
                return int(text) if type == "integer" else Decimal(text)
            except (ValueError, InvalidOperation):
                pass
        else:
            return text
        self._wrong(line, f"{text!r} is no {type}.")
        return None

    def _check_parents(self, concepts: Sequence[Mapping[str, Any]]) -> None:
        above: dict[str, list[str]] = {}
        for one in concepts:
            said = [p["valueCode"] for p in one.get("property", ()) if p["code"] == "parent"]
            above[one["code"]] = said
            for parent in said:
                if parent not in self._line_of and one["code"] in self._line_of:
                    line = self._line_of[one["code"]]
                    self._wrong(line, f"the parent {parent} of {one['code']} is not in the list.")
        done: set[str] = set()
        for code in above:
            trail: dict[str, None] = {}
            now: str | None = code
            while now is not None and now not in done:
                if now in trail:
                    circle = [*list(trail)[list(trail).index(now) :], now]
                    line = self._line_of.get(now, 0)
                    self._wrong(line, f"{' is below '.join(circle)}: a circle.")
                    break
                trail[now] = None
                now = next(iter(above.get(now, ())), None)
            done.update(trail)

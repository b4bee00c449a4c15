"""ICD-10 in Vietnamese: the starter list, everyday names, and the Ministry's table as published.

The starter list is there from the first day. When the Ministry's table is loaded
(`sokhoe terms load FILE`), it stands before the starter list, and the everyday names ("tiểu đường"
for "đái tháo đường") go with it as well: they are a supplement of our own wording.

The table of TT 06/2026 has 29 columns, that of QĐ 4469/2020 fewer; the columns are found by their
names, since copies differ in what stands above and beside them.

    chapter A00–B99 → block A00–A09 → sub-blocks → A00 → A00.0

A code with † (the illness) or * (how it shows) is the code without the sign, with the sign as a
property; a code that is listed once with each has both names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import fold, terminology
from sokhoe.vietnam import code_lists, systems

Json = dict[str, Any]

USUAL = ("I10", "J06.9", "E11", "K29", "M54.5", "J02", "A09", "R51", "H10", "B34.9")
"""What a commune station writes most, shown before a word is typed."""

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_DECLARED: tuple[Json, ...] = (
    {"code": "parent", "uri": f"{PROPERTIES}parent", "type": "code"},
    {"code": "notSelectable", "uri": f"{PROPERTIES}notSelectable", "type": "boolean"},
    {"code": "sex", "description": "female or male: only for people of this sex", "type": "code"},
)
_OF_THE_TABLE: tuple[Json, ...] = (
    {"code": "sign", "description": "† or *", "type": "string"},
    {"code": "notMain", "description": "not as the main diagnosis", "type": "boolean"},
    {"code": "discouraged", "description": "better take another code", "type": "boolean"},
    {"code": "deathOnly", "description": "as a cause of death only", "type": "boolean"},
)


def lists() -> tuple[terminology.Lists, ...]:
    """The code lists that are there from the start. Fills `trust.code_lists`."""
    url = systems.uri("icd10")
    return (terminology.Lists({url: starter}, {url: everyday}),)


@cache
def starter() -> Json:
    """The starter list as a CodeSystem: a fragment, for other codes are right as well."""
    concepts = []
    for one in code_lists.diseases().values():
        made: Json = {"code": one.code, "display": one.name}
        if one.english:
            made["designation"] = [{"language": "en", "value": one.english}]
        properties = _sex(one.sex)
        above = one.code.partition(".")[0]
        if above != one.code and above in code_lists.diseases():
            properties.append({"code": "parent", "valueCode": above})
        concepts.append({**made, **({"property": properties} if properties else {})})
    return _resource("ICD-10 (danh mục khởi đầu)", "starter", "fragment", _DECLARED, concepts)


def _sex(letter: str) -> list[Json]:
    sex = {"f": "female", "m": "male"}.get(letter)
    return [{"code": "sex", "valueCode": sex}] if sex else []


@cache
def everyday() -> Json:
    """Everyday names, for a code of three signs and all that stand below it."""
    names: dict[str, list[str]] = {}
    for row in code_lists.rows("icd10_also"):
        code = row["code"]
        below = [f"{code}.{n}" for n in range(10)] if "." not in code else []
        for each in (code, *below):
            found = names.setdefault(each, [])
            found += [name for name in row["also"].split("|") if name not in found]
    concepts = [
        {"code": code, "designation": [{"language": "vi", "value": name} for name in found]}
        for code, found in names.items()
    ]
    url = systems.uri("icd10")
    made = _resource("Tên thường gọi của bệnh", "1", "supplement", (), concepts)
    return {**made, "url": f"{url}/everyday-vi", "supplements": url}


def _resource(
    title: str, version: str, content: str, declared: Sequence[Json], concepts: Sequence[Json]
) -> Json:
    made = {
        "resourceType": "CodeSystem",
        "url": systems.uri("icd10"),
        "version": version,
        "name": "Icd10",
        "title": title,
        "status": "active",
        "language": "vi",
        "caseSensitive": True,
        "hierarchyMeaning": "classified-with",
        "content": content,
        "property": list(declared),
        "concept": list(concepts),
    }
    return {key: value for key, value in made.items() if value != []}


# -- the Ministry's table ------------------------------------------------------------------------

_HEAD_WITHIN = 10  # rows among which the names of the columns stand
_CODE = re.compile(r"([A-Z]\d{2}(?:\.[0-9A-Z]{1,2})?)([†*]?)")
_RANGE = re.compile(r"([A-Z]\d{2}) *[-–] *([A-Z]\d{2})")
# Our name of a column → what its folded name begins with in one table or the other.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "code": ("ma benh",),
    "name": ("ten benh",),
    "english": ("disease name",),
    "guide": ("huong dan ma hoa bo sung",),
}
# In the table of 29 columns the flags stand last, and a set one repeats the code.
_FLAGS = ("notMain", "discouraged", "notSelectable", "deathOnly", "female", "male")
_FIRST_FLAG, _WIDE = 23, 29


@dataclass(frozen=True, slots=True)
class _Head:
    row: int
    columns: Mapping[str, int]
    wide: bool
    above: tuple[tuple[int, int], ...]  # (column of the code, of the Vietnamese name), widest first


class Table:
    """Reads the Ministry's table of ICD-10. Fills `exchange.code_tables`."""

    def recognises(self, rows: Sequence[Sequence[str]]) -> bool:
        return _head(rows) is not None

    def code_system(self, rows: Sequence[Sequence[str]]) -> Json:
        head = _head(rows)
        assert head is not None
        reading = _Reading(head)
        for number, cells in enumerate(rows[head.row + 1 :], head.row + 2):
            reading.row(number, cells)
        if reading.issues:
            raise Invalid(
                reading.issues[0].message,
                hint="Nothing was loaded. Correct the rows named and load the file again.",
                slug="table",
                issues=tuple(reading.issues[:50]),
            )
        version = "TT 06/2026" if head.wide else "QĐ 4469/2020"
        return _resource(
            f"ICD-10 ({version})",
            version,
            "complete",
            (*_DECLARED, *_OF_THE_TABLE),
            list(reading.concepts.values()),
        )


def _head(rows: Sequence[Sequence[str]]) -> _Head | None:
    for number, cells in enumerate(rows[:_HEAD_WITHIN]):
        folded = [fold(cell) for cell in cells]
        columns = {
            key: next((at for at, text in enumerate(folded) if text.startswith(names)), -1)
            for key, names in _NAMES.items()
        }
        if columns["code"] >= 0 and columns["name"] >= 0:
            return _Head(number, columns, len(cells) >= _WIDE, tuple(_levels(folded, columns)))
    return None


def _levels(folded: Sequence[str], columns: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Pairs of columns before the code that hold a level's code and its Vietnamese name."""
    code = -1
    for at, text in enumerate(folded[: columns["code"]]):
        if text.startswith(("ma ", "pham vi ma")):
            code = at
        elif text.startswith("ten ") and code >= 0:
            yield code, at
            code = -1


class _Reading:
    def __init__(self, head: _Head) -> None:
        self._head = head
        self.concepts: dict[str, Json] = {}
        self.issues: list[Issue] = []

    def row(self, number: int, cells: Sequence[str]) -> None:
        def cell(key: str) -> str:
            at = self._head.columns[key]
            return " ".join(cells[at].split()) if 0 <= at < len(cells) else ""

        text, name = cell("code"), cell("name")
        if not text and not name:
            return
        found = _CODE.fullmatch(text.replace(" ", ""))
        if found is None or not name:
            what = f"{text!r} is no code of ICD-10" if found is None else f"{text} has no name"
            self.issues.append(Issue(f"Row {number}: {what}.", f"row {number}", "value"))
            return
        code, sign = found.groups()
        above = self._above(cells, code)
        one = self.concepts.get(code)
        if one is None:
            one = self._add(code, name, above)
        elif name != one["display"]:
            _also(one, "vi", name)
        if cell("english"):
            _also(one, "en", cell("english"))
        if cell("guide"):
            one["definition"] = cell("guide")
        self._properties(one, cells, sign)

    def _above(self, cells: Sequence[str], code: str) -> str:
        """The level right above a code; levels that are new are added, abstract."""
        above = ""
        for at, named in self._head.above:
            text = cells[at].strip() if at < len(cells) else ""
            spread = _RANGE.search(text)
            level = f"{spread[1]}-{spread[2]}" if spread else text
            if not level or level in {code, above} or not (spread or _CODE.fullmatch(level)):
                continue
            if level not in self.concepts:
                name = " ".join(cells[named].split()) if named < len(cells) else ""
                one = self._add(level, name or level, above)
                if spread:
                    one.setdefault("property", []).append(
                        {"code": "notSelectable", "valueBoolean": True}
                    )
            above = level
        if not above and "." in code and code.partition(".")[0] in self.concepts:
            above = code.partition(".")[0]
        return above

    def _add(self, code: str, name: str, above: str) -> Json:
        one: Json = {"code": code, "display": name}
        if above:
            one["property"] = [{"code": "parent", "valueCode": above}]
        self.concepts[code] = one
        return one

    def _properties(self, one: Json, cells: Sequence[str], sign: str) -> None:
        found = one.setdefault("property", [])
        said = {each["code"] for each in found}
        if sign and {"code": "sign", "valueString": sign} not in found:
            found.append({"code": "sign", "valueString": sign})
        if self._head.wide:
            for at, name in enumerate(_FLAGS, _FIRST_FLAG):
                if at < len(cells) and cells[at].strip() and name not in said:
                    if name in {"female", "male"}:
                        found.append({"code": "sex", "valueCode": name})
                    else:
                        found.append({"code": name, "valueBoolean": True})
        if not found:
            del one["property"]


def _also(one: Json, language: str, name: str) -> None:
    names = one.setdefault("designation", [])
    if {"language": language, "value": name} not in names:
        names.append({"language": language, "value": name})

"""A code system as the questions need it: concepts by number, their hierarchy, their words.

15,000 concepts as plain objects are some 60 MB; here they are columns, and what is seldom asked
(definition, designations, properties) stays packed until it is:

    row        0        1        2       …      in the order of the resource, parents first
    codes      "I00"    "I00.1"  "I10"          row_of: code → row
    displays   "…"      "…"      "…"
    above      ()       (0,)     ()             direct parents, nested or by property
    packed     b"{…}"   b""      b"{…}"         JSON of all else that the concept says

A `supplement` adds designations and properties to concepts that are there; it cannot add concepts
(hl7.org/fhir/R4/codesystem.html#supplements).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from sokhoe.fhir.terminology.words import Words

Json = Mapping[str, Any]

MOST_CONCEPTS = 1_000_000
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_PACKED = ("definition", "designation", "property")
_GONE = {"retired", "inactive"}
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Designation(msgspec.Struct, frozen=True):
    """Another name of a concept; `use` is a Coding, {} where it is not said what it is for."""

    value: str
    language: str = ""
    use: dict[str, Any] = {}


class _Rest(msgspec.Struct, frozen=True):
    definition: str = ""
    designation: tuple[Designation, ...] = ()
    property: tuple[dict[str, Any], ...] = ()


_rest = msgspec.json.Decoder(_Rest)
_NOTHING = _Rest()


class System:
    """One version of one code system. `content` is as in CodeSystem.content; with `not-present`
    only the concepts that somebody listed are known."""

    def __init__(self, resource: Json, supplements: Sequence[Json] = ()) -> None:
        self.url: str = resource.get("url", "")
        self.version: str = resource.get("version", "")
        self.name: str = resource.get("name", "") or resource.get("title", "") or self.url
        self.title: str = resource.get("title", "") or self.name
        self.status: str = resource.get("status", "")
        self.content: str = resource.get("content", "complete")
        self.language: str = resource.get("language", "")
        self.case_sensitive: bool = resource.get("caseSensitive", True) is not False
        self.declared: tuple[Json, ...] = tuple(resource.get("property", ()))
        self.supplements = tuple(_canonical(one) for one in supplements)
        self.codes: list[str] = []
        self.displays: list[str] = []
        self.above: list[tuple[int, ...]] = []
        self.row_of: dict[str, int] = {}
        self._packed: list[bytes] = []
        self._inactive: set[int] = set()
        self._abstract: set[int] = set()
        self._read(resource.get("concept", ()))
        self._join()
        for one in supplements:
            self._add(one)

    # -- asking ------------------------------------------------------------------------------

    @property
    def canonical(self) -> str:
        """`url|version`, without the bar where there is no version."""
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def whole(self) -> bool:
        """Whether a code that is not here does not exist."""
        return self.content == "complete"

    def __len__(self) -> int:
        return len(self.codes)

    def row(self, code: str) -> int | None:
        """The concept of this code; letter case does not matter where the system says so."""
        found = self.row_of.get(code)
        if found is None and not self.case_sensitive:
            found = self._folded.get(code.casefold())
        return found

    def inactive(self, row: int) -> bool:
        return row in self._inactive

    def abstract(self, row: int) -> bool:
        """Not to be chosen by a user (`notSelectable`)."""
        return row in self._abstract

    def definition(self, row: int) -> str:
        return self._more(row).definition

    def designations(self, row: int) -> tuple[Designation, ...]:
        return self._more(row).designation

    def properties(self, row: int) -> tuple[dict[str, Any], ...]:
        """As in CodeSystem.concept.property: `code` and one `value[x]`."""
        return self._more(row).property

    def display(self, row: int, languages: Sequence[str] = ()) -> str:
        """The name in the first of these languages that there is one in, else the usual name."""
        for language in languages:
            if speaks(self.language, language):
                return self.displays[row]
            for one in self.designations(row):
                if speaks(one.language, language) and not _is_synonym(one):
                    return one.value
        return self.displays[row]

    def children(self, row: int) -> Sequence[int]:
        return self._below.get(row, ())

    def roots(self) -> list[int]:
        return [row for row, above in enumerate(self.above) if not above]

    def ancestors(self, row: int) -> set[int]:
        """All above, without the concept itself; a circle in the data does no harm."""
        return _reach(row, self.above.__getitem__)

    def descendants(self, row: int) -> set[int]:
        """All below, without the concept itself."""
        return _reach(row, self.children)

    def subsumes(self, upper: int, lower: int) -> bool:
        """Whether `lower` is `upper` or a kind of it."""
        return upper == lower or upper in self.ancestors(lower)

    @cached_property
    def words(self) -> Words:
        """To find concepts by the beginnings of words; made when first asked for."""
        return Words(
            (code, display, [one.value for one in self.designations(row)])
            for row, (code, display) in enumerate(zip(self.codes, self.displays, strict=True))
        )

    @cached_property
    def _below(self) -> dict[int, list[int]]:
        below: dict[int, list[int]] = {}
        for row, parents in enumerate(self.above):
            for parent in parents:
                below.setdefault(parent, []).append(row)
        return below

    @cached_property
    def _folded(self) -> dict[str, int]:
        return {code.casefold(): row for row, code in reversed(list(enumerate(self.codes)))}

    def _more(self, row: int) -> _Rest:
        packed = self._packed[row]
        return _rest.decode(packed) if packed else _NOTHING

    # -- reading -----------------------------------------------------------------------------

    def _read(self, concepts: Iterable[Json]) -> None:
        """Concepts in order, parents first. A code given twice is the first one (and keeps both
        places in the hierarchy), since two rows of one code could not be told apart."""
        for concept, parent in _walk(concepts):
            code = concept["code"]
            row = self.row_of.get(code)
            if row is None:
                row = len(self.codes)
                self.row_of[code] = row
                self.codes.append(code)
                self.displays.append(concept.get("display", "") or code)
                self.above.append(())
                more = {name: concept[name] for name in _PACKED if name in concept}
                self._packed.append(_encode(more) if more else b"")
                self._flag(row, concept.get("property", ()))
            above = self.row_of[parent] if parent is not None else None
            if above is not None and above != row and above not in self.above[row]:
                self.above[row] = (*self.above[row], above)

    def _flag(self, row: int, properties: Iterable[Json]) -> None:
        for one in properties:
            name, value = self._meaning(one["code"]), value_of(one)
            if name in {"notSelectable", "abstract"} and value in (True, "true"):
                self._abstract.add(row)
            elif (name == "inactive" and value in (True, "true")) or (
                name == "status" and value in _GONE
            ):
                self._inactive.add(row)

    def _join(self) -> None:
        """Parents and children that are said by properties."""
        for row, packed in enumerate(self._packed):
            if b'"property"' not in packed:
                continue
            for one in self.properties(row):
                meaning = self._meaning(one["code"])
                other = self.row_of.get(str(value_of(one)))
                if other is None or other == row:
                    continue
                if meaning in {"parent", "subsumedBy"} and other not in self.above[row]:
                    self.above[row] = (*self.above[row], other)
                elif meaning == "child" and row not in self.above[other]:
                    self.above[other] = (*self.above[other], row)

    def _meaning(self, code: str) -> str:
        """The standard's name of a property, whatever this code system calls it."""
        return self._meanings.get(code, code)

    @cached_property
    def _meanings(self) -> dict[str, str]:
        return {
            one["code"]: one["uri"].removeprefix(_PROPERTIES)
            for one in self.declared
            if str(one.get("uri", "")).startswith(_PROPERTIES)
        }

    def _add(self, supplement: Json) -> None:
        known = {one["code"] for one in self.declared}
        self.declared += tuple(
            one for one in supplement.get("property", ()) if one["code"] not in known
        )
        self.__dict__.pop("_meanings", None)
        for concept, _ in _walk(supplement.get("concept", ())):
            row = self.row_of.get(concept["code"])
            if row is None:
                continue
            have = msgspec.json.decode(self._packed[row] or b"{}")
            for name in ("designation", "property"):
                if concept.get(name):
                    have[name] = [*have.get(name, ()), *concept[name]]
            self._packed[row] = _encode(have)
            self._flag(row, concept.get("property", ()))


def value_of(property: Json) -> Any:
    """The `value[x]` of a property, whatever its type."""
    return next((value for name, value in property.items() if name.startswith("value")), None)


def speaks(tag: str, wanted: str) -> bool:
    """Whether text in `tag` serves one who asked for `wanted` (en-GB serves en, vi serves vi)."""
    tag, wanted = tag.lower(), wanted.lower()
    return bool(tag) and (tag == wanted or tag.startswith(f"{wanted}-") or wanted == "*")


def _is_synonym(one: Designation) -> bool:
    return one.use.get("code") in {"900000000000013009", "synonym"}


def _canonical(resource: Json) -> str:
    url, version = resource.get("url", ""), resource.get("version", "")
    return f"{url}|{version}" if version else str(url)


def _walk(concepts: Iterable[Json]) -> Iterator[tuple[Json, str | None]]:
    """(concept, code of the one it is nested in), in the order of the document."""
    waiting: list[tuple[Json, str | None]] = [(one, None) for one in concepts]
    waiting.reverse()
    while waiting:
        concept, parent = waiting.pop()
        yield concept, parent
        waiting += [(one, concept["code"]) for one in concept.get("concept", ())][::-1]


def _reach(start: int, step: Any) -> set[int]:
    seen: set[int] = set()
    waiting = list(step(start))
    while waiting:
        row = waiting.pop()
        if row not in seen:
            seen.add(row)
            waiting += step(row)
    seen.discard(start)
    return seen

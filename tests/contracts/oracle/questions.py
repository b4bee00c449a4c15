"""Searches over a world: what is asked for is mostly taken from a record, then bent a little."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any

from sokhoe.fhir.path import Node
from sokhoe.store import EVERYTHING, Scope
from sokhoe.trust.permits import DIRECTORY
from tests.contracts.oracle import amounts, values, words
from tests.contracts.oracle.amounts import UCUM, UNITS
from tests.contracts.oracle.oracle import Oracle, Record, Shelf
from tests.contracts.oracle.parameters import Parameter, parameters
from tests.contracts.oracle.world import AMOUNTS, CODES, DAYS, NAMES, SIZES, TEXTS, TIMES, TYPES

_WEIGHTS = [size + 4 for size in SIZES.values()]
_SORTED = ("token", "date", "string", "number", "reference", "uri", "quantity")


@dataclass(frozen=True, slots=True)
class Question:
    """`pairs`: what is looked for; `sort`, `includes`: how the answer is to be made."""

    type: str
    pairs: tuple[tuple[str, str], ...]
    sort: str = ""
    includes: tuple[tuple[str, str], ...] = ()
    count: int = 50
    scope: Scope = EVERYTHING

    @property
    def words(self) -> list[tuple[str, str]]:
        sort = [("_sort", self.sort)] if self.sort else []
        return [*self.pairs, *sort, *self.includes]

    def smaller(self) -> Iterator[Question]:
        """The same question with one thing less."""
        for n in range(len(self.pairs)):
            yield replace(self, pairs=self.pairs[:n] + self.pairs[n + 1 :])
        for n in range(len(self.includes)):
            yield replace(self, includes=self.includes[:n] + self.includes[n + 1 :])
        if self.sort:
            yield replace(self, sort="")
        if self.scope != EVERYTHING:
            yield replace(self, scope=EVERYTHING)
        if self.count != 50:
            yield replace(self, count=50)
        for n, (name, value) in enumerate(self.pairs):
            for one in values.split(value, ",") if "," in value else ():
                pairs = (*self.pairs[:n], (name, one), *self.pairs[n + 1 :])
                yield replace(self, pairs=pairs)


class Asker:
    def __init__(self, random: Random, shelf: Shelf, focus: str = "") -> None:
        """`focus`: a kind of parameter that is asked for most of the time."""
        self.random = random
        self.focus = focus
        self.shelf = shelf
        self.pointing: dict[str, list[tuple[Record, str]]] = {}
        self.whole = Oracle(shelf)
        for one in shelf.records.values():
            for code, parameter in parameters(one.type).items():
                for to in self.whole.targets(one, parameter) if parameter.targets else ():
                    self.pointing.setdefault(to.ref, []).append((one, code))

    def question(self) -> Question:
        scope = self.scope() if self.random.random() < 0.4 else EVERYTHING
        self.seen = Oracle(self.shelf, scope).records if scope != EVERYTHING else self.shelf.records
        type = self.random.choices(TYPES, _WEIGHTS)[0]
        if self.random.random() < 0.85:
            there = sorted({one.type for one in self.seen.values()} & SIZES.keys())
            type = self.pick(*there) if there and type not in there else type
        about = self.one_of(type)
        pairs = tuple(self.pair(type, about) for _ in range(self.pick(0, 1, 1, 1, 1, 2, 2, 3)))
        return Question(
            type,
            pairs,
            self.sort(type) if self.focus == "sort" or self.random.random() < 0.4 else "",
            self.includes(type) if self.random.random() < 0.25 else (),
            self.pick(1, 2, 3, 5, 50, 50, 50),
            scope,
        )

    def pick(self, *choices: Any) -> Any:
        return choices[self.random.randrange(len(choices))]

    def one_of(self, type: str) -> Record | None:
        mine = [one for one in self.seen.values() if one.type == type]
        return self.pick(*mine) if mine else None

    def scope(self) -> Scope:
        people = [f"Patient/pat{n}" for n in range(SIZES["Patient"])]
        few = frozenset(self.random.sample(people, self.pick(1, 1, 2)))
        return self.pick(  # type: ignore[no-any-return]
            Scope(patients=few),
            Scope(patients=few, open=DIRECTORY),
            Scope(patients=few, open=DIRECTORY),
            Scope(patients=few, types=frozenset({"Patient", "Observation", "Encounter"})),
            Scope(types=frozenset(self.random.sample(TYPES, 8))),
        )

    # --- one pair -----------------------------------------------------------------------------

    def pair(self, type: str, about: Record | None, depth: int = 0) -> tuple[str, str]:
        """A condition on a type, that the record `about` meets more often than not."""
        if about is None or self.random.random() < 0.05:
            about = self.one_of(type)
        way = self.random.random() if not self.focus else self.random.uniform(0.25, 0.85)
        if depth < 3 and way < 0.2 and (found := self._chained(type, about, depth)):
            return found
        if depth < 3 and way < 0.35 and (found := self._pointed(type, about, depth)):
            return found
        here = self.pointing.get(about.ref, []) if about else []
        lists = [one for one, code in here if code == "item"]
        if lists and way > 0.85:
            return "_list", ",".join([self.pick(*lists).version.id, self.pick("lis0", "lis9")])
        known = parameters(type)
        full = [one for one in known.values() if about and one.kind != "composite"
                and one.kind != "special" and about.values(one)]  # fmt: skip
        pool = full if full and self.random.random() < 0.92 else list(known.values())
        kinds = {each.kind for each in pool} - {"special", "composite"}
        kind = self.focus if self.focus in kinds else self.pick(*sorted(kinds))
        one = self.pick(*(each for each in pool if each.kind == kind))
        composites = [each for each in known.values() if each.parts]
        if composites and self.random.random() < (0.9 if self.focus == "composite" else 0.25):
            return self.plain(type, self.pick(*composites), about)
        return self.plain(type, one, about)

    def _chained(self, type: str, about: Record | None, depth: int) -> tuple[str, str] | None:
        """`subject:Patient.name`, or without the type where the reference has but one or two."""
        found = []
        for one in parameters(type).values():
            if one.kind == "reference":
                found += [(one, to) for to in one.targets if to in TYPES]
        if not found:
            return None
        there = [pair for pair in found if self._target(about, *pair)]
        one, to = self.pick(*(there or found))
        target = self._target(about, one, to)
        name, value = self.pair(to, target, depth + 1)
        typed = len(one.targets) > 3 or self.random.random() < 0.6
        return f"{one.code}{f':{to}' if typed else ''}.{name}", value

    def _target(self, about: Record | None, one: Parameter, type: str) -> Record | None:
        for item in about.values(one) if about else ():
            here = values.pointer(item)
            if here and here.type == type and here.ref in self.shelf.records:
                return self.shelf.records[here.ref]
        return None

    def _pointed(self, type: str, about: Record | None, depth: int) -> tuple[str, str] | None:
        found = [
            (source, one.code)
            for source in TYPES
            for one in parameters(source).values()
            if one.kind == "reference" and type in one.targets
        ]
        if not found:
            return None
        source, code = self.pick(*found)
        pointing = self.pointing.get(about.ref, []) if about else []
        pointing = [one for one in pointing if one[0].type in TYPES]
        one = None
        if pointing and self.random.random() < 0.85:
            one, code = self.pick(*pointing)
            source = one.type
        name, value = self.pair(source, one, depth + 1)
        return f"_has:{source}:{code}:{name}", value

    def plain(self, type: str, one: Parameter, about: Record | None) -> tuple[str, str]:
        if one.kind == "composite":
            return one.code, self.composite(type, one, about)
        if one.code not in ("_id", "_lastUpdated") and self.random.random() < 0.08:
            return f"{one.code}:missing", self.pick("true", "false")
        items = about.values(one) if about else []
        modifier = self._modifier(one, items)
        name = f"{one.code}:{modifier}" if modifier else one.code
        several = 2 if one.kind != "date" and self.random.random() < 0.15 else 1
        drawn = [self.value(one.kind, modifier, one, items) for _ in range(several)]
        return name, ",".join(drawn)

    def _modifier(self, one: Parameter, items: list[Any]) -> str:
        if self.random.random() < 0.65 or one.code == "_id":
            return ""
        kinds = {item.kind for item in items if isinstance(item, Node)}
        match one.kind:
            case "token" if "Identifier" in kinds:
                return str(self.pick("not", "text", "of-type"))
            case "token" if kinds & {"CodeableConcept", "Coding"}:
                return str(self.pick("not", "text"))
            case "token":
                return "not"
            case "string":
                return str(self.pick("exact", "contains"))
            case "uri" if all(str(item.value).startswith("http") for item in items):
                return str(self.pick("above", "below"))
            case "reference" if any("identifier" in item.value for item in items):
                return "identifier"
            case "reference" if "Reference" in kinds:
                return str(self.pick("", *(t for t in one.targets if t in TYPES)))
        return ""

    # --- values -------------------------------------------------------------------------------

    def value(self, kind: str, modifier: str, one: Parameter, items: list[Any]) -> str:
        item = self.pick(*items) if items and self.random.random() < 0.92 else None
        match kind:
            case "token" if modifier == "text":
                beside = list(values.beside(item)) if item is not None else []
                return self._typed(self.pick(*(beside or TEXTS)), False)
            case "token" if modifier == "of-type":
                return self._of_type(item)
            case "token":
                return self.token(one.code, item)
            case "reference" if modifier == "identifier":
                return self._known_by(items)
            case "reference":
                return self.reference(one, modifier, item)
            case "date":
                return self.date(item)
            case "number":
                return self.number(item.value if item else self.pick(*AMOUNTS))
            case "quantity":
                return self.quantity(item)
            case "string":
                return self.string(modifier, item)
        return self.uri(modifier, item)

    def token(self, code: str, item: Any) -> str:
        found = [one for one in values.codes(item) if any(one)] if item is not None else []
        system, text = self.pick(*found) if found else self.pick(*CODES)
        if code == "_id":
            return str(text) if found else "obs1"
        if system == "*" or (isinstance(item, Node) and item.kind == "ContactPoint"):
            return escaped(str(text))
        way = self.random.random()
        if text is None or (way < 0.15 and system):
            return f"{escaped(system)}|"
        if way < 0.5:
            return escaped(text)
        return f"{escaped(system or '')}|{escaped(text)}"

    def _of_type(self, item: Any) -> str:
        kind = item.value.get("type", {}) if item is not None else {}
        one = self.pick(*kind.get("coding", [{"system": "urn:t", "code": "MR"}]))
        value = item.value["value"] if item is not None else "1"
        return f"{one['system']}|{one['code']}|{value}"

    def _known_by(self, items: list[Any]) -> str:
        known = [one.value["identifier"] for one in items if "identifier" in one.value]
        one = self.pick(*known) if known else {"system": "urn:id", "value": "1"}
        return str(self.pick(f"{one.get('system', '')}|{one['value']}", one["value"]))

    def reference(self, one: Parameter, only: str, item: Any) -> str:
        if item is not None and item.kind in ("canonical", "uri"):
            return str(self.pick(item.value, item.value.partition("|")[0]))
        here = values.pointer(item) if item is not None else None
        if here is None or (only and here.type != only):
            type = only or self.pick(*(t for t in one.targets if t in TYPES), "Patient")
            return str(self.pick(f"{type}/{type[:3].lower()}1", f"{type[:3].lower()}0"))
        if here.local and here.type in (one.targets or (here.type,)) and self.random.random() < 0.4:
            return here.ref.partition("/")[2]
        return here.ref

    def date(self, item: Any) -> str:
        text = self.pick(*DAYS, *TIMES)
        if item is not None:
            value = item.value
            if isinstance(value, dict):
                value = self.pick(*re.findall(r"\d{4}[-\dT:.Z+]*", str(value)))
            text = self._cut(str(value))
        return f"{self._prefix()}{text}"

    def _cut(self, text: str) -> str:
        """A date at a coarser precision, where that is the same date still."""
        zone = re.search(r"(Z|[+-]\d\d:\d\d)$", text) if "T" in text else None
        whole = text[: zone.start()] if zone else text
        lengths = [n for n in (4, 7, 10, 16, 19, 23) if n <= len(whole)]
        cut = whole[: self.pick(*lengths, len(whole), len(whole))]
        return cut + (zone[1] if zone and "T" in cut else "")

    def _prefix(self) -> str:
        return str(self.pick("", "", "", "", *values.PREFIXES))

    def number(self, value: Any) -> str:
        """The number, or one near it, with more or fewer digits."""
        digits = self.pick(0, 1, 2, 3, 6)
        beside = Fraction(self.pick(0, 0, 0, 5, -5, 6, -6, 10, -10), 10) / 10**digits
        text = f"{float(amounts.exact(value) + beside):.{digits}f}"
        if self.random.random() < 0.2:
            text = str(self.pick(*AMOUNTS))
        return f"{self._prefix()}{text.replace('E+', 'e')}"

    def quantity(self, item: Any) -> str:
        found = amounts.of_value(item.kind, item.value) if item is not None else []
        if not found:
            return self.number(self.pick(*AMOUNTS)) + self.pick("", f"|{UCUM}|mg", "||mg")  # type: ignore[no-any-return]
        one = self.pick(*found)
        system, code = one.get("system"), one.get("code")
        way = self.random.random()
        if way < 0.3:
            return self.number(one["value"])
        if way < 0.5 or not system:
            return f"{self.number(one['value'])}||{code or one.get('unit')}"
        if system == UCUM and code in UNITS and way < 0.8:
            measure, factor = UNITS[code]
            other = self.pick(*(unit for unit, (what, _) in UNITS.items() if what == measure))
            amount = amounts.exact(one["value"]) * factor / UNITS[other][1]
            if 10**-6 <= abs(amount) <= 10**12:
                return f"{self.number(float(amount))}|{system}|{other}"
        return f"{self.number(one['value'])}|{system}|{code}"

    def string(self, modifier: str, item: Any) -> str:
        fields = words.fields(item.kind, item.value) if item is not None else []
        text = self.pick(*fields) if fields else self.pick(*NAMES, *TEXTS)
        if modifier == "exact":
            return escaped(self.pick(text, text, text.upper(), words.fold(text)))
        return self._typed(text, modifier == "contains")

    def _typed(self, text: str, anywhere: bool) -> str:
        """A part of a text, as somebody may type it."""
        if anywhere:
            start = self.random.randrange(len(text))
            text = text[start : start + self.random.randint(1, 8)]
        else:
            starts = [match.start() for match in re.finditer(r"\w+", words.fold(text))]
            plain = words.fold(text)
            start = self.pick(*starts) if starts else 0
            text = self.pick(text, plain[start : start + self.random.randint(1, 12)])
        drawn = self.pick(text, text.upper(), words.fold(text), unicodedata.normalize("NFD", text))
        return escaped(drawn) if words.fold(drawn) else "an"

    def uri(self, modifier: str, item: Any) -> str:
        text = str(item.value) if item is not None else "http://x.vn/a"
        match modifier:
            case "below":
                text = text[: self.random.randint(4, len(text))]
            case "above":
                text = text.partition("|")[0] + self.pick("", "/", "/c", "/c/d")
            case _:
                text = self.pick(text, text, text.partition("|")[0], text[:-1])
        return escaped(text)

    def composite(self, type: str, one: Parameter, about: Record | None) -> str:
        """The values of one element, or of two that need not belong together."""
        from sokhoe.fhir.path import expression
        from tests.contracts.oracle.oracle import WORLD

        elements = expression(one.expression).nodes(about.resource, WORLD) if about else []
        parts = [expression(text) for _, text in one.parts]
        full = [each for each in elements if all(part.nodes(each, WORLD) for part in parts)]
        element = self.pick(*(full or elements)) if elements else None
        pieces: list[str] = []
        for kind, text in one.parts:
            if pieces and full and self.random.random() < 0.3:
                element = self.pick(*full)
            items = expression(text).nodes(element, WORLD) if isinstance(element, Node) else []
            if kind == "token" and items:
                coded = [item for item in items if any(any(c) for c in values.codes(item))]
                code = [c for item in coded for c in values.codes(item) if c[1]]
                system, drawn = self.pick(*code) if code else (None, "718-7")
                known = escaped(system) + "|" if system not in (None, "*") else ""
                pieces.append(self.pick("", known) + escaped(drawn))
            elif kind == "token":
                pieces.append("718-7")
            else:
                drawn = self.value(kind, "", one, items)
                pieces.append(re.sub(r"\|\|.*", "", drawn))  # a unit needs its system there
        return "$".join(pieces)

    # --- the answer ---------------------------------------------------------------------------

    def sort(self, type: str) -> str:
        known = [one.code for one in parameters(type).values() if one.kind in _SORTED]
        if self.focus == "sort":
            known = [one.code for one in parameters(type).values() if one.kind == "string"] or known
        drawn = [self.pick(*known) for _ in range(self.pick(1, 1, 1, 2, 3))]
        return ",".join(self.pick("", "-") + code for code in dict.fromkeys(drawn))

    def includes(self, type: str) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for _ in range(self.pick(1, 1, 2, 3)):
            again = self.pick("", "", ":iterate")
            back = self.random.random() < 0.5
            pool = [
                (source, one)
                for source in TYPES
                for one in parameters(source).values()
                if one.kind == "reference"
                and any(to in TYPES for to in one.targets)
                and (again or (type in one.targets if back else source == type))
            ]
            if self.random.random() < 0.15:
                value = self.pick("*", "*:*" if not back else "*", f"{self.pick(*TYPES)}:*")
            elif pool:
                source, one = self.pick(*pool)
                value = f"{source}:{one.code}"
                if self.random.random() < 0.25 and not (back and not again):
                    value += f":{self.pick(*one.targets)}"
            else:
                continue
            found.append((f"_{'rev' if back else ''}include{again}", value))
        return tuple(found)


def escaped(text: str) -> str:
    return re.sub(r"([\\,|$])", r"\\\1", text)

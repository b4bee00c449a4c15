"""Every record is looked at, every condition tried: what a search must answer.

hl7.org/fhir/R4/search.html. `Shelf` holds the records and what FHIRPath found in them; `Oracle`
answers for one scope: what lies outside it is as if it were not there, for chains as for counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sokhoe.fhir.path import Node, World, expression
from sokhoe.store import EVERYTHING, Scope, Version
from tests.contracts.oracle import amounts, moments, values, words
from tests.contracts.oracle.parameters import Parameter, compartment, every_type, parameters

Pairs = Sequence[tuple[str, str]]


def _stub(reference: str) -> dict[str, Any] | None:
    """What `resolve()` needs to say: of which type a reference's target is."""
    found = values.read_pointer(reference)
    return {"resourceType": found.type} if found and found.type else None


WORLD = World(resolve=_stub)


@dataclass(slots=True)
class Record:
    version: Version
    resource: dict[str, Any]
    found: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return self.version.type

    @property
    def ref(self) -> str:
        return self.version.ref

    def values(self, parameter: Parameter) -> list[Any]:
        """What the parameter's expression finds, without what is only an extension."""
        if parameter.code not in self.found:
            items = expression(parameter.expression).nodes(self.resource, WORLD)
            self.found[parameter.code] = [
                one for one in items if _has_value(one) and _fits(one, parameter.kind)
            ]
        return self.found[parameter.code]


def _has_value(item: Any) -> bool:
    return not isinstance(item, Node) or item.value is not None


def _fits(item: Any, kind: str) -> bool:
    """Immunization.occurrence may be in words, which are no date."""
    return kind != "date" or item.kind in ("date", "dateTime", "instant", "Period", "Timing")


Test = Callable[[Record], bool]


class Shelf:
    """The current records, as commits change them."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def take(self, versions: Iterable[Version]) -> None:
        for version in versions:
            if version.deleted:
                self.records.pop(version.ref, None)
            else:
                self.records[version.ref] = Record(version, version.resource)

    def of_type(self, type: str) -> list[Record]:
        return [one for one in self.records.values() if one.type == type]


class Oracle:
    def __init__(self, shelf: Shelf, scope: Scope = EVERYTHING, now: int = 0) -> None:
        self.scope = scope
        self.now = now
        self.records = {ref: one for ref, one in shelf.records.items() if self._sees(one)}

    def matches(self, type: str, pairs: Pairs) -> list[Record]:
        tests = [self.condition(type, *pair) for pair in pairs]
        mine = [one for one in self.records.values() if one.type == type]
        return [one for one in mine if all(test(one) for test in tests)]

    # --- the scope --------------------------------------------------------------------------

    def _sees(self, one: Record) -> bool:
        scope = self.scope
        if scope.types is not None and one.type not in scope.types:
            return False
        if scope.patients is None or one.type in scope.open:
            return True
        return not scope.patients.isdisjoint(patients(one))

    # --- conditions ---------------------------------------------------------------------------

    def condition(self, type: str, name: str, value: str) -> Test:
        """One `name=value`, each record tried once."""
        test = self._condition(type, name, value)
        known: dict[str, bool] = {}

        def once(one: Record) -> bool:
            if one.ref not in known:
                known[one.ref] = test(one)
            return known[one.ref]

        return once

    def _condition(self, type: str, name: str, value: str) -> Test:
        if name.startswith("_has:"):
            return self._pointed(name, value)
        first, dot, rest = name.partition(".")
        if dot:
            return self._chained(type, first, rest, value)
        if name == "_list":
            return self._listed(value)
        code, _, modifier = name.partition(":")
        parameter = parameters(type)[code]
        if modifier == "missing":
            return lambda one: bool(one.values(parameter)) != (value == "true")
        if (
            modifier == "identifier"
        ):  # who is known by an identifier alone is of no type (the house)
            anybody = parameter.expression.partition(".where(resolve()")[0]
            parameter = replace(parameter, code=anybody, expression=anybody)
        parts = values.split(value, ",")
        if parameter.kind == "composite":
            return _composite(parameter, parts, self.now)
        targets = parameter.targets or every_type()
        tests = [
            values.by_kind(parameter.kind, modifier, part, targets, self.now) for part in parts
        ]
        some: Test = lambda one: any(  # noqa: E731
            test(item) for item in one.values(parameter) for test in tests
        )
        return (lambda one: not some(one)) if modifier == "not" else some

    def _chained(self, type: str, first: str, rest: str, value: str) -> Test:
        """`subject:Patient.name`: something that the reference points at meets the rest."""
        code, _, only = first.partition(":")
        parameter = parameters(type)[code]
        end = rest.partition(".")[0].partition(":")[0]
        tests = {
            target: self.condition(target, rest, value)
            for target in ([only] if only else parameter.targets or every_type())
            if end in parameters(target) or end in ("_has", "_list")
        }
        return lambda one: any(
            other.type in tests and tests[other.type](other)
            for other in self.targets(one, parameter)
        )

    def _pointed(self, name: str, value: str) -> Test:
        """`_has:Observation:patient:code`: something that points here meets the rest."""
        _, source, code, rest = name.split(":", 3)
        test = self.condition(source, rest, value)
        parameter = parameters(source)[code]
        pointing = [one for one in self.records.values() if one.type == source and test(one)]
        pointed = {other.ref for one in pointing for other in self.targets(one, parameter)}
        return lambda one: one.ref in pointed

    def _listed(self, value: str) -> Test:
        item = parameters("List")["item"]
        lists = (self.records.get(f"List/{id}") for id in values.split(value, ","))
        listed = {
            other.ref for one in lists if one is not None for other in self.targets(one, item)
        }
        return lambda one: one.ref in listed

    def targets(self, one: Record, parameter: Parameter) -> list[Record]:
        """The records here that a reference parameter points at."""
        found = (values.pointer(item) for item in one.values(parameter))
        refs = dict.fromkeys(each.ref for each in found if each and each.local)
        return [self.records[ref] for ref in refs if ref in self.records]

    # --- what goes with the matches -----------------------------------------------------------

    def included(self, matches: Sequence[Record], pairs: Pairs) -> set[str]:
        """The references of what `_include` and `_revinclude` add to these matches."""
        wanted = [_Include.read(*pair) for pair in pairs if pair[0].lstrip("_")[:3] in _INCLUDES]
        shown = {one.ref for one in matches}
        added: set[str] = set()
        news = list(matches)
        while news and wanted:
            found = {other.ref: other for each in wanted for other in self._beside(each, news)}
            news = [one for ref, one in found.items() if ref not in shown]
            shown |= {one.ref for one in news}
            added |= {one.ref for one in news}
            wanted = [each for each in wanted if each.again]
        return added

    def _beside(self, include: _Include, news: Sequence[Record]) -> Iterable[Record]:
        if not include.back:
            for one in news:
                yield from self._named(include, one)
            return
        refs = {one.ref for one in news}
        for one in self.records.values():
            if any(other.ref in refs for other in self._named(include, one)):
                yield one

    def _named(self, include: _Include, one: Record) -> Iterable[Record]:
        """What a record points at by the parameter of an include."""
        if include.source in ("*", one.type):
            for code, parameter in parameters(one.type).items():
                if parameter.kind == "reference" and include.code in ("*", code):
                    for other in self.targets(one, parameter):
                        if include.target in ("", other.type):
                            yield other


_INCLUDES = ("inc", "rev")


@dataclass(frozen=True, slots=True)
class _Include:
    back: bool
    again: bool
    source: str
    code: str
    target: str

    @classmethod
    def read(cls, name: str, value: str) -> _Include:
        source, code, target = (*value.split(":"), "", "")[:3]
        kind, _, modifier = name.partition(":")
        return cls(kind == "_revinclude", bool(modifier), source, code or "*", target)


def _composite(parameter: Parameter, parts: Sequence[str], now: int) -> Test:
    """All components in one and the same element."""
    options = [
        [
            (expression(text), values.by_kind(kind, "", piece, every_type(), now))
            for (kind, text), piece in zip(parameter.parts, values.split(part, "$"), strict=True)
        ]
        for part in parts
    ]

    def meets(one: Record) -> bool:
        for element in expression(parameter.expression).nodes(one.resource, WORLD):
            for option in options:
                if all(
                    any(test(item) for item in asked.nodes(element, WORLD) if _has_value(item))
                    for asked, test in option
                ):
                    return True
        return False

    return meets


def patients(one: Record) -> set[str]:
    """The patients in whose compartments a record lies."""
    found = {one.ref} if one.type == "Patient" else set()
    for code in compartment(one.type):
        pointers = (values.pointer(item) for item in one.values(parameters(one.type)[code]))
        found |= {each.ref for each in pointers if each and each.local and each.type == "Patient"}
    return found


def sort_values(one: Record, code: str) -> list[Any]:
    """All that a record could be sorted by; of several, that which comes first counts."""
    if code == "_lastUpdated":
        return [one.version.seq]
    parameter = parameters(one.type)[code]
    found: list[Any] = []
    for item in one.values(parameter):
        match parameter.kind:
            case "date":
                found += [low for low, _ in moments.of_value(item.kind, item.value)]
            case "string":
                found += [words.fold(text)[:64] for text in words.fields(item.kind, item.value)[:1]]
            case "number":
                found.append(float(item.value))
            case "reference":
                here = values.pointer(item)
                found += [here.ref] if here else []
            case "token":
                found += [text for _, text in values.codes(item) if text]
            case "uri":
                found.append(str(item.value))
            case "quantity":
                found += [float(one["value"]) for one in amounts.of_value(item.kind, item.value)]
    return found

"""`$translate`: from a code to those that a ConceptMap says are the same, nearly so, or not.

Rules: hl7.org/fhir/R4/conceptmap-operation-translate.html. Backwards, a map is read from its
targets to its sources, with "wider" and "narrower" changing places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Json = Mapping[str, Any]
MOST_HOPS = 5  # maps that name each other for what they do not map
_NO_MATCH = {"unmatched", "disjoint"}
_BACKWARDS = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A code to translate. `target`: only into this code system; `depends`: what else is known
    (property URI → codes), for targets that hold only then."""

    system: str
    code: str
    version: str = ""
    target: str = ""
    reverse: bool = False
    depends: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    equivalence: str
    system: str
    code: str
    display: str = ""
    version: str = ""
    source: str = ""
    products: tuple[tuple[str, str, str], ...] = ()  # (property, system, code)
    comment: str = ""

    def part(self) -> dict[str, Any]:
        concept = {
            "system": self.system,
            "version": self.version,
            "code": self.code,
            "display": self.display,
        }
        parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": self.equivalence}]
        if self.code:
            kept = {name: value for name, value in concept.items() if value}
            parts.append({"name": "concept", "valueCoding": kept})
        for name, system, code in self.products:
            coding = {"code": code, **({"system": system} if system else {})}
            inner: list[dict[str, Any]] = [{"name": "element", "valueUri": name}]
            inner.append({"name": "concept", "valueCoding": coding})
            parts.append({"name": "product", "part": inner})
        if self.source:
            parts.append({"name": "source", "valueUri": self.source})
        return {"name": "match", "part": parts}


class Map:
    """A ConceptMap with its elements by code, and from the target back."""

    def __init__(self, resource: Json) -> None:
        self.name = str(
            resource.get("url") or resource.get("name") or resource.get("id") or "a map"
        )
        self.source = _end(resource, "source")
        self.target = _end(resource, "target")
        self.groups = [Group(one) for one in resource.get("group", ())]

    def __len__(self) -> int:
        return sum(len(one.elements) for one in self.groups)


class Group:
    """One code system to another. `elements`: (element, target) by the element's code, in order;
    target {} for an element that says it has none."""

    def __init__(self, group: Json) -> None:
        self.source: str = group.get("source", "")
        self.target: str = group.get("target", "")
        self.source_version: str = group.get("sourceVersion", "")
        self.target_version: str = group.get("targetVersion", "")
        self.unmapped: Json = group.get("unmapped", {})
        self.elements: dict[str, list[tuple[Json, Json]]] = {}
        for element in group.get("element", ()):
            pairs = self.elements.setdefault(element.get("code", ""), [])
            pairs += [(element, target) for target in element.get("target", ())] or [(element, {})]

    @cached_property
    def back(self) -> dict[str, list[tuple[Json, Json]]]:
        """The same pairs by the target's code."""
        found: dict[str, list[tuple[Json, Json]]] = {}
        for pairs in self.elements.values():
            for element, target in pairs:
                if "code" in target:
                    found.setdefault(target["code"], []).append((element, target))
        return found


def _end(resource: Json, end: str) -> str:
    """The value set at this end of a map, without version."""
    said = resource.get(f"{end}Canonical") or resource.get(f"{end}Uri") or ""
    return str(said).partition("|")[0]


def translate(
    maps: Sequence[Map], ask: Ask, find: Callable[[str], Map | None]
) -> tuple[bool, str, list[Match]]:
    """(whether there is a translation, a message where there is none, matches best first).

    `find`: the map of a canonical URL, for `unmapped.mode = other-map`.
    """
    found = [match for one in maps for match in _in_map(one, ask, find, MOST_HOPS)]
    matches = list(dict.fromkeys(found))
    matches.sort(key=lambda one: one.equivalence in _NO_MATCH)
    good = any(one.equivalence not in _NO_MATCH for one in matches)
    if good:
        return True, "", matches
    where = f" into {ask.target}" if ask.target else ""
    said = "is said to have none" if matches else "has none"
    names = ", ".join(one.name for one in maps) or "no map is known for its code system"
    message = f"{ask.system}#{ask.code} {said}: no translation{where} ({names})."
    return False, message, matches


def _in_map(one: Map, ask: Ask, find: Callable[[str], Map | None], hops: int) -> Iterator[Match]:
    for group in one.groups:
        source, target = group.source, group.target
        if ask.reverse:
            source, target = target, source
        if source and source != ask.system:
            continue
        if ask.target and target and target != ask.target:
            continue
        found = list(_in_group(one, group, target, ask))
        if found or ask.reverse:
            yield from found
        else:
            yield from _unmapped(one, group, target, ask, find, hops)


def _in_group(one: Map, group: Group, system: str, ask: Ask) -> Iterator[Match]:
    """What the elements say. An element without targets says that there is nothing."""
    pairs = (group.back if ask.reverse else group.elements).get(ask.code, ())
    version = group.source_version if ask.reverse else group.target_version
    for element, target in pairs:
        if not target:
            yield Match("unmatched", system, "", source=one.name)
        elif _holds(target, ask):
            said = str(target.get("equivalence", "relatedto"))
            named = element if ask.reverse else target
            yield Match(
                _BACKWARDS.get(said, said) if ask.reverse else said,
                system,
                named.get("code", ""),
                named.get("display", ""),
                version,
                one.name,
                () if ask.reverse else tuple(_products(target)),
            )


def _holds(target: Json, ask: Ask) -> bool:
    """Whether all that a target depends on was given."""
    given = set(ask.depends)
    return all(
        (one.get("property", ""), one.get("value", "")) in given
        for one in target.get("dependsOn", ())
    )


def _products(target: Json) -> Iterator[tuple[str, str, str]]:
    for one in target.get("product", ()):
        yield one.get("property", ""), one.get("system", ""), one.get("value", "")


def _unmapped(
    one: Map, group: Group, system: str, ask: Ask, find: Callable[[str], Map | None], hops: int
) -> Iterator[Match]:
    """What the map says of codes that it does not name."""
    rule = group.unmapped
    mode = rule.get("mode")
    if mode == "provided":
        yield Match("relatedto", system, ask.code, source=one.name)
    elif mode == "fixed" and rule.get("code"):
        yield Match("relatedto", system, rule["code"], rule.get("display", ""), source=one.name)
    elif mode == "other-map" and hops > 0:
        other = find(str(rule.get("url", "")))
        if other is not None:
            yield from _in_map(other, ask, find, hops - 1)


def answer(good: bool, message: str, matches: Sequence[Match]) -> dict[str, Any]:
    """As the operation answers."""
    found: list[dict[str, Any]] = [{"name": "result", "valueBoolean": good}]
    if message:
        found.append({"name": "message", "valueString": message})
    return {"resourceType": "Parameters", "parameter": found + [one.part() for one in matches]}

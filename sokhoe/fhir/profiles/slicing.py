"""Which slice does an element belong to? By what its discriminators say.

A discriminator names a place below the element (`coding.code`, `$this`, `resolve()`,
`extension('…')`); a slice says there a fixed value or a pattern, a type, that it exists or does
not, or a profile. An element belongs to the first slice of which all that holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sokhoe.fhir.path import Node, World, expression, kinds
from sokhoe.fhir.path.kinds import above
from sokhoe.fhir.profiles.rules import Discriminator, Rule

Conforms = Callable[[Node, str], bool]
_STEP = re.compile(
    r"(?P<call>resolve\(\)|extension\((?P<quote>['\"])(?P<url>.*?)(?P=quote)\)|"
    r"ofType\((?P<type>[A-Za-z]+)\))|(?P<name>\$this|[A-Za-z]+)"
)


class Matcher:
    """Matches elements to slices; `conforms` answers for discriminators by profile."""

    def __init__(self, world: World, conforms: Conforms) -> None:
        self.world = world
        self.conforms = conforms

    def slice_of(self, node: Node, rule: Rule, resource: Node, top: Node) -> str | None:
        """The name of the slice an element belongs to, None if to none."""
        for name, some in rule.slices.items():
            if name != "@default" and self._belongs(node, rule, some, resource, top):
                return name
        return None

    def _belongs(self, node: Node, rule: Rule, some: Rule, resource: Node, top: Node) -> bool:
        found = discriminators(rule)
        if not found:
            return False
        return all(self._fits(node, some, one, resource, top) for one in found)

    def _fits(self, node: Node, rule: Rule, by: Discriminator, resource: Node, top: Node) -> bool:
        path = "" if by.path == "$this" else by.path
        targets, expected = _descend(rule, _steps(path))
        some = [kind for target in targets for kind in target.kinds]
        places = self._places(node, path, resource, top)
        match by.type:
            case "profile":
                wanted = [url for kind in some for url in kind.profiles]
                return any(self.conforms(place, url) for place in places for url in wanted)
            case "type":
                return any(kind.code in above(place.kind) for place in places for kind in some)
            case "exists":
                if any(target.most == 0 for target in targets):
                    return not places
                return bool(places) or not any(target.least for target in targets)
        # value and pattern are one thing since R5, and in what profiles of R4 mean by them
        expected += [test for target in targets for test in _said(target)]
        if expected:
            return all(any(wanted(place) for place in places) for wanted in expected)
        sets = [target.binding.value_set for target in targets if target.binding is not None]
        ask = self.world.member_of
        return ask is not None and any(ask(place.value, one) for place in places for one in sets)

    def _places(self, node: Node, path: str, resource: Node, top: Node) -> list[Node]:
        if not path:
            return [node]
        found = expression(path).nodes(node, self.world, resource=resource, top=top)
        return [one for one in found if isinstance(one, Node)]


def discriminators(rule: Rule) -> tuple[Discriminator, ...]:
    """Those of an element; extensions go by url and choices by type where nothing is said."""
    if rule.discriminators:
        return rule.discriminators
    if rule.name in ("extension", "modifierExtension"):
        return (Discriminator("value", "url"),)
    if rule.slices and all(name.startswith(rule.name) for name in rule.slices):
        return (Discriminator("type", "$this"),)
    return ()


Wanted = Callable[[Node], bool]


def _steps(path: str) -> list[str]:
    """The names in a path; calls are left out, an extension is told by its url."""
    found = []
    for match in _STEP.finditer(path):
        if match["url"] is not None:
            found.append(f"extension:{match['url']}")
        elif match["name"] and match["name"] != "$this":
            found.append(match["name"])
    return found


def _descend(rule: Rule, steps: list[str]) -> tuple[list[Rule], list[Wanted]]:
    """The rules for a place below, and what fixed values and patterns on the way say of it.

    The url of an extension is that of its profile, if it is not fixed.
    """
    tests: list[Wanted] = []
    at, inherited = [rule], list[Any]()
    for step in steps:
        name, _, url = step.partition(":")
        said = [value for one in at for value in (one.fixed, one.pattern) if value is not None]
        inherited = [
            one[name]
            for value in (*inherited, *said)
            for one in (value if isinstance(value, list) else [value])
            if isinstance(one, dict) and name in one
        ]
        if name == "url":
            tests += [_is_url(one) for one in map(_url_of, at) if one]
        at = [found for one in at for found in _children(one, name, url)]
    for value in inherited:
        tests += [_wanted(one) for one in (value if isinstance(value, list) else [value])]
    return at, tests


def _children(rule: Rule, name: str, url: str) -> list[Rule]:
    """The rules for an element by name, those of its slices too; of extensions, the one by url."""
    child = rule.children.get(name)
    if child is None:
        return []
    if url:
        return [one for one in child.slices.values() if _url_of(one) == url]
    return [child, *child.slices.values()]


def _url_of(rule: Rule) -> str:
    """The url that an extension of this rule has; "" if the rule does not say."""
    told = rule.children.get("url")
    if told is not None and isinstance(told.fixed, str):
        return told.fixed
    profiles = [one for kind in rule.kinds if kind.code == "Extension" for one in kind.profiles]
    return profiles[0].partition("|")[0] if profiles else ""


def _is_url(url: str) -> Wanted:
    return lambda node: bool(node.value == url)


def _wanted(pattern: Any) -> Wanted:
    return lambda node: fits_pattern(node.value, pattern)


def _said(target: Rule) -> list[Wanted]:
    """What a rule and those below it say of the value: fixed values and patterns."""
    found: list[Wanted] = []
    if target.fixed is not None:
        found.append(lambda node: same_json(node.value, target.fixed))
    if target.pattern is not None:
        found.append(_wanted(target.pattern))
    for name, child in target.children.items():
        for one in (child, *child.slices.values()):
            for test in _said(one):
                found.append(_below(name, test))
    return found


def _below(name: str, test: Wanted) -> Wanted:
    def below(node: Node) -> bool:
        out: list[Any] = []
        kinds.elements(node, name, kinds.plan(node.kind, name), out)
        return any(test(one) for one in out)

    return below


def same_json(value: Any, wanted: Any) -> bool:
    """Equal as `fixed…` means it: exactly, but 1.0 is not told from 1.00."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(
            same_json(value[key], wanted[key]) for key in wanted
        )
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(same_json, value, wanted))
    if isinstance(value, int | Decimal) and isinstance(wanted, int | Decimal | float):
        return Decimal(value) == Decimal(str(wanted))
    return bool(value == wanted)


def fits_pattern(value: Any, pattern: Any) -> bool:
    """Whether all that the pattern holds is in the value; a list must hold a match for each."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and fits_pattern(value[key], one) for key, one in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(fits_pattern(some, one) for some in value) for one in pattern
        )
    return same_json(value, pattern)

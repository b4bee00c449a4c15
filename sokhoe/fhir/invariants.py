"""What must hold between the elements of a resource: the 239 invariants of R4, as FHIRPath.

They are read and compiled when first needed. On a write only those on contained resources are
checked (decision 14); `$validate` asks them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import definitions
from sokhoe.fhir.definitions import TYPES, Invariant
from sokhoe.fhir.path import Expression, Node, World, expression, kinds, root
from sokhoe.fhir.path.kinds import PRIMITIVES, above
from sokhoe.fhir.path.truth import truth

# Checked with the shape of the resource on every write (contained).
_ON_EVERY_WRITE = {"dom-2", "dom-3", "dom-4", "dom-5", "ref-1"}
_NO_WORLD = World()


def issues(resource: Any, world: World = _NO_WORLD) -> Iterator[Issue]:
    """Every invariant that does not hold, in document order.

    The resource must have the shape of R4. An invariant that answers with nothing holds: nothing is
    known to be wrong.
    """
    start = root(resource)
    for node, own, top in walk(start):
        yield from broken(node, own, top, world)


def walk(start: Node) -> Iterator[tuple[Node, Node, Node]]:
    """All nodes below that are no primitives, each with %resource and %rootResource."""
    waiting: list[tuple[Node, Node, Node]] = [(start, start, start)]
    while waiting:
        node, own, top = waiting.pop()
        yield node, own, top
        below: list[Any] = []
        kinds.children(node, below)
        for child in reversed(below):
            if child.kind in PRIMITIVES and child.twin is None:
                continue
            if child.kind in TYPES:
                waiting.append((child, child, top if child.name == "contained" else child))
            else:
                waiting.append((child, own, top))


def broken(node: Node, own: Node, top: Node, world: World) -> Iterator[Issue]:
    """The invariants of one node that do not hold."""
    for rule, test in _rules(node.kind):
        if rule.key == "dom-6" and node.name == "contained":  # told by the narrative around it
            continue
        places = [node]
        if rule.element:
            places = []
            kinds.elements(node, rule.element, kinds.plan(node.kind, rule.element), places)
        for place in places:
            issue = check(rule, test, place, own, top, world)
            if issue is not None:
                yield issue


def check(
    rule: Invariant, test: Expression, place: Node, own: Node, top: Node, world: World
) -> Issue | None:
    """The issue if one rule does not hold at one place, or cannot be asked."""
    try:
        if truth(test.nodes(place, world, resource=own, top=top)) is not False:
            return None
    except Invalid as error:
        return Issue(
            f"The rule {rule.key} could not be asked: {error.message}",
            place.place,
            "too-costly" if error.code == "too-costly" else "not-supported",
            "warning",
            f"{rule.key}: {rule.expression}",
        )
    return Issue(
        f"{rule.text.rstrip('. ')} ({rule.key}).",
        place.place,
        "invariant",
        rule.severity,
        f"{rule.key}: {rule.expression}",
    )


@cache
def _rules(kind: str) -> tuple[tuple[Invariant, Expression], ...]:
    """The rules of a type and of those above it, compiled."""
    found = []
    for name in above(kind):
        for rule in definitions.invariants(name):
            if rule.key not in _ON_EVERY_WRITE:
                found.append((rule, expression(rule.expression)))
    return tuple(found)

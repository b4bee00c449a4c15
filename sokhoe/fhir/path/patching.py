"""FHIRPath Patch: a Parameters resource that says add, insert, delete, replace or move, and where.

    {"name": "operation", "part": [{"name": "type", "valueCode": "replace"},
                                   {"name": "path", "valueString": "Patient.birthDate"},
                                   {"name": "value", "valueDate": "1930-01-01"}]}

All operations are carried out in order, or none. What becomes empty by a deletion goes with it, as
FHIR knows no empty elements. Whether the result is valid is for those who keep it to say.
hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sokhoe.errors import Invalid
from sokhoe.fhir import definitions
from sokhoe.fhir.path import kinds
from sokhoe.fhir.path.compiling import compiled
from sokhoe.fhir.path.kinds import Way
from sokhoe.fhir.path.parser import Index, Member, This, Tree, parse
from sokhoe.fhir.path.scope import Scope, World
from sokhoe.fhir.path.values import Node

MOST_OPERATIONS = 1_000
DEEPEST_PARTS = 30
_NEEDS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
Json = dict[str, Any]


def patched(resource: Json, parameters: Any) -> Json:
    """The resource after all operations; `resource` itself stays as it was.

    Raises `Invalid`: 400 for what is no FHIRPath Patch, 422 where an operation does not fit the
    resource; the location is `Parameters.parameter[number]`.
    """
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise Invalid(
            "A FHIRPath Patch is a Parameters resource.",
            hint="See hl7.org/fhir/R4/fhirpatch.html.",
            slug="patch",
        )
    operations = parameters.get("parameter", [])
    if not isinstance(operations, list):
        raise Invalid(
            "Parameters.parameter must be a list.", slug="patch", location="Parameters.parameter"
        )
    if len(operations) > MOST_OPERATIONS:
        raise Invalid(
            f"The patch has {len(operations)} operations, more than {MOST_OPERATIONS}.",
            hint="Send the whole resource by PUT instead.",
            slug="too-costly",
            status=413,
            code="too-costly",
        )
    changing = deepcopy(resource)
    for number, operation in enumerate(operations):
        _Operation(changing, f"Parameters.parameter[{number}]", operation).carry_out()
    return changing


class _Operation:
    def __init__(self, resource: Json, at: str, given: Any) -> None:
        self.resource = resource
        self.at = at
        parts = given.get("part") if isinstance(given, dict) else None
        if not isinstance(parts, list) or given.get("name") != "operation":
            raise self._no_patch("Each parameter must be named 'operation' and have parts")
        self.parts: dict[str, Json] = {}
        for part in parts:
            name = part.get("name") if isinstance(part, dict) else None
            if not isinstance(name, str) or name in self.parts:
                raise self._no_patch("Each part must have a name of its own")
            self.parts[name] = part

    def carry_out(self) -> None:
        kind = self._text("type")
        if kind not in _NEEDS:
            raise self._no_patch(f"{kind!r} is no operation; there are {', '.join(_NEEDS)}")
        for name in _NEEDS[kind]:
            if name not in self.parts:
                raise self._no_patch(f"'{kind}' needs the part '{name}'")
        try:
            getattr(self, f"_{kind}")()
        except Invalid as error:
            if error.issues[0].location:
                raise
            raise Invalid(
                error.message, hint=error.hint, slug=error.slug, code=error.code, location=self.at
            ) from None

    def _add(self) -> None:
        node = self._only(self._nodes(parse(self._text("path"))), "path")
        name = self._text("name").removesuffix("[x]")
        way, value, twin = self._value(node.kind, name)
        holder = self._holder(node)
        if not way.many:
            if any(one in holder for one in self._keys(node, name)):
                raise self._misfit(f"{node.place} has '{name}' already; use replace")
            _put(holder, way, value, twin)
            return
        _insert(holder, way, len(_list(holder, way)), value, twin)

    def _insert(self) -> None:
        holder, kind, name = self._listed()
        way, value, twin = self._value(kind, name)
        if not way.many:
            raise self._misfit(f"{name} is no list; use add")
        index = self._number("index", len(_list(holder, way)))
        _insert(holder, way, index, value, twin)

    def _delete(self) -> None:
        nodes = self._nodes(parse(self._text("path")))
        if nodes:
            self._remove(self._only(nodes, "path"))

    def _replace(self) -> None:
        node = self._only(self._nodes(parse(self._text("path"))), "path")
        if node.up is None:
            raise self._misfit("The resource as a whole cannot be replaced by a patch; use PUT")
        way, value, twin = self._value(node.up.kind, node.name)
        holder = self._holder(node.up)
        if node.index >= 0:
            _set(holder, way, node.index, value, twin)
            return
        for key in self._keys(node.up, node.name):
            holder.pop(key, None)
        _put(holder, way, value, twin)

    def _move(self) -> None:
        holder, kind, name = self._listed()
        ways = kinds.plan(kind, name)
        if not ways or not ways[0].many:
            raise self._misfit(f"{name} is no list")
        count = len(_list(holder, ways[0]))
        if not count:
            raise self._misfit(f"There is no {name} to move")
        source = self._number("source", count - 1)
        target = self._number("destination", count - 1)
        for key in (ways[0].key, ways[0].twin):
            if key and isinstance(holder.get(key), list):
                some = _padded(holder, key, count)
                some.insert(target, some.pop(source))

    def _remove(self, node: Node) -> None:
        """Take an element out, and what is empty then."""
        if node.up is None:
            raise self._misfit("The resource as a whole cannot be deleted by a patch")
        holder = self._holder(node.up)
        ways = kinds.plan(node.up.kind, node.name)
        for way in ways:
            for key in (way.key, way.twin):
                if not key or key not in holder:
                    continue
                some = holder[key]
                if node.index < 0 or not isinstance(some, list):
                    del holder[key]
                elif node.index < len(some):
                    del some[node.index]
                    if all(one is None for one in some):
                        del holder[key]
        if not holder and node.up.up is not None:
            self._remove(node.up)

    def _nodes(self, tree: Tree) -> list[Node]:
        start = kinds.root(self.resource)
        found = compiled(tree)(Scope([start], start, start, World()))
        if not all(isinstance(one, Node) for one in found):
            raise self._misfit("The path must lead to elements of the resource")
        return found

    def _only(self, nodes: list[Node], what: str) -> Node:
        if len(nodes) != 1:
            found = "nothing" if not nodes else f"{len(nodes)} elements"
            raise self._misfit(f"The {what} must lead to one element; it leads to {found}")
        return nodes[0]

    def _listed(self) -> tuple[Json, str, str]:
        """(holder, its type, element name) of the list that the path names, empty or not."""
        tree = parse(self._text("path"))
        if isinstance(tree, Index) or not isinstance(tree, Member):
            raise self._misfit("The path must end with the name of a list, without [ ]")
        on = tree.on
        if isinstance(on, This) and tree.name[:1].isupper():
            raise self._misfit("The path must end with the name of a list")
        node = self._only(self._nodes(on), "path before the list")
        return self._holder(node), node.kind, tree.name

    def _holder(self, node: Node) -> Json:
        """The object that holds the children of a node; of a primitive, what lies in `_name`."""
        if isinstance(node.value, dict):
            return node.value
        if isinstance(node.twin, dict):
            return node.twin
        if node.up is None:
            raise self._misfit(f"{node.place} holds no elements")
        above = self._holder(node.up)
        way = next((one for one in kinds.plan(node.up.kind, node.name) if one.key in above), None)
        if way is None or not way.twin:
            raise self._misfit(f"{node.place} can hold no elements")
        made: Json = {}
        if node.index < 0:
            above[way.twin] = made
        else:
            _padded(above, way.twin, len(above[way.key]))[node.index] = made
        node.twin = made
        return made

    def _keys(self, node: Node, name: str) -> list[str]:
        return [key for way in kinds.plan(node.kind, name) for key in (way.key, way.twin) if key]

    def _value(self, kind: str, name: str) -> tuple[Way, Any, Any]:
        """Where the value goes and what it is: the way, the value and its `_value`."""
        return self._of_part(kind, name, self.parts["value"], 0)

    def _of_part(self, kind: str, name: str, part: Json, depth: int) -> tuple[Way, Any, Any]:
        if depth > DEEPEST_PARTS:
            raise self._no_patch(f"Parts are more than {DEEPEST_PARTS} deep")
        given = [key for key in part if key.lstrip("_").startswith("value")]
        key = given[0].lstrip("_") if given else ""
        way = self._way(kind, name, key)
        if given:
            return way, deepcopy(part.get(key)), deepcopy(part.get("_" + key))
        if isinstance(part.get("resource"), dict):
            return way, deepcopy(part["resource"]), None
        parts = part.get("part")
        if not isinstance(parts, list):
            raise self._no_patch(f"The value for '{name}' is missing")
        made: Json = {}
        for one in parts:
            child = one.get("name") if isinstance(one, dict) else None
            if not isinstance(child, str):
                raise self._no_patch("Each part must have a name")
            inner, value, twin = self._of_part(way.kind, child, one, depth + 1)
            if inner.many:
                _insert(made, inner, len(_list(made, inner)), value, twin)
            else:
                _put(made, inner, value, twin)
        return way, made, None

    def _way(self, kind: str, name: str, key: str) -> Way:
        ways = kinds.plan(kind, name)
        if not ways:  # the choice named by its type: valueQuantity, deceasedBoolean
            known = kinds.is_known(kind) and kind not in kinds.PRIMITIVES
            element = definitions.structure(kind).elements.get(name) if known else None
            if element is not None and element.choice:
                ways = tuple(
                    one for one in kinds.plan(kind, element.choice) if one.key == element.name
                )
        if not ways:
            raise self._misfit(f"{kind} has no element '{name}'")
        if len(ways) == 1:
            return ways[0]
        wanted = name + key.removeprefix("value")
        for one in ways:
            if one.key == wanted:
                return one
        raise self._misfit(f"'{name}' of {kind} may not be a {key.removeprefix('value')}")

    def _text(self, name: str) -> str:
        part = self.parts.get(name, {})
        for key in ("valueCode", "valueString", "valueUri"):
            if isinstance(part.get(key), str):
                return str(part[key])
        raise self._no_patch(f"The part '{name}' must be a text (valueString, valueCode)")

    def _number(self, name: str, most: int) -> int:
        part = self.parts.get(name, {})
        for key in ("valueInteger", "valueUnsignedInt", "valuePositiveInt"):
            value = part.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                if 0 <= value <= most:
                    return value
                raise self._misfit(f"{name} is {value}, and must be from 0 to {most}")
        raise self._no_patch(f"The part '{name}' must be a whole number (valueInteger)")

    def _no_patch(self, reason: str) -> Invalid:
        return Invalid(
            f"This is no FHIRPath Patch: {reason}.",
            hint="See hl7.org/fhir/R4/fhirpatch.html.",
            slug="patch",
            location=self.at,
        )

    def _misfit(self, reason: str) -> Invalid:
        return Invalid(
            f"The patch does not fit: {reason}.",
            hint="Read the resource again and send a patch that fits it.",
            slug="patch-misfit",
            status=422,
            code="processing",
            location=self.at,
        )


def _list(holder: Json, way: Way) -> list[Any]:
    """The longer of a list and its twin."""
    some = [holder.get(key) for key in (way.key, way.twin) if key]
    lists: list[list[Any]] = [one for one in some if isinstance(one, list)]
    return max(lists, key=len, default=[])


def _padded(holder: Json, key: str, count: int) -> list[Any]:
    """The list under a key, made if it is not there, filled with null to that length."""
    some = holder.get(key)
    if not isinstance(some, list):
        some = holder[key] = []
    some += [None] * (count - len(some))
    return some


def _insert(holder: Json, way: Way, index: int, value: Any, twin: Any) -> None:
    count = len(_list(holder, way))
    if value is not None or way.key in holder:
        _padded(holder, way.key, count).insert(index, value)
    if way.twin and (twin is not None or way.twin in holder):
        _padded(holder, way.twin, count).insert(index, twin)


def _set(holder: Json, way: Way, index: int, value: Any, twin: Any) -> None:
    count = len(_list(holder, way))
    if value is not None or way.key in holder:
        _padded(holder, way.key, count)[index] = value
    if way.twin and (twin is not None or way.twin in holder):
        some = _padded(holder, way.twin, count)
        some[index] = twin
        if all(one is None for one in some):
            del holder[way.twin]


def _put(holder: Json, way: Way, value: Any, twin: Any) -> None:
    if value is not None:
        holder[way.key] = value
    if way.twin and twin is not None:
        holder[way.twin] = twin

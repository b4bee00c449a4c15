"""Types, and the way from a node to its elements; both read from the table of R4.

`plan("Observation", "value")` says which JSON names may hold an element: for a choice one for each
type. It is asked once for each type and name and kept, so a step costs a look-up.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sokhoe.fhir import definitions
from sokhoe.fhir.definitions import TYPES
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.values import Items, Node, Quantity, TypeInfo

SYSTEM = {"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "Any"}
PRIMITIVES = {
    "boolean", "integer", "string", "decimal", "uri", "url", "canonical", "base64Binary", "instant",
    "date", "dateTime", "time", "code", "oid", "id", "markdown", "unsignedInt", "positiveInt",
    "uuid", "xhtml",
}  # fmt: skip
_ABOVE = {
    "code": "string", "id": "string", "markdown": "string",
    "url": "uri", "canonical": "uri", "oid": "uri", "uuid": "uri",
    "unsignedInt": "integer", "positiveInt": "integer",
    "Age": "Quantity", "Count": "Quantity", "Distance": "Quantity", "Duration": "Quantity",
    "SimpleQuantity": "Quantity", "MoneyQuantity": "Quantity",
    "Bundle": "Resource", "Binary": "Resource", "Parameters": "Resource",
    "DomainResource": "Resource", "BackboneElement": "Element", "Timing": "BackboneElement",
    "Dosage": "BackboneElement", "Resource": "", "Element": "",
}  # fmt: skip


class Way(NamedTuple):
    """One JSON name that holds an element: `twin` is its `_name`, empty if there can be none."""

    key: str
    twin: str
    kind: str
    many: bool


Plan = tuple[Way, ...]


@lru_cache(maxsize=20_000)
def plan(kind: str, name: str) -> Plan:
    """The ways from a node of that type to an element; none if the type has no such element."""
    structure = _structure(kind)
    if structure is None:
        return ()
    found = [one for one in (structure.elements.get(name),) if one is not None and not one.choice]
    if name in structure.choices:
        found = [structure.elements[one] for one in structure.choices[name]]
    return tuple(map(_way, found))


@cache
def children_plan(kind: str) -> dict[str, tuple[str, Plan]]:
    """JSON name to (element name, its way), for all elements of a type."""
    structure = _structure(kind)
    if structure is None:
        return {}
    found: dict[str, tuple[str, Plan]] = {}
    for one in structure.elements.values():
        ways = (_way(one),)
        found[one.name] = (one.choice or one.name, ways)
    return found


def _way(element: definitions.Element) -> Way:
    kind = element.type.lstrip("@")
    return Way(element.name, "_" + element.name if element.twin else "", kind, element.many)


@cache
def _structure(kind: str) -> definitions.Structure | None:
    try:
        return definitions.structure("Element" if kind in PRIMITIVES else kind)
    except KeyError:
        return None


def root(resource: Any) -> Node:
    """The node of a whole resource, or of any JSON, whose types are then guessed."""
    if isinstance(resource, dict):
        kind = resource.get("resourceType")
        if isinstance(kind, str):
            return Node(resource, kind, None, None, kind)
    return Node(resource, guessed(resource))


def guessed(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case Decimal() | float():
            return "decimal"
        case str():
            return "string"
    return ""


def elements(item: Node, name: str, ways: Plan, out: Items) -> None:
    """Append the nodes of one element to `out`."""
    value = item.value
    if value.__class__ is not dict:
        value = item.twin
        if value.__class__ is not dict:
            return
    for key, twin_key, kind, many in ways:
        found = value.get(key)
        twin = value.get(twin_key) if twin_key else None
        if found is None and twin is None:
            continue
        if many or found.__class__ is list:
            _each(item, name, kind, found, twin, out)
        else:
            if kind == "Resource" and isinstance(found, dict):
                kind = str(found.get("resourceType", ""))
            out.append(Node(found, kind, twin, item, name))


def _each(item: Node, name: str, kind: str, found: Any, twin: Any, out: Items) -> None:
    values = found if isinstance(found, list | tuple) else [] if found is None else [found]
    twins = twin if isinstance(twin, list | tuple) else ()
    for index, one in enumerate(values):
        beside = twins[index] if index < len(twins) else None
        if one is None and beside is None:
            continue
        own = kind
        if kind == "Resource" and isinstance(one, dict):
            own = str(one.get("resourceType", ""))
        out.append(Node(one, own, beside, item, name, index))
    for index in range(len(values), len(twins)):
        if twins[index] is not None:
            out.append(Node(None, kind, twins[index], item, name, index))


def untyped(item: Node, name: str, out: Items) -> None:
    """The elements of a node whose type R4 does not know (a ViewDefinition, a CDS card …)."""
    value = item.value
    if value.__class__ is not dict:
        return
    found = value.get(name)
    if found is None:
        for key, one in value.items():  # a choice, if it looks like one
            if key.startswith(name) and key[len(name) :][:1].isupper():
                rest = key[len(name) :]
                kind = rest[0].lower() + rest[1:]
                out.append(Node(one, kind if kind in PRIMITIVES else rest, None, item, name))
        return
    if isinstance(found, list | tuple):
        for index, one in enumerate(found):
            out.append(Node(one, _kind_of(one), None, item, name, index))
    else:
        out.append(Node(found, _kind_of(found), None, item, name))


def _kind_of(value: Any) -> str:
    if isinstance(value, dict):
        kind = value.get("resourceType")
        return kind if isinstance(kind, str) else ""
    return guessed(value)


def is_known(kind: str) -> bool:
    return _structure(kind) is not None


def children(item: Node, out: Items) -> None:
    """All child nodes, in the order in which they are written."""
    value = item.value if item.value.__class__ is dict else item.twin
    if value.__class__ is not dict:
        return
    ways = children_plan(item.kind)
    for key in value:
        found = ways.get(key)
        if found is not None:
            elements(item, found[0], found[1], out)
        elif key[:1] == "_" and key[1:] in ways and key[1:] not in value:
            elements(item, *ways[key[1:]], out)
        elif not ways and key != "resourceType":
            untyped(item, key, out)


@cache
def above(kind: str) -> tuple[str, ...]:
    """A FHIR type and its ancestors: code, string, Element."""
    found = [kind]
    while kind:
        if kind in _ABOVE:
            kind = _ABOVE[kind]
        elif kind in TYPES:
            kind = "DomainResource"
        elif "." in kind:
            kind = "BackboneElement"
        else:
            kind = "Element"
        if kind:
            found.append(kind)
    return tuple(found)


class Type(NamedTuple):
    """A type as an expression names it; the namespace is "" where it is left out."""

    namespace: str
    name: str


@cache
def type_named(text: str) -> Type:
    """`Patient`, `FHIR.Patient`, `System.String`; `Invalid` if there is no such type."""
    namespace, _, name = text.rpartition(".")
    namespace = namespace.strip("`")
    fhir = name in PRIMITIVES or name in _ABOVE or is_known(name)
    if namespace == "System":
        known = True  # `Patient.is(System.Patient)` is asked, and is false
    elif namespace == "FHIR":
        known = fhir
    else:
        known = not namespace and (fhir or name in SYSTEM)
    if not known:
        raise wrong(f"there is no type '{text}'")
    return Type(namespace, name)


def type_of(item: Any) -> TypeInfo:
    match item:
        case Node():
            return TypeInfo("FHIR", "BackboneElement" if "." in item.kind else item.kind)
        case TypeInfo():
            return TypeInfo("System", "TypeInfo")
    return TypeInfo("System", _system_name(item))


def _system_name(item: Any) -> str:
    match item:
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case Decimal():
            return "Decimal"
        case Moment():
            return item.kind
        case Quantity():
            return "Quantity"
    return "String"


def is_a(item: Any, wanted: Type, *, exactly: bool = False) -> bool:
    """Whether an item is of a type or one below it; `exactly` leaves out types below a primitive
    (a `code` is a string, but `ofType(string)` does not give it)."""
    if type(item) is Node:
        if wanted.namespace == "System":
            return False
        if exactly and item.kind in PRIMITIVES:
            return item.kind == wanted.name
        return wanted.name in above(item.kind)
    return wanted.namespace != "FHIR" and wanted.name in (_system_name(item), "Any")

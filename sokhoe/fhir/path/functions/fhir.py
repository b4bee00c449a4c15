"""What FHIR adds to FHIRPath (hl7.org/fhir/R4/fhirpath.html): extensions, references, profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sokhoe.fhir.definitions import TYPES
from sokhoe.fhir.path import kinds
from sokhoe.fhir.path.functions.shape import Function, Lambda, text
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import Scope
from sokhoe.fhir.path.values import Items, Node, system
from sokhoe.fhir.path.xhtml import is_narrative

BASE = "http://hl7.org/fhir/StructureDefinition/"
Run = Callable[[Scope], Items]


def _extension(scope: Scope, items: Items, url: Items) -> Items:
    wanted = text(url, "extension()")
    out: Items = []
    for item in items:
        if type(item) is Node:
            found: Items = []
            kinds.elements(item, "extension", kinds.plan(item.kind, "extension"), found)
            out += [one for one in found if _url(one) == wanted]
    return out


def _url(extension: Node) -> Any:
    return extension.value.get("url") if isinstance(extension.value, dict) else None


def _resolve(scope: Scope, items: Items) -> Items:
    out: Items = []
    scope.spend(len(items))
    for item in items:
        reference = item.value if type(item) is Node else item
        if isinstance(reference, dict):
            reference = reference.get("reference")
        if isinstance(reference, str):
            found = _target(scope, item, reference)
            if found is not None:
                out.append(found)
    return out


def _target(scope: Scope, item: Any, reference: str) -> Node | None:
    """The node of a reference: contained in the same resource, in the same Bundle, or elsewhere."""
    holder = _container(item) or scope.resource
    if reference.startswith("#"):
        if holder is None or not isinstance(holder.value, dict):
            return None
        if reference == "#":
            return holder
        for one in _nodes(holder, "contained"):
            if isinstance(one.value, dict) and one.value.get("id") == reference[1:]:
                return one
        return None
    top = scope.top
    if top is not None and top.kind == "Bundle":
        for entry in _nodes(top, "entry"):
            for resource in _nodes(entry, "resource"):
                if not isinstance(resource.value, dict):
                    continue
                local = f"{resource.kind}/{resource.value.get('id')}"
                if reference in (entry.value.get("fullUrl"), local):
                    return resource
    if scope.world.resolve is None:
        return None
    found = scope.world.resolve(reference)
    return None if found is None else kinds.root(found)


def _nodes(item: Node, name: str) -> list[Node]:
    out: Items = []
    kinds.elements(item, name, kinds.plan(item.kind, name), out)
    return out


def _container(item: Any) -> Node | None:
    """The resource an item stands in: for one that is contained, the resource around it."""
    node = item if type(item) is Node else None
    while node is not None:
        if (node.kind in TYPES or "resourceType" in _keys(node)) and node.name != "contained":
            return node
        node = node.up
    return None


def _keys(node: Node) -> Any:
    return node.value if isinstance(node.value, dict) else ()


def _member_of(scope: Scope, items: Items, value_set: Items) -> Items:
    canonical = text(value_set, "memberOf()")
    if not items or canonical is None:
        return []
    if scope.world.member_of is None:
        raise wrong("memberOf() needs value sets, and none are at hand here", code="not-supported")
    if len(items) > 1:
        raise wrong(f"memberOf() needs one value, found {len(items)}")
    item = items[0]
    answer = scope.world.member_of(item.value if type(item) is Node else item, canonical)
    return [] if answer is None else [answer]


def _conforms_to(scope: Scope, items: Items, profile: Items) -> Items:
    canonical = text(profile, "conformsTo()")
    if not items or canonical is None:
        return []
    if len(items) > 1:
        raise wrong(f"conformsTo() needs one value, found {len(items)}")
    item = items[0]
    name = canonical.removeprefix(BASE)
    if name != canonical and (name in TYPES or name in ("Resource", "DomainResource")):
        return [type(item) is Node and name in kinds.above(item.kind)]
    if scope.world.conforms_to is None or type(item) is not Node:
        raise wrong(f"the profile {canonical} is not known here")
    return [scope.world.conforms_to(item.value, canonical)]


def _html_checks(scope: Scope, items: Items) -> Items:
    if not items:
        return []
    value = system(items[0])
    if type(value) is Node:  # asked on the Narrative instead of its div
        value = value.value.get("div") if isinstance(value.value, dict) else None
    return [isinstance(value, str) and is_narrative(value)]


def _not_here(name: str) -> Callable[..., Items]:
    def not_here(scope: Scope, items: Items, *arguments: Items) -> Items:
        raise wrong(f"{name}() is not supported by this server", code="not-supported")

    return not_here


FUNCTIONS = {
    "extension": Function(_extension, 1, 1),
    "resolve": Function(_resolve),
    "memberOf": Function(_member_of, 1, 1),
    "conformsTo": Function(_conforms_to, 1, 1),
    "htmlChecks": Function(_html_checks, 0, 1),
    **{
        name: Function(_not_here(name), 0, 2)
        for name in ("elementDefinition", "slice", "checkModifiers", "subsumes", "subsumedBy")
    },
}
LAMBDAS: dict[str, Lambda] = {}

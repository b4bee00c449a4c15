"""Validation as it is meant: one walk over a resource beside the table, naming every problem.

This is the plain one of two; `quick` says yes faster and leaves every no to this one. Locations are
FHIRPath in the subset that OperationOutcome.expression allows: element names (a choice without its
type) and indexes, `Observation.value.unit`, `Patient.name[0].given[1]`.

Not checked here: invariants (but those on contained resources), profiles, bindings that are not
required, whether a target exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

from sokhoe.errors import Issue
from sokhoe.fhir import contained, definitions
from sokhoe.fhir.definitions import MEDIA_TYPES, TYPES, UCUM_UNITS, Element, Structure
from sokhoe.fhir.primitives import ID, MEDIA_TYPE, PRIMITIVES

Issues = Iterator[Issue]

_local = re.compile(rf"{ID.pattern}(?:/_history/{ID.pattern})?").fullmatch
_elsewhere = re.compile(r"#|[A-Za-z][A-Za-z0-9+.-]*:").match


def issues_of(resource: Any, limit: int | None = None) -> list[Issue]:
    """Every problem of a resource in document order, at most `limit` of them; empty if valid."""
    try:
        return list(islice(_resource(resource, ""), limit))
    except RecursionError:
        return [Issue("The resource is nested too deeply. Send it flatter.", code="too-costly")]


def fits_target(reference: str, targets: frozenset[str]) -> bool:
    """Whether `Reference.reference` may stand where resources of `targets` are meant.

    `Type/id` (also with `/_history/version`) and a search (`Patient?identifier=…`, allowed in
    transactions) are checked by type; `#contained`, `urn:…` and absolute addresses are let through.
    """
    kind, slash, rest = reference.partition("/")
    if slash and kind in targets:
        return _local(rest) is not None
    if _elsewhere(reference):
        return True
    kind, mark, _ = reference.partition("?")
    return bool(mark) and kind in targets


def has_coding(concept: dict[str, Any], allowed: frozenset[tuple[str, str]]) -> bool:
    """Whether one of the codings is from a required value set, or an extension says why not."""
    codings = concept.get("coding")
    if not isinstance(codings, list | tuple):
        return "extension" in concept
    return any(
        (one["system"], one["code"]) in allowed
        for one in codings
        if isinstance(one, dict)
        and isinstance(one.get("system"), str)
        and isinstance(one.get("code"), str)
    )


def has_unit(concept: dict[str, Any]) -> bool:
    """Whether one of the codings is a UCUM unit, as far as its form says."""
    codings = concept.get("coding")
    if not isinstance(codings, list | tuple):
        return "extension" in concept
    return any(
        isinstance(one, dict)
        and one.get("system") == "http://unitsofmeasure.org"
        and isinstance(one.get("code"), str)
        and not any(map(str.isspace, one["code"]))
        for one in codings
    )


def nearest(word: str, known: Any) -> str:
    """ " Did you mean …?" for a misspelt name, or nothing."""
    lower = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), lower, n=1)
    return f" Did you mean '{lower[close[0]]}'?" if close else ""


def _resource(value: Any, path: str, *, inside: bool = False) -> Issues:
    """`inside` is a contained resource: the one around it answers for both."""
    if not isinstance(value, dict):
        yield _wrong_kind(value, "a resource, that is an object with resourceType", path)
        return
    kind = value.get("resourceType")
    if kind is None:
        yield Issue(
            "The resource does not say what it is. Add resourceType, for instance 'Patient'.",
            path or "resourceType",
            "required",
        )
    elif not isinstance(kind, str) or kind not in TYPES:
        yield Issue(
            f"'{_short(kind)}' is not a resource type of R4.{nearest(str(kind), TYPES)}",
            path or "resourceType",
            "structure",
        )
    else:
        own = {key: one for key, one in value.items() if key != "resourceType"}
        yield from _members(own, definitions.structure(kind), path or kind)
        if not inside:
            yield from contained.issues(value, path or kind)


def _object(value: Any, structure: Structure, path: str) -> Issues:
    if not isinstance(value, dict):
        yield _wrong_kind(value, "an object { }", path)
    elif not value:
        yield Issue("The object is empty. Leave it out or fill it.", path, "structure")
    else:
        yield from _members(value, structure, path)


def _members(value: dict[str, Any], structure: Structure, path: str) -> Issues:
    present: set[str] = set()
    for key, member in value.items():
        element = structure.elements.get(key)
        if element is not None:
            present.add(key)
            if element.primitive and element.many and member is not None:
                yield from _primitives(member, value.get("_" + key), element, path)
            else:
                yield from _repeated(member, element, path)
            continue
        element = structure.elements.get(key[1:]) if isinstance(key, str) else None
        if element is None or key[0] != "_" or not element.twin:
            close = nearest(str(key), structure.elements)
            yield Issue(
                f"{structure.name} has no element '{_short(key)}'.{close}",
                f"{path}.{_short(key)}",
                "structure",
            )
        elif element.many:
            if member is None:
                yield _no_list(None, element, _at(path, element))
            elif element.name not in value:
                yield from _primitives(None, member, element, path)
            present |= {element.name} if _has_extension(member) else set()
        else:
            yield from _twin(member, _at(path, element))
            present |= {element.name} if _has_extension(member) or element.choice else set()
    yield from _missing(present, structure, path)


def _missing(present: set[str], structure: Structure, path: str) -> Issues:
    """Required elements, and at most one type for each choice."""
    for element in structure.elements.values():
        if element.min and not element.choice and element.name not in present:
            yield Issue(
                f"{structure.name} must have '{element.name}'. Add it.",
                f"{path}.{element.name}",
                "required",
            )
    for stem, names in structure.choices.items():
        used = [name for name in names if name in present]
        if len(used) > 1:
            yield Issue(
                f"Only one of {', '.join(used)} may be given. Keep one.",
                f"{path}.{stem}",
                "structure",
            )
        elif not used and structure.elements[names[0]].min:
            yield Issue(
                f"{structure.name} must have one of {_listed(names)}. Add one.",
                f"{path}.{stem}",
                "required",
            )


def _repeated(value: Any, element: Element, path: str) -> Issues:
    """A single value, or a list of them; lists of primitives are in `_primitives`."""
    at = _at(path, element)
    if not element.many:
        if isinstance(value, list | tuple):
            yield Issue(
                f"'{element.name}' holds one value, not a list. Remove the brackets [ ].",
                at,
                "structure",
            )
        else:
            yield from _one(value, element, at)
    elif not isinstance(value, list | tuple):
        yield _no_list(value, element, at)
    elif not value:
        yield _empty_list(at)
    else:
        for index, one in enumerate(value):
            yield from _one(one, element, f"{at}[{index}]")


def _primitives(values: Any, twins: Any, element: Element, path: str) -> Issues:
    """A list of primitives and its twin `_name`: null on one side needs a value on the other."""
    at = _at(path, element)
    for side in (values, twins):
        if side is None:
            continue
        if not isinstance(side, list | tuple):
            yield _no_list(side, element, at)
            return
        if not side:
            yield _empty_list(at)
            return
    count = len(values if values is not None else twins)
    if values is not None and twins is not None and len(twins) != count:
        yield Issue(
            f"'{element.name}' has {count} entries and '_{element.name}' has {len(twins)}. "
            "Fill the shorter list with null.",
            at,
            "structure",
        )
        return
    for index in range(count):
        value = None if values is None else values[index]
        twin = None if twins is None else twins[index]
        if value is None and twin is None:
            yield Issue(
                "null stands for nothing here. Leave the entry out.", f"{at}[{index}]", "structure"
            )
        if value is not None:
            yield from _one(value, element, f"{at}[{index}]")
        if twin is not None:
            yield from _twin(twin, f"{at}[{index}]")


def _twin(value: Any, path: str) -> Issues:
    yield from _object(value, definitions.structure("Element"), path)


def _one(value: Any, element: Element, path: str) -> Issues:
    if element.primitive:
        yield from _primitive(value, element, path)
    elif element.type == "Resource":
        yield from _resource(value, path, inside=element.name == "contained")
    else:
        yield from _object(value, definitions.structure(element.type), path)
        if not isinstance(value, dict) or not value:
            return
        if element.type == "Reference":
            yield from _target(value.get("reference"), element, path)
        elif element.codes == UCUM_UNITS and not has_unit(value):
            yield Issue(
                "One coding must be a UCUM unit: system http://unitsofmeasure.org and its code.",
                path,
                "code-invalid",
            )
        elif element.codes >= 0 and not has_coding(value, definitions.codings(element.codes)):
            allowed = sorted("|".join(pair) for pair in definitions.codings(element.codes))
            yield Issue(
                f"One coding must be from the required list: {_listed(allowed)}.",
                path,
                "code-invalid",
            )


def _primitive(value: Any, element: Element, path: str) -> Issues:
    primitive = PRIMITIVES[element.type]
    if not primitive.check(value):
        yield _wrong_kind(value, primitive.wish, path)
    elif element.codes == MEDIA_TYPES and not MEDIA_TYPE.fullmatch(value):
        yield Issue(
            f"'{_short(value)}' is no media type. Write type/subtype, such as application/pdf.",
            path,
            "code-invalid",
        )
    elif element.codes >= 0 and value not in definitions.codes(element.codes):
        allowed = definitions.codes(element.codes)
        yield Issue(
            f"'{_short(value)}' is not one of the codes allowed here: {_listed(allowed)}."
            + nearest(value, allowed),
            path,
            "code-invalid",
        )


def _target(reference: Any, element: Element, path: str) -> Issues:
    targets = definitions.targets(element.targets)
    if not isinstance(reference, str) or not reference or fits_target(reference, targets):
        return
    kind = re.split(r"[/?]", reference, maxsplit=1)[0]
    if kind in targets or not kind.isalpha() or kind == reference:
        yield Issue(
            f"'{_short(reference)}' is no reference. Write Type/id, #id of a contained resource, "
            "urn:uuid:… or a full address.",
            f"{path}.reference",
            "value",
        )
    elif kind in TYPES:
        yield Issue(
            f"A reference to {kind} is not allowed here, only to {_listed(sorted(targets))}.",
            f"{path}.reference",
            "value",
        )
    else:
        yield Issue(
            f"'{_short(kind)}' is not a resource type of R4.{nearest(kind, targets)}",
            f"{path}.reference",
            "value",
        )


def _at(path: str, element: Element) -> str:
    return f"{path}.{element.choice or element.name}"


def _has_extension(twin: Any) -> bool:
    if isinstance(twin, list | tuple):
        return any(map(_has_extension, twin))
    return isinstance(twin, dict) and "extension" in twin


def _no_list(value: Any, element: Element, path: str) -> Issue:
    return Issue(
        f"'{element.name}' is a list, found {_kind(value)}. Put the value in brackets [ ].",
        path,
        "structure",
    )


def _empty_list(path: str) -> Issue:
    return Issue("The list is empty. Leave it out or fill it.", path, "structure")


def _wrong_kind(value: Any, wish: str, path: str) -> Issue:
    if isinstance(value, float):
        wish += "; in Python a Decimal, since a float has lost its written digits"
    code = "value" if isinstance(value, str) and value else "structure"
    return Issue(f"Expected {wish}, found {_kind(value)}.", path, code)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null (leave the element out instead)"
        case bool():
            return "true" if value else "false"
        case "":
            return "an empty text (leave the element out instead)"
        case str():
            return f"'{_short(value)}'"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return _short(value)


def _short(value: Any) -> str:
    """A value for a sentence: not long, and nothing in it that a terminal would obey."""
    text = str(value)[:61]
    text = text if len(text) <= 60 else text[:57] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")

"""The fast yes: a resource is poured into a msgspec struct made from the table, in C.

    resource (dict) ──encode──▶ bytes ── holds {} or an odd escape? ──▶ no verdict
         └──convert──▶ F_Patient ─ name: list[F_HumanName]             wrong shape ──▶ no verdict
                          │        gender: Literal["male", …]
                          │        birthDate: <_Place> ──hook──▶ the pattern of a date
                          │        extension: list[<_Place>] ──hook──▶ _loop over its members
                          │        contained: list[<_Place>] ──hook──▶ the struct of its own type
                          └ __post_init__: one type per choice

A yes is always right. A no means only "not seen as valid here": `plain` decides and names the
places. Rare things are left to it on purpose, which keeps the structs small: a required primitive
replaced by `_status`, `_value…` beside a choice, lists of primitives with null and `_given`.

Structs are made when a type is first met, so memory grows only with the types in use (1 MB for
16 types). A hook costs 0.1 us; `Meta(pattern=…)` of msgspec would cost 0.8.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter
from threading import RLock
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta

from sokhoe.fhir import contained, definitions, plain
from sokhoe.fhir.definitions import MEDIA_TYPES, UCUM_UNITS, Element, Structure
from sokhoe.fhir.primitives import LARGEST_INT, LONGEST_STRING, MEDIA_TYPE, PRIMITIVES

# With so many types for one choice (Extension.value[x] has 50) a struct would be mostly holes.
_WIDE_CHOICE = 15
# Codes and systems come again and again; what was found right once is remembered, within bounds.
_REMEMBERED, _LONGEST_REMEMBERED = 4096, 100

Check = Callable[[Any], Any]  # true if the value is right; else false, or raises

_encode = msgspec.json.Encoder(decimal_format="number").encode


class _Place:
    """The type of a field where a function decides; its one instance stands for "checked"."""

    check: Check
    token: _Place


@cache
def _place(name: str, check: Check) -> type[_Place]:
    kind = cast(type[_Place], type(name, (_Place,), {"check": staticmethod(check)}))
    kind.token = kind()
    return kind


def _hook(kind: type[_Place], value: Any) -> _Place:
    if kind.check(value):
        return kind.token
    raise ValueError


def is_valid(resource: Any) -> bool:
    """True if the resource is valid; False if this fast look cannot say so."""
    try:
        written = _encode(resource)
        # Below 32 only \t \n \r are allowed; the encoder writes all others as escapes.
        if b"{}" in written or (
            b"\\" in written and (b"\\u00" in written or b"\\b" in written or b"\\f" in written)
        ):
            return False
        if contained.needs_look(written) and not (
            contained.is_plainly_well(resource, written) or _contains_well(resource)
        ):
            return False
        return _fits_own_type(resource)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _contains_well(resource: Any) -> bool:
    """Whether the rules for contained resources hold, in each entry of a Bundle as well."""
    for _ in contained.issues(resource, ""):
        return False
    if resource["resourceType"] not in ("Bundle", "Parameters"):
        return True
    inner = _resources_of(resource)
    return all(map(_contains_well, inner))


def _resources_of(value: Any) -> Iterator[dict[str, Any]]:
    """The resources directly inside a Bundle or Parameters, wherever they are."""
    if isinstance(value, dict):
        for key, member in value.items():
            if isinstance(member, dict) and "resourceType" in member:
                yield member
            elif key != "contained":
                yield from _resources_of(member)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _resources_of(one)


def _fits_own_type(resource: dict[str, Any]) -> bool:
    kind = resource["resourceType"]
    _pour(resource, _ready.get(kind) or _made_ready(kind))
    return True


def _pour(value: Any, struct: Any) -> None:
    """Raise unless `value` fits."""
    msgspec.convert(value, struct, strict=True, dec_hook=_hook)


_structs: dict[str, Any] = {}
_ready: dict[str, Any] = {}
_lock = RLock()
_in_making: set[str] = set()


def _struct(name: str, targets: int = -1) -> Any:
    """The struct of a structure; for Reference one per list of targets. KeyError if there is none.

    Only those of resource types have the field resourceType, so no other passes for a resource.
    """
    key = name if name != "Reference" else f"Reference {targets}"
    with _lock:
        if key not in _structs:
            _in_making.add(name)
            try:
                _structs[key] = _make(definitions.structure(name), targets)
            finally:
                _in_making.discard(name)
        return _structs[key]


def _made_ready(name: str, targets: int = -1) -> Any:
    """A struct that any thread may pour into.

    msgspec works out what a struct holds at its first use, and hangs the half-made result on the
    class before it has finished: a second thread that pours into the same class meanwhile reads
    memory that is not filled yet, and the process dies (seen with msgspec 0.22). So the
    first use is made here, by one thread at a time, and only then do others get the struct.
    """
    key = f"{name} {targets}" if targets >= 0 else name
    with _lock:
        if key not in _ready:
            struct = _struct(name, targets)
            with contextlib.suppress(msgspec.ValidationError):
                _pour({}, struct)
            _ready[key] = struct
        return _ready[key]


def _make(structure: Structure, targets: int) -> Any:
    """Fields are numbered, as JSON names may be Python keywords (`class`, `import`)."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    names: dict[str, str] = {}

    def add(name: str, kind: Any, required: bool) -> str:
        field = f"f{len(names)}"
        names[field] = name
        fields.append((field, kind) if required else (field, kind, UNSET))
        return field

    if structure.name in definitions.TYPES:
        add("resourceType", Literal[structure.name], True)
    choices: dict[str, list[str]] = {}
    for element in structure.elements.values():
        kind = _kind(element, structure, targets)
        if element.many:
            kind = Annotated[list[kind], Meta(min_length=1)]  # type: ignore[valid-type]
        field = add(element.name, kind, bool(element.min) and not element.choice)
        if element.choice:
            choices.setdefault(element.choice, []).append(field)
        elif element.twin and not element.many:
            add("_" + element.name, _struct("Element"), False)
    rules = [
        (attrgetter(*some), len(some) - 1, bool(structure.elements[names[some[0]]].min))
        for some in choices.values()
        if len(some) > 1
    ]
    return msgspec.defstruct(
        "F_" + structure.name.replace(".", "_"),
        fields,
        rename=names,
        kw_only=True,
        gc=False,
        forbid_unknown_fields=True,
        namespace={"__post_init__": _one_each(rules)} if rules else {},
    )


def _one_each(rules: list[tuple[Any, int, bool]]) -> Callable[[Any], None]:
    """At most one type for each choice, exactly one where it is required."""

    def one_each(self: Any) -> None:
        for get, spare, required in rules:
            unset = get(self).count(UNSET)
            if unset < spare or (required and unset > spare):
                raise ValueError

    return one_each


def _kind(element: Element, structure: Structure, targets: int) -> Any:
    """The type of one value of an element, as a field of a struct."""
    if element.primitive:
        if structure.name == "Reference" and element.name == "reference":
            return _place("reference", _target(targets))
        if element.codes >= 0:
            return _literal(element.codes)
        if element.codes == MEDIA_TYPES:
            return _place("media type", _CHECKS["media type"])
        return _PRIMITIVES.get(element.type) or _place(element.type, _CHECKS[element.type])
    if element.type == "Resource" or element.codes >= 0 or element.codes == UCUM_UNITS:
        return _place(element.type, _check(element))
    if element.type in _in_making or _is_wide(element.type):  # the former: it is within itself
        return _place(element.type, _check(element))
    return _struct(element.type, element.targets)


def _check(element: Element) -> Check:
    """The same as a function, for where no struct can be."""
    if element.type == "Resource":
        return _fits_own_type
    if element.primitive:
        if element.codes == MEDIA_TYPES:
            return _CHECKS["media type"]
        if element.codes < 0:
            return _CHECKS[element.type]
        return frozenset(definitions.codes(element.codes)).__contains__
    if element.codes >= 0:
        return _concept(element.codes)
    if element.codes == UCUM_UNITS:
        return _unit
    if _is_wide(element.type):
        return _loop(element.type)
    return _later(element.type, element.targets)


@cache
def _literal(number: int) -> Any:
    return Literal[definitions.codes(number)]


@cache
def _is_wide(name: str) -> bool:
    choices = definitions.structure(name).choices.values()
    return any(len(names) >= _WIDE_CHOICE for names in choices)


@cache
def _later(name: str, targets: int) -> Check:
    """A structure whose struct is made when a value of it is first met."""

    struct: Any = None

    def later(value: Any) -> bool:
        nonlocal struct
        struct = struct or _made_ready(name, targets)
        _pour(value, struct)
        return True

    return later


@cache
def _loop(name: str) -> Check:
    """A structure with a wide choice, member by member; the checks are made when first met."""
    structure = definitions.structure(name)
    elements = structure.elements
    required = [e.name for e in elements.values() if e.min and not e.choice]
    stems = [stem for stem, names in structure.choices.items() if elements[names[0]].min]
    known: dict[str, tuple[Check, str]] = {}

    def learn(member: str) -> tuple[Check, str]:
        element = elements[member]
        one = _check(element)
        known[member] = (_list_of(one) if element.many else one, element.choice)
        return known[member]

    def loop(value: Any) -> bool:
        if type(value) is not dict:
            return False
        chosen: tuple[str, ...] = ()
        for member, one in value.items():
            check, choice = known.get(member) or learn(member)
            if choice:
                if choice in chosen:
                    return False
                chosen += (choice,)
            if not check(one):
                return False
        for member in required:
            if member not in value:
                return False
        return not stems or all(stem in chosen for stem in stems)

    return loop


def _list_of(check: Check) -> Check:
    def list_of(value: Any) -> bool:
        return isinstance(value, list | tuple) and bool(value) and all(map(check, value))

    return list_of


@cache
def _concept(number: int) -> Check:
    """A CodeableConcept with a required value set."""
    allowed = definitions.codings(number)

    fits = _later("CodeableConcept", -1)

    def concept(value: Any) -> bool:
        return fits(value) and plain.has_coding(value, allowed)

    return concept


def _unit(value: Any) -> bool:
    return _later("CodeableConcept", -1)(value) and plain.has_unit(value)


def _target(number: int) -> Check:
    targets = definitions.targets(number)

    def target(value: Any) -> bool:
        return (
            type(value) is str
            and len(value) <= LONGEST_STRING
            and plain.fits_target(value, targets)
        )

    return target


def remembering(check: Check) -> Check:
    """The same check, asking only once for short values that come again and again."""
    right: set[str] = set()

    def seen_or_checked(value: Any) -> bool:
        if value in right:
            return True
        if not check(value):
            return False
        if len(value) <= _LONGEST_REMEMBERED and len(right) < _REMEMBERED:
            right.add(value)
        return True

    return seen_or_checked


# A pattern raises TypeError for what is no text, and that is a no as well.
_CHECKS: dict[str, Check] = {
    name: one.pattern.fullmatch if one.pattern else one.check for name, one in PRIMITIVES.items()
}
_CHECKS["media type"] = remembering(MEDIA_TYPE.fullmatch)
_CHECKS["code"] = remembering(_CHECKS["code"])
for _name in ("uri", "url", "canonical", "@uri"):
    _CHECKS[_name] = _CHECKS["uri"] if _name != "uri" else remembering(_CHECKS["uri"])

_TEXT = Annotated[str, Meta(min_length=1, max_length=LONGEST_STRING)]
_PRIMITIVES: dict[str, Any] = {
    "boolean": bool,
    "integer": Annotated[int, Meta(ge=-LARGEST_INT - 1, le=LARGEST_INT)],
    "unsignedInt": Annotated[int, Meta(ge=0, le=LARGEST_INT)],
    "positiveInt": Annotated[int, Meta(ge=1, le=LARGEST_INT)],
    "string": _TEXT,
    "@string": _TEXT,
    "markdown": _TEXT,
    "xhtml": _TEXT,
}

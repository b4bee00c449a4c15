"""What an operation is given: from a query string or a Parameters resource to typed values.

    GET  …/$everything?start=2024-01-01&_type=Observation,Condition
    POST …/$everything   {"resourceType": "Parameters", "parameter": [{"name": "start", …}]}
    POST …/$validate     the resource itself, where the operation takes exactly one

A parameter that the operation does not have is an error, unless the caller asks for leniency; so
are one too few, one too many, and a value of another type. Every error names its parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sokhoe.errors import Invalid, Issue, Unsupported
from sokhoe.fhir import TYPES, validate

RESOURCE = "Resource"
MOST = 10_000  # entries of one Parameters resource, parts included
_TEXTS = frozenset("string code uri url canonical id oid uuid markdown".split())
_MOMENTS = frozenset("date dateTime instant".split())
_NUMBERS = frozenset("integer unsignedInt positiveInt decimal".split())
_FAMILIES = (_TEXTS, _MOMENTS, _NUMBERS)
PRIMITIVE = frozenset({"boolean", "time", "base64Binary"}).union(*_FAMILIES)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing an operation takes.

    `type` is a data type (`code`, `Coding`), `Resource` or a resource type for a resource, or
    "" for one that has `parts` instead of a value. `needed`: at least one; `many`: more than one.
    `types`: further data types that will do as well (for a choice such as `value[x]`).
    """

    name: str
    type: str = ""
    needed: bool = False
    many: bool = False
    parts: tuple[Parameter, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def is_resource(self) -> bool:
        return self.type == RESOURCE or self.type in TYPES


class Arguments:
    """The values given to one operation, or to one parameter with parts, by name.

    A value is as in JSON (`str`, `int`, `bool`, `Decimal`, a dict for a data type or a resource),
    or `Arguments` for a parameter with parts. `ignored`: names that were let pass leniently.
    """

    def __init__(
        self,
        values: Mapping[str, Sequence[Any]] | None = None,
        ignored: Sequence[str] = (),
        types: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._values = dict(values or {})
        self._types = dict(types or {})
        self.ignored = tuple(ignored)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, name: str) -> list[Any]:
        return list(self._values.get(name, ()))

    def one(self, name: str) -> Any:
        """The value, None if it was not given."""
        return next(iter(self._values.get(name, ())), None)

    def type_of(self, name: str) -> str:
        """The data type in which the first value was given, "" if there is none."""
        return next(iter(self._types.get(name, ())), "")

    def text(self, name: str, default: str = "") -> str:
        return str(self._values[name][0]) if name in self._values else default

    def texts(self, name: str) -> list[str]:
        """All values; each may also be a list with commas, as `_type` is in a query string."""
        found = (part.strip() for one in self.all(name) for part in str(one).split(","))
        return [part for part in found if part]

    def number(self, name: str) -> int | None:
        return int(self._values[name][0]) if name in self._values else None

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self._values[name][0]) if name in self._values else default

    def object(self, name: str) -> dict[str, Any] | None:
        """A data type or a resource."""
        found = self.one(name)
        return found if isinstance(found, dict) else None

    def objects(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.all(name) if isinstance(one, dict)]

    def parts(self, name: str) -> list[Arguments]:
        return [one for one in self.all(name) if isinstance(one, Arguments)]


def from_query(
    known: Sequence[Parameter], pairs: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Query parameters as entries of a Parameters resource; unknown ones as strings."""
    by_name = {one.name: one for one in known}
    return [_from_text(by_name.get(name), name, value) for name, value in pairs]


def _from_text(parameter: Parameter | None, name: str, value: str) -> dict[str, Any]:
    if parameter is None:
        return {"name": name, "valueString": value}
    if parameter.type not in PRIMITIVE:
        raise Invalid(
            f"{name} is a {parameter.type or 'parameter with parts'}, which no URL can carry.",
            hint="Send it by POST in a Parameters resource.",
            slug="parameter",
            location=name,
        )
    return {"name": name, _key(parameter.type): _typed(parameter, value)}


def _typed(parameter: Parameter, value: str) -> Any:
    if parameter.type == "boolean":
        return {"true": True, "false": False}.get(value, value)
    if parameter.type == "decimal":
        try:
            return Decimal(value)
        except InvalidOperation:
            return value
    if parameter.type in _NUMBERS:
        return int(value) if value.removeprefix("-").isdecimal() and len(value) < 12 else value
    if parameter.type in _MOMENTS:
        return value.replace(" ", "+")  # a plus that came unescaped
    return value


def from_body(known: Sequence[Parameter], body: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a Parameters resource, or the one resource that an operation takes."""
    if body.get("resourceType") == "Parameters":
        entries = body.get("parameter", [])
        if not isinstance(entries, list) or any(not isinstance(one, dict) for one in entries):
            raise Invalid(
                "Parameters.parameter must be a list of objects.",
                location="Parameters.parameter",
                code="structure",
            )
        return entries
    resources = [one for one in known if one.is_resource and not one.many]
    if len(resources) != 1:
        raise Invalid(
            f"The body is a {body.get('resourceType')!r}; this operation takes Parameters.",
            location="resourceType",
            code="structure",
        )
    return [{"name": resources[0].name, "resource": body}]


def parse(
    known: Sequence[Parameter], entries: Sequence[dict[str, Any]], *, lenient: bool = False
) -> Arguments:
    """Typed arguments. Raises Invalid and Unsupported, naming every wrong parameter."""
    if _size(entries) > MOST:
        raise Invalid(
            f"There are more than {MOST} parameters.",
            slug="too-costly",
            status=413,
            code="too-costly",
        )
    return _parse(known, entries, "Parameters.parameter", lenient)


def _parse(
    known: Sequence[Parameter], entries: Sequence[dict[str, Any]], place: str, lenient: bool
) -> Arguments:
    by_name = {one.name: one for one in known}
    values: dict[str, list[Any]] = {}
    types: dict[str, list[str]] = {}
    ignored: list[str] = []
    for index, entry in enumerate(entries):
        name = entry.get("name")
        parameter = by_name.get(name) if isinstance(name, str) else None
        if parameter is None:
            if not lenient or not isinstance(name, str):
                raise _unknown(name, known, f"{place}[{index}]")
            ignored.append(name)
            continue
        at = f"{place}[{index}]"
        type, value = _value(parameter, entry, at, lenient)
        values.setdefault(parameter.name, []).append(value)
        types.setdefault(parameter.name, []).append(type)
    _count(known, values, place)
    return Arguments(values, ignored, types)


def _value(parameter: Parameter, entry: dict[str, Any], at: str, lenient: bool) -> tuple[str, Any]:
    if parameter.is_resource:
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            raise _wrong(parameter, at, "resource", f"a {parameter.type}")
        kind = resource.get("resourceType")
        if parameter.type not in {RESOURCE, kind}:
            raise _wrong(parameter, at, "resource", f"a {parameter.type}, not a {kind}")
        return str(kind), resource
    if parameter.parts:
        parts = entry.get("part")
        if not isinstance(parts, list) or any(not isinstance(one, dict) for one in parts):
            raise _wrong(parameter, at, "part", "a list of parts")
        return "", _parse(parameter.parts, parts, f"{at}.part", lenient)
    given = [key for key in entry if key.startswith("value")]
    if len(given) != 1:
        raise _wrong(parameter, at, "value", f"one value ({_key(parameter.type)})")
    for type in (parameter.type, *parameter.types):
        if given[0] == _key(type) or _same_family(given[0], type):
            value = entry[given[0]]
            _check(type, parameter.name, value, at)
            return type, value
    wish = " or ".join(map(_key, (parameter.type, *parameter.types)))
    raise _wrong(parameter, at, "value", f"{wish}, not {given[0]}")


def _check(type: str, name: str, value: Any, at: str) -> None:
    """Whether the value is a valid one of its type, by the rules of R4."""
    try:
        validate({"resourceType": "Parameters", "parameter": [{"name": name, _key(type): value}]})
    except Invalid as error:
        start = "Parameters.parameter[0]"
        issues = tuple(
            Issue(
                f"{name}: {one.message}",
                at + one.location.removeprefix(start),
                one.code,
                one.severity,
            )
            for one in error.issues
        )
        raise Invalid(issues[0].message, slug="parameter", issues=issues) from None


def _count(known: Sequence[Parameter], values: Mapping[str, Sequence[Any]], place: str) -> None:
    issues = []
    for one in known:
        count = len(values.get(one.name, ()))
        if one.needed and not count:
            issues.append(Issue(f"The parameter {one.name} is needed.", place, "required"))
        if count > 1 and not one.many:
            text = f"The parameter {one.name} may be given once, not {count} times."
            issues.append(Issue(text, place, "structure"))
    if issues:
        raise Invalid(issues[0].message, slug="parameter", issues=tuple(issues))


def _unknown(name: Any, known: Sequence[Parameter], at: str) -> Unsupported:
    names = ", ".join(one.name for one in known)
    return Unsupported(
        f"This operation has no parameter {name!r}.",
        hint=f"Known: {names}." if names else "It takes none.",
        slug="unknown-parameter",
        location=f"{at}.name",
    )


def _wrong(parameter: Parameter, at: str, part: str, wish: str) -> Invalid:
    return Invalid(
        f"The parameter {parameter.name} must be {wish}.",
        slug="parameter",
        location=f"{at}.{part}",
        code="structure",
    )


def _same_family(key: str, type: str) -> bool:
    """Whether a value sent as another type of the same kind will do: `valueString` for a uri."""
    return any(type in family and key in {_key(other) for other in family} for family in _FAMILIES)


def _key(type: str) -> str:
    return "value" + type[:1].upper() + type[1:]


def _size(entries: Sequence[dict[str, Any]]) -> int:
    """Entries and their parts, all levels, no deeper than a stack of 50 lists."""
    count, level = 0, list(entries)
    for _ in range(50):
        if not level:
            return count
        count += len(level)
        if count > MOST:
            return count
        below: list[dict[str, Any]] = []
        for one in level:
            parts = one.get("part") if isinstance(one, dict) else None
            below += parts if isinstance(parts, list) else []
        level = below
    return MOST + 1

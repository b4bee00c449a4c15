"""What `ValueSet.compose.include.filter` asks of a code system: property, operator, value → rows.

Operators: = is-a descendent-of is-not-a regex in not-in generalizes exists
(hl7.org/fhir/R4/codesystem-filter-operator.html). Properties: those of the concepts, and of every
code system: concept (or code), display, definition, parent, child, inactive, notSelectable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir.terminology.regex import compiled
from sokhoe.fhir.terminology.systems import System, value_of

CODE = frozenset({"concept", "code"})

STANDARD = CODE | {"display", "definition", "parent", "child", "inactive", "notSelectable"}


def rows_of(system: System, filter: Mapping[str, Any]) -> set[int]:
    """The concepts that pass one filter. Raises Invalid where it makes no sense for this system."""
    name, op, value = (str(filter.get(part, "")) for part in ("property", "op", "value"))
    work = _OPERATORS.get(op)
    if work is None:
        raise Unsupported(
            f"The filter operator {op!r} is not known.",
            hint=f"Known: {', '.join(_OPERATORS)}",
            slug="filter-operator",
            location="ValueSet.compose.include.filter.op",
        )
    if not value:
        raise Invalid(
            f"The filter {name} {op} of code system {system.url} has no value.",
            slug="filter-value",
            status=422,
            location="ValueSet.compose.include.filter.value",
        )
    return work(system, name, value)


def _is_a(system: System, name: str, value: str) -> set[int]:
    return {_root(system, name, "is-a", value), *_below(system, name, "is-a", value)}


def _below(system: System, name: str, op: str, value: str) -> set[int]:
    return system.descendants(_root(system, name, op, value))


def _descendants(system: System, name: str, value: str) -> set[int]:
    return _below(system, name, "descendent-of", value)


def _is_not_a(system: System, name: str, value: str) -> set[int]:
    return set(range(len(system))) - _is_a(system, name, value)


def _generalizes(system: System, name: str, value: str) -> set[int]:
    root = _root(system, name, "generalizes", value)
    return {root, *system.ancestors(root)}


def _root(system: System, name: str, op: str, value: str) -> int:
    if name not in CODE:
        raise Invalid(
            f"The filter {op} is asked of property {name!r}; it is for the concept itself.",
            hint="Write property: concept.",
            slug="filter-property",
            status=422,
            location="ValueSet.compose.include.filter.property",
        )
    row = system.row(value)
    if row is None:
        raise Invalid(
            f"The filter {op} names the code {value!r}, which is not in {system.canonical}.",
            slug="filter-value",
            status=422,
            code="code-invalid",
            location="ValueSet.compose.include.filter.value",
        )
    return row


def _equal(system: System, name: str, value: str) -> set[int]:
    if name in CODE:
        row = system.row(value)
        return set() if row is None else {row}
    if name == "parent" and (row := system.row(value)) is not None:
        return set(system.children(row))
    if name == "child" and (row := system.row(value)) is not None:
        return set(system.above[row])
    return _where(system, name, lambda found: found == value)


def _regex(system: System, name: str, value: str) -> set[int]:
    return _where(system, name, compiled(value).fits)


def _in(system: System, name: str, value: str) -> set[int]:
    wanted = {part.strip() for part in value.split(",")}
    if name in CODE:
        return {row for code in wanted if (row := system.row(code)) is not None}
    return _where(system, name, wanted.__contains__)


def _not_in(system: System, name: str, value: str) -> set[int]:
    return set(range(len(system))) - _in(system, name, value)


def _exists(system: System, name: str, value: str) -> set[int]:
    if value not in {"true", "false"}:
        raise Invalid(
            f"The filter {name} exists must say true or false, not {value!r}.",
            slug="filter-value",
            status=422,
            location="ValueSet.compose.include.filter.value",
        )
    have = _where(system, name, lambda found: True)
    return have if value == "true" else set(range(len(system))) - have


def _where(system: System, name: str, test: Callable[[str], bool]) -> set[int]:
    """Concepts of which some value of this property passes."""
    if name not in STANDARD and all(one["code"] != name for one in system.declared):
        raise Invalid(
            f"Code system {system.canonical} has no property {name!r}.",
            hint="It declares: " + (", ".join(one["code"] for one in system.declared) or "none"),
            slug="filter-property",
            status=422,
            location="ValueSet.compose.include.filter.property",
        )
    return {row for row in range(len(system)) if any(map(test, values(system, row, name)))}


def values(system: System, row: int, name: str) -> list[str]:
    """All values of a property of a concept, as text (a Coding as its code)."""
    if name in CODE:
        return [system.codes[row]]
    if name == "display":
        return [system.displays[row]]
    if name == "definition":
        return [system.definition(row)] if system.definition(row) else []
    if name == "parent":
        return [system.codes[one] for one in system.above[row]]
    if name == "child":
        return [system.codes[one] for one in system.children(row)]
    found = [text_of(value_of(one)) for one in system.properties(row) if one["code"] == name]
    if not found and name in {"inactive", "notSelectable"}:
        flag = system.inactive(row) if name == "inactive" else system.abstract(row)
        return ["true" if flag else "false"]
    return found


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return str(value)


_OPERATORS: dict[str, Callable[[System, str, str], set[int]]] = {
    "=": _equal,
    "is-a": _is_a,
    "descendent-of": _descendants,
    "is-not-a": _is_not_a,
    "regex": _regex,
    "in": _in,
    "not-in": _not_in,
    "generalizes": _generalizes,
    "exists": _exists,
}
OPERATORS = tuple(_OPERATORS)

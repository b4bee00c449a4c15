"""`$lookup` and `$subsumes`: what a code system says of a concept, and of two.

Rules: hl7.org/fhir/R4/codesystem-operation-lookup.html and …-subsumes.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sokhoe.errors import Invalid, NotFound
from sokhoe.fhir.terminology.expanding import properties_of
from sokhoe.fhir.terminology.sets import Part
from sokhoe.fhir.terminology.systems import System

_PREFERRED = {
    "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    "code": "preferredForLanguage",
}


def lookup(
    system: System, code: str, properties: Sequence[str] = (), languages: Sequence[str] = ()
) -> dict[str, Any]:
    """All that is known of a code, as Parameters. `properties`: only these (`*`: all)."""
    row = row_of(system, code)
    part = Part.of(system, range(len(system)))
    all_of_it = not properties or "*" in properties
    found: list[dict[str, Any]] = [{"name": "name", "valueString": system.name}]
    if system.version:
        found.append({"name": "version", "valueString": system.version})
    found.append({"name": "display", "valueString": system.display(row, languages)})
    found.append({"name": "abstract", "valueBoolean": system.abstract(row)})
    found.append({"name": "code", "valueCode": system.codes[row]})
    found.append({"name": "system", "valueUri": system.url})
    if system.definition(row) and (all_of_it or "definition" in properties):
        found.append({"name": "definition", "valueString": system.definition(row)})
    if all_of_it or "designation" in properties:
        found += [{"name": "designation", "part": one} for one in _designations(system, row)]
    for name, value in properties_of(part, row):
        if name != "definition" and (all_of_it or name in properties):
            found.append({"name": "property", "part": list(_property(system, name, value))})
    return {"resourceType": "Parameters", "parameter": found}


def row_of(system: System, code: str) -> int:
    """The concept of this code. Raises NotFound naming the version and near codes."""
    row = system.row(code)
    if row is not None:
        return row
    near = [one for one in (code.upper(), code.lower(), code.strip()) if one in system.row_of]
    hint = f"Did you mean {near[0]!r}?" if near else ""
    if not hint and not system.whole:
        hint = f"Only a part of this code system is here (content: {system.content})."
    raise NotFound(
        f"There is no code {code!r} in the code system {system.canonical}.",
        hint=hint,
        slug="unknown-code",
        code="code-invalid",
        location="code",
    )


def _designations(system: System, row: int) -> Iterator[list[dict[str, Any]]]:
    if system.language:
        yield [
            {"name": "language", "valueCode": system.language},
            {"name": "use", "valueCoding": _PREFERRED},
            {"name": "value", "valueString": system.displays[row]},
        ]
    for one in system.designations(row):
        parts: list[dict[str, Any]] = []
        if one.language:
            parts.append({"name": "language", "valueCode": one.language})
        if one.use:
            parts.append({"name": "use", "valueCoding": one.use})
        yield [*parts, {"name": "value", "valueString": one.value}]


def _property(system: System, name: str, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"name": "code", "valueCode": name}
    yield {"name": "value", **value}
    other = system.row_of.get(str(next(iter(value.values()))))
    if name in {"parent", "child", "subsumedBy"} and other is not None:
        yield {"name": "description", "valueString": system.displays[other]}


def subsumes(system: System, first: str, second: str) -> str:
    """equivalent, subsumes (the first is the wider), subsumed-by or not-subsumed."""
    one, other = row_of(system, first), row_of(system, second)
    if one == other:
        return "equivalent"
    if system.subsumes(one, other):
        return "subsumes"
    return "subsumed-by" if system.subsumes(other, one) else "not-subsumed"


def same_system(first: str, second: str) -> str:
    """The code system of two codings. Raises Invalid where they are of two, or of none."""
    if first and second and first != second:
        raise Invalid(
            f"The codes are of two code systems, {first} and {second}.",
            hint="Only codes of one code system can subsume each other.",
            slug="two-systems",
        )
    if not (first or second):
        raise Invalid("The code system is needed.", hint="Give system=…", slug="parameter")
    return first or second

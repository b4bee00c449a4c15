"""`$validate-code`: is this code right, and is it in this value set?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.operations import terms
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import terminology

MOST_CODINGS = 100


def in_value_set(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    shelf = terms.library(call)
    resource, canonical = terms.definition(call, shelf, "ValueSet", "valueSet")
    if resource is None:
        raise terms.needed("A value set", "url", "valueSet", "the id of one in the address")
    members = shelf.members(canonical) if canonical else shelf.members_of(resource)
    terms.check_versions(
        arguments, dict(one.split("|", 1) for _, one in members.used if "|" in one)
    )
    return _answer(call, shelf, members, _codings(arguments, "system", "systemVersion"))


def in_code_system(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    shelf = terms.library(call)
    codings = _codings(arguments, "url", "version")
    resource, canonical = terms.definition(call, shelf, "CodeSystem", "codeSystem")
    if canonical:
        url, _, version = canonical.partition("|")
        system = shelf.system(url, version)
    elif resource is not None:
        system = terminology.System(resource)
    else:
        first = next((one for one in codings if one.system), None)
        if first is None:
            raise terms.needed("A code system", "url", "codeSystem", "coding.system")
        system = shelf.system(first.system, first.version)
        if system is None:
            return _answer(call, shelf, terminology.Members(first.system, ()), codings, whole=True)
    assert system is not None
    whole = terminology.Part.of(system, range(len(system)), tree=True)
    members = terminology.Members(system.canonical, (whole,))
    here = [
        one
        if one.system
        else terminology.Coding(one.code, system.url, one.version, one.display, one.at)
        for one in codings
    ]
    return _answer(call, shelf, members, here, whole=True)


def _answer(
    call: OperationCall,
    shelf: terminology.Library,
    members: terminology.Members,
    codings: Sequence[terminology.Coding],
    *,
    whole: bool = False,
) -> dict[str, Any]:
    arguments = call.arguments
    systems = {
        (one.system, version): shelf.system(one.system, version)
        for one in codings
        if one.system
        for version in ("", one.version)
    }
    if whole:
        for part in members.parts:
            systems[part.system.url, ""] = part.system
    how = terminology.Terms(
        abstract=arguments.flag("abstract", True),
        active=arguments.flag("activeOnly"),
        infer="code" in arguments or arguments.flag("inferSystem"),
        lenient=arguments.flag("lenient-display-validation"),
        languages=terms.languages(call),
    )
    check = terminology.Check(members, systems, how, whole)
    return check.codings(codings, several="codeableConcept" in arguments).parameters()


def _codings(arguments: Arguments, system: str, version: str) -> list[terminology.Coding]:
    """What is to be checked, in whichever of the three forms it came."""
    forms = [one for one in ("code", "coding", "codeableConcept") if one in arguments]
    if len(forms) != 1:
        raise Invalid(
            "Give the code in one form: code, coding or codeableConcept."
            + (f" There are {' and '.join(forms)}." if forms else ""),
            slug="parameter",
            code="required" if not forms else "invalid",
        )
    if forms == ["code"]:
        url, _, pinned = arguments.text(system).partition("|")
        number = arguments.text(version) or pinned
        return [terminology.Coding(arguments.text("code"), url, number, arguments.text("display"))]
    if forms == ["coding"]:
        return [_coding(arguments.object("coding") or {}, "Coding.", arguments)]
    concept = arguments.object("codeableConcept") or {}
    found = concept.get("coding", [])[:MOST_CODINGS]
    return [
        _coding(one, f"CodeableConcept.coding[{index}].", arguments)
        for index, one in enumerate(found)
    ]


def _coding(value: dict[str, Any], at: str, arguments: Arguments) -> terminology.Coding:
    display = value.get("display") or arguments.text("display")
    return terminology.Coding(
        value.get("code", ""), value.get("system", ""), value.get("version", ""), display, at
    )


_COMMON = (
    Parameter("code", "code"),
    Parameter("display", "string"),
    Parameter("coding", "Coding"),
    Parameter("codeableConcept", "CodeableConcept"),
    terms.DATE,
    Parameter("abstract", "boolean"),
    Parameter("activeOnly", "boolean"),
    Parameter("lenient-display-validation", "boolean"),
    terms.LANGUAGE,
    terms.RESOURCES,
    *terms.VERSIONS,
)
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        in_value_set,
        (
            Parameter("url", "uri"),
            Parameter("valueSet", "ValueSet"),
            Parameter("valueSetVersion", "string"),
            Parameter("system", "uri"),
            Parameter("systemVersion", "string"),
            Parameter("inferSystem", "boolean"),
            *_COMMON,
        ),
        type=True,
        instance=True,
        types=frozenset({"ValueSet"}),
        summary="Whether a code is in a value set; each no says why.",
    ),
    Operation(
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        in_code_system,
        (
            Parameter("url", "uri"),
            Parameter("codeSystem", "CodeSystem"),
            Parameter("version", "string"),
            *_COMMON,
        ),
        type=True,
        instance=True,
        types=frozenset({"CodeSystem"}),
        summary="Whether a code is in a code system; each no says why.",
    ),
)

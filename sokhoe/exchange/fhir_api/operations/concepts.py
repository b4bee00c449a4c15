"""`$lookup`, `$subsumes` and `$translate`: what is known of a code, and what it is elsewhere."""

from __future__ import annotations

from typing import Any

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.operations import terms
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import terminology


def lookup(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    coding = _one_coding(arguments, "code", "coding")
    system = _system(terms.library(call), coding)
    return terminology.lookup(
        system, coding.code, arguments.texts("property"), terms.languages(call)
    )


def subsumes(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    first = _one_coding(arguments, "codeA", "codingA")
    second = _one_coding(arguments, "codeB", "codingB")
    shelf = terms.library(call)
    if call.id is not None:
        system = terminology.System(terms.by_id(call, "CodeSystem", call.id))
    else:
        url = terminology.same_system(first.system, second.system)
        version = first.version or second.version
        system = _system(shelf, terminology.Coding(first.code, url, version))
    outcome = terminology.subsumes(system, first.code, second.code)
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "outcome", "valueCode": outcome}],
    }


def translate(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    shelf = terms.library(call)
    codings = _to_translate(arguments)
    resource, canonical = terms.definition(call, shelf, "ConceptMap", "conceptMap")
    named = shelf.map(canonical) if canonical else None
    if named is None and resource is not None:
        named = terminology.Map(resource)
    backwards = arguments.flag("reverse")
    depends = tuple(_depends(arguments))
    good, message, matches = False, "", []
    for coding in codings:
        maps = (
            [named]
            if named is not None
            else [
                one for one in shelf.maps(coding.system, into=backwards) if _between(one, arguments)
            ]
        )
        ask = terminology.Ask(
            coding.system,
            coding.code,
            target=arguments.text("targetsystem"),
            reverse=backwards,
            depends=depends,
        )
        found = terminology.translate(maps, ask, shelf.map)
        good = good or found[0]
        message = message or found[1]
        matches += found[2]
    return terminology.answer(good, "" if good else message, matches)


def _between(one: terminology.Map, arguments: Arguments) -> bool:
    """Whether a map is between the value sets that `source` and `target` name, if they do."""
    source, target = (arguments.text(name).partition("|")[0] for name in ("source", "target"))
    return source in {"", one.source} and target in {"", one.target}


def _to_translate(arguments: Arguments) -> list[terminology.Coding]:
    concept = arguments.object("codeableConcept")
    if concept is None:
        one = _one_coding(arguments, "code", "coding")
        if not one.system:
            raise terms.needed("The code system of the code", "system")
        return [one]
    found = [
        terminology.Coding(one["code"], one["system"])
        for one in concept.get("coding", ())[:20]
        if one.get("code") and one.get("system")
    ]
    if not found:
        raise Invalid("The CodeableConcept has no coding with system and code.", slug="parameter")
    return found


def _depends(arguments: Arguments) -> list[tuple[str, str]]:
    found = []
    for part in arguments.parts("dependency"):
        concept = part.object("concept") or {}
        codings = concept.get("coding", [concept])
        found += [(part.text("element"), one["code"]) for one in codings if one.get("code")]
    return found


def _one_coding(arguments: Arguments, code: str, coding: str) -> terminology.Coding:
    """A code with `system` and `version`, or a Coding."""
    given = arguments.object(coding)
    if (given is None) == (code not in arguments):
        raise Invalid(f"Give either {code} or {coding}.", slug="parameter", code="required")
    if given is not None:
        if not given.get("code"):
            raise Invalid(f"{coding} has no code.", slug="parameter", location=f"{coding}.code")
        return terminology.Coding(given["code"], given.get("system", ""), given.get("version", ""))
    url, _, pinned = arguments.text("system").partition("|")
    return terminology.Coding(arguments.text(code), url, arguments.text("version") or pinned)


def _system(shelf: terminology.Library, coding: terminology.Coding) -> terminology.System:
    if not coding.system:
        raise terms.needed("The code system", "system")
    found = shelf.system(coding.system, coding.version)
    if found is None:
        name = f"{coding.system}|{coding.version}" if coding.version else coding.system
        raise terminology.not_here("code system", name, shelf.why_not(coding.system))
    return found


_CODE_SYSTEM = frozenset({"CodeSystem"})
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "lookup",
        "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
        lookup,
        (
            Parameter("code", "code"),
            Parameter("system", "uri"),
            Parameter("version", "string"),
            Parameter("coding", "Coding"),
            terms.DATE,
            terms.LANGUAGE,
            Parameter("property", "code", many=True),
            terms.RESOURCES,
        ),
        type=True,
        types=_CODE_SYSTEM,
        summary="All that a code system says of a code.",
    ),
    Operation(
        "subsumes",
        "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
        subsumes,
        (
            Parameter("codeA", "code"),
            Parameter("codeB", "code"),
            Parameter("system", "uri"),
            Parameter("version", "string"),
            Parameter("codingA", "Coding"),
            Parameter("codingB", "Coding"),
            terms.RESOURCES,
        ),
        type=True,
        instance=True,
        types=_CODE_SYSTEM,
        summary="Which of two codes is the wider.",
    ),
    Operation(
        "translate",
        "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
        translate,
        (
            Parameter("url", "uri"),
            Parameter("conceptMap", "ConceptMap"),
            Parameter("conceptMapVersion", "string"),
            Parameter("code", "code"),
            Parameter("system", "uri"),
            Parameter("version", "string"),
            Parameter("source", "uri"),
            Parameter("coding", "Coding"),
            Parameter("codeableConcept", "CodeableConcept"),
            Parameter("target", "uri"),
            Parameter("targetsystem", "uri"),
            Parameter(
                "dependency",
                many=True,
                parts=(
                    Parameter("element", "uri"),
                    Parameter("concept", "CodeableConcept", types=("Coding",)),
                ),
            ),
            Parameter("reverse", "boolean"),
            terms.RESOURCES,
        ),
        type=True,
        instance=True,
        types=frozenset({"ConceptMap"}),
        summary="What a code is in another code system, as concept maps say.",
    ),
)

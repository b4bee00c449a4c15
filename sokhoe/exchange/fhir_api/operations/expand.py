"""`$expand`: the codes of a value set, found by what a person types, page by page."""

from __future__ import annotations

from typing import Any

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.operations import terms
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import terminology

# Parameters of the answer: what was asked is repeated, so that an expansion that is kept says
# how it was made.
_REPEATED = (
    ("filter", "text"),
    ("offset", "number"),
    ("count", "number"),
    ("includeDesignations", "flag"),
    ("activeOnly", "flag"),
    ("excludeNested", "flag"),
    ("excludeNotForUI", "flag"),
    ("displayLanguage", "text"),
)


def expand(call: OperationCall) -> dict[str, Any]:
    arguments = call.arguments
    shelf = terms.library(call)
    resource, canonical = terms.definition(call, shelf, "ValueSet", "valueSet")
    if resource is None:
        raise terms.needed("A value set", "url", "valueSet", "the id of one in the address")
    offset, count = arguments.number("offset"), arguments.number("count")
    for name, value in (("offset", offset), ("count", count)):
        if value is not None and value < 0:
            raise Invalid(f"{name} must not be negative.", slug="parameter", location=name)
    members = shelf.members(canonical) if canonical else shelf.members_of(resource)
    used = dict(one.split("|", 1) for _, one in members.used if "|" in one)
    terms.check_versions(arguments, used)
    languages = terms.languages(call)
    wish = terminology.Wish(
        filter=arguments.text("filter"),
        offset=offset or 0,
        count=count,
        active_only=arguments.flag("activeOnly"),
        exclude_nested=arguments.flag("excludeNested"),
        exclude_abstract=arguments.flag("excludeNotForUI"),
        designations=arguments.flag("includeDesignations"),
        designation=tuple(map(str, arguments.all("designation"))),
        definition=arguments.flag("includeDefinition"),
        languages=languages,
        properties=tuple(map(str, arguments.all("property"))),
        exclude_systems=tuple(
            str(one).partition("|")[0] for one in arguments.all("exclude-system")
        ),
        said=tuple(
            (name, getattr(arguments, kind)(name)) for name, kind in _REPEATED if name in arguments
        ),
    )
    if wish.definition and canonical:
        resource = shelf.definition("ValueSet", canonical) or resource
    return terminology.expand(resource, members, wish, clock.iso(clock.now()))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "expand",
        "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
        expand,
        (
            Parameter("url", "uri"),
            Parameter("valueSet", "ValueSet"),
            Parameter("valueSetVersion", "string"),
            Parameter("filter", "string"),
            terms.DATE,
            Parameter("offset", "integer"),
            Parameter("count", "integer"),
            Parameter("includeDesignations", "boolean"),
            Parameter("designation", "string", many=True),
            Parameter("includeDefinition", "boolean"),
            Parameter("activeOnly", "boolean"),
            Parameter("excludeNested", "boolean"),
            Parameter("excludeNotForUI", "boolean"),
            Parameter("excludePostCoordinated", "boolean"),
            terms.LANGUAGE,
            Parameter("exclude-system", "canonical", many=True),
            *terms.VERSIONS,
            Parameter("property", "string", many=True),
            terms.RESOURCES,
        ),
        type=True,
        instance=True,
        types=frozenset({"ValueSet"}),
        summary="The codes of a value set; filter finds words without accents, best first.",
    ),
)

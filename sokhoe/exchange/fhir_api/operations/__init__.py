"""Operations (`$…`): each is declared in a module of this package and listed here once.

From `OPERATIONS` come the routes, the check of arguments and the CapabilityStatement, so that none
can promise what is not there. A module of this package exports its own tuple `OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.responses import Response

from sokhoe.errors import NotFound, Unsupported
from sokhoe.exchange.fhir_api import later
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, Handler, answer, endpoint
from sokhoe.exchange.fhir_api.operations import (
    concepts,
    document,
    everything,
    expand,
    export,
    importing,
    meta,
    reindex,
    subscription,
    summary,
    validate,
    validate_code,
)
from sokhoe.exchange.fhir_api.operations.arguments import (
    Arguments,
    Parameter,
    from_body,
    from_query,
    parse,
)
from sokhoe.exchange.fhir_api.operations.operation import Answer, Operation, OperationCall
from sokhoe.fhir import TYPES

__all__ = [
    "OPERATIONS",
    "Answer",
    "Arguments",
    "Operation",
    "OperationCall",
    "Parameter",
    "listed",
    "routes",
    "run",
]

OPERATIONS: tuple[Operation, ...] = (
    *concepts.OPERATIONS,
    *document.OPERATIONS,
    *everything.OPERATIONS,
    *expand.OPERATIONS,
    *export.OPERATIONS,
    *importing.OPERATIONS,
    *meta.OPERATIONS,
    *reindex.OPERATIONS,
    *subscription.OPERATIONS,
    *summary.OPERATIONS,
    *validate.OPERATIONS,
    *validate_code.OPERATIONS,
)


def routes() -> list[Endpoint]:
    """To stand before `/fhir/{type}` and `/fhir/{type}/{id}`, which would take `$…` for a name."""
    handlers: dict[str, Handler] = {"GET": run, "POST": run}
    return [
        endpoint("/fhir/${operation}", handlers),
        endpoint("/fhir/{type}/${operation}", handlers),
        endpoint("/fhir/{type}/{id}/${operation}", handlers),
    ]


def run(call: Call) -> Response:
    """Carry out the operation that the address names."""
    type, id = call.path.get("type"), call.path.get("id")
    if type is not None and type not in TYPES:
        raise NotFound(f"There is no resource type {type!r}.", slug="unknown-type")
    _ = call.session  # no operation without a token, also where it reads no record
    operation = find(OPERATIONS, call.path["operation"], type, id)
    post = call.request.method == "POST"
    if operation.affects_state and not post:
        raise Unsupported(
            f"${operation.name} changes something and is called by POST only.",
            slug="method",
            status=405,
        )
    if not operation.long and later.wanted(call) and not call.replayed:
        return later.take(call)
    entries = from_query(operation.parameters, call.pairs)
    if post and call.body:
        entries = [*entries, *from_body(operation.parameters, call.resource())]
    arguments = parse(operation.parameters, entries, lenient=call.lenient)
    result = operation.handler(OperationCall(call, operation, type, id, arguments))
    return result if isinstance(result, Response) else answer(result)


def find(operations: Sequence[Operation], name: str, type: str | None, id: str | None) -> Operation:
    """The operation of this name that may be called here; the one for this very type first.
    Raises Unsupported (404)."""
    named = [one for one in operations if one.name == name]
    fits = [one for one in named if one.stands_at(type, id)]
    if fits:
        return min(fits, key=lambda one: one.types is None)
    places = sorted({place for one in named for place in _places(one)})
    where = "/".join(part for part in (type, "{id}" if id else None) if part) or "the base"
    raise Unsupported(
        f"There is no operation ${name} at {where}.",
        hint=f"It may be called at {', '.join(places)}."
        if places
        else "Those there are stand in the CapabilityStatement at /fhir/metadata.",
        slug="unknown-operation",
        status=404,
    )


def _places(operation: Operation) -> Iterator[str]:
    if operation.system:
        yield f"/fhir/${operation.name}"
    for type in sorted(operation.types) if operation.types is not None else ["{type}"]:
        if operation.type:
            yield f"/fhir/{type}/${operation.name}"
        if operation.instance:
            yield f"/fhir/{type}/{{id}}/${operation.name}"


def listed(type: str | None) -> list[dict[str, str]]:
    """For the CapabilityStatement: the operations of a type, of the system for None."""
    found: dict[str, dict[str, str]] = {}
    for one in OPERATIONS:
        here = (
            one.system if type is None else one.stands_at(type, None) or one.stands_at(type, "any")
        )
        if here:
            line = {"name": one.name, "definition": one.url}
            if one.summary:
                line["documentation"] = one.summary
            found[one.url] = line
    return sorted(found.values(), key=lambda line: line["name"])

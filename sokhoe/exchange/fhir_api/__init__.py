"""The FHIR R4 REST API of hub and station, at /fhir."""

from __future__ import annotations

from starlette.responses import Response

from sokhoe.errors import Unsupported
from sokhoe.exchange.fhir_api import binaries, jobs, operations, searching, uploads, writing
from sokhoe.exchange.fhir_api import interactions as verbs
from sokhoe.exchange.fhir_api.bundles import entries_of, post_bundle
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, Nowhere, answer, endpoint
from sokhoe.exchange.fhir_api.capability import statement, terminology_statement
from sokhoe.exchange.fhir_api.later import Later, later, take, wanted


def metadata(call: Call) -> Response:
    """What the server can do; `mode=terminology`: what it can do with code systems."""
    mode = call.request.query_params.get("mode", "full")
    if mode == "terminology":
        return answer(terminology_statement(call.base))
    if mode not in {"full", "normative"}:
        raise Unsupported(
            f"There is no statement of mode {mode!r}.",
            hint="Known: full, normative, terminology",
            slug="mode",
            location="mode",
        )
    known = call.site.gate.parameters()
    settings = call.site.settings
    cors = bool(settings.cors_origins)
    return answer(statement(call.base, settings.conditional_delete, known, cors=cors))


def bundle(call: Call) -> Response:
    """A batch may be answered later; a transaction is one commit and takes no time to speak of."""
    if wanted(call) and not call.replayed and call.resource().get("type") == "batch":
        entries_of(call.resource())
        return take(call)
    return post_bundle(call)


def routes() -> list[Endpoint]:
    """Fixed paths first, since `/fhir/{type}` would take `/fhir/metadata` for a type."""
    return [
        *(
            endpoint(path, {"GET": later(searching.of_system), "POST": bundle})
            for path in ("/fhir", "/fhir/")
        ),
        endpoint("/fhir/_search", {"POST": later(searching.of_system)}),
        endpoint("/fhir/metadata", {"GET": metadata}),
        endpoint("/fhir/_history", {"GET": later(verbs.history)}),
        *jobs.routes(),
        *uploads.routes(),
        *operations.routes(),
        *binaries.routes(),
        endpoint(
            "/fhir/{type}",
            {
                "GET": later(searching.of_type),
                "POST": writing.create,
                "PUT": writing.update_by,
                "PATCH": writing.patch_by,
                "DELETE": writing.delete_by,
            },
        ),
        endpoint(
            "/fhir/{type}/_search",
            {"POST": later(searching.of_type), "GET": later(searching.of_type)},
        ),
        endpoint("/fhir/{type}/_history", {"GET": later(verbs.history)}),
        endpoint(
            "/fhir/{type}/{id}",
            {
                "GET": verbs.read,
                "PUT": writing.update,
                "PATCH": writing.patch,
                "DELETE": writing.delete,
            },
        ),
        endpoint("/fhir/{type}/{id}/_history", {"GET": later(verbs.history)}),
        endpoint("/fhir/{type}/{id}/_history/{version}", {"GET": verbs.vread}),
        endpoint("/fhir/{type}/{id}/{member}", {"GET": later(searching.of_compartment)}),
        endpoint("/fhir/{type}/{id}/{member}/_search", {"POST": later(searching.of_compartment)}),
        endpoint("/fhir/{nothing:path}", {}, kind=Nowhere),
    ]


__all__ = ["Later", "metadata", "routes"]

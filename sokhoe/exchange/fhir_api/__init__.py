"""The FHIR R4 REST API of hub and station, at /fhir."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from sokhoe.exchange.fhir_api import interactions as verbs
from sokhoe.exchange.fhir_api import jobs, operations, writing
from sokhoe.exchange.fhir_api.bundles import post_bundle
from sokhoe.exchange.fhir_api.calls import Call, answer, endpoint
from sokhoe.exchange.fhir_api.capability import statement


def metadata(call: Call) -> Response:
    return answer(statement(call.base, call.site.settings.conditional_delete))


def routes() -> list[Route]:
    """Fixed paths first, since `/fhir/{type}` would take `/fhir/metadata` for a type."""
    return [
        endpoint("/fhir", {"POST": post_bundle}),
        endpoint("/fhir/", {"POST": post_bundle}),
        endpoint("/fhir/metadata", {"GET": metadata}),
        endpoint("/fhir/_history", {"GET": verbs.history}),
        *jobs.routes(),
        *operations.routes(),
        endpoint(
            "/fhir/{type}",
            {
                "GET": verbs.search,
                "POST": writing.create,
                "PUT": writing.update_by,
                "PATCH": writing.patch_by,
                "DELETE": writing.delete_by,
            },
        ),
        endpoint("/fhir/{type}/_search", {"POST": verbs.search_by_post, "GET": verbs.search}),
        endpoint("/fhir/{type}/_history", {"GET": verbs.history}),
        endpoint(
            "/fhir/{type}/{id}",
            {
                "GET": verbs.read,
                "PUT": writing.update,
                "PATCH": writing.patch,
                "DELETE": writing.delete,
            },
        ),
        endpoint("/fhir/{type}/{id}/_history", {"GET": verbs.history}),
        endpoint("/fhir/{type}/{id}/_history/{version}", {"GET": verbs.vread}),
    ]

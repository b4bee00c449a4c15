"""What a program reads first: /fhir/.well-known/smart-configuration.

hl7.org/fhir/smart-app-launch/conformance.html: every field says what there is, no more.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sokhoe.trust import ASSERTION_ALGORITHMS
from sokhoe.web import Site

PATH = "/fhir/.well-known/smart-configuration"
CAPABILITIES = (
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "permission-v1",
    "permission-v2",
)
# A program in a browser of another origin may read what is public anyway.
_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}


def smart(base: str) -> dict[str, Any]:
    """The document of the server at this address."""
    return {
        "token_endpoint": f"{base}/oauth/token",
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.cruds", "system/*.rs"],
        "capabilities": list(CAPABILITIES),
    }


async def smart_configuration(request: Request) -> Response:
    site: Site = request.app.state.site
    return JSONResponse(smart(site.settings.url), headers=_PUBLIC)


def routes() -> list[Route]:
    return [Route(PATH, smart_configuration)]

"""What a program reads first: /fhir/.well-known/smart-configuration, the same for OpenID, and the
keys by which our id_tokens are checked.

hl7.org/fhir/smart-app-launch/conformance.html: every field says what there is, no more.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sokhoe.errors import Unsupported
from sokhoe.exchange.oauth.asking import METHODS
from sokhoe.trust import ASSERTION_ALGORITHMS, WORDS
from sokhoe.web import Site

SMART = "/fhir/.well-known/smart-configuration"
OPENID = "/.well-known/openid-configuration"
CAPABILITIES = (
    "launch-standalone",
    "launch-ehr",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-passthrough-banner",
    "context-ehr-patient",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
PROOFS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
# A program in a browser of another origin may read what is public anyway.
_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}


def smart(base: str) -> dict[str, Any]:
    """The document of the server at this address."""
    return {
        "issuer": base,
        "jwks_uri": f"{base}/oauth/jwks",
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "introspection_endpoint": f"{base}/oauth/introspect",
        "management_endpoint": f"{base}/apps/mine",
        "token_endpoint_auth_methods_supported": list(PROOFS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": [*sorted(WORDS), "patient/*.rs", "user/*.cruds", "system/*.cruds"],
        "capabilities": list(CAPABILITIES),
    }


def openid(base: str) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0 §3."""
    return {
        **{name: value for name, value in smart(base).items() if name != "capabilities"},
        "token_endpoint_auth_methods_supported": [*PROOFS, "none"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser"],
        "request_uri_parameter_supported": False,
    }


async def smart_configuration(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:  # below /fhir all refusals are OperationOutcomes
        error = Unsupported("This document can only be read.", slug="method", status=405)
        return JSONResponse(error.outcome(), status_code=405, headers={"Allow": "GET, HEAD"})
    return JSONResponse(smart(_site(request).settings.url), headers=_PUBLIC)


async def openid_configuration(request: Request) -> Response:
    return JSONResponse(openid(_site(request).settings.url), headers=_PUBLIC)


async def jwks(request: Request) -> Response:
    keys = await run_in_threadpool(_site(request).gate.issuer.jwks)
    return JSONResponse(keys, headers=_PUBLIC)


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def routes() -> list[Route]:
    return [
        Route(SMART, smart_configuration, methods=METHODS),
        Route(OPENID, openid_configuration),
        Route("/oauth/jwks", jwks),
    ]

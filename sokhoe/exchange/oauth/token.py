"""POST /oauth/token: an access token for software (RFC 6749, SMART backend services)."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from sokhoe.errors import Unsupported
from sokhoe.exchange.oauth.asking import Asked, Handler, endpoint
from sokhoe.trust import Token


def credentials(asked: Asked) -> dict[str, Any]:
    """The software for itself (§4.4)."""
    made = asked.site.gate.software_token(asked.proof, asked.form.get("scope", ""), asked.address)
    return answered(made)


GRANTS: dict[str, Handler] = {"client_credentials": credentials}


def token(asked: Asked) -> dict[str, Any]:
    kind = asked["grant_type"]
    grant = GRANTS.get(kind)
    if grant is None:
        raise Unsupported(
            f"This server does not know the grant type {kind[:40]!r}.",
            hint=f"Known: {', '.join(GRANTS)}",
            slug="unsupported_grant_type",
        )
    return grant(asked)


def answered(made: Token) -> dict[str, Any]:
    """A token as the RFC and SMART write it (§5.1; launch context beside it)."""
    return {
        "access_token": made.access_token,
        "token_type": "Bearer",
        "expires_in": made.seconds,
        "scope": made.scope,
        **({"refresh_token": made.refresh_token} if made.refresh_token else {}),
        **({"id_token": made.id_token} if made.id_token else {}),
        **(made.context or {}),
    }


def routes() -> list[Route]:
    return [Route("/oauth/token", endpoint(token), methods=["POST"])]

"""POST /oauth/token: access tokens (RFC 6749, RFC 7636, SMART app launch and backend services);
/oauth/revoke ends them (RFC 7009), /oauth/introspect tells what one is (RFC 7662)."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from sokhoe.errors import Unsupported
from sokhoe.exchange.oauth.asking import Asked, Handler, endpoint
from sokhoe.trust import INTROSPECTION, Actor, Role, Token

SECOND = 1_000_000


def credentials(asked: Asked) -> dict[str, Any]:
    """The software for itself (§4.4)."""
    made = asked.site.gate.software_token(asked.proof, asked.form.get("scope", ""), asked.address)
    return answered(made)


def code(asked: Asked) -> dict[str, Any]:
    """What somebody allowed (§4.1.3)."""
    gate = asked.site.gate
    client = gate.proved(asked.proof, asked.address)
    made, nonce = gate.grants.redeem(
        client, asked["code"], asked["redirect_uri"], asked["code_verifier"]
    )
    return with_identity(asked, made, nonce)


def refresh(asked: Asked) -> dict[str, Any]:
    """The same once more (§6)."""
    gate = asked.site.gate
    client = gate.proved(asked.proof, asked.address)
    made, _ = gate.grants.refresh(client, asked["refresh_token"], asked.form.get("scope", ""))
    return with_identity(asked, made)


GRANTS: dict[str, Handler] = {
    "authorization_code": code,
    "client_credentials": credentials,
    "refresh_token": refresh,
}


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


def with_identity(asked: Asked, made: Token, nonce: str = "") -> dict[str, Any]:
    """The answer, with an id_token where openid was granted."""
    answer = answered(made)
    scopes = made.scope.split()
    found = asked.site.gate.tokens.standing(made.access_token)
    if "openid" in scopes and found is not None:
        answer["id_token"] = asked.site.gate.issuer.id_token(
            asked.site.settings.url,
            found.client,
            found.actor.id,
            nonce=nonce,
            fhirUser=_fhir_user(asked, found.actor) if "fhirUser" in scopes else "",
        )
    return answer


def _fhir_user(asked: Asked, actor: Actor) -> str:
    return f"{asked.site.settings.url}/fhir/{actor.id}"


def answered(made: Token) -> dict[str, Any]:
    """A token as the RFC and SMART write it (§5.1; launch context beside it)."""
    return {
        "access_token": made.access_token,
        "token_type": "Bearer",
        "expires_in": made.seconds,
        "scope": made.scope,
        **({"refresh_token": made.refresh_token} if made.refresh_token else {}),
        **(made.context or {}),
    }


def revoke(asked: Asked) -> dict[str, Any]:
    """End a token of one's own, of whatever kind. Of one that is unknown or another's nothing is
    told (RFC 7009 §2.2)."""
    gate = asked.site.gate
    client = gate.proved(asked.proof, asked.address)
    text = asked["token"]
    found = gate.tokens.standing(text)
    if found is not None and found.client == client.id:
        gate.revoke(text)
    else:
        gate.grants.end_refresh(client, text)
    return {}


def introspect(asked: Asked) -> dict[str, Any]:
    """What a token is, for the client that has it or a server that may ask about all."""
    gate = asked.site.gate
    client = gate.proved(asked.proof, asked.address)
    text = asked["token"]
    found = gate.tokens.standing(text)
    if found is not None:
        actor, owner, until = found.actor, found.client, found.until
    else:
        grant = gate.grants.of_refresh(text)
        if grant is None:
            return {"active": False}
        actor, owner, until = grant.actor, grant.client, grant.until
    if owner != client.id and INTROSPECTION not in client.scopes:
        return {"active": False}
    return {"active": True, **_described(asked, actor, owner, until)}


def _described(asked: Asked, actor: Actor, owner: str, until: int) -> dict[str, Any]:
    patient = actor.patient.removeprefix("Patient/")
    person = actor.role is not Role.SOFTWARE
    issuer = asked.site.gate.issuer
    return {
        "client_id": owner or actor.username,
        "scope": " ".join(actor.scopes),
        "exp": until // SECOND,
        "iss": asked.site.settings.url,
        "token_type": "Bearer",
        "sub": issuer.subject(owner, actor.id) if person else actor.username,
        **({"patient": patient} if patient else {}),
        **({"fhirUser": _fhir_user(asked, actor)} if "fhirUser" in actor.scopes else {}),
    }


def routes() -> list[Route]:
    return [
        endpoint("/oauth/token", token),
        endpoint("/oauth/revoke", revoke),
        endpoint("/oauth/introspect", introspect),
    ]

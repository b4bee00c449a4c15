"""POST /oauth/token: an access token for software (RFC 6749 §4.4, client credentials).

The client names itself by HTTP Basic or in the form. Answers and errors are those of the RFC, so
that any OAuth library can talk to us.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import parse_qsl, unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sokhoe.errors import SignIn, SokhoeError
from sokhoe.web import Site, address_of, read_body

_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _refusal(error: str, text: str, status: int = 400) -> Response:
    headers = {**_HEADERS, "WWW-Authenticate": "Basic"} if status == 401 else _HEADERS
    return JSONResponse(
        {"error": error, "error_description": text}, status_code=status, headers=headers
    )


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(name), unquote_plus(secret)


async def token(request: Request) -> Response:
    site: Site = request.app.state.site
    try:
        body = await read_body(request, 16_384)
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (SokhoeError, UnicodeDecodeError):
        return _refusal("invalid_request", "The form could not be read.")
    if form.get("grant_type") != "client_credentials":
        return _refusal("unsupported_grant_type", "This server knows client_credentials.")
    named = _basic(request.headers.get("authorization", "")) or (
        form.get("client_id", ""),
        form.get("client_secret", ""),
    )
    try:
        made = await run_in_threadpool(
            site.gate.client_token, *named, form.get("scope", ""), address_of(request)
        )
    except SignIn as error:
        return _refusal("invalid_client", error.message, 401)
    except SokhoeError as error:
        return _refusal(error.slug, error.message, error.status)
    return JSONResponse(
        {
            "access_token": made.access_token,
            "token_type": "Bearer",
            "expires_in": made.seconds,
            "scope": made.scope,
        },
        headers=_HEADERS,
    )


def routes() -> list[Route]:
    return [Route("/oauth/token", token, methods=["POST"])]

"""What the addresses under /oauth have in common: a form, the software that sends it, and
refusals in the words of the RFC, so that any OAuth library can talk to us."""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sokhoe.errors import Busy, Invalid, SignIn, SokhoeError
from sokhoe.trust import ASSERTION_TYPE, Proof
from sokhoe.web import Site, address_of, read_body

log = logging.getLogger("sokhoe.exchange")
HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}
MOST_BODY = 32_768
# All of them come to the handler, so that the wrong ones are refused in words too.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Errors of the RFCs (6749 §5.2, 7009, 8707) go out by their own name; all others by one of these.
_KNOWN = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "access_denied",
    }
)

Form = Mapping[str, str]


class Asked:
    """One request of software: its form and how it says who it is."""

    def __init__(self, site: Site, form: Form, proof: Proof, address: str) -> None:
        self.site = site
        self.form = form
        self.proof = proof
        self.address = address

    def __getitem__(self, name: str) -> str:
        """A field that must be there. Raises Invalid (`invalid_request`)."""
        value = self.form.get(name, "")
        if not value:
            raise bad(f"{name} is missing.")
        return value


Handler = Callable[[Asked], dict[str, Any]]


def bad(text: str) -> Invalid:
    return Invalid(text, slug="invalid_request")


def endpoint(path: str, handler: Handler) -> Route:
    """An address for software: reads the form, runs the handler in a thread, answers JSON."""

    async def answer(request: Request) -> Response:
        site: Site = request.app.state.site
        try:
            if request.method != "POST":
                raise Invalid("Send a form by POST.", slug="invalid_request", status=405)
            form = await _form(request)
            asked = Asked(site, form, proof_of(request, form, site), address_of(request))
            return JSONResponse(await run_in_threadpool(handler, asked), headers=HEADERS)
        except SokhoeError as error:
            return refusal(error)
        except Exception:
            log.exception("%s failed", request.url.path)
            return refusal(SokhoeError("Something went wrong on our side.", slug="server_error"))

    return Route(path, answer, methods=METHODS)


def refusal(error: SokhoeError) -> Response:
    """An error as the RFC writes it."""
    headers = dict(HEADERS)
    status = error.status
    name = error.slug if error.slug in _KNOWN else "invalid_request"
    if status == 405:
        headers["Allow"] = "POST"
    if isinstance(error, SignIn):
        name, status = "invalid_client", 401
        headers["WWW-Authenticate"] = "Basic"
    elif isinstance(error, Busy):
        name = "temporarily_unavailable"
        headers["Retry-After"] = str(error.seconds)
    elif error.slug.startswith("agreement"):
        name, status = "unauthorized_client", 400
    elif status >= 500:
        name = "server_error"
    elif name == "invalid_grant":
        status = 400
    text = f"{error.message} {error.hint}".strip()
    return JSONResponse(
        {"error": name, "error_description": text}, status_code=status, headers=headers
    )


async def _form(request: Request) -> Form:
    """Raises Invalid, also for a field that comes twice (RFC 6749 §3.2)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise bad("Send a form (application/x-www-form-urlencoded).")
    body = await read_body(request, MOST_BODY)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise bad("The form could not be read.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise bad("A field was sent twice.")
    return form


def proof_of(request: Request, form: Form, site: Site) -> Proof:
    """Who the request says it comes from: by HTTP Basic, by secret or by signed word in the form.
    Raises SignIn when it says so in two ways at once."""
    named = _basic(request.headers.get("authorization", ""))
    assertion = form.get("client_assertion", "")
    two = SignIn("Say who you are in one way only.", slug="invalid_client")
    if named is not None:
        if assertion or "client_secret" in form or form.get("client_id", named[0]) != named[0]:
            raise two
        return Proof(*named)
    if assertion:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise bad(f"client_assertion_type must be {ASSERTION_TYPE}.")
        if "client_secret" in form:
            raise two
        return Proof(form.get("client_id", ""), assertion=assertion, audience=audience_of(site))
    return Proof(form.get("client_id", ""), form.get("client_secret", ""))


def audience_of(site: Site) -> tuple[str, ...]:
    """Our addresses that a signed word may be meant for: the token address first."""
    return (f"{site.settings.url}/oauth/token", site.settings.url)


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SignIn("The Authorization header cannot be read.", slug="invalid_client") from None
    return unquote_plus(name), unquote_plus(secret)

"""One FHIR call: from a request to a session and a body, and from a result to FHIR's headers.

Every answer that is not a resource is an OperationOutcome, also for what we did not foresee.
HTTP rules: hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from sokhoe import clock
from sokhoe.errors import Busy, Invalid, NotFound, SignIn, SokhoeError, Unsupported
from sokhoe.exchange.fhir_api.negotiation import JSON, Form, formed, resource_of, wanted
from sokhoe.exchange.fhir_api.reception import check_path, media_of, pairs_of, unpacked
from sokhoe.fhir import encode
from sokhoe.trust import Session, Version
from sokhoe.web import BASE, Site, address_of, read_body

log = logging.getLogger("sokhoe.exchange")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


class Call:
    """A FHIR request whose body has been read; `session` is asked for when first needed."""

    def __init__(self, request: Request, body: bytes, session: Session | None = None) -> None:
        self.request = request
        self.body = body
        self.site: Site = request.app.state.site
        self.base = f"{request.scope.get(BASE) or self.site.settings.url}/fhir"
        self.prefer = _prefer(request.headers.get("prefer", ""))
        self._session = session
        self.replayed = session is not None  # by the worker, in its sender's name

    @property
    def session(self) -> Session:
        if self._session is None:
            scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise SignIn(
                    "This address needs an access token.",
                    hint="Get one at /oauth/token and send it as 'Authorization: Bearer …'.",
                    slug="token-missing",
                )
            self._session = self.site.gate.bearer(token.strip(), address_of(self.request))
        return self._session

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Parameters of the URL without those that only choose the format."""
        found = pairs_of(self.request.scope["query_string"])
        return [pair for pair in found if pair[0] not in {"_format", "_pretty"}]

    @property
    def lenient(self) -> bool:
        return self.prefer.get("handling") == "lenient"

    def resource(self) -> dict[str, Any]:
        """The body as a resource. Raises Invalid."""
        return resource_of(self.media, self.body)

    @property
    def media(self) -> str:
        """The media type of the body. Raises Unsupported (415)."""
        return media_of(self.request)


Handler = Callable[[Call], Response]


class Endpoint(Route):
    """A route that knows its handlers, so that a kept request can be carried out later."""

    handlers: dict[str, Handler]


class Nowhere(Endpoint):
    """The last route: whatever is left under an address, line breaks in it or not."""

    def matches(self, scope: Any) -> Any:
        mine = scope["type"] == "http" and scope["path"].startswith("/fhir/")
        return (Match.FULL if mine else Match.NONE), {"path_params": {}, "endpoint": self.endpoint}


def endpoint(
    path: str,
    handlers: dict[str, Handler],
    accepts: frozenset[str] | None = frozenset(),
    kind: type[Endpoint] = Endpoint,
) -> Endpoint:
    """A route with one handler for each method; other methods get an OperationOutcome.
    `accepts`: media types that it answers with besides FHIR's own; None: any."""

    async def answer(request: Request) -> Response:
        form = Form.JSON
        try:
            form = wanted(request, accepts)
            return await carried(request, form)
        except SokhoeError as error:
            return formed(failure(error, allow), form, pretty=False)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there any more to read it
        except Exception:
            log.exception("%s failed", path)
            return failure(SokhoeError("Something went wrong on our side.", slug="failure"))

    async def carried(request: Request, form: Form) -> Response:
        site: Site = request.app.state.site
        check_path(request.url.path)
        if not handlers:
            raise NotFound(f"There is nothing at {request.url.path[:200]}.", slug="no-page")
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allow})
        handler = handlers.get(method)
        if handler is None:
            raise Unsupported(
                f"{request.method[:20]} is not supported here.",
                hint=f"Supported: {allow}",
                slug="method",
                status=405,
            )
        if method == "GET":
            check_id(request.path_params)
        most = site.settings.max_body_bytes
        packed = await read_body(request, most)
        pretty = request.query_params.get("_pretty") == "true"

        def carried_out() -> Response:
            body = unpacked(request.headers.get("content-encoding", ""), packed, most)
            return formed(handler(Call(request, body)), form, pretty=pretty)

        return await run_in_threadpool(carried_out)

    also = {"HEAD"} if "GET" in handlers else set()
    allow = ", ".join(sorted({*handlers, *also, "OPTIONS"}))
    route = kind(path, answer)
    route.methods = set()  # all: what is refused is refused with an OperationOutcome
    route.handlers = handlers
    return route


def check_id(path: Mapping[str, str]) -> None:
    """What cannot be an id is not looked for: a database may refuse it. Raises NotFound."""
    if not ID.match(path.get("id", "any")):
        raise NotFound(f"{path['id'][:80]!r} cannot be the id of anything.")


def _prefer(header: str) -> dict[str, str]:
    parts = (
        part.strip().partition("=") for chunk in header.split(",") for part in chunk.split(";")
    )
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in parts if name}


def failure(error: SokhoeError, allow: str = "") -> Response:
    """An error as an OperationOutcome. `allow`: the methods that are known at this address."""
    headers = {}
    if error.status == 405:
        headers["Allow"] = allow
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, SignIn):
        headers["WWW-Authenticate"] = f'Bearer error="{error.slug}"'
    return answer(error.outcome(), status=error.status, headers=headers)


def answer(
    value: dict[str, Any] | bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    body = value if isinstance(value, bytes) else encode(value)
    all_headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    return Response(body, status_code=status, media_type=JSON, headers=all_headers)


def etag(version: Version) -> str:
    return f'W/"{version.version}"'


def http_date(instant: int) -> str:
    moment = datetime.fromtimestamp(instant // 1_000_000, tz=UTC)
    return format_datetime(moment, usegmt=True)


def version_headers(call: Call, version: Version, *, located: bool = False) -> dict[str, str]:
    headers = {"ETag": etag(version), "Last-Modified": http_date(version.at)}
    if located:
        headers["Location"] = f"{call.base}/{version.ref}/_history/{version.version}"
    return headers


def if_match(header: str | None) -> int | None:
    """The version that `If-Match: W/"3"` demands; None where nothing is demanded."""
    if header is None:
        return None
    tag = header.strip().removeprefix("W/").strip('"')
    if not tag.isdigit():
        raise Invalid(
            f"If-Match {header!r} is not a version of this server.",
            hint='Send the ETag of the last read, for example W/"3".',
            slug="etag",
            status=412,
            code="conflict",
        )
    return int(tag)


def new_id() -> str:
    """A UUID of version 7 (RFC 9562): ids made one after another lie together in the index."""
    number = (clock.now() // 1000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76 | 0b11 << 62) | 0x7 << 76 | 0b10 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def links(relations: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"relation": name, "url": url} for name, url in relations]

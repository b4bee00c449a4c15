"""The fast door to /fhir: read, vread and the commonest searches, answered on the event loop.

    request ─ door: is it one of those, in plain JSON? ─ yes ─ SoonSession ─ answer
                          │ no                              │ None
                          └───────────── the plain way (routes, threads) ──┘

A thread, a router and a request object cost some 500 us of each read; here they cost none. The
door answers only what succeeds: every refusal, every error and all that is rare goes the plain way,
which says what an answer means (`interactions`); tests/exchange/test_door.py holds both together.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.calls import http_date
from sokhoe.exchange.fhir_api.negotiation import JSON
from sokhoe.exchange.fhir_api.reception import pairs_of, repeated
from sokhoe.exchange.fhir_api.showing import searchset
from sokhoe.fhir import TYPES
from sokhoe.trust import SoonSession, Version
from sokhoe.web import BASE, PACKED_FROM, Site, coding_of, pack

log = logging.getLogger("sokhoe.exchange")

_PATH = re.compile(
    r"/fhir/([A-Z][A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64})(?:/_history/([0-9]{1,9}))?)?\Z"
)
_ACCEPTED = {b"", b"*/*", b"application/fhir+json", b"application/json"}
# What a request may say beside; any other header that would change the answer goes the plain way.
_PLAIN = {b"if-modified-since", b"transfer-encoding", b"range"}
_NO_STORE = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-type", JSON.encode()),
)
_VARY = (b"vary", b"Accept-Encoding")

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]


class Asked:
    """The headers of a request, as far as the door must know them; `fits` if it may answer."""

    __slots__ = ("fits", "known", "packed", "token")

    def __init__(self, headers: Headers) -> None:
        self.token = ""
        self.known = b""
        self.packed = b""
        self.fits = True
        for name, value in headers:
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                if scheme.lower() == b"bearer":
                    self.token = token.strip().decode("latin-1")
            elif name == b"accept-encoding":
                self.packed = b",".join(filter(None, (self.packed, value)))
            elif name == b"if-none-match":
                self.fits &= not self.known
                self.known = value
            elif (
                (name == b"accept" and value.lower() not in _ACCEPTED)
                or (name == b"prefer" and not value.startswith(b"return="))
                or (name == b"content-length" and value != b"0")
                or name in _PLAIN
            ):
                self.fits = False
        self.fits &= bool(self.token)


class Door:
    """In front of the whole application; hands on what it does not answer."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._gate = site.gate
        self._base = f"{site.settings.url}/fhir"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            found = _PATH.match(scope["path"])
            if found is not None:
                try:
                    answer = await self._answer(scope, *found.groups())
                except Exception:
                    log.exception("the fast door failed; the plain way answers")
                    answer = None
                if answer is not None:
                    status, headers, body = answer
                    start = {"type": "http.response.start", "status": status, "headers": headers}
                    await send(start)
                    await send({"type": "http.response.body", "body": body})
                    return
        await self._app(scope, receive, send)

    async def _answer(
        self, scope: Scope, type: str, id: str | None, version: str | None
    ) -> Answer | None:
        asked = Asked(scope["headers"])
        if type not in TYPES or type == "Binary" or not asked.fits:
            return None
        client = scope.get("client")
        session = self._gate.bearer_soon(asked.token, client[0] if client else "")
        if session is None:
            return None
        if id is None:
            base = f"{scope[BASE]}/fhir" if BASE in scope else self._base
            return await self._search(session, type, scope["query_string"], asked, base)
        if scope["query_string"]:
            return None
        found = await session.read_soon(type, id, int(version) if version else None)
        if found is None:
            return None
        return self._read(found, asked, conditional=version is None)

    def _read(self, found: Version, asked: Asked, *, conditional: bool) -> Answer:
        tag = b'W/"%d"' % found.version
        headers = [(b"etag", tag), (b"last-modified", _date(found.at // 1_000_000))]
        if conditional and asked.known:
            tags = [one.strip() for one in asked.known.split(b",")]
            if tag in tags or b"*" in tags:
                return 304, headers, b""
        return _whole(headers, found.body, asked)

    async def _search(
        self, session: SoonSession, type: str, query: bytes, asked: Asked, base: str
    ) -> Answer | None:
        try:
            pairs = pairs_of(query)
        except Invalid:
            return None
        if not pairs or repeated(pairs):
            return None
        page = await session.search_soon(type, pairs)
        if page is None:
            return None
        return _whole([], searchset(base, type, pairs, page), asked)


def _whole(headers: Headers, body: bytes, asked: Asked) -> Answer:
    headers += _NO_STORE
    if len(body) >= PACKED_FROM:
        headers.append(_VARY)
        if coding := coding_of(asked.packed):
            body = pack(coding, body)
            headers.append((b"content-encoding", coding))
    headers.append((b"content-length", b"%d" % len(body)))
    return 200, headers, body


@lru_cache(maxsize=1_024)
def _date(second: int) -> bytes:
    return http_date(second * 1_000_000).encode()

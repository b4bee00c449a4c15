"""The hub's three addresses for stations, as HTTP: `/sync/v1/enrol`, `/push`, `/state`.

Everything is JSON; a refusal is `{"error": slug, "message": …, "hint": …}` with its HTTP status.
The work is done in a thread, since the memory answers synchronously.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import Invalid, SokhoeError, Unavailable
from sokhoe.fhir import decode, encode
from sokhoe.store import Store
from sokhoe.sync.enrol import ENROL, admit
from sokhoe.sync.receive import LetterBox
from sokhoe.sync.registry import Request
from sokhoe.sync.sender import PUSH, STATE
from sokhoe.web import address_of, read_body

log = logging.getLogger("sokhoe.sync")
_SMALL = 8192

Work = Callable[[Request], dict[str, Any]]


def letter_routes(box: LetterBox, hub: Store, most_bytes: int) -> list[Route]:
    """The routes of the protocol at a hub."""
    return [
        _route("POST", ENROL, lambda request: take_in(hub, request), _SMALL),
        _route("POST", PUSH, box.push, most_bytes),
        _route("GET", STATE, box.state, _SMALL),
    ]


def take_in(hub: Store, request: Request) -> dict[str, Any]:
    """`POST /sync/v1/enrol`: {code, node, epoch, public_key} → who the station is (enrol.admit)."""
    asked = decode(request.body)
    names = ("code", "node", "epoch", "public_key")
    if not isinstance(asked, dict) or not all(isinstance(asked.get(n), str) for n in names):
        raise Invalid(
            f"An enrolment is an object with the texts {', '.join(names)}.", slug="enrol-form"
        )
    return admit(
        hub,
        asked["code"],
        node=asked["node"],
        epoch=asked["epoch"],
        public_key=asked["public_key"],
        address=request.address,
    )


def as_answer(work: Work, request: Request) -> tuple[int, bytes]:
    """Do the work; status and JSON of the answer, also when it is a refusal."""
    try:
        return 200, encode(work(request))
    except SokhoeError as error:
        return _refusal(error)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _refusal(
            Unavailable(
                "The hub could not do this now.",
                hint="Nothing is lost; send it again.",
            )
        )


def _refusal(error: SokhoeError) -> tuple[int, bytes]:
    said = {"error": error.slug, "message": error.message, "hint": error.hint}
    return error.status, encode(said)


def _route(method: str, path: str, work: Work, most_bytes: int) -> Route:
    async def endpoint(web: WebRequest) -> Response:
        try:
            body = await read_body(web, most_bytes)
        except SokhoeError as error:
            status, content = _refusal(error)
        else:
            request = Request(method, path, dict(web.headers), body, address_of(web))
            status, content = await run_in_threadpool(as_answer, work, request)
        return Response(content, status, media_type="application/json")

    return Route(path, endpoint, methods=[method])

"""/sync at a station: what waits, is the line up, and what to do when it stays down.

For somebody who knows the machine only as the one in the corner: no number without a word, no
error without a next step, and nothing about any patient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.responses import Response
from starlette.routing import Route

from sokhoe import __version__, clock
from sokhoe.clock import Instant
from sokhoe.errors import SokhoeError
from sokhoe.fhir import encode
from sokhoe.store import Store
from sokhoe.sync.enrol import Enrolment, enrolment_of
from sokhoe.sync.line import StationLine
from sokhoe.sync.sender import CLOSED, NOT_ENROLLED, RESTORED, UNKNOWN
from sokhoe.trust import STAFF, Role
from sokhoe.web import Ask, page

PATH = "/sync"
ROLES = STAFF
HEAD = frozenset({Role.HEAD})
# What only a new code from the province puts right.
NEEDS_CODE = frozenset({NOT_ENROLLED, UNKNOWN, CLOSED, RESTORED})
ODD_CLOCK = 120  # seconds
DAY: Instant = 86_400_000_000


class Mail(Protocol):
    @property
    def store(self) -> Store: ...
    @property
    def line(self) -> StationLine: ...
    def enrol(self, code: str) -> Enrolment: ...


def routes(mail: Mail) -> list[Route]:
    """The routes of this page at a station that has a hub."""
    return [
        page(PATH, _with(show, mail), roles=ROLES),
        page(f"{PATH}/send", _with(send, mail), methods=("POST",), roles=ROLES),
        page(f"{PATH}/enrol", _with(enrol, mail), methods=("POST",), roles=HEAD),
        page(f"{PATH}/support", _with(support, mail), roles=ROLES),
    ]


def _with(handler: Callable[[Ask, Mail], Response], mail: Mail) -> Callable[[Ask], Response]:
    return lambda ask: handler(ask, mail)


def show(ask: Ask, mail: Mail, error: str = "", code: str = "", status: int = 200) -> Response:
    """GET /sync"""
    line = mail.line.status()
    state = mail.line.state()
    enrolment = enrolment_of(mail.store)
    needs_code = enrolment is None or line.note in NEEDS_CODE
    return ask.render(
        "sync/station.html",
        status=status,
        status_now=line,
        last=state.last,
        skew_minutes=abs(state.skew) // 60 if abs(state.skew) > ODD_CLOCK else 0,
        is_ahead=state.skew > 0,
        long_down=bool(not line.up and line.since and clock.now() - line.since > DAY),
        sent=mail.line.sent(),
        tried=bool(ask.query("tried")),
        needs_code=needs_code,
        may_enrol=needs_code and ask.actor.role in HEAD,
        facility=enrolment.name if enrolment else "",
        code=code,
        error=error,
    )


def send(ask: Ask, mail: Mail) -> Response:
    """POST /sync/send: wake the sender, and come back."""
    mail.line.send_now()
    return ask.go(f"{PATH}?tried=1")


def enrol(ask: Ask, mail: Mail) -> Response:
    """POST /sync/enrol: the one-time code of the province."""
    code = ask.field("code")
    try:
        mail.enrol(code)
    except SokhoeError as error:
        return show(ask, mail, ask.t.error(error), code, error.status)
    return ask.go(f"{PATH}?tried=1")


def support(ask: Ask, mail: Mail) -> Response:
    """GET /sync/support: what a helper on the telephone needs to see; nothing about a person."""
    line, state = mail.line.status(), mail.line.state()
    enrolment = enrolment_of(mail.store)
    told = {
        "program": f"sokhoe {__version__}",
        "now": clock.iso(clock.now()),
        "node": mail.store.node,
        "epoch": mail.store.epoch,
        "facility": enrolment.facility if enrolment else "",
        "hub_url": ask.site.settings.hub_url,
        "hub_epoch": state.hub_epoch,
        "head": mail.store.head(),
        "acknowledged": {"commit": state.acked, "version": state.reach, "hash": state.hash},
        "waiting": line.waiting,
        "up": line.up,
        "since": clock.iso(line.since) if line.since else "",
        "last_arrival": clock.iso(state.last) if state.last else "",
        "note": line.note,
        "clock_ahead_seconds": state.skew,
    }
    name = f"sokhoe-{mail.store.node}.json"
    return Response(
        encode(told),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )

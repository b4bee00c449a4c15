"""The province's gateway for hospital software, as the software already speaks it.

Paths, fields and codes are those of the province's present receiving gateway (read from public
client code, November 2026; to be confirmed with the province before service), so that software
which sends today sends to us unchanged. A file is kept and answered at once; what became of it is
asked for later by its MA_LK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sokhoe.errors import Forbidden, Invalid, NotFound, SignIn, SokhoeError
from sokhoe.exchange import FileKind, Problem, Slip, receive, slips
from sokhoe.fhir import decode
from sokhoe.trust import Session
from sokhoe.web import Site, address_of, read_body

MAX_FILE = 10 * 1024 * 1024
_XML_TYPES = {"application/xml", "text/xml"}
# Our Task status as the gateway names it: (status, validation_status).
_STATUS = {
    "requested": ("QUEUED", "PENDING"),
    "completed": ("PROCESSED", "VALID"),
    "failed": ("REJECTED", "INVALID"),
}
Handler = Callable[["Call"], Response]


class Call:
    """One gateway call: its site, body and, once asked for, its session."""

    def __init__(self, request: Request, body: bytes, kind: FileKind) -> None:
        self.request = request
        self.body = body
        self.kind = kind
        self.site: Site = request.app.state.site

    @property
    def session(self) -> Session:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise SignIn("Thiếu access token. Hãy gọi /api/xac-thuc/token.", slug="TOKEN_MISSING")
        return self.site.gate.bearer(token.strip(), address_of(self.request))


def routes(site: Site, kind: FileKind) -> list[Route]:
    """The gateway's routes; it exists at the hub only."""

    def route(path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                body = await read_body(request, MAX_FILE)
                return await run_in_threadpool(handler, Call(request, body, kind))
            except SokhoeError as error:
                return _refusal(error)

        return Route(path, endpoint, methods=[method])

    return [
        route("/api/xac-thuc/token", "POST", token),
        route("/api/xac-thuc/thong-tin", "GET", about),
        route("/api/kham-chua-benh/hoan-tat", "POST", visit),
        route("/api/kham-chua-benh/ho-so/trang-thai", "GET", status),
    ]


def token(call: Call) -> Response:
    """Sign in with the unit's account; a token for three hours."""
    form = decode(call.body)
    if not isinstance(form, dict) or not all(
        isinstance(form.get(name), str) for name in ("username", "password")
    ):
        raise Invalid("Cần username và password dạng chuỗi.", slug="INVALID_REQUEST")
    made, actor = call.site.gate.password_token(
        form["username"], form["password"], address_of(call.request)
    )
    return _answer(
        "SUCCESS",
        "Đăng nhập thành công.",
        {
            "access_token": made.access_token,
            "token_type": "Bearer",
            "expires_in": made.seconds,
            "ma_don_vi": unit_of(actor.place),
        },
    )


def about(call: Call) -> Response:
    """Which unit this token belongs to."""
    actor = call.session.actor
    data = {"ten_don_vi": actor.place_name or actor.name, "ma_don_vi": unit_of(actor.place)}
    return _answer("SUCCESS", "Thông tin đơn vị.", data)


def visit(call: Call) -> Response:
    """Take in a finished visit: kept as sent, answered at once, translated afterwards."""
    session = call.session
    kind = call.request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _XML_TYPES:
        raise Invalid(
            "Nội dung phải là application/xml.", slug="UNSUPPORTED_MEDIA_TYPE", status=415
        )
    if not call.kind.recognises(call.body):
        raise Invalid("Nội dung không phải tệp XML GIAMDINHHS.", slug="INVALID_XML", status=400)
    label = call.kind.label(call.body)
    unit = unit_of(session.actor.place)
    if label.facility != unit:
        raise Forbidden(
            f"MACSKCB {label.facility} không phải đơn vị của tài khoản ({unit}).",
            slug="MACSKCB_MISMATCH",
            location="THONGTINDONVI/MACSKCB",
        )
    slip = receive(session, call.kind, call.body, label)
    code = "ACCEPTED_DUPLICATE" if slip.duplicate else "ACCEPTED"
    text = (
        "Tệp này đã được nhận trước đó, không xử lý lại."
        if slip.duplicate
        else "Đã nhận tệp, đang xử lý."
    )
    state = _STATUS[slip.status]
    data = {
        "tracking_id": slip.tracking,
        "ma_lk": slip.keys[0] if slip.keys else "",
        "status": state[0],
        "validation_status": state[1],
        "received_at": slip.received,
    }
    return _answer(code, text, data)


def status(call: Call) -> Response:
    """What became of the files about an episode (`ma_lk`), newest first."""
    session = call.session
    key = call.request.query_params.get("ma_lk", "").strip()
    if not key:
        raise Invalid("Thiếu tham số ma_lk.", slug="INVALID_REQUEST", location="ma_lk")
    unit = unit_of(session.actor.place)
    system = call.site.pack.seam("exchange.episode_system")
    found = [one for one in slips(session, system, key) if one.facility == unit]
    if not found:
        raise NotFound(f"Chưa nhận tệp nào có MA_LK {key}.", slug="NOT_FOUND")
    newest = found[0]
    data = {
        "ma_lk": key,
        "tracking_id": newest.tracking,
        "status": _STATUS[newest.status][0],
        "validation_status": _STATUS[newest.status][1],
        "requests": [_request(one) for one in found],
    }
    errors = [_problem(one) for one in newest.problems if one.severity == "error"]
    warnings = [_problem(one) for one in newest.problems if one.severity != "error"]
    return _answer("SUCCESS", "Trạng thái hồ sơ.", data, warnings=warnings, errors=errors)


def unit_of(place: str) -> str:
    """The unit's code of an account's place (`Organization/86001`)."""
    return place.partition("/")[2]


def _request(slip: Slip) -> dict[str, Any]:
    state, validation = _STATUS[slip.status]
    events = [{"event_type": "RECEIVED", "to_status": "QUEUED", "message": "Đã nhận tệp."}]
    if slip.status != "requested":
        text = "Đã đưa vào hồ sơ." if slip.status == "completed" else "Tệp có lỗi, không đưa vào."
        events.append({"event_type": "VALIDATED", "to_status": state, "message": text})
    return {
        "tracking_id": slip.tracking,
        "source_channel": "LEGACY_API",
        "received_at": slip.received,
        "hoc_status": state,
        "validation_status": validation,
        "events": events,
        "errors": [_problem(one) for one in slip.problems],
    }


def _problem(one: Problem) -> dict[str, str]:
    return {
        "severity": one.severity.upper(),
        "code": one.code,
        "field_path": one.field,
        "message": one.message,
    }


def _answer(
    code: str,
    message: str,
    data: dict[str, Any],
    *,
    warnings: list[dict[str, str]] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    return JSONResponse(
        {
            "success": True,
            "code": code,
            "message": message,
            "data": data,
            "warnings": warnings or [],
            "errors": errors or [],
        },
        headers={"Cache-Control": "no-store"},
    )


def _refusal(error: SokhoeError) -> Response:
    errors = [
        {
            "severity": "ERROR",
            "code": error.slug.upper().replace("-", "_"),
            "field_path": one.location,
            "message": one.message,
        }
        for one in error.issues
    ]
    return JSONResponse(
        {
            "success": False,
            "code": error.slug.upper().replace("-", "_"),
            "message": error.message,
            "data": None,
            "warnings": [],
            "errors": errors,
        },
        status_code=error.status,
        headers={"Cache-Control": "no-store"},
    )

"""From a request to an answer: who asks, with what form, and what he gets when it goes wrong.

A page is a plain function `handler(ask: Ask) -> Response`, run in a thread, since the memory
answers synchronously. `page(…)` makes a route of it and does for every page what no page should
forget: sign-in, roles, CSRF, body bound, language, error page, headers.

CSRF: a form of a signed-in user carries the sign-in's token; besides, a browser that says where a
form comes from (Sec-Fetch-Site, Origin) must say "from here", which covers the sign-in form itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sokhoe.errors import Forbidden, Invalid, SokhoeError
from sokhoe.trust import Actor, Level, Origin, Role, Session, SignedIn, check_recent, draw, same
from sokhoe.web.site import NavItem, Site
from sokhoe.web.texts import LANGUAGES, SPEAKING, Speaker, key

log = logging.getLogger("sokhoe.web")
SAFE = frozenset({"GET", "HEAD"})
SIGN_IN = "/signin"
DEVICE_SECONDS = 400 * 24 * 3600  # browsers keep no cookie for longer
PATIENCE = 30.0  # seconds in which a body may come
SLOWEST = 1_000  # bytes that win it a second more: a line of 8 kbit/s is waited for
# Fields of a form that came after its sign-in had ended travel through the sign-in page so named.
KEPT = "kept:"
ROLES: Mapping[Role, str] = {
    Role.NURSE: key("nurse"),
    Role.DOCTOR: key("doctor"),
    Role.HEAD: key("head of the facility"),
    Role.STEWARD: key("steward of the person index"),
    Role.STATISTICIAN: key("statistician"),
    Role.AUDITOR: key("auditor"),
    Role.OPERATOR: key("operator"),
    Role.CITIZEN: key("citizen"),
    Role.SOFTWARE: key("software"),
    Role.MACHINE: key("machine"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Ask:
    """One request in the hands of a page."""

    def __init__(self, request: Request, form: FormData, signed_in: SignedIn | None) -> None:
        self.request = request
        self.site: Site = request.app.state.site
        self.form = form
        self.signed_in = signed_in
        self.t: Speaker = self.site.texts.speaker(language_of(request, self.site))

    @property
    def session(self) -> Session:
        """The session of whoever asks; a public page must not ask for it."""
        if self.signed_in is None:
            raise Forbidden("Sign in first.", slug="sign-in", status=401)
        return self.signed_in.session

    @property
    def actor(self) -> Actor:
        return self.session.actor

    @property
    def path(self) -> Mapping[str, str]:
        """Values of the route's path, by name."""
        return self.request.path_params

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def field(self, name: str, default: str = "") -> str:
        """A form field, trimmed."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def fields(self, name: str) -> list[str]:
        """All values of a repeated form field, in order, trimmed (empty ones kept)."""
        return [one.strip() for one in self.form.getlist(name) if isinstance(one, str)]

    def file(self, name: str) -> UploadFile | None:
        value = self.form.get(name)
        return value if isinstance(value, UploadFile) else None

    @property
    def address(self) -> str:
        return address_of(self.request)

    @property
    def is_fragment(self) -> bool:
        """True when htmx asks for a part of the page only."""
        return self.request.headers.get("hx-request") == "true"

    def render(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page from a template (`clinic/visit.html`) with the shell's usual names in it."""
        return render(self, template, status=status, **context)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Within it, the macros of parts.html speak this reader's language."""
        token = SPEAKING.set(self.t)
        try:
            yield
        finally:
            SPEAKING.reset(token)

    def go(self, path: str) -> RedirectResponse:
        """See another page (303), also after a form."""
        return RedirectResponse(path, status_code=303)


Handler = Callable[[Ask], Response]


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def cookie_name(site: Site) -> str:
    """Ports share cookies, so two servers of one demo must not share the name; over HTTPS the
    `__Host-` prefix binds it to this host alone."""
    if site.settings.url.startswith("https://"):
        return "__Host-sokhoe"
    return f"sokhoe-{site.settings.port}"


def set_cookie(site: Site, response: Response, secret: str) -> None:
    response.set_cookie(
        cookie_name(site),
        secret,
        httponly=True,
        samesite="lax",
        secure=site.settings.url.startswith("https://"),
        path="/",
    )


def cookie_of(ask: Ask) -> str:
    """The secret of whoever asks, whole sign-in or half; "" for none."""
    return ask.request.cookies.get(cookie_name(ask.site), "")


def device_cookie(site: Site) -> str:
    """Name of the cookie by which this browser is known as one that somebody signed in on."""
    return f"{cookie_name(site)}-device"


def origin_of(request: Request, site: Site) -> Origin:
    """Where a sign-in comes from; a browser that is new here gets a secret of its own, which
    `keep_device` gives it."""
    device = request.cookies.get(device_cookie(site), "")
    return Origin(
        address_of(request),
        device if 40 <= len(device) <= 64 else draw(),
        request.headers.get("user-agent", "")[:200],
    )


def keep_device(site: Site, response: Response, origin: Origin) -> None:
    """Let this browser be known again, also after it was closed."""
    response.set_cookie(
        device_cookie(site),
        origin.device,
        max_age=DEVICE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=site.settings.url.startswith("https://"),
        path="/",
    )


def language_of(request: Request, site: Site) -> str:
    chosen = request.cookies.get("language", "")
    return chosen if chosen in LANGUAGES else str(site.settings.language)


def render(ask: Ask, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    site = ask.site
    actor = ask.signed_in.session.actor if ask.signed_in else None
    nav = [
        item
        for item in site.nav
        if actor is not None and (item.roles is None or actor.role in item.roles)
    ]
    shell = {
        "ask": ask,
        "t": ask.t,
        "site": site,
        "actor": actor,
        "role_word": ask.t(ROLES[actor.role]) if actor else "",
        "csrf": ask.signed_in.csrf if ask.signed_in else "",
        "line": site.line.status(),
        "nav": nav,
        "idle": idle_seconds(ask),
        "here": ask.request.url.path,
        "nav_here": _nav_here(nav, ask.request.url.path),
        "size": _size(ask.request),
        "languages": LANGUAGES,
        "banners": [text for text in (make() for make in site.banners) if text],
    }
    taken = shell.keys() & context.keys()
    if taken:
        raise ValueError(f"{template}: the shell needs these names itself: {sorted(taken)}")
    with ask.speaking():
        html = site.templates.get_template(template).render({**shell, **context})
    return HTMLResponse(html, status_code=status)


def idle_seconds(ask: Ask) -> int:
    """After how many seconds without a click this sign-in ends; 0: nobody is signed in."""
    if ask.signed_in is None:
        return 0
    return ask.site.gate.idle_minutes(ask.signed_in) * 60


def _nav_here(nav: Sequence[NavItem], here: str) -> NavItem | None:
    """The place in the menu that this page belongs to: the one with the longest matching path."""
    fitting = [item for item in nav if here == item.path or here.startswith(f"{item.path}/")]
    return max(fitting, key=lambda item: len(item.path), default=None)


def _size(request: Request) -> str:
    size = request.cookies.get("size", "100")
    return size if size in {"100", "115", "130", "150"} else "100"


def error_page(ask: Ask, error: SokhoeError) -> Response:
    return render(ask, "web/error.html", status=error.status, error=error)


def local_path(path: str) -> str:
    """A path on this server, or "/" for anything else: no link may lead away through us."""
    if path.startswith("/") and not path.startswith("//") and not set(path) & set("\\\r\n\t"):
        return path
    return "/"


def kept_fields(form: FormData) -> list[tuple[str, str]]:
    """The fields that travel through the sign-in page."""
    return [
        (name, value)
        for name, value in form.multi_items()
        if name.startswith(KEPT) and isinstance(value, str)
    ]


def sign_in_page(
    ask: Ask,
    after: str = "",
    *,
    kept: Sequence[tuple[str, str]] = (),
    username: str = "",
    error: str = "",
    status: int = 200,
) -> Response:
    """The sign-in form. `after`: where to go then; `kept`: fields to hand back there."""
    factors = ask.site.gate.factors
    return render(
        ask,
        "web/signin.html",
        status=status,
        asked=factors.assertion() if factors.site else "",
        pins=bool(ask.site.gate.entrance.here(origin_of(ask.request, ask.site))),
        next=local_path(after) if after else "",
        kept=kept,
        username=username,
        error=error,
    )


def step_up_page(
    ask: Ask,
    after: str,
    *,
    kept: Sequence[tuple[str, str]] = (),
    error: str = "",
    status: int = 200,
) -> Response:
    """The form in which one proves once more who one is, before what is delicate."""
    gate, who = ask.site.gate, ask.actor.username or ask.actor.id
    factors, view = gate.factors, gate.factors.of(who)
    device = origin_of(ask.request, ask.site).device
    citizen = ask.actor.role is Role.CITIZEN
    return render(
        ask,
        "web/stepup.html",
        status=status,
        next=local_path(after),
        kept=kept,
        view=view,
        citizen=citizen,
        pin=citizen and gate.devices.has_pin(device, who),
        asked=factors.assertion(who) if view.passkeys and factors.site else "",
        error=error,
    )


def check_origin(request: Request) -> None:
    """Refuse a form that a browser says comes from another site."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site not in {None, "same-origin", "none"}:
        raise Forbidden("This form came from another site.", slug="csrf")
    origin = request.headers.get("origin")
    if origin not in {None, "null"} and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("This form came from another site.", slug="csrf")


def _check_form(request: Request, form: FormData, signed_in: SignedIn | None) -> None:
    check_origin(request)
    if signed_in is None:
        return
    sent = form.get("csrf") or request.headers.get("x-csrf", "")
    if not isinstance(sent, str) or not same(sent, signed_in.csrf):
        raise Forbidden("This form is too old. Load the page again.", slug="csrf")


async def read_body(request: Request, limit: int) -> bytes:
    """The body, never more than `limit` bytes, and not for ever: a line may be slow, a sender who
    keeps the door open with a byte a minute is sent away. Raises Invalid (408, 413)."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE) as patience:
            start = asyncio.get_running_loop().time()
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise Invalid(
                        f"The body is larger than {limit} bytes.",
                        hint="Send it in several parts.",
                        slug="too-large",
                        status=413,
                        code="too-long",
                    )
                chunks.append(chunk)
                patience.reschedule(start + PATIENCE + size / SLOWEST)
    except TimeoutError:
        raise Invalid(
            f"The body comes too slowly: {size} bytes so far.",
            hint="Send it in several parts.",
            slug="too-slow",
            status=408,
            code="timeout",
        ) from None
    return b"".join(chunks)


async def _read_form(request: Request, limit: int) -> FormData:
    endless = "transfer-encoding" in request.headers  # no browser sends a form without its length
    declared = request.headers.get("content-length", "x" if endless else "0")
    if not (declared.isascii() and declared.isdigit()) or int(declared[:12]) > limit:
        raise Invalid("The form is too large.", slug="too-large", status=413)
    try:
        return await request.form(max_files=10, max_fields=2000, max_part_size=limit)
    except (ValueError, HTTPException) as error:
        raise Invalid("The form could not be read.", slug="form") from error


def page(
    path: str,
    handler: Handler,
    *,
    methods: Sequence[str] = ("GET",),
    roles: frozenset[Role] | None = None,
    public: bool = False,
    door: str = SIGN_IN,
    recent: bool = False,
    level: Level = Level.NONE,
    max_body: int = 1_048_576,
) -> Route:
    """A route for a page. `roles`: who may open it (None: anybody signed in); `public`: no
    sign-in needed; `door`: where somebody who is not signed in is sent; `recent`: its forms are
    delicate: who proved himself more than five minutes ago does so again first; `level`: the same
    for a citizen who is known less surely than this (decision 28)."""

    async def endpoint(request: Request) -> Response:
        site: Site = request.app.state.site
        form = FormData()
        signed_in: SignedIn | None = None
        try:
            cookie = request.cookies.get(cookie_name(site))
            if cookie:
                address = address_of(request)
                signed_in = await run_in_threadpool(site.gate.signed_in, cookie, address)
            if request.method not in SAFE:
                form = await _read_form(request, max_body)
                _check_form(request, form, signed_in)
            if not public and signed_in is None:
                return _finish(await run_in_threadpool(_to_the_door, request, form, door))
            ask = Ask(request, form, signed_in)
            if not public and roles is not None and ask.actor.role not in roles:
                raise Forbidden(f"This page is not for the role {ask.actor.role}.", slug="role")
            if signed_in is not None and request.method not in SAFE and ask.actor.level < level:
                return _finish(await run_in_threadpool(_once_more, ask))
            if recent and signed_in is not None and request.method not in SAFE:
                try:
                    check_recent(signed_in.fresh)
                except Forbidden:
                    return _finish(await run_in_threadpool(_once_more, ask))
            return _finish(await run_in_threadpool(handler, ask))
        except SokhoeError as error:
            ask = Ask(request, form, signed_in)
            return _finish(await run_in_threadpool(error_page, ask, error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there any more to read it
        except Exception:
            log.exception("page %s failed", path)
            ask = Ask(request, form, signed_in)
            failure = SokhoeError("Something went wrong on our side.", slug="failure")
            return _finish(await run_in_threadpool(error_page, ask, failure))

    return Route(path, endpoint, methods=list(methods))


def _to_the_door(request: Request, form: FormData, door: str) -> Response:
    """Ask for the sign-in; what was typed into a form of staff goes along and comes back."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method in SAFE or door != SIGN_IN:
        return RedirectResponse(f"{door}?next={quote(asked, safe='/')}", status_code=303)
    kept = _keeping(form)
    return sign_in_page(Ask(request, FormData(), None), asked, kept=kept, status=401)


def _once_more(ask: Ask) -> Response:
    """Ask for a fresh proof; the form goes along and comes back."""
    return step_up_page(ask, ask.request.url.path, kept=_keeping(ask.form), status=403)


def _keeping(form: FormData) -> list[tuple[str, str]]:
    """The fields of a form, named so that they travel through the pages of signing in."""
    return [
        (KEPT + name, value)
        for name, value in form.multi_items()
        if isinstance(value, str) and name != "csrf"
    ]


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response

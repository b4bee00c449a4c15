"""The few pages of the face itself: sign in and out, language, size, help, first page, statics.

A form that arrives after its sign-in has ended is not lost: its fields travel as hidden fields
through the sign-in page and are handed back afterwards (`page` in asking.py sends them here).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sokhoe.errors import Busy, Forbidden, SignIn
from sokhoe.web import papers
from sokhoe.web.asking import (
    KEPT,
    Ask,
    Handler,
    check_origin,
    cookie_name,
    keep_device,
    kept_fields,
    local_path,
    origin_of,
    page,
    set_cookie,
    sign_in_page,
)
from sokhoe.web.site import Site
from sokhoe.web.statics import serve
from sokhoe.web.texts import LANGUAGES

YEAR = 365 * 24 * 3600
SIZES = ("100", "115", "130", "150")


def routes(site: Site) -> list[Route]:
    """The routes of the web room."""
    return [
        page("/", first, public=True),
        page("/signin", _not_signed_in(sign_in), methods=("GET", "POST"), public=True),
        page("/signout", sign_out, methods=("POST",), public=True),
        page("/language", language, public=True),
        page("/size", size, public=True),
        page("/help", help_page, public=True),
        *papers.routes(),
        Route("/state/line", line_state),
        Route("/static/{name}", serve),
    ]


def first(ask: Ask) -> Response:
    """Everybody to where his work begins."""
    if ask.signed_in is None:
        return ask.go(ask.site.front)
    return ask.go(ask.site.homes.get(ask.actor.role, "/help"))


def _not_signed_in(handler: Handler) -> Handler:
    """Who is signed in has no business at the sign-in page (the Back button leads there)."""

    def checked(ask: Ask) -> Response:
        if ask.signed_in is not None and ask.request.method == "GET":
            return ask.go(local_path(ask.query("next")))
        return handler(ask)

    return checked


def sign_in(ask: Ask) -> Response:
    """GET shows the form, POST checks the password and goes on."""
    if ask.request.method == "GET":
        return sign_in_page(ask, ask.query("next"))
    site = ask.site
    after = local_path(ask.field("next"))
    kept = kept_fields(ask.form)
    origin = origin_of(ask.request, site)
    try:
        cookie = site.gate.entrance.sign_in(ask.field("username"), _password(ask.form), origin)
    except (SignIn, Busy) as error:
        return sign_in_page(
            ask,
            after,
            kept=kept,
            username=ask.field("username"),
            error=ask.t.error(error),
            status=error.status,
        )
    old = ask.request.cookies.get(cookie_name(site))
    if old:
        site.gate.sign_out(old)
    response: Response = ask.go(after)
    if kept:
        signed_in = site.gate.signed_in(cookie, ask.address)
        again = Ask(ask.request, ask.form, signed_in)
        plain = [(name.removeprefix(KEPT), value) for name, value in kept]
        response = again.render("web/goon.html", next=after, kept=plain)
    set_cookie(site, response, cookie)
    keep_device(site, response, origin)
    return response


def _password(form: FormData) -> str:
    """Untrimmed: a space may be part of a password."""
    value = form.get("password", "")
    return value if isinstance(value, str) else ""


def sign_out(ask: Ask) -> Response:
    name = cookie_name(ask.site)
    cookie = ask.request.cookies.get(name)
    if cookie:
        ask.site.gate.sign_out(cookie)
    response = ask.go(ask.site.front)
    response.delete_cookie(name, path="/")
    return response


def language(ask: Ask) -> Response:
    return _remember(ask, "language", LANGUAGES)


def size(ask: Ask) -> Response:
    return _remember(ask, "size", SIZES)


def _remember(ask: Ask, name: str, known: object) -> Response:
    response = ask.go(_back(ask.request))
    to = ask.query("to")
    if to in known:  # type: ignore[operator]
        secure = ask.site.settings.url.startswith("https://")
        response.set_cookie(name, to, max_age=YEAR, samesite="lax", secure=secure, httponly=True)
    return response


def _back(request: Request) -> str:
    """The page the reader came from, when it is one of ours."""
    referer = urlsplit(request.headers.get("referer", ""))
    if referer.netloc != request.headers.get("host"):
        return "/"
    return local_path(referer.path + (f"?{referer.query}" if referer.query else ""))


def help_page(ask: Ask) -> Response:
    return ask.render("web/help.html")


async def line_state(request: Request) -> Response:
    """The header's line chip alone. It does not touch the sign-in: a page that asks every 20
    seconds must not keep a forgotten screen signed in. It tells nothing about any person."""
    try:
        check_origin(request)
    except Forbidden as error:
        return Response(error.message, status_code=error.status, media_type="text/plain")
    site: Site = request.app.state.site
    if not request.cookies.get(cookie_name(site)):
        return Response(status_code=204)
    ask = Ask(request, FormData(), None)
    parts = site.templates.get_template("web/line.html")
    with ask.speaking():
        html = parts.render(line=site.line.status(), href=site.line_page)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})

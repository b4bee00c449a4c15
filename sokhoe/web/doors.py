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

from sokhoe.errors import Forbidden
from sokhoe.web import myself, papers, staff
from sokhoe.web.asking import (
    Ask,
    Handler,
    check_origin,
    cookie_name,
    local_path,
    page,
)
from sokhoe.web.entering import more, sign_in, step_up
from sokhoe.web.site import Site
from sokhoe.web.statics import serve
from sokhoe.web.switching import switch
from sokhoe.web.texts import LANGUAGES

YEAR = 365 * 24 * 3600
SIZES = ("100", "115", "130", "150")


def routes(site: Site) -> list[Route]:
    """The routes of the web room."""
    return [
        page("/", first, public=True),
        page("/signin", _not_signed_in(sign_in), methods=("GET", "POST"), public=True),
        page("/signin/more", more, methods=("GET", "POST"), public=True),
        page("/stepup", step_up, methods=("GET", "POST")),
        page("/state/stay", stay, methods=("POST",)),
        page("/switch", switch, methods=("GET", "POST"), public=True),
        *myself.routes(),
        *staff.routes(),
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


def sign_out(ask: Ask) -> Response:
    name = cookie_name(ask.site)
    cookie = ask.request.cookies.get(name)
    if cookie:
        ask.site.gate.sign_out(cookie)
    response = ask.go(ask.site.front)
    response.delete_cookie(name, path="/")
    return response


def stay(ask: Ask) -> Response:
    """ "I am still here", from the warning before a sign-in ends; that it asked is enough."""
    return Response(status_code=204)


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

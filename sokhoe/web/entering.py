"""Signing in, page by page: password or passkey, then what is still missing (the second factor, a
password of one's own, setting up a second factor), and proving it once more for what is delicate.

A form that was typed while its sign-in ended travels along as `kept` fields and is handed back at
the end, whatever lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from segno import make as make_qr
from starlette.datastructures import FormData
from starlette.responses import Response

from sokhoe.errors import Forbidden, SokhoeError
from sokhoe.trust import Half, Origin, Stage, same, totp_address
from sokhoe.web.asking import (
    KEPT,
    Ask,
    cookie_of,
    keep_device,
    kept_fields,
    local_path,
    origin_of,
    set_cookie,
    sign_in_page,
    step_up_page,
)

MORE = "/signin/more"


@dataclass(frozen=True, slots=True)
class Wish:
    """Where somebody wanted to go, and what was typed there already."""

    after: str
    kept: Sequence[tuple[str, str]] = ()

    @staticmethod
    def of(ask: Ask) -> Wish:
        return Wish(local_path(ask.field("next") or ask.query("next")), kept_fields(ask.form))


def typed(form: FormData, name: str = "password") -> str:
    """A password, untrimmed: a space may be part of it."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def sign_in(ask: Ask) -> Response:
    """GET shows the form; POST checks the password, or a passkey in its place, and goes on."""
    wish = Wish.of(ask)
    if ask.request.method == "GET":
        return sign_in_page(ask, ask.query("next"))
    entrance, origin = ask.site.gate.entrance, origin_of(ask.request, ask.site)
    try:
        if ask.field("answer"):
            new = entrance.with_passkey(ask.field("answer"), origin)
        else:
            new = entrance.sign_in(ask.field("username"), typed(ask.form), origin)
    except SokhoeError as error:
        return sign_in_page(
            ask,
            wish.after,
            kept=wish.kept,
            username=ask.field("username"),
            error=ask.t.error(error),
            status=error.status,
        )
    return onward(ask, new, origin, wish)


def onward(ask: Ask, new: str, origin: Origin, wish: Wish) -> Response:
    """On with the new secret: to the page for what is missing, or to where one wanted to go."""
    gate = ask.site.gate
    old = cookie_of(ask)
    if old and old != new:
        gate.sign_out(old)
    half = gate.entrance.half(new)
    if half is not None:
        response = missing(ask, half, wish)
    elif wish.kept:
        again = Ask(ask.request, ask.form, gate.signed_in(new, ask.address))
        plain = [(name.removeprefix(KEPT), value) for name, value in wish.kept]
        response = again.render("web/goon.html", next=wish.after, kept=plain)
    else:
        response = ask.go(wish.after)
    set_cookie(ask.site, response, new)
    if half is None:
        keep_device(ask.site, response, origin)
    return response


def more(ask: Ask) -> Response:
    """What is still missing: GET shows the page for it, POST is its form."""
    gate, wish = ask.site.gate, Wish.of(ask)
    cookie = cookie_of(ask)
    half = gate.entrance.half(cookie) if cookie else None
    if half is None:
        return sign_in_page(ask, wish.after, kept=wish.kept)
    if ask.request.method == "GET":
        return missing(ask, half, wish)
    if not same(ask.field("csrf"), half.csrf):
        raise Forbidden("This form is too old. Load the page again.", slug="csrf")
    origin = origin_of(ask.request, ask.site)
    codes: list[str] = []
    try:
        match half.stage:
            case Stage.FACTOR if ask.field("answer"):
                new = gate.entrance.second_passkey(cookie, ask.field("answer"), origin)
            case Stage.FACTOR:
                new = gate.entrance.second(cookie, ask.field("code"), origin)
            case Stage.PASSWORD:
                new = gate.entrance.new_password(cookie, typed(ask.form), origin)
            case _:
                codes = set_up(ask, half.who)
                new = gate.entrance.enrolled(cookie, origin)
    except SokhoeError as error:
        return missing(ask, half, wish, error)
    if codes:
        return codes_page(ask, new, origin, wish, codes)
    return onward(ask, new, origin, wish)


def set_up(ask: Ask, who: str) -> list[str]:
    """Set up what the form brings: a passkey, or an app, whose recovery codes are returned."""
    factors = ask.site.gate.factors
    if ask.field("answer"):
        factors.add_passkey(who, ask.field("answer"), ask.field("name"))
        return []
    return factors.confirm(who, ask.field("code"))


def missing(ask: Ask, half: Half, wish: Wish, error: SokhoeError | None = None) -> Response:
    """The page for what is missing."""
    common = {
        "token": half.csrf,
        "next": wish.after,
        "kept": wish.kept,
        "name": half.actor.name,
        "error": ask.t.error(error) if error else "",
    }
    status = error.status if error else 200
    factors = ask.site.gate.factors
    view = factors.of(half.who)
    if half.stage is Stage.FACTOR:
        asked = factors.assertion(half.who) if view.passkeys and factors.site else ""
        return ask.render("web/second.html", status=status, view=view, asked=asked, **common)
    if half.stage is Stage.PASSWORD:
        least = ask.site.settings.password_least
        return ask.render("web/newpassword.html", status=status, least=least, **common)
    return ask.render(
        "web/enrol.html", status=status, **setting_up(ask, half.who, half.actor.name), **common
    )


def setting_up(ask: Ask, who: str, name: str) -> dict[str, Any]:
    """What the forms for a new app and a new passkey show."""
    factors = ask.site.gate.factors
    secret = factors.propose(who)
    drawn = make_qr(totp_address(secret, who), error="m").svg_inline(
        scale=5, border=3, dark="#000", light="#fff", omitsize=True
    )
    return {
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "qr": Markup(drawn),  # noqa: S704  drawn by us from our own secret
        "asked": factors.registration(who, who, name) if factors.site else "",
    }


def codes_page(ask: Ask, new: str, origin: Origin, wish: Wish, codes: Sequence[str]) -> Response:
    """The recovery codes, this one time, and from there on."""
    gate = ask.site.gate
    again = Ask(ask.request, ask.form, gate.signed_in(new, ask.address))
    response = again.render(
        "web/codes.html",
        codes=codes,
        next=wish.after,
        kept=[(name.removeprefix(KEPT), value) for name, value in wish.kept],
    )
    set_cookie(ask.site, response, new)
    keep_device(ask.site, response, origin)
    return response


# -- once more ------------------------------------------------------------------------------------


def step_up(ask: Ask) -> Response:
    """Prove it once more. GET from a link, POST with password and code or a passkey."""
    wish = Wish.of(ask)
    if ask.request.method == "GET":
        return step_up_page(ask, wish.after)
    entrance, origin = ask.site.gate.entrance, origin_of(ask.request, ask.site)
    cookie = cookie_of(ask)
    try:
        if ask.field("answer"):
            new = entrance.step_up_passkey(cookie, ask.field("answer"), origin)
        elif ask.field("pin"):
            new = entrance.step_up_pin(cookie, ask.field("pin"), origin)
        else:
            new = entrance.step_up(cookie, typed(ask.form), ask.field("code"), origin)
    except SokhoeError as error:
        said = ask.t.error(error)
        return step_up_page(ask, wish.after, kept=wish.kept, error=said, status=error.status)
    return onward(ask, new, origin, wish)

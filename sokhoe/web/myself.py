"""My account: password, second factor, passkeys, PIN of this device, and where I am signed in.

What changes how somebody proves himself asks for a fresh proof first (`recent`).
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import NotFound, SokhoeError
from sokhoe.trust import Role
from sokhoe.web.asking import Ask, origin_of, page
from sokhoe.web.entering import set_up, setting_up, typed
from sokhoe.web.texts import key

HERE = "/me"
# Citizens have the Book's own page; software and machines have no screen.
PEOPLE = frozenset(set(Role) - {Role.CITIZEN, Role.SOFTWARE, Role.MACHINE})
HOWS = {
    "password": key("with the password"),
    "code": key("with password and code"),
    "passkey": key("with a passkey"),
    "pin": key("with the PIN of this device"),
    "eid": key("with the e-ID"),
}


def routes() -> list[Route]:
    """The pages of one's own account."""
    forms: dict[str, Callable[[Ask], Response]] = {
        "/password": new_password,
        "/app": add_app,
        "/app/drop": drop_app,
        "/passkey": add_passkey,
        "/passkey/remove": remove_passkey,
        "/pin": set_pin,
    }
    return [
        page(HERE, show, roles=PEOPLE),
        page(HERE + "/second", second, roles=PEOPLE),
        page(HERE + "/end", end_one, methods=("POST",), roles=PEOPLE),
        page(HERE + "/end-all", end_all, methods=("POST",), roles=PEOPLE),
        *(
            page(HERE + path, _with_trouble(form), methods=("POST",), roles=PEOPLE, recent=True)
            for path, form in forms.items()
        ),
    ]


def show(ask: Ask, error: SokhoeError | None = None) -> Response:
    gate, who = ask.site.gate, ask.actor.username
    origin = origin_of(ask.request, ask.site)
    return ask.render(
        "web/me.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        done=ask.query("done"),
        view=gate.factors.of(who),
        must=gate.entrance.needs_factor(ask.actor.role),
        pin=gate.devices.has_pin(origin.device, who),
        entries=gate.signins.of(who),
        mine=ask.signed_in.key if ask.signed_in else "",
        hows=HOWS,
        agent=agent_words,
        least=ask.site.settings.password_least,
        hours=ask.site.settings.pin_hours,
        has_account=gate.accounts.find(who) is not None,
    )


def second(ask: Ask) -> Response:
    """Setting up an app or a passkey."""
    return ask.render(
        "web/second_new.html", error="", **setting_up(ask, ask.actor.username, ask.actor.name)
    )


def new_password(ask: Ask) -> Response:
    gate, who = ask.site.gate, ask.actor.username
    gate.accounts.change_password(who, typed(ask.form, "old"), typed(ask.form))
    gate.accounts.void(who)
    gate.sign_out_everywhere(who, but=ask.signed_in.key if ask.signed_in else "")
    return _done(ask, "password changed", "password")


def add_app(ask: Ask) -> Response:
    codes = set_up(ask, ask.actor.username)
    ask.site.gate.note(ask.actor, "authenticator app set up", ask.address)
    return ask.render("web/codes.html", codes=codes, next=HERE, kept=())


def drop_app(ask: Ask) -> Response:
    ask.site.gate.factors.drop_app(ask.actor.username)
    return _done(ask, "authenticator app removed", "app-gone")


def add_passkey(ask: Ask) -> Response:
    factors = ask.site.gate.factors
    factors.add_passkey(ask.actor.username, ask.field("answer"), ask.field("name"))
    return _done(ask, "passkey added", "passkey")


def remove_passkey(ask: Ask) -> Response:
    ask.site.gate.factors.remove_passkey(ask.actor.username, ask.field("id"))
    return _done(ask, "passkey removed", "passkey-gone")


def set_pin(ask: Ask) -> Response:
    how = ask.signed_in.how if ask.signed_in else ""
    origin = origin_of(ask.request, ask.site)
    ask.site.gate.entrance.set_pin(ask.actor, how, ask.field("pin"), origin)
    return ask.go(f"{HERE}?done={'pin' if ask.field('pin') else 'pin-gone'}")


def end_one(ask: Ask) -> Response:
    gate = ask.site.gate
    if not gate.signins.end_one(ask.actor.username, ask.field("key")):
        raise NotFound("This sign-in is over already.", slug="no-sign-in")
    gate.tokens.forget()
    return _done(ask, "sign-in ended", "ended")


def end_all(ask: Ask) -> Response:
    """Sign out everywhere but here; PINs on devices are void until a whole sign-in."""
    gate, who = ask.site.gate, ask.actor.username
    gate.accounts.void(who)
    gate.sign_out_everywhere(who, but=ask.signed_in.key if ask.signed_in else "")
    return _done(ask, "signed out everywhere", "ended-all")


# -- inside -----------------------------------------------------------------------------------


def _done(ask: Ask, what: str, word: str) -> Response:
    ask.site.gate.note(ask.actor, what, ask.address)
    return ask.go(f"{HERE}?done={word}")


def _with_trouble(form: Callable[[Ask], Response]) -> Callable[[Ask], Response]:
    """What went wrong is told on the page itself."""

    def tried(ask: Ask) -> Response:
        try:
            return form(ask)
        except SokhoeError as error:
            return show(ask, error)

    return tried


BROWSERS = ("Edg", "OPR", "coc_coc", "SamsungBrowser", "Firefox", "Chrome", "Safari")
NAMES = {"Edg": "Edge", "OPR": "Opera", "coc_coc": "Cốc Cốc", "SamsungBrowser": "Samsung"}
SYSTEMS = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "CrOS", "Linux")


def agent_words(agent: str) -> str:
    """A browser's words about itself, as a person knows it: "Firefox · Windows"."""
    browser = next((NAMES.get(one, one) for one in BROWSERS if one in agent), "")
    system = next((one for one in SYSTEMS if one in agent), "")
    return " · ".join(one for one in (browser, system) if one) or "?"

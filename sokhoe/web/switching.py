"""Changing the person at a shared computer: a name, six digits, done.

Only who has wholly signed in on this very device within some hours, and has set a PIN there, is
listed; names only. The one who was in before is signed out by it.
"""

from __future__ import annotations

from starlette.responses import Response

from sokhoe.errors import SokhoeError
from sokhoe.web.asking import Ask, origin_of
from sokhoe.web.entering import Wish, onward


def switch(ask: Ask) -> Response:
    """GET lists the people of this device, POST lets one of them in."""
    wish = Wish.of(ask)
    entrance, origin = ask.site.gate.entrance, origin_of(ask.request, ask.site)
    error: SokhoeError | None = None
    if ask.request.method == "POST":
        try:
            new = entrance.switch(ask.field("who"), ask.field("pin"), origin)
            return onward(ask, new, origin, wish)
        except SokhoeError as refusal:
            error = refusal
    return ask.render(
        "web/switch.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        people=entrance.here(origin),
        who=ask.field("who"),
        next=wish.after,
        kept=wish.kept,
        hours=ask.site.settings.pin_hours,
    )

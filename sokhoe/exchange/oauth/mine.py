"""/apps/mine: the apps that somebody let in, to be ended by himself; and /apps/open: an app opened
from a patient's page, so that it begins with that patient (EHR launch)."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sokhoe.errors import Forbidden, NotFound
from sokhoe.exchange.oauth.authorize import policy
from sokhoe.exchange.oauth.words import all_said
from sokhoe.trust import STAFF, Grant, SignedIn, may_grant
from sokhoe.web import Ask, page

MINE = "/apps/mine"
OPEN = "/apps/open"


def routes() -> list[Route]:
    return [
        page(MINE, mine),
        page(f"{MINE}/end", end, methods=("POST",)),
        page(OPEN, choose, roles=STAFF),
        page(OPEN, launch, methods=("POST",), roles=STAFF),
    ]


def _own(ask: Ask) -> list[Grant]:
    return [one for one in ask.site.gate.grants.all() if one.actor.id == ask.actor.id]


def mine(ask: Ask, said: str = "") -> Response:
    """GET /apps/mine"""
    clients = {one.id: one for one in ask.site.gate.clients.all()}
    rows = [
        (one, clients[one.client].name, all_said(one.actor.scopes, ask.t))
        for one in _own(ask)
        if one.client in clients
    ]
    return ask.render("exchange/mine.html", rows=rows, said=said)


def end(ask: Ask) -> Response:
    """What one let in, one throws out: at once and everywhere."""
    id = ask.field("grant")
    if id not in {one.id for one in _own(ask)}:
        raise NotFound("This app was not let in by you, or not any more.", slug="no-grant")
    ask.site.gate.registrar.end_grant(id, ask.actor, ask.address)
    return mine(ask, ask.t("Its access has ended."))


# -- opened from a patient's page -----------------------------------------------------------------


def choose(ask: Ask) -> Response:
    """GET /apps/open?patient=…: which app?"""
    patient = ask.session.read("Patient", ask.query("patient"))
    apps = ask.site.gate.clients.launchable()
    response = ask.render("exchange/open.html", apps=apps, patient=patient.id)
    response.headers["Content-Security-Policy"] = policy(*(one.launch for one in apps))
    return response


def launch(ask: Ask) -> Response:
    """POST: off to the app, which comes back to /oauth/authorize with the word it gets here."""
    signed_in: SignedIn | None = ask.signed_in
    app = next(
        (one for one in ask.site.gate.clients.launchable() if one.id == ask.field("client")), None
    )
    if app is None or signed_in is None or not may_grant(ask.actor):
        raise Forbidden("This app is not registered here.", slug="app-unknown")
    patient = ask.session.read("Patient", ask.field("patient"))
    word = ask.site.gate.grants.launch(app.id, patient.ref, ask.actor.id)
    asked = urlencode({"iss": f"{ask.site.settings.url}/fhir", "launch": word})
    where = f"{app.launch}{'&' if '?' in app.launch else '?'}{asked}"
    return RedirectResponse(where, status_code=303, headers={"Referrer-Policy": "no-referrer"})

"""/apps: every app and piece of software, what it may, under which agreement, when it was last
here; for the head of the station and the operator of the province, who end its access and take
that back, and register new ones. What gives a right wants a proof of who sits there that is
younger than five minutes; what takes one away does not wait for that.

A head sees the software of his own facility; at a station that is all there is. Only where the
whole memory is his (a station's head, the operator) may somebody register software that acts alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Conflict, Forbidden, Invalid, SokhoeError
from sokhoe.exchange.oauth.words import AGREED, PURPOSES, Said, all_said
from sokhoe.fhir import fold
from sokhoe.trust import Agreement, Client, Kind, Purpose, Role, draw
from sokhoe.web import Ask, NavItem, Site, key, page

PATH = "/apps"
KEEPERS = frozenset({Role.HEAD, Role.OPERATOR})
KINDS = {
    Kind.SECRET: key("program that keeps a secret"),
    Kind.KEY: key("program with a key of its own"),
    Kind.PUBLIC: key("app on a phone or in a browser"),
}
MOST_KEYS = 20_000  # characters
# What a form offers first; anything else may be written beside.
USUAL = (
    "system/*.rs",
    "system/*.cruds",
    "user/*.rs",
    "user/*.cruds",
    "patient/*.rs",
    "launch",
    "launch/patient",
    "openid",
    "fhirUser",
    "online_access",
    "offline_access",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of software on the page. `people`: how many let it in."""

    client: Client
    kind: str
    scopes: Sequence[Said]
    used: Instant
    count: int
    people: int
    agreement: Agreement | None


def open_room(site: Site) -> None:
    site.nav.append(NavItem("Apps and software", PATH, KEEPERS))


def routes() -> list[Route]:
    return [
        page(PATH, show, roles=KEEPERS),
        page(f"{PATH}/new", new, methods=("GET", "POST"), roles=KEEPERS, recent=True),
        page(f"{PATH}/end", end, methods=("POST",), roles=KEEPERS),
        page(f"{PATH}/allow", allow, methods=("POST",), roles=KEEPERS, recent=True),
        page(f"{PATH}/agreements", agreements, methods=("GET", "POST"), roles=KEEPERS, recent=True),
        page(f"{PATH}/agreements/end", end_agreement, methods=("POST",), roles=KEEPERS),
    ]


# -- the list ------------------------------------------------------------------------------------


def _rules(ask: Ask) -> bool:
    """Whether this person answers for the whole memory."""
    return ask.actor.role is Role.OPERATOR or ask.site.role == "station"


def _mine(ask: Ask, client: Client) -> bool:
    return _rules(ask) or client.place == ask.actor.place != ""


def show(
    ask: Ask, *, said: str = "", ended: str = "", secret: str = "", made: str = ""
) -> Response:
    """GET /apps"""
    gate = ask.site.gate
    used = gate.clients.used()
    people: dict[str, int] = {}
    for grant in gate.grants.all():
        people[grant.client] = people.get(grant.client, 0) + 1
    rows = [
        Row(
            one,
            ask.t(KINDS[one.kind]),
            all_said(one.scopes, ask.t),
            *used.get(one.id, (0, 0)),
            people.get(one.id, 0),
            gate.agreements.find(one.agreement),
        )
        for one in gate.clients.all()
        if _mine(ask, one)
    ]
    rows.sort(key=lambda row: (not row.client.active, row.client.name.casefold()))
    response = ask.render(
        "exchange/apps.html",
        rows=rows,
        rules=_rules(ask),
        said=said,
        ended=ended,
        secret=secret,
        made=made,
        token_url=f"{ask.site.settings.url}/oauth/token",
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _own(ask: Ask) -> Client:
    client = ask.site.gate.clients.get(ask.field("client"))
    if not _mine(ask, client):
        raise Forbidden("This software belongs to another facility.", slug="app-other-place")
    return client


def end(ask: Ask) -> Response:
    """End the access of a client: every token of it, everywhere, within a second."""
    client = _own(ask)
    _set(ask, client, False)
    return show(
        ask, said=ask.t("The access of {name} has ended.", name=client.name), ended=client.id
    )


def allow(ask: Ask) -> Response:
    """Take that back."""
    client = _own(ask)
    _set(ask, client, True)
    return show(ask, said=ask.t("{name} has its access again.", name=client.name))


def _set(ask: Ask, client: Client, active: bool) -> None:
    ask.site.gate.registrar.set_active(client.id, active, ask.actor, ask.address)


# -- a new one -----------------------------------------------------------------------------------


def new(ask: Ask) -> Response:
    """GET the form, POST it: the secret of a new client is shown this once."""
    if ask.request.method == "GET":
        return _form(ask)
    try:
        client = _typed(ask)
        secret = ask.site.gate.registrar.add(client, ask.actor, ask.address)
    except (Invalid, Conflict) as error:
        return _form(ask, error)
    said = ask.t("{name} is registered.", name=client.name)
    return show(ask, said=said, secret=secret, made=client.id)


def _form(ask: Ask, error: SokhoeError | None = None) -> Response:
    where = error.issues[0].location if error else ""
    usual = [one for one in USUAL if _rules(ask) or not one.startswith("system/")]
    return ask.render(
        "exchange/new.html",
        kinds=[(str(kind), ask.t(text)) for kind, text in KINDS.items()],
        usual=all_said(usual, ask.t),
        agreements=[
            ("", ask.t("none")),
            *((one.id, f"{one.organisation} · {one.id}") for one in _agreements(ask)),
        ],
        typed={name: ask.field(name) for name in _FIELDS},
        ticked=ask.fields("scope"),
        error=ask.t.error(error) if error else "",
        detail=error.message if error else "",
        where=where if where in _FIELDS else "",
        status=error.status if error else 200,
    )


_FIELDS = ("name", "kind", "more", "jwks", "redirects", "launch", "agreement")


def _typed(ask: Ask) -> Client:
    """The client of the form. Raises Invalid."""
    kind = ask.field("kind") or "secret"
    if kind not in [str(one) for one in Kind]:
        raise Invalid("Choose what kind it is.", slug="choice", location="kind")
    scopes = tuple(dict.fromkeys([*ask.fields("scope"), *ask.field("more").split()]))
    if not scopes:
        raise Invalid("Choose what it may.", slug="scope-none", location="more")
    if not _rules(ask) and any(one.startswith("system/") for one in scopes):
        raise Invalid("Only the province may allow that.", slug="app-province", location="more")
    jwks, jwks_uri = _keys(ask.field("jwks"))
    name = ask.field("name")
    return Client(
        id=f"{_slug(name)}-{draw()[:6].lower().replace('_', 'x').replace('-', 'y')}",
        name=name,
        kind=Kind(kind),
        scopes=scopes,
        jwks=jwks if kind == Kind.KEY else None,
        jwks_uri=jwks_uri if kind == Kind.KEY else "",
        redirects=tuple(ask.field("redirects").split()),
        launch=ask.field("launch"),
        place=ask.actor.place if ask.actor.role is Role.HEAD else "",
        agreement=ask.field("agreement"),
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", fold(name)).strip("-")[:40] or "app"


def _keys(text: str) -> tuple[dict[str, Any] | None, str]:
    """A key set, or the address of one. Raises Invalid."""
    if not text or text.startswith(("https://", "http://")):
        return None, text
    try:
        found = json.loads(text[:MOST_KEYS])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid("That is no key set.", slug="jwks", location="jwks")
    return (found if "keys" in found else {"keys": [found]}), ""


# -- agreements ----------------------------------------------------------------------------------


def _agreements(ask: Ask) -> list[Agreement]:
    return ask.site.gate.agreements.all() if _rules(ask) else []


def agreements(ask: Ask, said: str = "") -> Response:
    """The agreements with what is left of today's quota, and a form for a new one."""
    if not _rules(ask):
        raise Forbidden("Agreements are made by the province.", slug="app-province")
    error: SokhoeError | None = None
    if ask.request.method == "POST" and not said:
        try:
            made = _typed_agreement(ask)
            ask.site.gate.registrar.agree(made, ask.actor, ask.address)
            said = ask.t("The agreement with {name} is registered.", name=made.organisation)
        except (Invalid, Conflict) as wrong:
            error = wrong
    today = clock.today()
    return ask.render(
        "exchange/agreements.html",
        rows=_agreements(ask),
        used=ask.site.gate.agreements.used_today(),
        classes=[(name, ask.t(text)) for name, text in AGREED.items()],
        words={name: ask.t(text) for name, text in AGREED.items()},
        purposes=[(str(one), ask.t(text)) for one, text in PURPOSES.items()],
        purpose_words={str(one): ask.t(text) for one, text in PURPOSES.items()},
        typed={name: ask.field(name) if error else "" for name in _AGREED},
        ticked=ask.fields("class") if error else [],
        begins=today.isoformat(),
        ends=(today + timedelta(days=365)).isoformat(),
        said=said,
        error=ask.t.error(error) if error else "",
        where=error.issues[0].location if error else "",
        status=error.status if error else 200,
    )


_AGREED = ("organisation", "name", "purpose", "begins", "ends", "quota", "paper", "jwks")


def _typed_agreement(ask: Ask) -> Agreement:
    purpose, quota = ask.field("purpose"), ask.field("quota") or "0"
    if purpose not in [str(one) for one in PURPOSES]:
        raise Invalid("Choose what for.", slug="choice", location="purpose")
    if not quota.isdecimal() or len(quota) > 9:
        raise Invalid("A quota is a whole number.", slug="agreement", location="quota")
    name = ask.field("organisation")
    jwks, address = _keys(ask.field("jwks"))
    if address:
        raise Invalid("Give the keys themselves here.", slug="jwks", location="jwks")
    return Agreement(
        id=f"{_slug(name)}-{clock.today():%Y%m%d}-{draw()[:4].lower().replace('_', 'x')}".replace(
            "--", "-"
        ),
        organisation=name,
        name=ask.field("name"),
        purpose=Purpose(purpose),
        classes=tuple(ask.fields("class")),
        begins=ask.field("begins"),
        ends=ask.field("ends"),
        quota=int(quota),
        paper=ask.field("paper"),
        jwks=jwks,
    )


def end_agreement(ask: Ask) -> Response:
    """End an agreement, or let it hold again: the page shows the other button."""
    if not _rules(ask):
        raise Forbidden("Agreements are made by the province.", slug="app-province")
    active = ask.field("do") == "allow"
    changed = ask.site.gate.registrar.change_agreement(
        ask.field("agreement"), lambda one: replace(one, active=active), ask.actor, ask.address
    )
    name = changed.organisation
    if active:
        return agreements(ask, said=ask.t("The agreement with {name} holds again.", name=name))
    return agreements(ask, said=ask.t("The agreement with {name} has ended.", name=name))

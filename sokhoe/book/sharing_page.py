"""GET, POST /book/sharing: the switches, each a plain form."""

from __future__ import annotations

from starlette.responses import Response

from sokhoe import clock
from sokhoe.book import record, sharing, words
from sokhoe.book.sharing import CATEGORIES, TERMS, Switch
from sokhoe.errors import Invalid
from sokhoe.trust import Put
from sokhoe.web import Ask


def page(ask: Ask) -> Response:
    """The switches; a pressed one is kept as a Consent."""
    if ask.request.method == "POST":
        return _pressed(ask)
    listed = _switches(ask)
    return ask.render(
        "book/sharing.html",
        w=words,
        facilities=[one for one in listed if one.kind == "facility"],
        categories=[one for one in listed if one.kind == "category"],
        terms=[(name, text) for name, (_, text) in TERMS.items()],
        done=ask.query("done"),
    )


def _switches(ask: Ask) -> list[Switch]:
    owner = record.owner(ask.session)
    homes = {ref: owner.places.names.get(ref, "") for ref in owner.places.homes.values() if ref}
    consents = record.resources(ask.session, "Consent")
    return sharing.switches(homes, consents, ask.actor.id, clock.today())


def _pressed(ask: Ask) -> Response:
    wanted = (ask.field("kind"), ask.field("value"))
    switch = next((one for one in _switches(ask) if (one.kind, one.value) == wanted), None)
    term = TERMS.get(ask.field("term"))
    opening = ask.field("do") == "open"
    if switch is None or not (opening or term):
        raise Invalid("Choose how long.", slug="sharing-term", location="term")
    owner = record.owner(ask.session)
    today = clock.today()
    end = today if opening or term is None else sharing.until(today, term[0])
    said = _said(ask, switch, opening, ask.t(term[1]) if term else "")
    patient = min(one.ref for one in owner.patients)
    made = sharing.consent(ask.actor.id, patient, switch, end, said, active=not opening)
    ask.site.gate.machine("book").commit(
        [Put(made)], note="consent of the patient", author=ask.actor.id
    )
    return ask.go(f"/book/sharing?done={'open' if opening else 'closed'}")


def _said(ask: Ask, switch: Switch, opening: bool, term: str) -> str:
    name = ask.t(CATEGORIES[switch.value]) if switch.kind == "category" else switch.name
    if opening:
        return ask.t("May be seen again: {name}", name=name)
    if switch.kind == "category":
        return ask.t("Not to be seen by other facilities: {name}, {term}", name=name, term=term)
    return ask.t("This facility may not see my record: {name}, {term}", name=name, term=term)

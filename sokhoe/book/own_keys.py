"""A citizen's own keys to the Book: set once with a code that the staff gave in person, then a
passkey or a PIN on this phone opens it, also while the e-ID is down.

A key stands for the person whom the staff saw (level 2). Whether the Person is still the same, by
number, is looked at each time. Who lost the phone comes in person again, and a second member of
staff signs: a number alone never resets anything.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sokhoe.book import sign_in
from sokhoe.errors import Conflict, Invalid, SignIn, SokhoeError
from sokhoe.people import PersonView, Ticket, fitting_code, identity_of, of_citizen
from sokhoe.trust import Actor, Here, Level, Origin, Role, check_pin_rules
from sokhoe.web import Ask, Site, origin_of

OPEN = "/book/open"
SEALED_SECONDS = 900
# After these the number and the code have to be typed again.
OVER = frozenset({"seal", "seal-old", "book-code", "book-code-used", "book-key-there"})


def open_book(ask: Ask) -> Response:
    """First page: number and code. Second page: a passkey or a PIN on this phone."""
    if ask.request.method == "GET":
        return _first(ask)
    try:
        if not ask.field("ticket"):
            return _second(ask, ask.site.gate.seal(_checked(ask), SEALED_SECONDS))
        return _keep(ask)
    except SokhoeError as error:
        if ask.field("ticket") and error.slug not in OVER:
            return _second(ask, ask.field("ticket"), error)
        return _first(ask, error)


def with_pin(ask: Ask) -> Response:
    """A PIN on a phone where its owner set it."""
    gate, origin = ask.site.gate, origin_of(ask.request, ask.site)
    found = next((one for one in people_of(ask) if one.handle == ask.field("who")), None)
    try:
        if found is None:
            raise SignIn("The PIN is not known on this phone.", slug="pin-over")
        since = gate.devices.check_pin(origin.device, found.who, ask.field("pin"), 0)
        return _enter(ask, found.who, "pin", origin, since)
    except SokhoeError as error:
        gate.note_refused(found.who if found else "", f"PIN refused: {error.slug}", ask.address)
        return sign_in.door(ask, error)


def with_passkey(ask: Ask) -> Response:
    """A passkey that its owner made here."""
    origin = origin_of(ask.request, ask.site)
    try:
        who = ask.site.gate.factors.check_passkey(ask.field("answer"))
        return _enter(ask, who, "passkey", origin)
    except SokhoeError as error:
        ask.site.gate.note_refused("", f"passkey refused: {error.slug}", ask.address)
        return sign_in.door(ask, error)


def people_of(ask: Ask) -> list[Here]:
    """Whose Book opens with a PIN on this phone."""
    here = ask.site.gate.devices.here(origin_of(ask.request, ask.site).device, 0)
    return [one for one in here if one.who.startswith("Person/")]


# -- inside -----------------------------------------------------------------------------------


def _first(ask: Ask, error: SokhoeError | None = None) -> Response:
    return ask.render(
        "book/open.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        number=ask.field("number"),
    )


def _second(ask: Ask, ticket: str, error: SokhoeError | None = None) -> Response:
    note, factors = _opened(ask.site, ticket), ask.site.gate.factors
    asked = factors.registration(note["person"], note["name"], note["name"])
    return ask.render(
        "book/setkey.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        ticket=ticket,
        name=note["name"],
        asked=asked if factors.site else "",
    )


def _checked(ask: Ask) -> dict[str, Any]:
    """The note for the second page. Raises Invalid (`book-code`), Busy."""
    number, code = ask.field("number")[:32], ask.field("code")
    gate = ask.site.gate
    with gate.entrance.counted(f"book-code|{number}", origin_of(ask.request, ask.site)):
        person, ticket = _fitting(ask.site, number, code)
        if person is None or ticket is None or gate.holders.is_used(ticket.task):
            gate.note_refused("", "code for the Health Book refused", ask.address)
            raise Invalid("Number and code do not belong together.", slug="book-code")
    if gate.holders.of(person.ref) is not None and not ticket.again:
        raise Invalid("This Book has its keys already.", slug="book-key-there")
    return {
        "what": "book-code",
        "person": person.ref,
        "number": person.citizen_id,
        "name": person.name,
        "task": ticket.task,
    }


def _opened(site: Site, sealed: str) -> dict[str, Any]:
    note = site.gate.unseal(sealed)
    if note.get("what") != "book-code":
        raise Invalid("This is not a note of a code.", slug="seal")
    return note


def _fitting(site: Site, number: str, code: str) -> tuple[PersonView | None, Ticket | None]:
    desk = site.gate.machine("people", name="Health Book code")
    try:
        person = of_citizen(desk, number, identity_of(site).citizen_system)
    except Conflict:  # two persons carry the number: nobody guesses which
        person = None
    focuses = [person.ref, *person.patients] if person and person.active else []
    return person, fitting_code(desk, focuses, code)


def _keep(ask: Ask) -> Response:
    """Use up the code, keep the key, and let its owner in."""
    gate, origin = ask.site.gate, origin_of(ask.request, ask.site)
    note = _opened(ask.site, ask.field("ticket"))
    who, answer, pin = note["person"], ask.field("answer"), ask.field("pin")
    if not answer:
        check_pin_rules(pin)
        if pin != ask.field("again"):
            raise Invalid("The two PINs differ.", slug="pin-differs", location="again")
    if not gate.holders.begin(who, note["number"], note["name"], note["task"]):
        raise Invalid("This code was used already.", slug="book-code-used")
    if answer:
        gate.factors.add_passkey(who, answer, ask.field("name"))
    else:
        gate.devices.seen(origin.device, who, note["name"])
        gate.devices.set_pin(origin.device, who, pin)
    return _enter(ask, who, "passkey" if answer else "pin", origin)


def _enter(ask: Ask, who: str, how: str, origin: Origin, since: int | None = None) -> Response:
    """Let the owner of a key in. `since`: when a PIN's phone was last given in person. Raises
    SignIn (`book-key-over`) when the Person is not the one whom the staff saw any more."""
    gate = ask.site.gate
    holder = gate.holders.of(who)
    session = gate.machine("book")
    system = identity_of(ask.site).citizen_system
    person = of_citizen(session, holder.citizen_id, system) if holder else None
    if holder is None or person is None or person.ref != who or not person.active:
        raise SignIn("This key belongs to no Book any more.", slug="book-key-over")
    if since is not None and since < holder.since:
        raise SignIn("This PIN was replaced.", slug="book-key-over")
    actor = Actor(id=who, name=holder.name, role=Role.CITIZEN, level=Level.SEEN)
    return sign_in.admit(ask, actor, sign_in.back_of(ask.field("next")), how, origin)

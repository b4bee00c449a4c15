"""A code with which a person opens the own Health Book, given in person at the station."""

from __future__ import annotations

from starlette.responses import Response

from sokhoe import clock
from sokhoe.clinic.pages.words import bar
from sokhoe.clinic.patients import Face, face_of
from sokhoe.errors import Invalid, SokhoeError
from sokhoe.people import CODE_HOURS, identity_of, issue_code
from sokhoe.trust import STAFF
from sokhoe.web import Ask, origin_of


def book_code(ask: Ask) -> Response:
    """GET asks for the card, POST shows the code to be printed, this once."""
    version = ask.session.read("Patient", ask.path["id"])
    face = face_of(version.resource, identity_of(ask.site))
    if ask.request.method == "GET":
        return _page(ask, face)
    try:
        _check_card(ask, face)
        second = _second(ask) if ask.field("kind") == "again" else ""
        code = issue_code(ask.session, f"Patient/{face.id}", second)
    except SokhoeError as error:
        return _page(ask, face, error)
    return _page(ask, face, code=code)


def _check_card(ask: Ask, face: Face) -> None:
    """The card must be this record's: a scanned text, or the number typed."""
    typed = ask.field("number")
    card = identity_of(ask.site).read_card(typed)
    number = card.citizen_id if card else typed.replace(" ", "")
    if not face.citizen_id or number != face.citizen_id:
        raise Invalid("This is not the number of this record.", slug="book-card", location="number")


def _second(ask: Ask) -> str:
    """Reference of the second member of staff. Raises SignIn, Invalid (`book-second`)."""
    entrance = ask.site.gate.entrance
    password = ask.form.get("password", "")
    origin = origin_of(ask.request, ask.site)
    other = entrance.check_password(ask.field("username"), str(password), origin)
    if other.id == ask.actor.id or other.place != ask.actor.place or other.role not in STAFF:
        raise Invalid(
            "The second signature must be of another member of staff here.", slug="book-second"
        )
    ask.site.gate.note(other, "second signature for a new key to the Health Book", ask.address)
    return other.id


def _page(ask: Ask, face: Face, error: SokhoeError | None = None, code: str = "") -> Response:
    hub = ask.site.settings.hub_url or ask.site.settings.url
    return ask.render(
        "clinic/bookcode.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        bar=bar(ask, face, (), main=False),
        id=face.id,
        name=face.name,
        number=face.citizen_id,
        kind=ask.field("kind") or "first",
        code=code,
        until=clock.now() + CODE_HOURS * 3_600_000_000,
        address=f"{hub.rstrip('/')}/book/open",
        up=ask.site.line.status().up or not ask.site.line.status().configured,
    )

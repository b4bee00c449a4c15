"""I am the Health Book: a citizen's own record on a cheap phone, from every facility, and who has
looked at it.

I keep nothing of my own: an attempt to sign in travels in the browser, the record lies in the
memory. I may ask fhir, trust, web and people. I never show a record to anybody but the person
whom the e-ID vouches for, and never change what a facility sent:
all I write is the citizen's own Consents.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from sokhoe.book import own_keys, screens, sharing_page, sign_in
from sokhoe.book.oidc import Attempt, Provider
from sokhoe.book.seams import CitizenFacts, PlainSignIn, SignIn
from sokhoe.trust import Level, Role
from sokhoe.web import Site, page

__all__ = [
    "Attempt",
    "Book",
    "CitizenFacts",
    "PlainSignIn",
    "Provider",
    "SignIn",
    "open_room",
    "routes",
]

CITIZENS = frozenset({Role.CITIZEN})


@dataclass(slots=True)
class Book:
    """What the room keeps on the site (`site.rooms["book"]`): the e-ID provider, if one is set."""

    provider: Provider | None


def routes(site: Site) -> list[Route]:
    """The Book is where the province's records are: at the hub and in the demo."""
    if site.role == "station":
        return []
    own = {
        "/book": screens.home,
        "/book/visits/{id}": screens.visit,
        "/book/medicines": screens.medicine_list,
        "/book/results": screens.result_list,
        "/book/results/{code}": screens.result,
        "/book/sources": screens.source_list,
        "/book/access": screens.access_log,
        "/book/me": screens.me,
    }
    return [
        page(sign_in.DOOR, sign_in.door, public=True),
        page(own_keys.OPEN, own_keys.open_book, methods=("GET", "POST"), public=True),
        page(sign_in.DOOR + "/pin", own_keys.with_pin, methods=("POST",), public=True),
        page(sign_in.DOOR + "/passkey", own_keys.with_passkey, methods=("POST",), public=True),
        page(sign_in.DOOR + "/go", sign_in.leave, public=True),
        page(sign_in.CALLBACK, sign_in.arrive, public=True),
        page(
            "/book/sharing",
            sharing_page.page,
            methods=("GET", "POST"),
            roles=CITIZENS,
            door=sign_in.DOOR,
            level=Level.PROVED,
        ),
        *(page(path, handler, roles=CITIZENS, door=sign_in.DOOR) for path, handler in own.items()),
    ]


def open_room(site: Site) -> None:
    """The Book as a citizen's first page. Its menu is its own: tabs under the thumb."""
    if site.role == "station":
        return
    site.rooms["book"] = Book(sign_in.provider_of(site))
    site.homes[Role.CITIZEN] = sign_in.HOME

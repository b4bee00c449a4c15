"""I am staff work at a station: find and register people, write visits, see and print them;
there and at the hub, open a record in an emergency.

I keep no record of my own: all goes through the session. I may ask fhir, trust, web and people.
I never know the Health Book or the warehouse, nor anything that is true in one country only.
"""

from starlette.routing import Route

from sokhoe.clinic.drafts import Drafts
from sokhoe.clinic.pages import bookcode, emergency, people, signing, today, visit
from sokhoe.clinic.seams import Catalogue, Drug, NoCatalogue, Term, catalogue_of
from sokhoe.trust import STAFF, Role
from sokhoe.web import NavItem, Site, page

__all__ = [
    "Catalogue",
    "Drug",
    "NoCatalogue",
    "Term",
    "catalogue_of",
    "open_room",
    "routes",
]

_BOTH = ("GET", "POST")
HEAD = frozenset({Role.HEAD})


def routes(site: Site) -> list[Route]:
    """The pages of staff work; at the hub those for an emergency alone."""
    urgent = [
        page("/emergency", emergency.open_, methods=_BOTH, roles=STAFF),
        page("/emergency/reviews", emergency.reviews, roles=HEAD),
        page("/emergency/reviews/{id}", emergency.judge, methods=("POST",), roles=HEAD),
        page("/emergency/{id}", emergency.opened, roles=STAFF),
    ]
    if site.role == "hub":
        return urgent
    return [
        *urgent,
        page("/today", today.today, roles=STAFF),
        page("/today/sign", signing.sign_day, methods=_BOTH, roles=STAFF),
        page("/people", people.people, roles=STAFF),
        page("/people/new", people.new, methods=_BOTH, roles=STAFF),
        page("/people/{id}", people.person, roles=STAFF),
        page("/people/{id}/book-code", bookcode.book_code, methods=_BOTH, roles=STAFF),
        page("/people/{id}/edit", people.edit, methods=_BOTH, roles=STAFF),
        page("/people/{id}/allergies", people.add_allergy, methods=("POST",), roles=STAFF),
        page("/people/{id}/visit", visit.visit, methods=_BOTH, roles=STAFF),
        page("/people/{id}/visit/draft", visit.draft, methods=("POST",), roles=STAFF),
        page("/visits/diagnoses", visit.diagnoses, methods=("POST",), roles=STAFF),
        page("/visits/medicines", visit.medicines, methods=("POST",), roles=STAFF),
        page("/visits/{id}", visit.seen, roles=STAFF),
        page("/visits/{id}/undo", visit.undo, methods=("POST",), roles=STAFF),
    ]


def open_room(site: Site) -> None:
    """Begin the working day of staff at /today, and take a place in the menu."""
    site.rooms["clinic"] = Drafts()
    if site.role == "hub":
        site.homes |= dict.fromkeys(STAFF, "/emergency")
        site.nav.append(NavItem("In an emergency", "/emergency", STAFF))
        return
    site.homes |= dict.fromkeys(STAFF, "/today")
    site.nav += [
        NavItem("Today", "/today", STAFF),
        NavItem("Find a person", "/people", STAFF),
        NavItem("Register a person", "/people/new", STAFF),
    ]

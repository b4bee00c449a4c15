"""I am staff work at a station: find and register people, write visits, see and print them.

I keep no record of my own: all goes through the session. I may ask fhir, trust, web and people.
I never know the Health Book or the warehouse, nor anything that is true in one country only.
"""

from starlette.routing import Route

from sokhoe.clinic.drafts import Drafts
from sokhoe.clinic.pages import people, signing, today, visit
from sokhoe.clinic.seams import Catalogue, Drug, NoCatalogue, Term, catalogue_of
from sokhoe.trust import STAFF
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


def routes(site: Site) -> list[Route]:
    """The pages of staff work."""
    return [
        page("/today", today.today, roles=STAFF),
        page("/today/sign", signing.sign_day, methods=_BOTH, roles=STAFF),
        page("/people", people.people, roles=STAFF),
        page("/people/new", people.new, methods=_BOTH, roles=STAFF),
        page("/people/{id}", people.person, roles=STAFF),
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
    site.homes |= dict.fromkeys(STAFF, "/today")
    site.nav += [
        NavItem("Today", "/today", STAFF),
        NavItem("Find a person", "/people", STAFF),
        NavItem("Register a person", "/people/new", STAFF),
    ]

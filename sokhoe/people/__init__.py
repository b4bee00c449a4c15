"""I am the index: I say who a person is, which records are one person, how sure that is, and what
all of them say in short.

I keep persons, their links as events, and the cases for the steward's desk. I may ask fhir, trust
and web. I never guess silently, and never touch a source record.
"""

from starlette.routing import Route

from sokhoe.people.enrolling import HOURS as CODE_HOURS
from sokhoe.people.enrolling import Ticket
from sokhoe.people.enrolling import fitting as fitting_code
from sokhoe.people.enrolling import issue as issue_code
from sokhoe.people.finding import (
    find_person,
    link_history,
    linked_patients,
    of_citizen,
    of_patient,
    records_of,
)
from sokhoe.people.follower import PeopleFollower
from sokhoe.people.history import LinkEvent, replay
from sokhoe.people.matching import MODEL, Facts, Judgement, Reason, Verdict, facts_of, judge
from sokhoe.people.pages import desk
from sokhoe.people.persons import Link, PersonView
from sokhoe.people.seams import CardFacts, Identity, NoIdentity, identity_of
from sokhoe.people.summary import PROFILE as SUMMARY_PROFILE
from sokhoe.people.summary import summarise
from sokhoe.trust import Role
from sokhoe.web import NavItem, Site

__all__ = [
    "CODE_HOURS",
    "MODEL",
    "SUMMARY_PROFILE",
    "CardFacts",
    "Facts",
    "Identity",
    "Judgement",
    "Link",
    "LinkEvent",
    "NoIdentity",
    "PeopleFollower",
    "PersonView",
    "Reason",
    "Ticket",
    "Verdict",
    "facts_of",
    "find_person",
    "fitting_code",
    "followers",
    "identity_of",
    "issue_code",
    "judge",
    "link_history",
    "linked_patients",
    "of_citizen",
    "of_patient",
    "open_room",
    "records_of",
    "replay",
    "routes",
    "summarise",
]


def routes(site: Site) -> list[Route]:
    """The steward's desk; there is one where the index is kept, so not at a station."""
    return desk.routes() if site.role != "station" else []


def open_room(site: Site) -> None:
    """The desk in the menu, and as the steward's first page."""
    if site.role == "station":
        return
    site.nav.append(NavItem("Who is who", "/desk", desk.STEWARD))
    site.homes[Role.STEWARD] = "/desk"


def followers(site: Site) -> list[PeopleFollower]:
    """The follower that links records; at the hub and in the demo, where the index is kept."""
    if site.role == "station":
        return []
    return [PeopleFollower(site.gate.machine("people"), identity_of(site))]

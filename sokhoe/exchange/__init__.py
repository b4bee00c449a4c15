"""I am foreign mail: the FHIR API, tokens for software, and the tray in which foreign files lie
until they are translated, each wholly or not at all.

I keep files as they came and what became of them. I may ask fhir, trust, web and people.
I never hold a national format: a country pack brings the kinds of files it can read.
"""

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from sokhoe.exchange import fhir_api, jobs, oauth, subscriptions
from sokhoe.exchange.fhir_api.cors import Cors
from sokhoe.exchange.fhir_api.door import Door
from sokhoe.exchange.seams import CodeTable, FileKind, Label, Problem, Translated
from sokhoe.exchange.subscriptions import Overview, Subscriptions, overview, send_again
from sokhoe.exchange.tray import Slip, Tray, receive, slips
from sokhoe.web import Site


def routes(site: Site) -> list[BaseRoute]:
    return [*subscriptions.routes(), *oauth.routes(), *fhir_api.routes()]


def open_room(site: Site) -> None:
    """The place in the menu from which software is seen and ended."""
    oauth.open_room(site)


def middleware(site: Site) -> list[Middleware]:
    """What stands before all routes: who may use /fhir from elsewhere, and the fast door to it."""
    origins = str(site.settings.cors_origins)
    cors = [Middleware(Cors, origins=origins)] if origins else []
    return [*cors, Middleware(Door, site=site)]


def _worker(site: Site) -> jobs.Worker:
    drawer = jobs.drawer(site.gate, site.settings)
    requests = fhir_api.Later(drawer, site, fhir_api.routes())
    return jobs.worker(site.gate, site.settings, {"request": requests})


def followers(
    site: Site,
) -> list[Tray | Subscriptions | jobs.Worker | jobs.Indexer | oauth.Tidier]:
    """Subscriptions; the worker of long jobs; what indexes by new search parameters; who forgets
    tokens that are over; the tray where a pack brings files to read."""
    kinds = site.pack.seam("exchange.file_kinds")
    trays = [Tray(site.gate, kinds)] if kinds else []
    workers = (_worker(site), jobs.Indexer(site.gate), oauth.Tidier(site.gate))
    return [*trays, Subscriptions(site), *workers]


__all__ = [
    "CodeTable",
    "FileKind",
    "Label",
    "Overview",
    "Problem",
    "Slip",
    "Translated",
    "Tray",
    "followers",
    "middleware",
    "open_room",
    "overview",
    "receive",
    "routes",
    "send_again",
    "slips",
]

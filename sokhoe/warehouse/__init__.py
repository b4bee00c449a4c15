"""I am the warehouse: from the feed of changes to numbers that a health department can act on.

I keep files without names (append-only parts, tables, results) in the data folder, and one list of
what an indicator means. I may ask fhir, trust and web. I never know the name of a person, and I
never show a number of people that is small enough to point at one.
"""

from __future__ import annotations

from pathlib import Path

from sokhoe.trust import Role
from sokhoe.warehouse.follower import Loader
from sokhoe.warehouse.indicators import Indicator, catalogue
from sokhoe.warehouse.masking import Count, Hidden
from sokhoe.warehouse.numbers import Answer, Numbers
from sokhoe.warehouse.pages.numbers import HOME, READERS, Room, routes
from sokhoe.warehouse.populations import Counted, read_population
from sokhoe.warehouse.seams import Area, Facility, NoPlaces, NoWords, Places, Words
from sokhoe.warehouse.shelf import Shelf
from sokhoe.web import NavItem, Site

__all__ = [
    "Answer",
    "Area",
    "Count",
    "Facility",
    "Hidden",
    "Indicator",
    "Loader",
    "NoPlaces",
    "NoWords",
    "Numbers",
    "Places",
    "Words",
    "catalogue",
    "followers",
    "open_room",
    "routes",
]


def open_room(site: Site) -> None:
    """Put the menu item, the statistician's home and what the pages need into the site."""
    if site.role == "station":
        return
    words: Words = site.pack.seam("warehouse.words") or NoWords()
    numbers = Numbers(_shelf(site), int(site.settings.mask_below))
    site.rooms["warehouse"] = Room(numbers, _places(site), words)
    site.nav.append(NavItem("Numbers", HOME, READERS))
    site.homes[Role.STATISTICIAN] = HOME


def followers(site: Site) -> list[Loader]:
    """The loader; a station has none, its numbers are made at the hub."""
    if site.role == "station":
        return []
    session = site.gate.machine("warehouse")
    return [Loader(session, _places(site), _shelf(site), int(site.settings.warehouse_minutes))]


def _places(site: Site) -> Places:
    places: Places = site.pack.seam("warehouse.places") or NoPlaces()
    file = site.settings.population
    return Counted(places, read_population(Path(file))) if file else places


def _shelf(site: Site) -> Shelf:
    return Shelf(site.settings.folder / "warehouse")

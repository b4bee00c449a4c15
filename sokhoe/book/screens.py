"""The pages of the Book: each fetches through the citizen's own session and hands values to a
template. What the values mean is worked out in the pure files beside this one."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sokhoe import clock
from sokhoe.book import access, medicines, record, results, timeline, trend, words
from sokhoe.book.identity import CITIZEN_ID, INSURANCE, Fact, Said, said
from sokhoe.book.reading import Places, age_at
from sokhoe.book.timeline import Card, Record
from sokhoe.clock import Instant
from sokhoe.errors import NotFound
from sokhoe.people import identity_of
from sokhoe.trust import Version
from sokhoe.web import Ask, key

# What every page has: the words of the Book.
SHELF: dict[str, Any] = {"w": words}
SHOWS = ("visits", "medicines", "results")
CARDS = 20  # on one page; a year with dialysis has 150 visits
LINES = "1000"  # of the audit at once
# Medicines prescribed earlier than this cannot be current, whatever their prescription says.
MEDICINE_YEARS = 2
LATEST_RESULTS_YEARS = 10


def home(ask: Ask) -> Response:
    """The timeline of one year; without a year the newest that has something."""
    session = ask.session
    owner = record.owner(session)
    listed, places, versions = record.visits(session, owner)
    this_year = clock.today().year
    years = timeline.years(listed, record.oldest(session), this_year)
    chosen = _year(ask.query("year"), years)
    outline = Record(encounters=listed, places=places, births=owner.births)
    cards = timeline.cards(record.of_year(session, owner, outline, chosen), chosen)
    show = ask.query("show") if ask.query("show") in SHOWS else "visits"
    cards = [one for one in cards if _wanted(one, show)]
    start = _number(ask.query("from"), len(cards))
    return ask.render(
        "book/home.html",
        **SHELF,
        owner=owner,
        age=age_at(owner.birth_date, str(clock.today())),
        allergies=record.allergies(session),
        years=years,
        chosen=chosen,
        show=show,
        cards=cards[start : start + CARDS],
        start=start,
        more=start + CARDS if start + CARDS < len(cards) else 0,
        fresh=_fresh(versions, places, owner),
        first=not ask.query("year") and not start,
    )


def visit(ask: Ask) -> Response:
    """One visit with everything that belongs to it."""
    owner = record.owner(ask.session)
    found = record.of_visit(ask.session, owner, ask.path["id"])
    card = timeline.card(found, ask.path["id"])
    if card is None:
        raise NotFound("There is no such visit in your Health Book.", slug="no-visit")
    return ask.render("book/visit.html", **SHELF, card=card)


def medicine_list(ask: Ask) -> Response:
    """What to take now, and what was taken within a year."""
    owner = record.owner(ask.session)
    today = clock.today()
    since = today.replace(year=today.year - MEDICINE_YEARS, day=1)
    found, places = record.prescriptions(ask.session, owner, since)
    listed = medicines.prescribed(found, places)
    return ask.render(
        "book/medicines.html",
        **SHELF,
        cabinet=medicines.cabinet(listed, str(today)),
        allergies=record.allergies(ask.session),
        today=str(today),
    )


def result_list(ask: Ask) -> Response:
    """The newest result of each kind."""
    owner = record.owner(ask.session)
    since = ("date", f"ge{clock.today().year - LATEST_RESULTS_YEARS}-01-01")
    found = record.resources(ask.session, "Observation", [since])
    listed = results.series(results.read_all(found, owner.places, owner.births))
    groups = [
        (key("Measured at the visit"), [one for one in listed if one.newest.vital]),
        (key("Laboratory and other tests"), [one for one in listed if not one.newest.vital]),
    ]
    return ask.render("book/results.html", **SHELF, groups=groups, any=bool(listed))


def result(ask: Ask) -> Response:
    """One kind of result over time. Raises NotFound when there is none of it."""
    kind = ask.path["code"]
    owner = record.owner(ask.session)
    named = not kind.startswith("t-")
    pairs = [("code", kind.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|"))]
    found = record.resources(ask.session, "Observation", pairs if named else [])
    listed = results.series(results.read_all(found, owner.places, owner.births))
    series = next((one for one in listed if one.key == kind), None)
    if series is None:
        raise NotFound("There is no such result in your Health Book.", slug="no-result")
    return ask.render("book/result.html", **SHELF, series=series, drawing=trend.draw(series))


def source_list(ask: Ask) -> Response:
    """Which facility sent what, and when it last did."""
    owner = record.owner(ask.session)
    return ask.render("book/sources.html", **SHELF, parcels=record.sources(ask.session, owner))


def access_log(ask: Ask) -> Response:
    """Who looked at my record."""
    cursor = ask.query("after")
    pairs = [("_count", LINES), *([("_cursor", cursor)] if cursor else [])]
    page = ask.session.search("AuditEvent", pairs)
    events = [one.resource for one in page.versions]
    names = record.names_of(ask.session, access.places_of(events))
    return ask.render(
        "book/access.html",
        **SHELF,
        log=access.read(events, ask.actor.id, names),
        next=page.next or "",
        first=not cursor,
        emergencies=[] if cursor else _emergencies(ask),
    )


def me(ask: Ask) -> Response:
    """What each facility knows about who I am, side by side, with its freshness."""
    owner = record.owner(ask.session)
    return ask.render(
        "book/me.html",
        **SHELF,
        facts=_identity(ask, owner),
        fresh=_fresh([], owner.places, owner),
    )


def _emergencies(ask: Ask) -> list[dict[str, str]]:
    """Who opened the record in an emergency, newest first."""
    pairs = [("category", "urn:sokhoe:notice|emergency"), ("_sort", "-sent"), ("_count", "20")]
    found = [one.resource for one in ask.session.search("Communication", pairs).versions]
    return [
        {
            "who": str((one.get("sender") or {}).get("display", "")),
            "place": next((str(note["text"]) for note in one.get("note", [])), ""),
            "text": next((str(said["contentString"]) for said in one.get("payload", [])), ""),
            "at": str(one.get("sent", "")),
        }
        for one in found
    ]


# -- inside -----------------------------------------------------------------------------------


def _year(asked: str, years: list[tuple[int, int]]) -> int:
    known = [year for year, _ in years]
    if asked.isascii() and asked.isdigit() and int(asked) in known:
        return int(asked)
    return next((year for year, count in years if count), known[0])


def _number(text: str, most: int) -> int:
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _wanted(card: Card, show: str) -> bool:
    if show == "medicines":
        return bool(card.medicines)
    return bool(card.results or card.reports) if show == "results" else True


def _fresh(
    versions: list[Version], places: Places, owner: record.Owner
) -> list[tuple[str, Instant]]:
    """Facility and the time it last sent something, the latest first."""
    last: dict[str, Instant] = {}
    for version in (*versions, *owner.patients):
        name = places.of(version.resource)
        if name:
            last[name] = max(last.get(name, 0), version.at)
    return sorted(last.items(), key=lambda one: -one[1])


def _identity(ask: Ask, owner: record.Owner) -> list[Fact]:
    """Each fact with what each facility has of it, and whether they differ."""
    identity = identity_of(ask.site)
    numbers = {
        identity.citizen_system: CITIZEN_ID,
        identity.insurance_system: INSURANCE,
    }
    rows: dict[str, list[Said]] = {}
    for version, patient in zip(owner.patients, owner.resources, strict=True):
        place = owner.places.of(patient)
        for label, value in said(patient, numbers):
            rows.setdefault(label, []).append(Said(place, value, version.at))
    return [Fact(label, tuple(values)) for label, values in rows.items()]

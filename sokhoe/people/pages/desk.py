"""The steward's desk: doubtful cases, one decision each, and a person with its links."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import Invalid, NotFound
from sokhoe.people import comparing, deciding, finding
from sokhoe.people.history import LinkEvent
from sokhoe.people.matching import Facts, facts_of
from sokhoe.people.persons import PersonView
from sokhoe.people.reviews import COMPLETED, ON_HOLD, REQUESTED, TOKEN, Decision, Review, review_of
from sokhoe.people.seams import identity_of
from sokhoe.trust import Role, Session
from sokhoe.web import Ask, page

STEWARD = frozenset({Role.STEWARD})
_PAGE = "25"
TABS = {"open": REQUESTED, "aside": ON_HOLD, "decided": COMPLETED}
DECISIONS = {
    Decision.SAME: "The same person",
    Decision.DIFFERENT: "Different people",
    Decision.UNSURE: "Not sure",
}


def routes() -> list[Route]:
    return [
        page("/desk", desk, roles=STEWARD),
        page("/desk/people", people, roles=STEWARD),
        page("/desk/people/{person}", person, roles=STEWARD),
        page("/desk/people/{person}", change, methods=("POST",), roles=STEWARD),
        page("/desk/{task}", case, roles=STEWARD),
        page("/desk/{task}", decide, methods=("POST",), roles=STEWARD),
        page("/desk/{task}/undo", undo, methods=("POST",), roles=STEWARD),
    ]


@dataclass(frozen=True, slots=True)
class Source:
    """A source record for the screen: its facts, and where and when it was written."""

    facts: Facts
    place: str
    at: int

    @property
    def id(self) -> str:
        return self.facts.patient.removeprefix("Patient/")


# -- the list -------------------------------------------------------------------------------------


def desk(ask: Ask) -> Response:
    """Open cases, newest first; those put aside; those decided, to be taken back."""
    tab = ask.query("show", "open")
    if tab not in TABS:
        raise NotFound("There is no such list.")
    pairs = [("code", TOKEN), ("status", TABS[tab]), ("_sort", "-_lastUpdated"), ("_count", _PAGE)]
    if ask.query("after"):
        pairs.append(("_cursor", ask.query("after")))
    found = ask.session.search("Task", pairs)
    reviews = [review_of(one) for one in found.versions]
    return ask.render(
        "people/desk.html",
        tab=tab,
        counts={name: _count(ask.session, status) for name, status in TABS.items()},
        rows=_lines(ask, reviews),
        next=f"/desk?show={tab}&after={found.next}" if found.next else "",
        done=_done(ask),
        decisions=DECISIONS,
    )


def _count(session: Session, status: str) -> int:
    pairs = [("code", TOKEN), ("status", status), ("_count", "0"), ("_total", "accurate")]
    return session.search("Task", pairs).total or 0


@dataclass(frozen=True, slots=True)
class Line:
    """A case in a list: the record's name, the person's, and what weighs most. `number`: the
    citizen ID in question where nobody has it yet."""

    review: Review
    name: str
    other: str
    number: str
    reason: comparing.Said | None


def _lines(ask: Ask, reviews: Sequence[Review]) -> list[Line]:
    sources = _sources(ask, {one.patient for one in reviews})
    persons = {one.id: one for one in finding.persons(ask.session, _person_ids(reviews))}
    return [
        Line(
            review,
            sources[review.patient].facts.name if review.patient in sources else "",
            persons[review.person_id].name if review.person_id in persons else "",
            sources[review.patient].facts.citizen_id if review.patient in sources else "",
            next(iter(comparing.said(review.reasons)), None),
        )
        for review in reviews
    ]


def _person_ids(reviews: Collection[Review]) -> set[str]:
    return {one.person_id for one in reviews}


def _done(ask: Ask) -> Line | None:
    """The decision just made, to be shown with its way back."""
    id = ask.query("done")
    if not id:
        return None
    review = deciding.read_review(ask.session, id)
    return next(iter(_lines(ask, [review]))) if review.decided else None


# -- one case -------------------------------------------------------------------------------------


def case(ask: Ask) -> Response:
    """Two people side by side."""
    review = deciding.read_review(ask.session, ask.path["task"])
    home = finding.of_patient(ask.session, review.patient)
    candidate = deciding.read_person(ask.session, review.person_id)
    refs = {review.patient, *candidate.patients, *(home.patients if home else ())}
    sources = _sources(ask, refs)
    if review.patient not in sources:
        raise NotFound("The record of this case was deleted.", slug="record-gone")
    left = sources[review.patient].facts
    mine = [sources[ref] for ref in (home.patients if home else ()) if ref in sources]
    theirs = [
        sources[ref]
        for ref in candidate.patients
        if ref in sources and (home is None or home.id != candidate.id or ref != review.patient)
    ]
    right = comparing.summed(candidate, [one.facts for one in theirs])
    return ask.render(
        "people/case.html",
        review=review,
        home=home,
        candidate=candidate,
        rows=comparing.rows(left, right, say_date=ask.t.date, say=ask.t),
        reasons=comparing.said(review.reasons),
        mine=mine,
        theirs=theirs,
        left=left,
        left_source=sources[review.patient],
        sexes=comparing.SEXES,
        decisions=DECISIONS,
        waiting=_count(ask.session, REQUESTED),
        done=_done(ask),
    )


def decide(ask: Ask) -> Response:
    """Keep the decision and go to the next case."""
    try:
        decision = Decision(ask.field("decision"))
    except ValueError:
        raise Invalid("Choose one of the three answers.", location="decision") from None
    identity = identity_of(ask.site)
    review = deciding.decide(ask.session, identity, ask.path["task"], decision)
    following = _next(ask.session, review.id)
    return ask.go(f"/desk/{following}?done={review.id}" if following else f"/desk?done={review.id}")


def _next(session: Session, after: str) -> str:
    pairs = [("code", TOKEN), ("status", REQUESTED), ("_sort", "-_lastUpdated"), ("_count", "2")]
    ids = [one.id for one in session.search("Task", pairs).versions]
    return next((id for id in ids if id != after), "")


def undo(ask: Ask) -> Response:
    """Take a decision back and show the case again."""
    review = deciding.undo(ask.session, identity_of(ask.site), ask.path["task"])
    if review.open:
        return ask.go(f"/desk/{review.id}")
    return ask.go(f"/desk/people/{review.person_id}")


# -- one person -----------------------------------------------------------------------------------


def people(ask: Ask) -> Response:
    """Find a person by name or number."""
    text = ask.query("q")
    found = finding.find_person(ask.session, text) if text else []
    return ask.render("people/people.html", q=text, found=found, sexes=comparing.SEXES)


def person(ask: Ask) -> Response:
    """A person, its source records, and the history of its links."""
    id = ask.path["person"]
    found = deciding.read_person(ask.session, id)
    if not found.version:
        raise NotFound("There is no such person.")
    history = finding.link_history(ask.session, id)
    named = {ref for event in history for ref in event.patients} | set(found.patients)
    sources = _sources(ask, named)
    return ask.render(
        "people/person.html",
        person=found,
        sources=[sources[ref] for ref in found.patients if ref in sources],
        history=history,
        names={ref: source.facts.name for ref, source in sources.items()},
        again=_again(found, history, sources),
        sexes=comparing.SEXES,
        alone=len(found.links) == 1 and not found.citizen_id,
        by_hand={link.patient for link in found.links if link.by_hand},
        done=_done(ask),
        decisions=DECISIONS,
    )


def _again(
    found: PersonView, history: Sequence[LinkEvent], sources: Collection[str]
) -> dict[int, list[str]]:
    """Which lines of the history offer to link again: the latest parting of each record that is
    not linked here now. Key: the line's place."""
    seen: set[str] = set(found.patients)
    offers: dict[int, list[str]] = {}
    for place, event in enumerate(history):
        for ref in event.patients:
            if ref in seen or ref not in sources:
                continue
            seen.add(ref)
            if event.activity == "unlink":
                offers.setdefault(place, []).append(ref)
    return offers


def change(ask: Ask) -> Response:
    """Take a record out of this person, or put it back."""
    id, patient = ask.path["person"], f"Patient/{ask.field('patient')}"
    verb = {"unlink": deciding.take_apart, "link": deciding.put_back}.get(ask.field("action"))
    if verb is None:
        raise Invalid("Choose what to do with the record.", location="action")
    review = verb(ask.session, identity_of(ask.site), id, patient)
    return ask.go(f"/desk/people/{id}?done={review.id}")


# -- sources --------------------------------------------------------------------------------------


def _sources(ask: Ask, refs: Collection[str]) -> dict[str, Source]:
    """Source records by reference, with the names of their facilities."""
    identity = identity_of(ask.site)
    found = {one.ref: one for one in finding.patients(ask.session, refs)}
    resources = {ref: one.resource for ref, one in found.items()}
    owners = {
        ref: one.get("managingOrganization", {}).get("reference", "")
        for ref, one in resources.items()
    }
    places = finding.places(ask.session, {owner for owner in owners.values() if owner})
    return {
        ref: Source(facts_of(resources[ref], identity), places.get(owners[ref], ""), one.at)
        for ref, one in found.items()
    }

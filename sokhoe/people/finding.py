"""Questions to the index: by number, by patient, by name; and the batch look-ups of the follower.

All of it goes through the asker's own Session, so nobody finds more than he may see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress

from sokhoe.errors import Conflict, Forbidden, Gone, NotFound
from sokhoe.people.history import LinkEvent, event_of
from sokhoe.people.persons import PersonView, person_of
from sokhoe.people.reviews import ON_HOLD, REQUESTED, TOKEN, Review, review_of
from sokhoe.trust import Session, Version

_VALUES = 400  # values in one parameter; a search may carry 500
_PAGE = "1000"
MOST_RECORDS = 20  # of one person


def of_citizen(session: Session, citizen_id: str, system: str = "") -> PersonView | None:
    """The person with this citizen ID, or None. `system` may be left out where there is only one
    kind of citizen ID. Raises Conflict when two persons carry it: nobody guesses which."""
    value = _escaped(citizen_id.strip())
    if not value:
        return None
    page = session.search("Person", [("identifier", f"{system}|{value}" if system else value)])
    found = [
        person
        for person in map(person_of, page.versions)
        if person.active and person.citizen_id == citizen_id.strip()
    ]
    if len(found) > 1:
        raise Conflict(
            "Two persons carry this citizen ID.",
            hint="The steward's desk has to look at it.",
            slug="two-persons",
        )
    return found[0] if found else None


def of_patient(session: Session, patient: str) -> PersonView | None:
    """The person to whom this patient (reference) is linked; None before the index has seen it."""
    return next(iter(homes(session, [patient])), None)


def linked_patients(session: Session, person: str) -> tuple[str, ...]:
    """References of the patients of a person (reference); none when there is no such person."""
    try:
        return person_of(session.read("Person", person.removeprefix("Person/"))).patients
    except (NotFound, Gone):
        return ()


def records_of(session: Session, patient: Version) -> list[str]:
    """References of this patient and of the other records of the same person, this one first:
    those that `Patient.link` names, and those the index has linked, as far as the asker may see."""
    others = [
        link["other"]["reference"]
        for link in patient.resource.get("link", [])
        if link.get("other", {}).get("reference", "").startswith("Patient/")
    ]
    with suppress(Forbidden):
        person = of_patient(session, patient.ref)
        others += person.patients if person is not None else ()
    new = sorted(set(others) - {patient.ref})[: MOST_RECORDS - 1]
    return [patient.ref, *(one.ref for one in session.read_many(new))] if new else [patient.ref]


def find_person(
    session: Session, text: str = "", *, birth_date: str = "", count: int = 20
) -> list[PersonView]:
    """Persons by a whole citizen ID or insurance number or by the beginning of a name (`text`),
    and by birth date (a year is enough); all that is given must hold."""
    pairs: list[tuple[str, str]] = []
    text = text.strip()
    if any(letter.isdigit() for letter in text):
        pairs.append(("identifier", _escaped(text)))
    elif text:
        pairs.append(("name", _escaped(text)))
    if birth_date:
        pairs.append(("birthdate", birth_date))
    if not pairs:
        return []
    found = session.search("Person", [*pairs, ("_count", str(count))]).versions
    return [person for person in map(person_of, found) if person.active]


# -- look-ups of many at once ---------------------------------------------------------------------


def homes(session: Session, patients: Collection[str]) -> list[PersonView]:
    """The persons to whom these patients are linked."""
    return _ordered(_every(session, "Person", "link", patients))


def persons(session: Session, ids: Collection[str]) -> list[PersonView]:
    """The persons with these ids, as far as there are any."""
    return _ordered(_every(session, "Person", "_id", ids))


def patients(session: Session, refs: Collection[str]) -> Iterator[Version]:
    """The patients behind these references, as far as there are any."""
    ids = [ref.removeprefix("Patient/") for ref in refs]
    return _every(session, "Patient", "_id", ids)


def insured(session: Session, system: str, numbers: Collection[str]) -> list[PersonView]:
    """Persons any of whose records has one of these insurance numbers."""
    values = [f"{system}|{_escaped(number)}" for number in numbers]
    return _ordered(_every(session, "Person", "identifier", values))


def reviews_of(session: Session, patients: Collection[str]) -> list[Review]:
    """All cases about these patients, open or not."""
    found = _every(session, "Task", "focus", patients, ("code", TOKEN))
    return [review_of(one) for one in found]


def open_reviews_about(session: Session, persons: Collection[str]) -> list[Review]:
    """Open cases in which these persons (references) are the candidate."""
    status = ("status", f"{REQUESTED},{ON_HOLD}")
    found = _every(session, "Task", "subject", persons, ("code", TOKEN), status)
    return [review_of(one) for one in found]


def places(session: Session, refs: Collection[str]) -> dict[str, str]:
    """Names of facilities by reference."""
    ids = [ref.removeprefix("Organization/") for ref in refs if ref.startswith("Organization/")]
    found = _every(session, "Organization", "_id", ids)
    return {one.ref: str(one.resource.get("name", "")) for one in found}


def link_history(session: Session, person: str) -> list[LinkEvent]:
    """What was linked to and taken from a person (id), newest first."""
    found = _every(session, "Provenance", "target", [f"Person/{person}"])
    ordered = sorted(found, key=lambda one: one.seq, reverse=True)
    return [event for event in (event_of(one.resource) for one in ordered) if event]


def _ordered(found: Iterable[Version]) -> list[PersonView]:
    """Persons with a link made by hand first: should two ever claim one patient, they keep it."""
    known = {one.id: person_of(one) for one in found}
    return sorted(
        known.values(), key=lambda one: (not any(link.by_hand for link in one.links), one.id)
    )


def _every(
    session: Session,
    type: str,
    parameter: str,
    values: Collection[str],
    *more: tuple[str, str],
) -> Iterator[Version]:
    """Every resource with one of many values, in as few searches as the limits allow."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _VALUES):
        asked = [
            (parameter, ",".join(ordered[start : start + _VALUES])),
            ("_count", _PAGE),
            ("_sort", "_id"),
            *more,
        ]
        yield from _pages(session, type, asked)


def _pages(session: Session, type: str, asked: Sequence[tuple[str, str]]) -> Iterator[Version]:
    page = session.search(type, asked)
    yield from page.versions
    while page.next is not None:
        page = session.search(type, [*asked, ("_cursor", page.next)])
        yield from page.versions


def _escaped(text: str) -> str:
    """A value in which , | $ and \\ mean themselves (FHIR search escapes)."""
    for letter in "\\,|$":
        text = text.replace(letter, f"\\{letter}")
    return text

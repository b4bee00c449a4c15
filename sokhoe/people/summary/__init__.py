"""The summary of one person: what a stranger in a hospital abroad must know, as one document.

An International Patient Summary 2.0 on R4 (hl7.org/fhir/uv/ips): a Composition with problems,
allergies and medicines (always), and vaccinations, results, procedures, devices, vital signs,
pregnancy, way of life, past illnesses and plans where something is known. A person with records at
several facilities has one summary of all of them.

    records ──choosing──→ sections ──telling──→ words ──composing──→ document

That nothing is known is said as such ("no information"), never as "none": none is said only where
somebody recorded it. All is pure but `summarise`, which reads through the asker's Session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sokhoe import clock
from sokhoe.errors import Unsupported
from sokhoe.fhir import TYPES, search
from sokhoe.people.finding import records_of
from sokhoe.people.summary.choosing import chosen
from sokhoe.people.summary.composing import PROFILE, Source, document
from sokhoe.people.summary.sections import SECTIONS
from sokhoe.trust import Deed, Session, Version
from sokhoe.web import Speaker

__all__ = ["PROFILE", "summarise"]

Resource = dict[str, Any]
PAGE, MOST_PAGES = 1000, 20
WATCHED = frozenset(type for section in SECTIONS for type in section.types)
# What an entry refers to and a reader far away cannot look up.
FRIENDS = frozenset(
    "Medication Device Practitioner PractitionerRole Organization Location Specimen".split()
)


def summarise(session: Session, patient: Version, speaker: Speaker, base: str) -> Resource:
    """The document Bundle of the person to whom this patient belongs. `base`: the address of the
    server, by which the ids in the document are made. Raises Forbidden, Unsupported."""
    roots = records_of(session, patient)
    found = _everything(session, roots)
    patients = [one for one in found if one.version.ref in roots]
    patients.sort(key=lambda one: roots.index(one.version.ref))
    records = [one for one in found if one.version.type in WATCHED]
    sections = chosen([one.resource for one in records], clock.today().isoformat())
    hidden = frozenset(type for type in WATCHED if not session.may(Deed.READ, type))
    shown = {(one["resourceType"], one["id"]) for some in sections.values() for one in some}
    entries = [one for one in records if (one.version.type, one.version.id) in shown]
    friends = _friends(session, entries)
    return document(patients, entries, friends, sections, hidden, speaker, base, clock.now())


def _everything(session: Session, roots: Sequence[str]) -> list[Source]:
    by: Mapping[str, Sequence[str]] = {
        type: search.patient_parameters(type) for type in sorted(WATCHED | {"Patient"})
    }
    found: list[Version] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = session.around(roots, by, count=PAGE, cursor=cursor)
        found += page.versions
        cursor = page.next
        if cursor is None:
            return [Source(one, one.resource) for one in found]
    raise Unsupported(
        f"The record has more than {PAGE * MOST_PAGES} entries.",
        hint="Ask for it in pages with $everything.",
        slug="too-costly",
        code="too-costly",
    )


def _friends(session: Session, entries: Sequence[Source]) -> list[Source]:
    """What the entries refer to, and what that refers to."""
    level, found = list(entries), list[Source]()
    seen: set[str] = set()
    for _ in range(2):
        named = {
            ref
            for one in level
            for ref in search.all_references(one.resource)
            if ref.partition("/")[0] in FRIENDS & TYPES
        } - seen
        if not named:
            break
        level = [Source(one, one.resource) for one in session.read_many(sorted(named))]
        seen |= named
        found += level
    return found

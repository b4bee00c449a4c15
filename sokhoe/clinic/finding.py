"""Finding a person: by name without accents, birth year, phone, a number, or a scanned card.

One box takes all of it. Words may stand in any order; what looks like a year is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sokhoe.clinic.patients import Face, Typed, citizen_number, face_of, read_date
from sokhoe.fhir import fold
from sokhoe.people import CardFacts, Identity
from sokhoe.trust import Session

LIMIT = 30
_TOKEN = re.compile(r"[\w/]+")
_PHONE_OR_NUMBER = re.compile(r"^[0-9A-Za-z]*\d[0-9A-Za-z]{5,}$")


@dataclass(frozen=True, slots=True)
class Found:
    """People found, best first. `more`: there are others; `card`: the text was a card."""

    faces: tuple[Face, ...]
    more: bool = False
    card: CardFacts | None = None


def find(session: Session, identity: Identity, text: str) -> Found:
    """Find people by what was typed or scanned."""
    card = identity.read_card(text)
    if card is not None and (card.citizen_id or card.insurance):
        return Found(
            tuple(by_numbers(session, identity, card.citizen_id, card.insurance)), card=card
        )
    pairs = _pairs(text)
    if not pairs:
        return Found(())
    found: dict[str, Face] = {}
    more = False
    for asked in pairs:
        page = session.search("Patient", [*asked, ("_count", str(LIMIT + 1))])
        more = more or len(page.versions) > LIMIT
        for version in page.versions[:LIMIT]:
            patient = version.resource
            if patient.get("active") is not False:
                found.setdefault(version.id, face_of(patient, identity))
    return Found(tuple(ranked(text, list(found.values()))), more, card)


def _pairs(text: str) -> list[list[tuple[str, str]]]:
    """Searches to make for a text; several when a number may be one thing or another."""
    words: list[tuple[str, str]] = []
    numbers: list[str] = []
    joined = re.sub(r"(?<=\d)[ .\-](?=\d)", "", text)  # 0912 345 678
    for token in _TOKEN.findall(joined):
        if re.match(r"^(19|20)\d\d$", token):
            words.append(("birthdate", token))
        elif (day := read_date(token)) and len(day) > 4:
            words.append(("birthdate", day))
        elif _PHONE_OR_NUMBER.match(token):
            numbers.append(token)
        elif not token.isdecimal():
            words.append(("name", token.replace("/", " ")))
    if numbers:
        return [
            [(name, number), *words] for number in numbers[:2] for name in ("identifier", "phone")
        ]
    return [words] if words else []


def ranked(text: str, faces: list[Face]) -> list[Face]:
    """Names with the most typed words, accents and all, first; then whole words; then the rest."""
    typed = set(re.findall(r"[^\W\d]+", text.lower()))
    plain = {fold(word) for word in typed}

    def rank(face: Face) -> tuple[int, int, str]:
        name = face.name.lower()
        return (-len(typed & set(name.split())), -len(plain & set(fold(name).split())), fold(name))

    return sorted(faces, key=rank)


def by_numbers(session: Session, identity: Identity, *numbers: str) -> list[Face]:
    """People with one of these numbers (citizen ID first, then insurance)."""
    found: dict[str, Face] = {}
    systems = (identity.citizen_system, identity.insurance_system)
    for system, number in zip(systems, numbers, strict=False):
        if not number:
            continue
        pair = ("identifier", f"{system}|{number}")
        for version in session.search("Patient", [pair, ("_count", "10")]).versions:
            found.setdefault(version.id, face_of(version.resource, identity))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Alike:
    """Somebody who may be the same person: `same_number` is as good as certain."""

    face: Face
    same_number: bool


def alike(session: Session, identity: Identity, typed: Typed, but: str = "") -> list[Alike]:
    """Whom the station may already know: same number, or same name and birth year."""
    number = citizen_number(typed.citizen_id, identity)
    insurance = re.sub(r"[\s.\-]", "", typed.insurance).upper()
    found = {
        face.id: Alike(face, True) for face in by_numbers(session, identity, number, insurance)
    }
    words = [("name", word) for word in re.findall(r"\w+", typed.name)]
    birth = read_date(typed.birth)
    if words and birth:
        pairs = [*words, ("birthdate", birth[:4]), ("_count", "10")]
        for version in session.search("Patient", pairs).versions:
            face = face_of(version.resource, identity)
            if fold(face.name) == fold(typed.name):
                found.setdefault(face.id, Alike(face, False))
    found.pop(but, None)
    return list(found.values())

"""How one facility wrote an invented person down: the slips that give the person index its work.

A facility makes the same slips with the same person each time. Rates are guesses in the spirit of
what hospitals show: tones dropped, capitals, a year for a birthday, a parent's card for a child, a
missing or mistyped number, the old commune, another phone, a middle name left out.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from random import Random
from zlib import crc32

from sokhoe.vietnam.population import Person

_TONE_PLACES = (("òa", "oà"), ("óa", "oá"), ("úy", "uý"), ("ùy", "uỳ"), ("ủy", "uỷ"), ("ỹ", "ĩ"))


def without_tones(text: str) -> str:
    """Typed without a Vietnamese keyboard: no marks, đ as d, capitals kept."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def as_written(person: Person, facility: str, *, mother: Person | None = None) -> Person:
    """The person as this facility's register has them."""
    dice = Random(crc32(f"{person.number}{person.name}{facility}".encode()))  # noqa: S311
    roll = dice.random
    year = int(person.birth[:4])
    name = _name(person.name, dice)
    birth, number = person.birth, person.citizen_id
    if year < 1972 and roll() < 0.12:
        birth = birth[:4]
    elif len(birth) == 10 and roll() < 0.01:
        birth = _swapped(birth)
    if roll() < 0.08:
        number = ""
    elif mother and year > 2010 and roll() < 0.05:
        number = mother.citizen_id
    elif number and roll() < 0.015:
        place = 6 + int(roll() * 6)
        number = f"{number[:place]}{(int(number[place]) + 1) % 10}{number[place + 1 :]}"
    insured = roll() < 0.85
    return replace(
        person,
        name=name,
        birth=birth,
        citizen_id=number,
        old_card=person.old_card if roll() < 0.5 else "",
        insurance=person.insurance if insured else "",
        social=person.social if insured else "",
        benefit=person.benefit if insured else 0,
        phone=""
        if roll() < 0.15
        else f"0100{int(roll() * 1_000_000):06d}"
        if roll() < 0.12
        else person.phone,
        former_commune=person.former_commune if roll() < 0.35 else "",
        ethnic=person.ethnic if roll() < 0.9 else "56",
    )


def _name(name: str, dice: Random) -> str:
    roll = dice.random
    words = name.split()
    if len(words) > 3 and roll() < 0.03:
        name = " ".join([words[0], *words[2:]])
    if roll() < 0.06:
        for usual, other in _TONE_PLACES:
            name = name.replace(usual, other)
    if roll() < 0.22:
        name = without_tones(name)
    elif roll() < 0.03:
        name = unicodedata.normalize("NFD", name)
    return name.upper() if roll() < 0.3 else name


def _swapped(birth: str) -> str:
    """Day and month exchanged, where that is a date at all."""
    year, month, day = birth.split("-")
    return f"{year}-{day}-{month}" if int(day) <= 12 else birth

"""Diagnoses, medicines and facilities as staff look for them. Fills `clinic.catalogue`.

The lists are small starter sets (codes/*.csv) until a facility loads the Ministry's; they are held
folded in memory, since the question comes at every third letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

from sokhoe.clinic import Drug, Term
from sokhoe.fhir import fold
from sokhoe.vietnam import code_lists, systems
from sokhoe.vietnam.province import province

T = TypeVar("T")

# What a commune station writes most, shown before a word is typed.
USUAL_DIAGNOSES = ("I10", "J06.9", "E11", "K29", "M54.5", "J02", "A09", "R51", "H10", "B34.9")


@cache
def _diagnoses() -> tuple[tuple[str, Term], ...]:
    system = systems.uri("icd10")
    return tuple(
        (f"{fold(one.code)} {fold(one.name)} {fold(one.english)}", Term(one.code, one.name, system))
        for one in code_lists.diseases().values()
    )


@cache
def _medicines() -> tuple[tuple[str, Drug], ...]:
    system = systems.uri("medicine")
    return tuple(
        (
            f"{fold(one.name)} {fold(one.ingredient)} {fold(one.strength)}",
            Drug(one.code, _full_name(one), system, one.unit, one.dose),
        )
        for one in code_lists.medicines().values()
    )


def _full_name(one: code_lists.Medicine) -> str:
    return one.name if one.strength in one.name else f"{one.name} {one.strength}"


def _ranked(rows: Iterable[tuple[str, T]], words: str, limit: int) -> list[T]:
    """Rows that hold every word; those that begin with what was typed come first."""
    asked = fold(words)
    parts = asked.split()
    found = [(text, one) for text, one in rows if all(part in text for part in parts)]
    found.sort(key=lambda row: (not row[0].startswith(asked), row[0].find(asked) < 0))
    return [one for _, one in found[:limit]]


class Catalogue:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def diagnoses(self, words: str, limit: int) -> Sequence[Term]:
        if not words.strip():
            known = {one.code: one for _, one in _diagnoses()}
            return [known[code] for code in USUAL_DIAGNOSES if code in known][:limit]
        return _ranked(_diagnoses(), words, limit)

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        return _ranked(_medicines(), words, limit)

    def facility(self, code: str) -> str:
        found = province(self._folder).facilities.get(code)
        return found.name if found else ""

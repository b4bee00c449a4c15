"""Diagnoses, medicines and facilities as staff look for them. Fills `clinic.catalogue`.

The list of medicines is a small starter set (codes/medicines.csv); it is held folded in memory,
since the question comes at every third letter. Diagnoses are found in the terminology (icd10.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sokhoe.clinic import Drug
from sokhoe.fhir import terminology
from sokhoe.vietnam import code_lists, icd10, systems
from sokhoe.vietnam.province import province


@cache
def _medicines() -> tuple[terminology.Words, tuple[Drug, ...]]:
    system = systems.uri("medicine")
    known = code_lists.medicines().values()
    words = terminology.Words((one.code, _full_name(one), [one.ingredient]) for one in known)
    return words, tuple(
        Drug(one.code, _full_name(one), system, one.unit, one.dose) for one in known
    )


def _full_name(one: code_lists.Medicine) -> str:
    return one.name if one.strength in one.name else f"{one.name} {one.strength}"


class Catalogue:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def diagnosis_list(self) -> str:
        return systems.uri("icd10")

    @property
    def usual_diagnoses(self) -> Sequence[str]:
        return icd10.USUAL

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        index, drugs = _medicines()
        return [drugs[row] for row in index.find(words)[:limit]] if words else drugs[:limit]

    def facility(self, code: str) -> str:
        found = province(self._folder).facilities.get(code)
        return found.name if found else ""

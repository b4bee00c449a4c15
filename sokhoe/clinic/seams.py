"""What a country says to staff work: which diagnoses, medicines and facilities there are.

Filled by the pack as `clinic.catalogue`; with `NoCatalogue` everything is typed as words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sokhoe.web import Site


@dataclass(frozen=True, slots=True)
class Term:
    """A diagnosis: `code` in `system`, `name` as staff read it."""

    code: str
    name: str
    system: str


@dataclass(frozen=True, slots=True)
class Drug:
    """A medicine: `unit` counts it (tablet, sachet), `dose` is the usual instruction or ""."""

    code: str
    name: str
    system: str
    unit: str = ""
    dose: str = ""


class Catalogue(Protocol):
    """What a country says. Answers from memory, since it is asked at every third letter typed."""

    @property
    def diagnosis_list(self) -> str:
        """URL of the code system of diagnoses, "" for none; diagnoses.py looks in it."""

    @property
    def usual_diagnoses(self) -> Sequence[str]:
        """Codes to be shown before a word is typed."""

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        """By accent-free words, best first."""

    def facility(self, code: str) -> str:
        """The name of a facility, "" when the code is unknown."""


class NoCatalogue:
    """The twin for no country: knows nothing, so diagnoses and medicines stay words."""

    diagnosis_list = ""
    usual_diagnoses: Sequence[str] = ()

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        return ()

    def facility(self, code: str) -> str:
        return ""


def catalogue_of(site: Site) -> Catalogue:
    """The country's catalogue, or its Null twin."""
    found: Catalogue | None = site.pack.seam("clinic.catalogue")
    return found or NoCatalogue()


def medicine(catalogue: Catalogue, name: str) -> Drug | None:
    """The medicine of exactly this name, or None."""
    found = catalogue.medicines(name, 5) if name else ()
    return next((one for one in found if one.name == name), None)

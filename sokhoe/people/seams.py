"""What a country says about who a person is: its number systems, its cards, what is plausible.

Filled by the pack as `people.identity`; `NoIdentity` works where no pack is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sokhoe.web import Site


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a scanned card or typed number says; "" where it says nothing.

    `birth_date` is `YYYY-MM-DD` or `YYYY`; `gender` a FHIR code (male, female, other, unknown);
    `old_id` a former number of the same person; `insurance` the health insurance number.
    """

    citizen_id: str = ""
    name: str = ""
    birth_date: str = ""
    gender: str = ""
    address: str = ""
    old_id: str = ""
    insurance: str = ""


class Identity(Protocol):
    """`citizen_system` and `insurance_system` are the identifier systems of the two numbers."""

    @property
    def citizen_system(self) -> str: ...

    @property
    def insurance_system(self) -> str: ...

    def read_card(self, text: str) -> CardFacts | None:
        """A scanned or typed text as facts; None when it is no card this country knows."""

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        """Where a citizen ID contradicts birth date or sex: sentences, each a catalogue key.
        Empty when nothing speaks against it."""

    def is_citizen_id(self, text: str) -> bool:
        """Does this text have the form of a citizen ID?"""


class NoIdentity:
    """The twin for no country: numbers are digits, no card is known, nothing is implausible."""

    citizen_system = "urn:sokhoe:citizen-id"
    insurance_system = "urn:sokhoe:insurance"

    def read_card(self, text: str) -> CardFacts | None:
        return None

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        return []

    def is_citizen_id(self, text: str) -> bool:
        return len(text) >= 6 and text.isdecimal()


def identity_of(site: Site) -> Identity:
    """The country's identity, or its Null twin."""
    found: Identity | None = site.pack.seam("people.identity")
    return found or NoIdentity()

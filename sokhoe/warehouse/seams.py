"""What the warehouse asks of a country: its smallest places, its facilities, its words for codes.

Both seams are optional; without them the numbers still stand, only without denominators and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Area(NamedTuple):
    """One commune: `col` and `row` are its place on the tile map, counted from 0 at top left;
    `population` is the denominator that its share is taken of."""

    code: str
    name: str
    population: int
    col: int
    row: int


class Facility(NamedTuple):
    """One place of care: `organization` as visits refer to it (`Organization/…`), `area` its
    commune code; `level` is a catalogue key for the kind of house ("Provincial hospital"). Named
    tuples, so that a pack may answer with plain tuples and leave out the level."""

    organization: str
    code: str
    name: str
    area: str
    level: str = ""


class Places(Protocol):
    """Seam `warehouse.places`. `target`: the share of people who should have a record (0.8)."""

    @property
    def target(self) -> float: ...

    def areas(self) -> Sequence[Area]:
        """Every commune once; codes differ and no two share a place on the map."""

    def area_of(self, patient: dict[str, Any]) -> str | None:
        """The commune code in a Patient's address, or None when it names no known commune."""

    def facilities(self) -> Sequence[Facility]:
        """Every facility that should send, whether it ever did or not."""


class Words(Protocol):
    """Seam `warehouse.words`: names of codes that the standards leave to each country."""

    def diagnosis(self, code: str, language: str) -> str:
        """The name of an ICD-10 category (`I10`), or "" when there is none in this language."""


class NoPlaces:
    """The twin without a map: counts are shown without shares."""

    target = 0.8

    def areas(self) -> Sequence[Area]:
        return ()

    def area_of(self, patient: dict[str, Any]) -> str | None:
        return None

    def facilities(self) -> Sequence[Facility]:
        return ()


class NoWords:
    """The twin that knows no names: the code stands for itself."""

    def diagnosis(self, code: str, language: str) -> str:
        return ""

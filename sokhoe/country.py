"""The list of seams: what a country pack may fill, and the pack that fills nothing.

A seam is a Protocol in the room that needs it. A pack is an object found through the entry point
group `sokhoe.country`; it answers `seam(name)` with an implementation or None, and each room takes
its Null twin for None. `sokhoe-laos` would be installed beside us and named in the settings.

| seam | declared in | fills |
|---|---|---|
| people.identity | sokhoe/people/seams.py | identifier systems, card texts, plausibility |
| exchange.file_kinds | sokhoe/exchange/seams.py | foreign file formats, in |
| exchange.code_tables | sokhoe/exchange/seams.py | tables of codes as they are published |
| trust.code_lists | sokhoe/fhir/terminology (Source) | code lists that are there from the start |
| trust.retention | sokhoe/trust/keeping.py (Retention) | how long which records are kept |
| clinic.catalogue | sokhoe/clinic/seams.py | diagnosis, medicine and facility lists |
| book.sign_in | sokhoe/book/seams.py | how the e-ID's claims name a citizen |
| warehouse.places | sokhoe/warehouse/seams.py | communes, population, targets, map |
| warehouse.words | sokhoe/warehouse/seams.py | names of codes |
| world | here | an invented province for demo, tests and benchmarks |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from sokhoe.errors import Invalid


@dataclass(frozen=True, slots=True)
class Batch:
    """What one facility recorded of one person: the resources of that facility's system, ready to
    be committed together. `kind`: "fhir" (sent by FHIR) or "file" (`content` holds the foreign
    file's bytes, `resources` what it should become)."""

    facility: str
    resources: tuple[dict[str, Any], ...]
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Citizen:
    """An invented citizen for the doors of the demo: enough to sign in to the Health Book."""

    citizen_id: str
    name: str
    birth_date: str
    gender: str


class World(Protocol):
    """An invented province: same seed, same province. Nothing in it is a real person."""

    def register(self) -> Sequence[dict[str, Any]]:
        """Facilities and staff as resources (Organization, Location, Practitioner)."""

    def facilities(self) -> Sequence[tuple[str, str]]:
        """(code, name) of each facility; stations of the demo are the last ones."""

    def batches(self, seed: int, people: int, today: date) -> Iterator[Batch]:
        """Everything that happened to `people` people up to `today`, facility by person."""

    def population(self, seed: int, people: int, today: date) -> dict[str, int]:
        """How many of these people live in each commune, by its code."""

    def citizens(self, seed: int, people: int, today: date, count: int) -> Sequence[Citizen]:
        """Some of the same people, adults with many visits, to sign in as."""


class Pack(Protocol):
    name: str

    def seam(self, name: str) -> Any:
        """The implementation of a seam, or None where this country has nothing to say."""

    def routes(self, site: Any) -> Sequence[Any]:
        """Web routes only this country has (a gateway of foreign software)."""

    def locale(self) -> Path | None:
        """Folder of catalogues whose texts stand before the rooms' own."""


class NoPack:
    """The twin that fills nothing: a station installs and works with no country at all."""

    name = "none"

    def seam(self, name: str) -> Any:
        return None

    def routes(self, site: Any) -> Sequence[Any]:
        return ()

    def locale(self) -> Path | None:
        return None


def load(name: str, province: str) -> Pack:
    """Find a pack by its entry point. Raises Invalid naming the packs that are installed."""
    if name in {"", "none"}:
        return NoPack()
    found = {one.name: one for one in entry_points(group="sokhoe.country")}
    if name not in found:
        have = ", ".join(sorted(found)) or "none"
        raise Invalid(
            f"No country pack {name!r} is installed (installed: {have}).",
            hint="Set SOKHOE_COUNTRY to one of these, or to none.",
            slug="no-country",
        )
    pack: Pack = found[name].load()(province)
    return pack

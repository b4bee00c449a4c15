"""Population figures from a file in place of the country's own (setting `population`).

A department puts its newest figures here without waiting for a new country pack; the demo puts the
number of its invented people. Two columns with a header: `area,population`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sokhoe.errors import Invalid
from sokhoe.warehouse.seams import Area, Facility, Places


@dataclass(frozen=True, slots=True)
class Counted:
    """Places as they are, with other populations; a commune that the file leaves out has 0."""

    places: Places
    counts: Mapping[str, int]

    @property
    def target(self) -> float:
        return float(self.places.target)

    def areas(self) -> Sequence[Area]:
        return [
            Area(*one)._replace(population=self.counts.get(one[0], 0))
            for one in self.places.areas()
        ]

    def area_of(self, patient: dict[str, Any]) -> str | None:
        return self.places.area_of(patient)

    def facilities(self) -> Sequence[Facility]:
        return self.places.facilities()


def read_population(file: Path) -> dict[str, int]:
    """Population by commune code. Raises Invalid naming the file and the line."""
    counts: dict[str, int] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream), 2):
                area, count = row.get("area"), (row.get("population") or "").strip()
                if not area or not count.isascii() or not count.isdigit() or area in counts:
                    raise _wrong(f"line {number} of {file} is not a new code and a whole number")
                counts[area] = int(count)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(f"{file} cannot be read: {error}") from None
    return counts


def _wrong(what: str) -> Invalid:
    return Invalid(
        f"The population figures are wrong: {what}.",
        hint="The file has the columns area,population. Set SOKHOE_POPULATION to another one.",
        slug="population-file",
        location="population",
    )

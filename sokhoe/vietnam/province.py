"""A province is a data folder: its communes, its facilities, and where each old ward went.

Reads `provinces/<folder>/{province.toml, communes.csv, former_communes.csv, facilities.csv}`.
Facility levels: `tinh` (provincial hospital), `khu_vuc` (area health centre), `phong_kham`
(polyclinic), `tram` (commune station).
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from sokhoe.errors import NotFound


@dataclass(frozen=True, slots=True)
class Former:
    """A province that was merged: its code in citizen numbers, the prefix of its facility codes,
    and the shares of Khmer and Hoa households in the invented population."""

    code: str
    facility_prefix: str
    name: str
    khmer: float
    hoa: float


@dataclass(frozen=True, slots=True)
class Commune:
    """A commune (xã) or ward (phường). `population` is invented; `col`, `row`: its map tile."""

    code: str
    name: str
    kind: str
    former_province: str
    lat: float
    lon: float
    area_km2: float
    population: int
    col: int
    row: int


@dataclass(frozen=True, slots=True)
class FormerCommune:
    """A ward before the merger and the commune that it went to; of a divided ward the part with
    `main` is meant by an address that says no more."""

    code: str
    name: str
    district: str
    province: str
    now: str
    main: bool


@dataclass(frozen=True, slots=True)
class Facility:
    """A place of care: five-character code, level, speciality (`general`, `women`, …), commune."""

    code: str
    name: str
    level: str
    kind: str
    commune: str
    lat: float
    lon: float


@dataclass(frozen=True, eq=False)  # one object per folder (cached), so it may be a cache key
class Province:
    """A province with all that belongs to it. `population` invented; `utc_offset` in minutes."""

    code: str
    name: str
    short_name: str
    population: int
    record_target: float
    utc_offset: int
    former: Mapping[str, Former]
    communes: Mapping[str, Commune]
    facilities: Mapping[str, Facility]
    former_communes: tuple[FormerCommune, ...]

    @cached_property
    def _now(self) -> Mapping[str, str]:
        return {one.code: one.now for one in self.former_communes if one.main}

    @cached_property
    def _before(self) -> Mapping[str, tuple[FormerCommune, ...]]:
        found: dict[str, list[FormerCommune]] = {}
        for one in self.former_communes:
            found.setdefault(one.now, []).append(one)
        return {code: tuple(wards) for code, wards in found.items()}

    def commune_now(self, code: str) -> str:
        """Today's commune for a code of today or of before the merger; empty if unknown.

        A code may stand in both lists (the new commune kept an old ward's number); then it is
        read as today's.
        """
        return code if code in self.communes else self._now.get(code, "")

    def before(self, code: str) -> tuple[FormerCommune, ...]:
        """The old wards that went into a commune of today."""
        return self._before.get(code, ())


def _rows(file: Traversable) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


@cache
def provinces() -> tuple[str, ...]:
    """The names of the data folders."""
    folders = (files(__package__) / "provinces").iterdir()
    return tuple(sorted(one.name for one in folders if (one / "province.toml").is_file()))


@cache
def province(folder: str = "vinh_long") -> Province:
    """The province in a data folder. Raises NotFound if there is no such folder."""
    if folder not in provinces():
        raise NotFound(
            f"There is no province folder {folder!r}.",
            hint=f"Known: {', '.join(provinces())}. Each is a folder under vietnam/provinces.",
        )
    here = files(__package__) / "provinces" / folder
    data = tomllib.loads((here / "province.toml").read_text("utf-8"))
    return Province(
        code=data["code"],
        name=data["name"],
        short_name=data["short_name"],
        population=data["population"],
        record_target=data["record_target"],
        utc_offset=data["utc_offset"],
        former={row["code"]: Former(**row) for row in data["former"]},
        communes={
            row["code"]: Commune(
                row["code"],
                row["name"],
                row["kind"],
                row["former_province"],
                float(row["lat"]),
                float(row["lon"]),
                float(row["area_km2"]),
                int(row["population_invented"]),
                int(row["col"]),
                int(row["row"]),
            )
            for row in _rows(here / "communes.csv")
        },
        facilities={
            row["code"]: Facility(
                row["code"],
                row["name"],
                row["level"],
                row["kind"],
                row["commune"],
                float(row["lat"]),
                float(row["lon"]),
            )
            for row in _rows(here / "facilities.csv")
        },
        former_communes=tuple(
            FormerCommune(
                row["old_code"],
                row["old_name"],
                row["old_district"],
                row["old_province"],
                row["new_code"],
                row["main"] == "1",
            )
            for row in _rows(here / "former_communes.csv")
        ),
    )

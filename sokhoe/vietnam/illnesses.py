"""Clinical pictures as data (`illnesses.toml`), and how often each is met at an age."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

BANDS = (1, 6, 18, 40, 60)  # upper limits in years; the sixth band is open

_SEASONS = {"rain": (5, 6, 7, 8, 9, 10, 11), "cool": (11, 12, 1, 2)}


@dataclass(frozen=True, slots=True)
class Illness:
    """One clinical picture; `illnesses.toml` says on top what each field means."""

    key: str
    icd: str
    place: str
    reason: tuple[str, ...]
    treatment: str
    weights: tuple[float, ...] = ()
    share: tuple[float, ...] = ()
    every: int = 0
    also: tuple[str, ...] = ()
    sex: str = ""
    sexed: Mapping[str, float] = field(default_factory=dict)
    months: str = ""
    kind: str = ""
    department: str = ""
    inpatient: float = 0.0
    stay: tuple[int, int] = (1, 3)
    signs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    labs: tuple[str, ...] = ()
    lab_share: float = 0.8
    abnormal: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    service_share: float = 0.8
    medicines: tuple[tuple[str, int], ...] = ()
    child_medicines: tuple[tuple[str, int], ...] = ()
    result: str = "1"
    follow_up: int = 0


def band(age: float) -> int:
    """Which of the six age bands, by age in years."""
    return next((place for place, upto in enumerate(BANDS) if age < upto), 5)


def in_season(illness: Illness, month: int) -> float:
    """How much likelier than on average in this month."""
    if not illness.months:
        return 1.0
    return 1.9 if month in _SEASONS[illness.months] else 0.25


def _medicines(rows: list[str]) -> tuple[tuple[str, int], ...]:
    return tuple((code, int(count)) for code, _, count in (row.partition(":") for row in rows))


@cache
def illnesses() -> Mapping[str, Illness]:
    """All pictures by key."""
    data = tomllib.loads((files(__package__) / "illnesses.toml").read_text("utf-8"))
    found = {}
    for row in data["illness"]:
        for name in ("weights", "share", "also", "reason", "labs", "services", "stay"):
            if name in row:
                row[name] = tuple(row[name])
        for name in ("signs", "abnormal"):
            row[name] = {key: (low, high) for key, (low, high) in row.get(name, {}).items()}
        row["medicines"] = _medicines(row["medicines"])
        row["child_medicines"] = _medicines(row.get("child_medicines", []))
        found[row["key"]] = Illness(**row)
    return found


@cache
def episodes(age_band: int, sex: str, month: int) -> tuple[tuple[Illness, ...], tuple[float, ...]]:
    """What may befall such a person in such a month, with running weights for a bisection."""
    pictures: list[Illness] = []
    upto: list[float] = []
    total = 0.0
    for one in illnesses().values():
        if not one.weights or (one.sex and one.sex != sex):
            continue
        weight = one.weights[age_band] * one.sexed.get(sex, 1.0) * in_season(one, month)
        if weight > 0:
            total += weight
            pictures.append(one)
            upto.append(total)
    return tuple(pictures), tuple(upto)


@cache
def lasting(age_band: int, sex: str) -> tuple[tuple[Illness, float], ...]:
    """Chronic illnesses and the part of such people that has each."""
    return tuple(
        (one, one.share[age_band] * one.sexed.get(sex, 1.0))
        for one in illnesses().values()
        if one.share and one.share[age_band] > 0 and not (one.sex and one.sex != sex)
    )

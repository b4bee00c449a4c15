"""Which facility an invented person goes to, and who treats there."""

from __future__ import annotations

from functools import cache
from random import Random

from sokhoe.vietnam import names
from sokhoe.vietnam.province import Commune, Facility, province
from sokhoe.vietnam.visit import Doctor

_NEAR = frozenset({"tram", "phong_kham"})


@cache
def nearest(folder: str, commune: str, kind: str) -> str:
    """The code of the nearest facility of a kind: near, area, province, or a speciality."""
    where = province(folder)
    home = where.communes[commune]
    fits = [one for one in where.facilities.values() if _fits(one, kind)]
    return min(fits, key=lambda one: (_distance(home, one), one.code)).code


def _fits(one: Facility, kind: str) -> bool:
    if kind == "near":
        return one.level in _NEAR
    if kind == "area":
        return one.level == "khu_vuc"
    if kind == "province":
        return one.level == "tinh" and one.kind == "general"
    return one.kind == kind


def _distance(home: Commune, one: Facility) -> float:
    return (home.lat - one.lat) ** 2 + (home.lon - one.lon) ** 2


def chosen(rng: Random, folder: str, commune: str, kind: str) -> str:
    """Where such a visit happens. Most keep to the place meant for it; some go one step up, and a
    special hospital in another part of the province is left for the general one."""
    dice = rng.random()
    if kind == "near" and dice < 0.22:
        kind = "area"
    elif kind == "area" and dice < 0.12:
        kind = "province"
    elif kind not in {"near", "area", "province"}:
        special = nearest(folder, commune, kind)
        here = province(folder).communes[commune].former_province[1:]
        if dice > (0.8 if special[:2] == here else 0.3):
            kind = "area" if dice < 0.9 else "province"
    return nearest(folder, commune, kind)


@cache
def doctors(facility: str, folder: str = "vinh_long") -> tuple[Doctor, ...]:
    """The invented doctors of a facility, always the same."""
    rng = Random(int(facility))  # noqa: S311 (invented people, no secret)
    count = {"tinh": 16, "khu_vuc": 10, "phong_kham": 5, "tram": 3}
    found = []
    for place in range(count[province(folder).facilities[facility].level]):
        kin: names.People = "khmer" if facility.startswith("84") and place % 5 == 4 else "kinh"
        sex = "female" if rng.random() < 0.45 else "male"
        name = f"{names.surname(rng, kin)} {names.given(rng, kin, sex, 1982)}"
        found.append(Doctor(f"{facility}{place + 1:03d}/GPHN", name, facility))
    return tuple(found)


def patient_number(facility: str, person: int) -> str:
    """A facility's own number for a person: differs between facilities, never twice in one.

    Multiplying modulo a prime is one to one for up to 9,999,990 people.
    """
    return f"{person * (7919 + int(facility)) % 9_999_991:07d}"

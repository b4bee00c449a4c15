"""Conditions that no index answers as they stand become such that one does.

a chain, `_has`   with few ends: a plain list of references
:missing          the shapes of records in which the parameter has no value
near              the places within the distance: a box in the index, then the exact distance
text, content     the records in which it was found, among those that meet all the rest
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import cos, radians
from typing import TYPE_CHECKING, Any

from sokhoe.fhir import search
from sokhoe.store import bounds, ordering
from sokhoe.store.shapes import Version
from sokhoe.store.sqlgen import MANY

if TYPE_CHECKING:
    from sokhoe.store.searching import Search, Where

EARTH_DEGREE = 111_194.9  # metres in a degree of latitude


def resolved(
    one: Search, type: str, where: Iterable[search.Condition], *, last: bool = False
) -> Where:
    """Conditions for the index. `last`: what must be looked up in the records may stay, since the
    caller will do so."""
    return _resolved(one, type, tuple(where), (), last)


def _resolved(one: Search, type: str, where: Where, around: Where, last: bool) -> Where:
    """`around`: what must hold as well, so that less has to be looked up."""
    simple = tuple(each for each in where if not _looks(each))
    found = tuple(_resolve(one, type, each) for each in simple)
    around = (*around, *found)
    for each in where:
        match each:
            case search.AnyOf() if _looks(each):
                options = tuple(_resolved(one, type, way, around, False) for way in each.options)
                found = (*found, replace(each, options=options))
            case search.Not() if _looks(each):
                inner = _resolved(one, type, each.where, around, False)
                found = (*found, replace(each, where=inner))
    scans = [each for each in where if isinstance(each, search.Scan)]
    if last or not scans:
        return (*found, *scans)
    return (*found, _looked_up(one, type, scans, (*around, *found)))


def _looks(condition: search.Condition) -> bool:
    """Whether something in it must be looked up in the records."""
    match condition:
        case search.Scan():
            return True
        case search.AnyOf():
            return any(_looks(each) for option in condition.options for each in option)
        case search.Not():
            return any(map(_looks, condition.where))
    return False


def passes(scans: Sequence[search.Scan], version: Version) -> bool:
    """Whether a record has all that is looked for in it."""
    resource = version.resource
    return all(search.scanned(each, resource) for each in scans)


def _resolve(one: Search, type: str, condition: search.Condition) -> search.Condition:
    match condition:
        case search.Linked():
            return _linked(one, condition)
        case search.Pointed():
            return _pointed(one, type, condition)
        case search.Missing():
            return _missing(one, condition)
        case search.Near():
            return _near(one, condition)
        case search.AnyOf():
            ways = tuple(_resolved(one, type, way, (), False) for way in condition.options)
            return replace(condition, options=ways)
        case search.Not():
            return replace(condition, where=_resolved(one, type, condition.where, (), False))
    return condition


def _linked(one: Search, chain: search.Linked) -> search.Condition:
    branches = tuple(
        (inner, resolved(one, inner, where))
        for inner, where in chain.branches
        if not one.asking.allows_none(inner)
    )
    ends = [_ends(one, inner, where) for inner, where in branches]
    keys = [chain.key ^ end for found in ends if found is not None for end in found]
    if all(found is not None for found in ends) and len(keys) <= bounds.MOST_ENDS:
        found = search.Keys(chain.param, tuple(keys))
        # testing hundreds of hashes on each of very many candidates would be slower than
        # following each candidate's reference
        if len(keys) > ordering.SIDE_BY_SIDE:
            one.measure([found])
            if one.asking.size(found) >= MANY:
                return replace(chain, branches=branches)
        return found
    return replace(chain, branches=branches)


def _ends(one: Search, type: str, where: Where) -> list[int] | None:
    """The hashes of what a chain ends at; None when there are too many to list."""
    one.count(type, where)
    if one.asking.size(one.asking.lead(type, where)) >= MANY:
        return None
    wanted = one.asking.ends(type, where)
    rows = one.read(f"{wanted.text} LIMIT {bounds.MOST_ENDS + 1}", wanted.args)
    return [row[0] for row in rows] if len(rows) <= bounds.MOST_ENDS else None


def _pointed(one: Search, type: str, condition: search.Pointed) -> search.Condition:
    if one.asking.allows_none(condition.type):
        return search.Keys(condition.param, ())
    inner = replace(condition, where=resolved(one, condition.type, condition.where))
    one.count(inner.type, inner.where)
    if one.asking.size(one.asking.lead(inner.type, inner.where)) >= MANY:
        return inner
    wanted = one.asking.pointed_at(inner)
    rows = one.read(f"{wanted.text} LIMIT {MANY + 1}", wanted.args)
    if len(rows) > MANY:
        return inner
    start = search.type_keys(type).id
    return search.Keys(condition.param, tuple(start ^ row[0] for row in rows))


def _missing(one: Search, condition: search.Missing) -> search.Keys:
    rows = one.read("SELECT key FROM keep WHERE kind=?", (f"shape {condition.type}",))
    shapes = [int(row[0], 16) for row in rows]
    without = [shape for shape in shapes if not shape & condition.bits]
    with_ = [shape for shape in shapes if shape & condition.bits]
    wanted, other = (without, with_) if condition.missing else (with_, without)
    # a negated list cannot lead, but a short one is soon tested
    negated = len(wanted) > ordering.SIDE_BY_SIDE and len(other) < len(wanted)
    listed = other if negated else wanted
    if len(listed) > bounds.MOST_SHAPES:
        raise bounds.too_many(f"{condition.param}:missing", bounds.MOST_SHAPES)
    keys = tuple(search.shape_key(condition.type, shape) for shape in sorted(listed))
    return search.Keys(f"{condition.param}:missing", keys, negated)


def _near(one: Search, condition: search.Near) -> search.Keys:
    """The ids of the places that are near enough. Positions are those of Location alone."""
    own, found = search.type_keys("Location").id, set[int]()
    for latitude, longitude, metres in condition.places:
        pks = one.matching(
            "Location",
            _box(condition, latitude, longitude, metres),
            bounds.MOST_PLACES,
            condition.param,
        )
        for start in range(0, len(pks), bounds.AT_ONCE):
            for version in one.versions(pks[start : start + bounds.AT_ONCE]).values():
                if is_near(condition, version.resource):
                    found.add(own ^ search.key(version.ref))
    return search.Keys(condition.param, tuple(sorted(found)))


def is_near(condition: search.Near, location: dict[str, Any]) -> bool:
    if (position := location.get("position")) is None:
        return False
    there = (float(position["latitude"]), float(position["longitude"]))
    return any(
        search.metres_between((latitude, longitude), there) <= metres
        for latitude, longitude, metres in condition.places
    )


def _box(
    condition: search.Near, latitude: float, longitude: float, metres: float
) -> tuple[search.Condition, ...]:
    """All places that may be near enough, over the date line too."""
    up = metres / EARTH_DEGREE * 1.001 + 1e-9
    south, north = latitude - up, latitude + up
    tall = search.Numbers(condition.param, (_between(condition.latitude, south, north),))
    if north >= 90 or south <= -90:
        return (tall,)
    # the circle is widest a little nearer to the pole than its centre
    wide = up / cos(radians(max(abs(north), abs(south))))
    if wide >= 180:
        return (tall,)
    west, east = longitude - wide, longitude + wide
    ways = [(west, east)]
    if west < -180:
        ways.append((west + 360, 180.0))
    if east > 180:
        ways.append((-180.0, east - 360))
    tests = tuple(_between(condition.longitude, low, high) for low, high in ways)
    return tall, search.Numbers(condition.param, tests)


def _between(key: int, low: float, high: float) -> search.NumberTest:
    return search.NumberTest(key, "eq", (low + high) / 2, low, high + 1e-9)


def _looked_up(one: Search, type: str, scans: list[search.Scan], around: Where) -> search.Keys:
    """The ids of the records, among those that meet all the rest, that pass."""
    pks = one.matching(type, around, bounds.MOST_SCANNED, scans[0].param)
    own = search.type_keys(type).id
    found = []
    for start in range(0, len(pks), bounds.AT_ONCE):
        versions = one.versions(pks[start : start + bounds.AT_ONCE])
        found += [each for each in versions.values() if passes(scans, each)]
    return search.Keys(scans[0].param, tuple(own ^ search.key(each.ref) for each in found))

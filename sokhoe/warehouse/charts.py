"""Where the marks of a drawing stand: pure geometry, no colours and no words of its own.

Templates turn these values into SVG with classes, so that dark mode, print and the letter-size
switch keep working, and nothing is drawn that a reader without eyes does not get as text too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

# -- tile map --------------------------------------------------------------------------------

TILE_WIDTH, TILE_HEIGHT, TILE_GAP = 80, 62, 4
NAME_LETTERS = 10


@dataclass(frozen=True, slots=True)
class Spot:
    """A tile's place in the drawing and its name in at most two lines."""

    x: int
    y: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TileMap:
    width: int
    height: int
    spots: tuple[Spot, ...]


def tile_map(places: Sequence[tuple[int, int, str]]) -> TileMap:
    """Tiles at (col, row) with their names; empty columns and rows at the edge are cut off."""
    if not places:
        return TileMap(0, 0, ())
    left, top = min(col for col, _, _ in places), min(row for _, row, _ in places)
    names = short_names([name for _, _, name in places])
    spots = tuple(
        Spot((col - left) * TILE_WIDTH, (row - top) * TILE_HEIGHT, wrapped(name))
        for (col, row, _), name in zip(places, names, strict=True)
    )
    return TileMap(
        max(spot.x for spot in spots) + TILE_WIDTH - TILE_GAP,
        max(spot.y for spot in spots) + TILE_HEIGHT - TILE_GAP,
        spots,
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the word for their kind, where at least every tenth begins with that word: on
    a map of communes nobody needs to read "Commune" a hundred times."""
    firsts = [name.split(" ", 1)[0] for name in names]
    return [
        name.split(" ", 1)[1]
        if " " in name and firsts.count(first) >= max(3, len(names) / 10)
        else name
        for name, first in zip(names, firsts, strict=True)
    ]


def wrapped(name: str) -> tuple[str, ...]:
    """A name in at most two lines, broken where both are shortest."""
    words = name.split()
    if len(name) <= NAME_LETTERS or len(words) == 1:
        return (name,)
    breaks = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
    return min(breaks, key=lambda lines: max(map(len, lines)))


# -- weeks -----------------------------------------------------------------------------------

WIDE, NARROW, WEEKS_HEIGHT = 1000, 430, 260
NARROW_WEEKS = 26
# A label that begins nearer to the right edge than this would be cut.
MONTH_LABEL = 65


@dataclass(frozen=True, slots=True)
class Layer:
    """One band of stacked bars as an SVG path, with the value of the last week."""

    name: str
    path: str
    last: int


@dataclass(frozen=True, slots=True)
class Weeks:
    """Stacked bars by week. `ticks`: (height, value) of the lines; `months`: (x, first day)."""

    width: int
    layers: tuple[Layer, ...]
    ticks: tuple[tuple[float, int], ...]
    months: tuple[tuple[float, date], ...]
    weeks: tuple[date, ...]
    totals: tuple[int, ...]


def weeks(
    rows: Sequence[tuple[date, str, int]], order: Sequence[str], width: int, most: int = 0
) -> Weeks | None:
    """Stack (Monday, layer, count) rows in the order of `order`, lowest first; weeks without a row
    are zero. `most`: only so many newest weeks. None when there is nothing to draw."""
    if not rows:
        return None
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    if most:
        first = max(first, last - timedelta(weeks=most - 1))
    mondays = [first + timedelta(days=7 * each) for each in range((last - first).days // 7 + 1)]
    counts: Mapping[tuple[date, str], int] = {(week, layer): n for week, layer, n in rows}
    totals = [sum(counts.get((week, layer), 0) for layer in order) for week in mondays]
    steps = ticks(max(totals))
    scale = WEEKS_HEIGHT / steps[-1]
    pitch = width / len(mondays)
    wide = max(pitch * 0.78, 1.0)
    heights = [0.0] * len(mondays)
    layers = []
    for name in order:
        path = []
        for place, week in enumerate(mondays):
            high = counts.get((week, name), 0) * scale
            if high:
                x, y = place * pitch, WEEKS_HEIGHT - heights[place]
                path.append(f"M{x:.1f} {y:.1f}v{-high:.1f}h{wide:.1f}v{high:.1f}z")
                heights[place] += high
        layers.append(Layer(name, "".join(path), counts.get((last, name), 0)))
    months = [
        (place * pitch, week)
        for place, week in enumerate(mondays)
        if week.day <= 7
        and place * pitch <= width - MONTH_LABEL
        and week.month % (2 if len(mondays) <= 30 else 3) == 1
    ]
    return Weeks(
        width,
        tuple(layers),
        tuple((round(WEEKS_HEIGHT - step * scale, 1), step) for step in steps),
        tuple(months),
        tuple(mondays),
        tuple(totals),
    )


def ticks(most: int) -> list[int]:
    """Three to six round steps from 0 to at least `most`."""
    rough = max(most, 1) / 4
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(
        int(power * one)
        for one in (1, 2, 2.5, 5, 10)
        if power * one >= rough and power * one % 1 == 0
    )
    return [step * each for each in range(math.ceil(max(most, 1) / step) + 1)]


# -- trend -----------------------------------------------------------------------------------

TREND_WIDTH, TREND_HEIGHT = 400, 120


@dataclass(frozen=True, slots=True)
class Trend:
    """A line from 0 to 1 of the height with the target's height; `end`: where it stops."""

    points: str
    end: tuple[float, float]
    target: float


def trend(shares: Sequence[float], target: float) -> Trend | None:
    """A line of shares, oldest first, against a target; None for fewer than two points."""
    if len(shares) < 2:
        return None
    most = max(*shares, target) * 1.05

    def y(share: float) -> float:
        return round(TREND_HEIGHT * (1 - share / most), 1)

    pitch = TREND_WIDTH / (len(shares) - 1)
    points = [(round(place * pitch, 1), y(share)) for place, share in enumerate(shares)]
    return Trend(" ".join(f"{x},{height}" for x, height in points), points[-1], y(target))

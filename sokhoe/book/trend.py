"""One kind of result over time as a drawing made on the server: no script, 2 KB, prints well.

Pure: a `Series` becomes a `Drawing` of plain numbers, and the template writes the SVG. Points
outside the usual range are triangles, inside circles, so the shape speaks where colour does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sokhoe.book.reading import sort_key
from sokhoe.book.results import Band, Measure, Result, Series

# Drawn for a phone of 360 px, so that its numbers can be read there.
WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 26, 36
MOST = 24  # points; older ones stay in the list below
FEW = 6  # so many points have room for their numbers
APART = 88  # between two dates


@dataclass(frozen=True, slots=True)
class Point:
    """Where a value lies. `label`: the number is written beside it; `above`: on top of it."""

    x: float
    y: float
    value: Decimal
    band: Band
    label: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of the series (blood pressure has two)."""

    name: str
    plain: str
    path: str
    points: tuple[Point, ...]
    band_top: float | None
    band_height: float


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str  # a FHIR date for the x axis, a number for the y axis


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    left: int
    right: int
    bottom: int
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    unit: str


def draw(series: Series) -> Drawing | None:
    """The drawing of a series; None with fewer than two numbers in the newest one's unit."""
    newest = series.newest
    shown = [one for one in reversed(series.results) if _alike(one, newest)][-MOST:]
    columns = [index for index, one in enumerate(newest.measures) if one.value is not None]
    if len(shown) < 2 or not columns:
        return None
    ends = [end for one in shown for i in columns for end in _ends(one.measures[i])]
    low, high = min(ends), max(ends)
    steps = _steps(low, high)
    low, high = min(low, steps[0]), max(high, steps[-1])
    times = _times(shown)

    def y(value: Decimal) -> float:
        share = (value - low) / ((high - low) or 1)
        return round(TOP + (1 - float(share)) * (HEIGHT - TOP - BOTTOM), 1)

    lines = []
    for index in columns:
        points = tuple(
            Point(x, y(value), value, one.measures[index].band, _labelled(place, len(shown)))
            for place, (x, one) in enumerate(zip(times, shown, strict=True))
            if (value := one.measures[index].value) is not None
        )
        measure = newest.measures[index]
        top, height = _band(measure, low, high, y)
        path = "M" + " L".join(f"{point.x:g} {point.y:g}" for point in points)
        lines.append(Line(measure.name, measure.plain, path, points, top, height))
    return Drawing(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        lines=tuple(lines),
        ticks=tuple(Tick(y(one), f"{one.normalize():f}") for one in steps),
        dates=_dates(times, shown),
        unit=newest.measures[columns[0]].unit,
    )


def _alike(one: Result, newest: Result) -> bool:
    """Same measures in the same units: other units would draw a lie."""
    if len(one.measures) != len(newest.measures):
        return False
    return all(
        a.code == b.code and a.unit == b.unit and (a.value is None) == (b.value is None)
        for a, b in zip(one.measures, newest.measures, strict=True)
    )


def _ends(measure: Measure) -> list[Decimal]:
    found = (measure.value, measure.low, measure.high)
    return [one for one in found if one is not None]


def _times(shown: Sequence[Result]) -> list[float]:
    """x by time, so that a gap of a year looks like one; evenly where dates cannot be read."""
    width = WIDTH - LEFT - RIGHT - 24
    try:
        moments = [datetime.fromisoformat(sort_key(one.at)[0]).toordinal() for one in shown]
    except ValueError:
        moments = list(range(len(shown)))
    span = moments[-1] - moments[0]
    if not span:
        moments, span = list(range(len(shown))), len(shown) - 1
    return [round(LEFT + 12 + width * (one - moments[0]) / span, 1) for one in moments]


def _labelled(place: int, count: int) -> bool:
    """Few points: all have their number; many: the last one only."""
    return count <= FEW or place == count - 1


def _band(
    measure: Measure, low: Decimal, high: Decimal, y: Callable[[Decimal], float]
) -> tuple[float | None, float]:
    if measure.low is None and measure.high is None:
        return None, 0.0
    top = y(measure.high if measure.high is not None else high)
    bottom = y(measure.low if measure.low is not None else low)
    return top, round(bottom - top, 1)


def _steps(low: Decimal, high: Decimal) -> list[Decimal]:
    """Three to six round numbers that cover the values."""
    span = (high - low) or abs(high) or Decimal(1)
    size = Decimal(10) ** (span.adjusted() - 1)
    for factor in (1, 2, 5, 10, 20, 50, 100):
        step = size * factor
        first, last = (low // step) * step, -((-high) // step) * step
        if first > low:
            first -= step
        if last < high or last == first:
            last += step
        count = int((last - first) / step)
        if count <= 5:
            return [first + step * i for i in range(count + 1)]
    return [low, high]


def _dates(times: Sequence[float], shown: Sequence[Result]) -> tuple[Tick, ...]:
    """First and last day, and those between that have room."""
    found = [Tick(times[0], shown[0].at)]
    for x, one in zip(times[1:-1], shown[1:-1], strict=True):
        if x - found[-1].at >= APART and times[-1] - x >= APART:
            found.append(Tick(x, one.at))
    return (*found, Tick(times[-1], shown[-1].at))

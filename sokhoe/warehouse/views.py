"""From answers to what a page says: shares, order, groups, words for levels. Pure functions.

Only shown numbers come in (numbers.py), so nothing here can show a hidden one; where a count is
hidden, its share is hidden as well, and hidden rows are ordered by name and not by size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sokhoe.warehouse import charts
from sokhoe.warehouse.masking import Count, Hidden
from sokhoe.warehouse.numbers import Answer, Row

# A forecast from fewer weeks would be a guess, and one further away than this is none.
TREND_WEEKS, PACE_WEEKS, FAR_WEEKS = 4, 8, 520
STEPS = 5


@dataclass(frozen=True, slots=True)
class Share:
    """One commune's share. `share` None: hidden, or nobody to divide by. `step` 0..4 on the colour
    scale, 4 = target reached; -1 hidden."""

    code: str
    name: str
    population: int
    people: Count
    share: float | None
    step: int

    @property
    def hidden(self) -> bool:
        return isinstance(self.people, Hidden)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The headline and its communes, worst first. `elsewhere`: people whose commune is unknown
    (None: there are none)."""

    people: Count
    population: int
    share: float | None
    target: float
    areas: tuple[Share, ...]
    elsewhere: Count | None
    reached: int

    @property
    def step(self) -> float:
        """The width of one step of the colour scale, as a share."""
        return self.target / (STEPS - 1)


def coverage(answer: Answer, target: float) -> Coverage:
    rows = [row for row in answer.rows if row["area"]]
    unknown = [row["people"] for row in answer.rows if not row["area"]]
    areas = sorted((_share(row, target) for row in rows), key=_worst_first)
    population = sum(row["population"] for row in rows)
    total = answer.total if answer.total is not None else 0
    return Coverage(
        total,
        population,
        _of(total, population),
        target,
        tuple(areas),
        unknown[0] if unknown else None,
        sum(1 for one in areas if one.share is not None and one.share >= target),
    )


def _share(row: Row, target: float) -> Share:
    share = _of(row["people"], row["population"])
    step = -1 if share is None else min(int(share / target * (STEPS - 1)), STEPS - 1)
    return Share(row["area"], row["name"], row["population"], row["people"], share, step)


def _of(count: Count, population: int) -> float | None:
    return count / population if isinstance(count, int) and population > 0 else None


def _worst_first(one: Share) -> tuple[int, float, str, str]:
    """Nobody, then "< 5" by name, then shares upwards, then the covered ones by name: the place
    among the others must not tell a hidden number."""
    if one.people is Hidden.FEW:
        return (1, 0.0, one.name, one.code)
    if one.share is None:
        return (3, 0.0, one.name, one.code)
    return (0 if one.people == 0 else 2, one.share, one.name, one.code)


@dataclass(frozen=True, slots=True)
class Growth:
    """The headline's course. `line` None and `since` set: too early for a trend. `gained`: people
    in this week; `reached_on`: when the target is met at the pace of the last weeks."""

    line: charts.Trend | None
    since: date | None
    first_week: date | None
    gained: Count
    reached_on: date | None


def growth(answer: Answer, cover: Coverage, below: int) -> Growth:
    """From cumulative weeks, newest first."""
    known = [row for row in answer.rows if isinstance(row["people"], int)]
    if not known:
        return Growth(None, None, None, 0, None)
    values = [row["people"] for row in known]
    gained = values[0] - values[1] if len(values) > 1 else values[0]
    shown: Count = Hidden.FEW if 0 < gained < below else gained
    first = date.fromisoformat(known[-1]["week"])
    if len(values) < TREND_WEEKS or not cover.population:
        return Growth(None, first, None, shown, None)
    shares = [value / cover.population for value in reversed(values)]
    line = charts.trend(shares, cover.target)
    return Growth(line, None, first, shown, _when_reached(known, cover))


def _when_reached(rows: Sequence[Row], cover: Coverage) -> date | None:
    full = rows[1:]  # the week that is not over would make the pace look slow
    back = min(PACE_WEEKS, len(full) - 1)
    pace = (full[0]["people"] - full[back]["people"]) / back
    missing = cover.target * cover.population - rows[0]["people"]
    if missing <= 0 or pace <= 0 or missing / pace > FAR_WEEKS:
        return None
    return date.fromisoformat(rows[0]["week"]) + timedelta(weeks=missing / pace)


@dataclass(frozen=True, slots=True)
class Senders:
    """The facilities worst first and how many are in each state."""

    rows: tuple[Row, ...]
    states: Mapping[str, int]
    visits: int

    @property
    def expected(self) -> int:
        return sum(n for state, n in self.states.items() if state != "unlisted")


def senders(answer: Answer) -> Senders:
    states = {"never": 0, "silent": 0, "unlisted": 0, "sending": 0}
    for row in answer.rows:
        states[row["state"]] += 1
    return Senders(answer.rows, states, sum(row["visits"] for row in answer.rows))


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same bars twice: up to two years for a desk, half a year for a phone."""

    wide: charts.Weeks
    narrow: charts.Weeks


def weekly(answer: Answer) -> Weekly | None:
    """Visits by week and level, the level with most visits lowest."""
    rows = [(date.fromisoformat(row["week"]), row["level"], row["visits"]) for row in answer.rows]
    sums: dict[str, int] = {}
    for _, level, count in rows:
        sums[level] = sums.get(level, 0) + count
    order = sorted(sums, key=lambda level: (-sums[level], level))
    wide = charts.weeks(rows, order, charts.WIDE)
    narrow = charts.weeks(rows, order, charts.NARROW, charts.NARROW_WEEKS)
    return Weekly(wide, narrow) if wide and narrow else None


@dataclass(frozen=True, slots=True)
class Lane:
    """A bar of a list: its words, count, and length in percent of the longest."""

    code: str
    name: str
    people: Count
    length: float


def lanes(rows: Sequence[tuple[str, str, Count]], most: int = 0) -> tuple[tuple[Lane, ...], int]:
    """Bars for the rows whose count may be shown, at most `most` (0: all), and how many rows of
    small counts were left out."""
    shown = [row for row in rows if isinstance(row[2], int)]
    longest = max((count for _, _, count in shown if isinstance(count, int)), default=0) or 1
    made = tuple(
        Lane(code, name, count, round(count / longest * 100, 1))
        for code, name, count in shown[: most or None]
        if isinstance(count, int)
    )
    return made, len(rows) - len(shown)


@dataclass(frozen=True, slots=True)
class Band:
    """Ten years of age: counts and bar lengths (percent of the longest) for men and women."""

    low: int
    male: Count
    female: Count
    unknown: Count
    male_length: float
    female_length: float


def bands(answer: Answer) -> tuple[Band, ...]:
    """The pyramid, oldest on top; -1 is the band of those whose year of birth is unknown."""
    cells = {(row["band"], row["sex"]): row["people"] for row in answer.rows}
    if not cells:
        return ()
    longest = max((n for n in cells.values() if isinstance(n, int)), default=0) or 1

    def length(count: Count) -> float:
        return round(count / longest * 100, 1) if isinstance(count, int) else 0.0

    lows = [*range(80, -1, -10), *([-1] if any(low == -1 for low, _ in cells) else [])]
    made = []
    for low in lows:
        male, female, unknown = (cells.get((low, sex), 0) for sex in ("male", "female", "unknown"))
        made.append(Band(low, male, female, unknown, length(male), length(female)))
    return tuple(made)

"""Dates as stretches of time [from, to) in microseconds, and the prefixes of a search for them.

hl7.org/fhir/R4/search.html#date and #prefix. A date without a zone is local, +07:00 (the house).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

LOCAL = timezone(timedelta(hours=7))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Stretch = tuple[float, float]
ALWAYS: Stretch = (-math.inf, math.inf)


def micros(moment: datetime) -> int:
    past = moment - EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def stretch(text: str) -> Stretch:
    """All the time that a date, of whatever precision, may mean."""
    if "T" not in text:
        numbers = [int(part) for part in text.split("-")]
        year, month, day = (*numbers, 1, 1)[:3]
        start = datetime(year, month, day, tzinfo=LOCAL)
        match len(numbers):
            case 1:
                end = datetime(year + 1, 1, 1, tzinfo=LOCAL)
            case 2:
                end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=LOCAL)
            case _:
                end = start + timedelta(days=1)
        return micros(start), micros(end)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=LOCAL)
    clock = text.partition("T")[2].rstrip("Z").partition("+")[0].partition("-")[0]
    if "." in clock:
        width = 10 ** (6 - len(clock.partition(".")[2]))
    else:
        width = 1_000_000 if clock.count(":") == 2 else 60_000_000
    return micros(moment), micros(moment) + width


def of_value(kind: str, value: Any) -> list[Stretch]:
    """The stretches of an element: a Period's ends may be open, a Timing counts by its outer
    limits. An instant is as long as its last digit says (the house; R4: as good as no time)."""
    match kind:
        case "date" | "dateTime" | "instant":
            return [stretch(value)]
        case "Period":
            low = stretch(value["start"])[0] if value.get("start") else -math.inf
            high = stretch(value["end"])[1] if value.get("end") else math.inf
            return [(low, high)] if (low, high) != ALWAYS else []
        case "Timing":
            found = [stretch(one) for one in value.get("event", ()) if one]
            found += of_value("Period", value.get("repeat", {}).get("boundsPeriod", {}))
            return [(min(a for a, _ in found), max(b for _, b in found))] if found else []
    raise TypeError(kind)


def meets(prefix: str, asked: Stretch, found: Stretch, now: int) -> bool:
    """Whether what was found lies to what was asked for as the prefix says."""
    (low, high), (start, end) = asked, found
    within = low <= start and end <= high
    match prefix:
        case "eq":
            return within
        case "ne":
            return not within
        case "gt":
            return end > high
        case "lt":
            return start < low
        case "ge":
            return end > high or within
        case "le":
            return start < low or within
        case "sa":
            return start >= high
        case "eb":
            return end <= low
        case "ap":  # a tenth of the time between then and now, to both sides
            around = abs(now - low) // 10
            return start < high + around and end > low - around
    raise ValueError(prefix)

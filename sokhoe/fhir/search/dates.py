"""A FHIR date of any precision as the stretch of time it stands for.

`2024-05` is all of May in local time (sokhoe.clock), `2024-05-01T10:00:00Z` is that one second.
Instants are microseconds; a stretch is [from, to), open ends are BEGINNING and END.
Terms: hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from sokhoe import clock

BEGINNING = -(2**62)
END = 2**62

Stretch = tuple[int, int]

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?\Z"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
_MICRO = timedelta(microseconds=1)


# A stretch is indexed by how long it is: up to a day, a month, a year, longer. So "ends after X" is
# a narrow range of beginnings for all but the longest: begins after X minus a day, a month, a year.
LENGTHS = (86_400_000_000, 31 * 86_400_000_000, 366 * 86_400_000_000, None)


def length_class(low: int, high: int) -> int:
    """0 to 3: the first of LENGTHS that is enough."""
    length = high - low
    return next((n for n, most in enumerate(LENGTHS) if most is not None and length <= most), 3)


def stretch(text: str) -> Stretch:
    """[from, to) of a date, dateTime or instant. ValueError if it is none."""
    return _stretch(text, clock.zone())


@lru_cache(maxsize=16_384)
def _stretch(text: str, local: timezone) -> Stretch:
    match = _FORM.match(text)
    if not match:
        raise ValueError(f"{text!r} is not a date")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    # 60 is allowed for a leap second; it is taken as the last second of its minute
    seconds = min(int(second or 0), 59)
    zone = _zone(offset) if offset else local
    start = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), tzinfo=zone
    )
    low = (start.replace(second=seconds) - _EPOCH) // _MICRO
    if fraction:
        low += int(fraction[:6].ljust(6, "0"))
        return low, low + 10 ** (6 - min(len(fraction), 6))
    if second:
        return low, low + 1_000_000
    if hour:
        return low, low + 60_000_000
    if day:
        return low, low + 86_400_000_000
    return low, (_following(start, bool(month)) - _EPOCH) // _MICRO


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return timezone.utc  # noqa: UP017
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _following(start: datetime, month: bool) -> datetime:
    """The first instant after this month, or after this year."""
    if month and start.month < 12:
        return start.replace(month=start.month + 1)
    if start.year == 9999:  # the last year Python knows
        return start.replace(month=12, day=31)
    return start.replace(year=start.year + 1, month=1)

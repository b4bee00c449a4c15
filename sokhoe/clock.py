"""The only place that reads the machine's clock, so that tests can move it.

Instants are microseconds since 1970 UTC (`int`): exact, sortable, and the same on both databases.
A partial date (`2024-05`) means local time, never UTC: a visit at 01:00 on the first of May belongs
to May. The zone is one fixed offset, since that is what partial dates in the index need; it is set
once at start from the settings (`SOKHOE_UTC_OFFSET`, minutes).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone

Instant = int  # microseconds since 1970-01-01T00:00:00Z

_source: Callable[[], int] = lambda: time.time_ns() // 1000  # noqa: E731
_zone = timezone(timedelta(minutes=420))


def now() -> Instant:
    """This instant, in microseconds."""
    return _source()


def zone() -> timezone:
    """The local zone in which partial dates and screens are read."""
    return _zone


def set_offset(minutes: int) -> None:
    """Set the local zone; called once at start."""
    global _zone
    _zone = timezone(timedelta(minutes=minutes))


def local(instant: Instant) -> datetime:
    """An instant as local date and time."""
    return datetime.fromtimestamp(instant / 1_000_000, tz=_zone)


def today() -> date:
    """The local day."""
    return local(now()).date()


def iso(instant: Instant) -> str:
    """An instant as FHIR `instant`, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(instant // 1_000_000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant // 1000 % 1000:03d}Z"


def iso_local(instant: Instant) -> str:
    """An instant as FHIR `dateTime` in local time, to the second."""
    return local(instant).isoformat(timespec="seconds")


@contextmanager
def standing_at(moment: datetime | Instant) -> Iterator[Callable[[float], None]]:
    """For tests: the clock stands still; the yielded function moves it on by seconds."""
    global _source
    before = _source
    state = [moment if isinstance(moment, int) else int(moment.timestamp() * 1_000_000)]

    def ahead(seconds: float) -> None:
        state[0] += int(seconds * 1_000_000)

    _source = lambda: state[0]  # noqa: E731
    try:
        yield ahead
    finally:
        _source = before

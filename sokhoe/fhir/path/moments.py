"""Dates, times and date-times that know how exactly they are known.

    @2015-02           year and month, no more
    @2015-02-04T14:34  to the minute, zone unknown

Two of different exactness are compared as far as both go; beyond that the answer is "not known"
(None), which FHIRPath writes as an empty collection. Seconds and their fraction are one step.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

Kind = Literal["Date", "DateTime", "Time"]

_CLOCK = r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?)?"
_DATE = re.compile(
    rf"([0-9]{{4}})(?:-([0-9]{{2}})(?:-([0-9]{{2}}))?)?(?:T(?:{_CLOCK})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?"
)
_TIME = re.compile(_CLOCK)
_HOUR = 60
_UNKNOWN_ZONE = (-14 * _HOUR, 12 * _HOUR)  # UTC is this many minutes later than some local clock


class Moment(msgspec.Struct, frozen=True):
    """`parts` are year, month, day, hour, minute (of a Time: hour, minute) as far as known, with
    `second` after the minute; `zone` is minutes east of UTC, None if unknown."""

    kind: Kind
    parts: tuple[int, ...]
    second: Decimal | None = None
    zone: int | None = None

    @classmethod
    def read(cls, text: str, kind: Kind) -> Moment | None:
        """A moment as FHIR or FHIRPath writes it, without @; None if there is no such day."""
        match = (_TIME if kind == "Time" else _DATE).fullmatch(text)
        if match is None:
            return None
        found = match.groups()
        zone, second = None, None
        if kind != "Time":
            *found, written = found  # type: ignore[assignment]
            zone = None if written is None else _zone(str(written))
        if found[-1] is not None:
            second = Decimal(str(found[-1]))
        parts = tuple(int(one) for one in found[:-1] if one is not None)
        if not _possible(parts, kind) or (second is not None and second >= 61):
            return None
        if kind == "Date" and len(parts) > 3:
            return None
        if kind != "Time" and None in found[: len(parts)]:
            # "2015T10": hours need a day
            return None
        return cls(kind, parts, second, zone)

    def __str__(self) -> str:
        if self.kind == "Time":
            return self._clock(self.parts)
        day = "-".join(f"{one:0{4 if n == 0 else 2}}" for n, one in enumerate(self.parts[:3]))
        if self.kind == "Date":
            return day
        clock = self._clock(self.parts[3:])
        if self.zone is None or not clock:
            return f"{day}T{clock}" if clock else day
        sign = "-" if self.zone < 0 else "+"
        zone = f"{sign}{abs(self.zone) // _HOUR:02}:{abs(self.zone) % _HOUR:02}"
        return f"{day}T{clock}{'Z' if self.zone == 0 else zone}"

    def _clock(self, parts: tuple[int, ...]) -> str:
        found = [f"{one:02}" for one in parts]
        if self.second is not None:
            whole, dot, fraction = str(self.second).partition(".")
            found.append(f"{int(whole):02}{dot}{fraction}")
        return ":".join(found)

    @property
    def steps(self) -> tuple[int | Decimal, ...]:
        return self.parts if self.second is None else (*self.parts, self.second)

    @property
    def digits(self) -> int:
        """The precision as FHIRPath counts it: digits written, 17 for all of a DateTime."""
        count = sum(4 if n == 0 and self.kind != "Time" else 2 for n in range(len(self.parts)))
        if self.second is not None:
            fraction = str(self.second).partition(".")[2]
            count += 2 + (max(3, len(fraction)) if fraction else 0)
        return count

    def moved(self, *, months: int = 0, days: int = 0, seconds: Decimal | int = 0) -> Moment | None:
        """Later (or earlier) by that much, cut to the same exactness; None outside years 1-9999."""
        if self.kind == "Time":
            whole = sum(n * 60**e for n, e in zip(self.parts, (2, 1), strict=False))
            total = (Decimal(whole) + (self.second or 0) + seconds + days * 86400) % 86400
            minutes, second = divmod(total, 60)
            found = divmod(int(minutes), 60)
            return Moment(
                "Time",
                found[: len(self.parts)],
                None if self.second is None else _as_written(second, self.second),
            )
        year, month = self.parts[0], self.parts[1] if len(self.parts) > 1 else 1
        day = self.parts[2] if len(self.parts) > 2 else 1
        count = year * 12 + month - 1 + months
        year, month = count // 12, count % 12 + 1
        if not 1 <= year <= 9999:
            return None
        day = min(day, monthrange(year, month)[1])
        hour, minute = (*self.parts[3:], 0, 0)[:2]
        try:
            start = datetime(year, month, day, hour, minute)  # noqa: DTZ001
            total = (self.second or Decimal(0)) + seconds
            whole = total // 60 - (1 if total % 60 < 0 else 0)
            rest = total - whole * 60
            start += timedelta(days=days, minutes=int(whole))
        except (ValueError, OverflowError):
            return None
        parts = (start.year, start.month, start.day, start.hour, start.minute)[: len(self.parts)]
        cut = None if self.second is None else _as_written(rest, self.second)
        return Moment(self.kind, parts, cut, self.zone)

    def at_utc(self) -> Moment:
        """The same moment told in UTC; itself where no zone or no time of day is known."""
        if self.zone is None or len(self.parts) < 4:
            return self
        moved = self.moved(seconds=-self.zone * 60)
        if moved is None:
            return self
        if len(self.parts) == 4 and self.zone % _HOUR:
            return self
        return Moment(moved.kind, moved.parts, moved.second, 0)


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0, 1, or None where it is not known; a Time and a Date are never compared."""
    if (left.kind == "Time") != (right.kind == "Time"):
        return None
    if left.kind != "Time" and len(left.parts) > 3 and len(right.parts) > 3:
        if left.zone is not None and right.zone is not None:
            return _by_step(left.at_utc(), right.at_utc())
        if left.zone is not None or right.zone is not None:
            return _without_one_zone(left, right)
    return _by_step(left, right)


def _by_step(left: Moment, right: Moment) -> int | None:
    mine, theirs = left.steps, right.steps
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(mine) == len(theirs) else None


def _without_one_zone(left: Moment, right: Moment) -> int | None:
    """Sure only where it holds in every zone of the earth."""
    known, local = (left, right) if left.zone is not None else (right, left)
    answers = set()
    for minutes in _UNKNOWN_ZONE:
        moved = local.moved(seconds=minutes * 60)
        if moved is None:
            return None
        answer = _by_step(known.at_utc(), moved)
        answers.add(answer)
    if len(answers) > 1 or 0 in answers:
        return None
    answer = answers.pop()
    return answer if answer is None or left is known else -answer


def key(moment: Moment) -> tuple[object, ...]:
    """Equal moments have equal keys."""
    one = moment.at_utc()
    return ("moment", one.kind == "Time", one.steps, one.zone is None)


def _as_written(second: Decimal, like: Decimal) -> Decimal:
    """As many digits after the point as were known before, cut and not rounded."""
    digits = max(0, -int(like.as_tuple().exponent))
    return second.quantize(Decimal(1).scaleb(-digits), rounding="ROUND_DOWN")


def _zone(written: str) -> int:
    if written == "Z":
        return 0
    minutes = int(written[1:3]) * _HOUR + int(written[4:6])
    return -minutes if written[0] == "-" else minutes


def _possible(parts: tuple[int, ...], kind: Kind) -> bool:
    clock = parts if kind == "Time" else parts[3:]
    if any(one >= most for one, most in zip(clock, (24, 60), strict=False)):
        return False
    if kind == "Time":
        return True
    if parts[0] < 1 or (len(parts) > 1 and not 1 <= parts[1] <= 12):
        return False
    return len(parts) < 3 or 1 <= parts[2] <= monthrange(parts[0], parts[1])[1]

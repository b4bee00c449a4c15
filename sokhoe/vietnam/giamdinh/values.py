"""The plain values inside the exchange file: times, dates, numbers, lists."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,6})?", re.ASCII)
_BIRTH = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?", re.ASCII)


def time_of(text: str) -> datetime | None:
    """yyyyMMddHHmm as a local time; None if it is none."""
    if len(text) != 12 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return datetime(  # noqa: DTZ001 (local by definition); ten times as fast as strptime
            int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), int(text[10:])
        )
    except ValueError:
        return None


def date_of(text: str) -> date | None:
    """yyyyMMdd as a date; None if it is none. A time is cut to its day."""
    if len(text) not in (8, 12) or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def number_of(text: str) -> Decimal | None:
    """A number with a decimal point; None if it is none (a comma is none)."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def codes_of(text: str) -> tuple[str, ...]:
    """A list split by semicolons, without empty places."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def places_of(text: str) -> tuple[str, ...]:
    """A list split by semicolons whose empty places count (several cards beside each other)."""
    return tuple(part.strip() for part in text.split(";")) if text else ()


def birth_of(text: str) -> tuple[str, str]:
    """A birth as (FHIR date, `HH:MM` or nothing); two empty texts if it cannot be read.

    Zeros for day or month mean unknown: 195800000000 is the year 1958. 0000 for the time means
    unknown too, so midnight cannot be said, and is not guessed.
    """
    found = _BIRTH.fullmatch(text)
    if not found or len(text) not in (8, 12):
        return "", ""
    year, month, day, hour, minute = found.groups(default="00")
    if not 1850 <= int(year) <= 2399:
        return "", ""
    if month == "00":
        return year, ""
    if not 1 <= int(month) <= 12:
        return "", ""
    if day == "00":
        return f"{year}-{month}", ""
    if date_of(f"{year}{month}{day}") is None or int(hour) > 23 or int(minute) > 59:
        return "", ""
    time = f"{hour}:{minute}"
    return f"{year}-{month}-{day}", "" if time == "00:00" else time

"""An answer as a CSV file for Excel: UTF-8 with its mark, formulas disarmed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from sokhoe.warehouse.masking import Count, Hidden
from sokhoe.warehouse.numbers import Answer, Row
from sokhoe.warehouse.wording import HOUR, STATES, Wording

Column = tuple[str, Callable[[Row], Any]]
# Excel runs what begins like this (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(answer: Answer, say: Wording, target: float) -> bytes:
    """Header in the reader's language, one line per row, numbers with a decimal point."""
    columns = _columns(answer.indicator.key, say, target)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([say.t(title) for title, _ in columns])
    for row in answer.rows:
        writer.writerow([safe(value(row)) for _, value in columns])
    return out.getvalue().encode("utf-8-sig")


def safe(value: Any) -> Any:
    """Text that a spreadsheet would run gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return "" if value is None else value


def _columns(key: str, say: Wording, target: float) -> Sequence[Column]:
    def people(row: Row) -> Any:
        return _plain(row["people"], say)

    if key == "coverage":
        return (
            ("Commune code", lambda row: row["area"]),
            ("Commune", lambda row: row["name"] or say.t("Unknown")),
            ("Population", lambda row: row["population"] or None),
            ("People with a record", people),
            ("Share in percent", lambda row: _percent(row["people"], row["population"])),
            ("Target in percent", lambda row: round(target * 100, 1)),
        )
    if key == "growth":
        return (("Week from", lambda row: row["week"]), ("People with a record", people))
    if key == "facilities":
        return (
            ("Facility code", lambda row: row["code"]),
            ("Facility", say.facility),
            ("Commune", lambda row: row["area"]),
            ("Level", lambda row: say.level(row["level"])),
            ("State", lambda row: say.t(STATES[row["state"]][1])),
            ("Last arrival", lambda row: say.t.time(row["last_arrival"])),
            ("Half within, hours", lambda row: _hours(row["lag_median"])),
            ("95 % within, hours", lambda row: _hours(row["lag_p95"])),
            ("Visits in 7 days", lambda row: row["visits"]),
        )
    if key == "visits":
        return (
            ("Week from", lambda row: row["week"]),
            ("Level", lambda row: say.level(row["level"])),
            ("Visits", lambda row: row["visits"]),
        )
    if key == "diagnoses":
        return (
            ("ICD-10 category", lambda row: row["category"]),
            ("Diagnosis", say.diagnosis),
            ("People", people),
        )
    if key == "chapters":
        return (
            ("ICD-10 chapter", lambda row: row["chapter"]),
            ("Diagnosis", lambda row: say.t(row["name"])),
            ("People", people),
        )
    return (
        ("Age", lambda row: say.band(row["band"])),
        ("Sex", lambda row: say.sex(row["sex"])),
        ("People", people),
    )


def _plain(count: Count, say: Wording) -> Any:
    return say.count(count) if isinstance(count, Hidden) else count


def _percent(count: Count, population: int) -> float | None:
    if isinstance(count, Hidden) or population <= 0:
        return None
    return round(count / population * 100, 1)


def _hours(micros: int | None) -> float | None:
    return None if micros is None else round(micros / HOUR, 2)

"""How long a record is kept: rules with validity dates and a source, brought by the country.

A period is counted from the end of the year in which the record was closed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """`years` None: for ever. In force from `begins` to `ends` (None: still)."""

    kind: str
    years: int | None
    begins: date
    ends: date | None
    source: str

    def until(self, closed: date) -> date | None:
        """The last day on which it must be kept; None: for ever."""
        return None if self.years is None else date(closed.year + self.years, 12, 31)

    def holds(self, day: date) -> bool:
        return self.begins <= day and (self.ends is None or day < self.ends)


class Retention(Protocol):
    """The seam `trust.retention`."""

    def rule(self, records: Sequence[Resource], closed: date) -> Rule | None:
        """The rule for what is closed together on that day; None: nothing is known, so for ever."""


class KeepAll:
    """No country: everything signed is kept for ever."""

    def rule(self, records: Sequence[Resource], closed: date) -> Rule | None:
        return None


def read_rules(file: Path) -> tuple[Rule, ...]:
    """Rules from a file of [[rule]] tables: kind, years (absent: for ever), from, until, source."""
    rows = tomllib.loads(file.read_text("utf-8"))["rule"]
    return tuple(
        Rule(row["kind"], row.get("years"), row["from"], row.get("until"), row["source"])
        for row in rows
    )


def longest(rules: Sequence[Rule], kinds: Sequence[str], closed: date) -> Rule | None:
    """Of the rules in force for these kinds of record the one that keeps longest."""
    fits = [one for one in rules if one.kind in kinds and one.holds(closed)]
    return max(fits, key=lambda one: 10_000 if one.years is None else one.years, default=None)

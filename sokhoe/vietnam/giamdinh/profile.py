"""What each decree asks of a file, as data with dates: a profile is the 3176 tables plus patches.

Which one holds is decided by the day the visit ended, not by the day of sending, so an old visit
sent late is judged by the rules of its time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One element: `kind` and the rest are explained on top of profile_3176.toml."""

    name: str
    kind: str
    limit: int
    need: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its row element, the elements around it (outermost first), the fields in order.
    `known_only_by_order` tables are kept but neither checked nor translated."""

    name: str
    row: str
    wrappers: tuple[str, ...]
    fields: Mapping[str, Field]
    known_only_by_order: bool


@dataclass(frozen=True, eq=False)
class Profile:
    """The rules in force from `since` to `until` (None: still)."""

    name: str
    decree: str
    since: date
    until: date | None
    tables: Mapping[str, Table]
    choices: Mapping[str, frozenset[str]]
    aliases: Mapping[str, str]


NAMES = ("4750", "3176", "1931")  # oldest first


def _table(name: str, data: Mapping[str, Any]) -> Table:
    if "order" in data:
        fields = {word: Field(word, "text", 0, "") for word in data["order"].split()}
    else:
        fields = {row[0]: Field(*row) for row in data["fields"]}
    return Table(name, data["row"], tuple(data["wrappers"]), fields, "order" in data)


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / f"profile_{name}.toml").read_text("utf-8"))


@cache
def profile(name: str) -> Profile:
    """A profile by name: 4750, 3176 or 1931."""
    own = _data(name)
    base = _data(own["based_on"]) if "based_on" in own else own
    tables = {key: _table(key, rows) for key, rows in base["tables"].items()}
    for key, changes in own.get("changes", {}).items():
        table = tables[key]
        fields = dict(table.fields)
        for field, rest in changes.items():
            fields[field] = Field(field, *rest)
        tables[key] = Table(key, table.row, table.wrappers, fields, table.known_only_by_order)
    return Profile(
        name=own["name"],
        decree=own["decree"],
        since=own["since"],
        until=own.get("until"),
        tables=tables,
        choices={key: frozenset(values) for key, values in base["choices"].items()},
        aliases=base["aliases"],
    )


@cache
def profile_on(day: date) -> Profile:
    """The profile for visits that ended on this day; the oldest one for days before all."""
    found = profile(NAMES[0])
    for name in NAMES:
        if profile(name).since <= day:
            found = profile(name)
    return found

"""The URIs by which identifiers and codes are named, read from `systems.toml`.

Three rival sets exist and none is an approved national standard, so they are configuration: what
is written comes from `uri(key)`, what is understood also includes the aliases. Two numbers are the
same identifier when their systems have the same key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class System:
    """One identifier or code system: `uri` is written, `aliases` are understood as well; `since`
    and `until` are ISO dates, empty where not known."""

    key: str
    uri: str
    label: str
    source: str
    aliases: tuple[str, ...] = ()
    since: str = ""
    until: str = ""


@cache
def systems() -> Mapping[str, System]:
    """All systems by key."""
    data = tomllib.loads((files(__package__) / "systems.toml").read_text("utf-8"))
    return {
        key: System(
            key=key,
            uri=row["uri"],
            label=row["label"],
            source=row["source"],
            aliases=tuple(row["aliases"]),
            since=str(row.get("since", "")),
            until=str(row.get("until", "")),
        )
        for key, row in data.items()
        if isinstance(row, dict)
    }


@cache
def uri(key: str) -> str:
    """The URI to write for a key (a KeyError is a bug of the caller)."""
    return systems()[key].uri


@cache
def patient_number(facility: str) -> str:
    """The system of one facility's own patient numbers: two facilities, two systems."""
    return f"{uri('patient_number')}/{facility}"


@cache
def _keys() -> Mapping[str, str]:
    return {name: one.key for one in systems().values() for name in (one.uri, *one.aliases)}


def key_of(system: str) -> str:
    """The key behind a URI or one of its aliases; empty if it is none of ours."""
    found = _keys().get(system, "")
    if not found and system.startswith(uri("patient_number") + "/"):
        return "patient_number"
    return found

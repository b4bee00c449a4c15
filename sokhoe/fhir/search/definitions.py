"""The R4 search parameters, read once from the distilled table.

The table comes from HL7's R4 definitions (scripts/distil_search_parameters.py). `_text`, `_content`
and `_list` are not in it: they are no values of an element (`parsing`). There are no named queries
(`_query`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import zstandard

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir.search import sensitive

if TYPE_CHECKING:
    from sokhoe.fhir.search.custom import Custom


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    `type` is token, reference, string, date, number, quantity, uri, composite or special;
    `expression` its FHIRPath as HL7 defines it for this resource type; `target` the types a
    reference may point at; `paths` the same expression as JSON paths
    (scripts/distil_search_parameters.py). `stored`: the parameters under which its values are
    indexed, usually itself; what another one finds anyway is not indexed twice (`patient` is
    `subject`, `combo-code` is `code` or `component-code`). `components`: of a composite, the
    parameters that must agree within one of its elements. `present`: the bit of the record's
    shape that says that there is a value (several for a parameter stored under others).
    """

    code: str
    type: str
    expression: str
    paths: tuple[str, ...]
    target: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    present: int = 0
    # of a parameter that was sent to this server (`custom`): what it defines, and the datatypes
    # that its expression surely gives
    custom: Custom | None = None
    ends: tuple[str, ...] = ()
    component_ends: tuple[tuple[str, ...], ...] = ()

    @property
    def is_expressed(self) -> bool:
        """Whether its values are found by FHIRPath, not by JSON paths."""
        return self.paths[0].startswith("=")

    @property
    def is_ready(self) -> bool:
        """Whether every record is indexed under it."""
        return self.custom is None or self.custom.state == "ready"


@lru_cache(maxsize=1)
def _packed() -> bytes:
    return files("sokhoe.fhir").joinpath("definitions", "search.json.zst").read_bytes()


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompress(_packed()))
    return table


# To be raised when `extract` gives other rows for the same resource: stores then index anew.
EXTRACTION = 6


def fingerprint() -> str:
    """What an index was made with; two that differ do not find the same records.

    Definitions, extraction, the codes of protected categories, and the local zone, since partial
    dates are indexed in local time.
    """
    minutes = int(clock.zone().utcoffset(None).total_seconds() // 60)
    made = blake2b(_packed() + sensitive.packed(), digest_size=8).hexdigest()
    return f"{EXTRACTION}:{made}:{minutes}"


@lru_cache(maxsize=1)
def searchable_types() -> tuple[str, ...]:
    """The R4 resource types, in alphabetical order (which never changes: R4 is closed)."""
    return tuple(sorted(_table()["types"]))


@lru_cache(maxsize=256)
def search_parameters(type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a resource type by code, those of every resource (`_id` …) among them."""
    if type not in _table()["types"]:
        raise Invalid(
            f"There is no resource type {type}.",
            hint="The types of FHIR R4 are listed at hl7.org/fhir/R4/resourcelist.html.",
        )
    rows = _table()["types"][type]
    paths = {row["code"]: (row["kind"], frozenset(row["paths"])) for row in rows}
    stored = {
        row["code"]: _stored(row["code"], paths)
        if row["kind"] != "composite"
        else _stored_composite(row, rows)
        for row in rows
    }
    bits = _bits(rows, stored)
    found = {
        row["code"]: SearchParameter(
            row["code"],
            row["kind"],
            row["expression"],
            tuple(row["paths"]),
            tuple(row.get("target", ())),
            stored[row["code"]],
            tuple(row.get("components", ())),
            bits[row["code"]],
        )
        for row in rows
    }
    return MappingProxyType(found)


def _stored(code: str, paths: dict[str, tuple[str, frozenset[str]]]) -> tuple[str, ...]:
    """Under which parameters the values of this one are indexed."""
    kind, mine = paths[code]
    if kind == "string":
        same = [one for one in sorted(paths) if paths[one] == (kind, mine)]
        return (same[0],)  # Patient.phonetic is Patient.name
    if kind == "reference":
        # the type is part of a reference's hash, so one restricted to a type needs no rows
        whole = frozenset(path.partition("(")[0] for path in mine)
        same = [one for one in sorted(paths) if paths[one] == (kind, whole)]
        return (same[0],) if same else (code,)
    if kind in ("token", "quantity"):
        parts = [one for one in sorted(paths) if paths[one][0] == kind and paths[one][1] < mine]
        if frozenset().union(*(paths[one][1] for one in parts)) == mine:
            return tuple(parts)
    return (code,)


def _stored_composite(row: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """`combo-code-value-quantity` has the rows of `component-code-value-quantity`."""
    kinds = {one["code"]: one["kind"] for one in rows}

    def shape(one: dict[str, Any]) -> tuple[Any, ...]:
        bases = frozenset(path for path in one["paths"] if "*" in path)
        return bases, tuple(kinds[code] for code in one["components"])

    same = [one for one in rows if one["kind"] == "composite" and shape(one) == shape(row)]
    narrow = [one["code"] for one in same if all("*" in path for path in one["paths"])]
    return (narrow[0],) if ":Observation" in row["paths"] and narrow else (row["code"],)


def _bits(rows: list[dict[str, Any]], stored: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """For each parameter its bit in the shape of a record (hl7.org/fhir/R4/search.html#missing)."""
    found: dict[str, int] = {}
    known: dict[frozenset[str], int] = {}
    for row in rows:
        if row["kind"] in ("composite", "special") or row["code"] in ("_id", "_lastUpdated"):
            found[row["code"]] = 0
        elif len(stored[row["code"]]) == 1:
            found[row["code"]] = known.setdefault(frozenset(row["paths"]), 1 << len(known))
    for row in rows:
        if row["code"] not in found:
            for one in stored[row["code"]]:
                found[row["code"]] = found.get(row["code"], 0) | found[one]
    return found


def main_dates(type: str) -> tuple[str, ...]:
    """The date parameters by which a type is sorted: the first one with a value counts."""
    return tuple(_table()["main"].get(type, ()))


def patient_codes(type: str) -> tuple[str, ...]:
    """The parameters that put a record into a patient's compartment."""
    return tuple(_table()["patient"].get(type, ()))


def patient_parameters(type: str) -> tuple[str, ...]:
    """The reference parameters that put a record into a patient's compartment, as stored."""
    known = search_parameters(type)
    codes = patient_codes(type)
    return tuple(sorted({stored for code in codes for stored in known[code].stored}))

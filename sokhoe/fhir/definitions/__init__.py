"""What R4 says about its types, read from the one table beside this file.

The table is made by `scripts/distil_definitions.py`; `README.md` here says from what. It is kept
as text per structure and decoded when a structure is first asked for, since a station uses some
twenty of the 146 resource types.

    structure("Patient")          elements of a resource type
    structure("Patient.contact")  elements of a part of one
    structure("HumanName")        elements of a data type
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
import zstandard

MEDIA_TYPES, UCUM_UNITS = -2, -3


class Element(msgspec.Struct, frozen=True, array_like=True):
    """One element as it is named in JSON; a choice (`value[x]`) is one element for each type.

    `type` is a primitive (`date`), a structure (`HumanName`, `Patient.contact`), `Resource` for
    any resource, or a primitive with `@` in front when no `_field` may go with it (`@id`).
    `choice` is the stem of the choice it belongs to (`value`), `min` then counts for the choice.
    `codes` and `targets` are numbers of lists, -1 for none; `codes` below -1 are value sets told by
    their form: `MEDIA_TYPES` and `UCUM_UNITS`.
    """

    name: str
    type: str
    min: int
    many: bool
    choice: str
    codes: int
    targets: int

    @property
    def primitive(self) -> bool:
        return self.type[0] == "@" or (self.type[0].islower() and "." not in self.type)

    @property
    def twin(self) -> bool:
        """Whether `_name` may carry an id and extensions for it."""
        return self.primitive and self.type[0] != "@" and self.type != "xhtml"


class Structure(msgspec.Struct, frozen=True):
    """A type and its elements in the order of the standard; `choices` maps a stem to its names."""

    name: str
    elements: Mapping[str, Element]
    choices: Mapping[str, tuple[str, ...]]


class _Table(msgspec.Struct, frozen=True):
    source: str
    types: tuple[str, ...]
    codes: tuple[tuple[str, ...], ...]
    codings: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...]
    targets: tuple[tuple[str, ...], ...]
    structures: dict[str, msgspec.Raw]


def unpacked(name: str) -> bytes:
    packed = Path(__file__).with_name(name).read_bytes()
    return zstandard.ZstdDecompressor().decompress(packed)


def _read() -> _Table:
    return msgspec.json.decode(unpacked("types.json.zst"), type=_Table)


class Invariant(msgspec.Struct, frozen=True, array_like=True):
    """What must hold in a structure, or with `element` in each value of that element.

    `expression` is FHIRPath; `severity` is error or warning; `text` is the standard's sentence.
    """

    element: str
    key: str
    severity: str
    text: str
    expression: str


@cache
def _invariants() -> dict[str, tuple[Invariant, ...]]:
    """Read when first asked for: writing does not need them."""
    return msgspec.json.decode(
        unpacked("invariants.json.zst"), type=dict[str, tuple[Invariant, ...]]
    )


def invariants(name: str) -> tuple[Invariant, ...]:
    """The invariants of a structure; those of all resources are under DomainResource."""
    return _invariants().get(name, ())


@cache
def _summaries() -> dict[str, frozenset[str]]:
    return msgspec.json.decode(unpacked("summaries.json.zst"), type=dict[str, frozenset[str]])


def summary(name: str) -> frozenset[str]:
    """The elements of a resource type, or of a part of one, that belong to a summary; a choice by
    its stem (`value`)."""
    return _summaries().get(name, frozenset())


_table = _read()
_rows = msgspec.json.Decoder(tuple[Element, ...])

TYPES: frozenset[str] = frozenset(_table.types)
"""The 146 resource types of R4 that can have instances."""


@cache
def structure(name: str) -> Structure:
    """The elements of a resource type, a part of one, or a data type; KeyError if there is none."""
    rows = _rows.decode(_table.structures[name])
    choices: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row.choice:
            choices[row.choice] = (*choices.get(row.choice, ()), row.name)
    return Structure(name, {row.name: row for row in rows}, choices)


def element_type(structure_name: str, name: str) -> str:
    """The type of an element by its name in JSON (`Patient`, `contact` → `Patient.contact`); "" for
    what the standard does not have. `@uri` is a uri."""
    if structure_name not in _table.structures:
        return ""
    element = structure(structure_name).elements.get(name)
    return element.type.lstrip("@") if element is not None else ""


def codes(number: int) -> tuple[str, ...]:
    """The codes a `code` element may hold."""
    return _table.codes[number]


@cache
def codings(number: int) -> frozenset[tuple[str, str]]:
    """The (system, code) pairs of which a CodeableConcept must have one."""
    return frozenset((system, code) for system, some in _table.codings[number] for code in some)


@cache
def targets(number: int) -> frozenset[str]:
    """The resource types a reference may point to; all of them for number -1."""
    return TYPES if number < 0 else frozenset(_table.targets[number])

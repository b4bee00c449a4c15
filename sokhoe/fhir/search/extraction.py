"""From a resource to its index rows: under what it can be found, and whose record it is.

`extract` is pure, so the store works it out in the caller's thread before it takes its turn to
write, and again from the old body when a version is replaced and its rows must go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sokhoe.errors import Invalid
from sokhoe.fhir.search.compiled import walk
from sokhoe.fhir.search.custom import STANDARD, SearchParameters
from sokhoe.fhir.search.dates import BEGINNING
from sokhoe.fhir.search.definitions import main_dates
from sokhoe.fhir.search.hashing import cached, date_key, key, prefix
from sokhoe.fhir.search.leaves import Rows, settled
from sokhoe.fhir.search.scanning import narrative_words

NO_DATE = 2**40  # a record without its date stands behind all that have one


@dataclass(frozen=True, slots=True)
class IndexRows:
    """Everything a store indexes of one resource.

    `self_key` hash of `Type/id`; `order` seconds before 1970 of the main clinical date, so that
    the newest comes first (0 for types that have none, NO_DATE when it is missing); `keys` sorted
    hashes for equality; `shape` the type and the bits of the parameters that have a value (one of
    `keys` stands for it, see `shape_key`); `dates` (param | class of length, from, to) in
    microseconds; `texts` (param, folded); `numbers` (param, value); `links` hashes of all local
    references; `patients` the `Patient/x` in whose compartments it lies; `personal` those of `keys`
    that are hashes of identifiers, contacts and words (a store may have to hide what they were).
    """

    self_key: int
    order: int
    keys: tuple[int, ...]
    dates: tuple[tuple[int, int, int], ...]
    texts: tuple[tuple[int, str], ...]
    numbers: tuple[tuple[int, float], ...]
    links: tuple[int, ...]
    patients: tuple[str, ...]
    shape: tuple[str, int]
    personal: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeKeys:
    """The hashes that belong to a type as such."""

    all: int  # every record, by main date
    written: int  # every record, by the order of writing; the same if the type has no main date
    id: int  # to be combined with a record's own hash
    main: tuple[int, ...]  # its main date parameters


@lru_cache(maxsize=256)
def type_keys(type: str) -> TypeKeys:
    main = tuple(date_key(prefix(type, code)) for code in main_dates(type))
    all_ = key(prefix(type, ""))
    written = key(prefix(type, "_lastUpdated")) if main else all_
    return TypeKeys(all_, written, key(prefix(type, "_id")), main)


def extract(
    resource: dict[str, Any], parameters: SearchParameters = STANDARD, *, leaving: bool = False
) -> IndexRows:
    """The index rows of a resource, also under the server's own `parameters`; `leaving`: those
    too whose rows are being removed. Invalid if it is not shaped as its type demands."""
    type, id = resource["resourceType"], resource["id"]
    rows = gather(resource)
    if parameters.customs and (own := parameters.written(type, leaving=leaving)):
        from sokhoe.fhir.search import expressed  # loads FHIRPath

        expressed.gather(rows, type, own, resource)
    known = type_keys(type)
    self_key = cached(f"{type}/{id}")
    rows.keys.add(known.all)
    rows.keys.add(known.id ^ self_key)
    rows.keys.add(shape_key(type, rows.seen))
    if text := resource.get("text"):
        rows.personal.update(cached(f"{type}|_text|{word}") for word in narrative_words(text))
    if type == "Patient":
        rows.patients.add(f"Patient/{id}")
    return IndexRows(
        self_key,
        _order(known.main, rows.dates),
        tuple(sorted(rows.keys | rows.personal)),
        tuple(sorted(set(rows.dates))),
        tuple(settled(rows)),
        tuple(sorted(rows.numbers)),
        tuple(sorted(rows.links)),
        tuple(sorted(rows.patients)),
        (type, rows.seen),
        tuple(rows.personal),
    )


@lru_cache(maxsize=16_384)
def shape_key(type: str, shape: int) -> int:
    """The hash under which all records of one shape are found: those in which the same
    parameters have a value. `:missing` asks for every shape without its parameter, so one index
    entry of a record answers it for all parameters."""
    return key(f"{type}|:shape|{shape:x}")


def gather(resource: dict[str, Any], patients_only: bool = False) -> Rows:
    """The rows of all parameters, or of those that lead to patients; not yet settled."""
    rows = Rows()
    type = resource["resourceType"]
    try:
        for one in resource.get("contained", ()):
            rows.inside[f"#{one.get('id')}"] = one.get("resourceType", "")
        walk(type, patients_only)(resource, rows)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise Invalid(
            f"{type}/{resource.get('id', '?')} cannot be indexed: {error}.",
            hint="Validate the resource first; an element has not the shape that R4 gives it.",
            status=422,
            location=type,
        ) from error
    return rows


def compartments(resource: dict[str, Any]) -> frozenset[str]:
    """The patients to whose compartments a resource belongs, as `Patient/x`.

    Rule: hl7.org/fhir/R4/compartmentdefinition-patient.html; a Patient lies in its own.
    """
    patients = gather(resource, patients_only=True).patients
    if resource["resourceType"] == "Patient" and "id" in resource:
        patients.add(f"Patient/{resource['id']}")
    return frozenset(patients)


def _order(main: tuple[int, ...], dates: list[tuple[int, int, int]]) -> int:
    if not main:
        return 0
    for param in main:
        begins = [low for p, low, _ in dates if p & ~3 == param]
        if begins:
            first = min(begins)
            return NO_DATE if first == BEGINNING else -(first // 1_000_000)
    return NO_DATE

"""What one value contributes to the index, by datatype; called by the functions of `compiled`.

Each function gets the rows being gathered, constants of the parameter, and the value. A value of
a wrong shape raises TypeError or AttributeError; `extract` turns that into Invalid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sokhoe.fhir.search.dates import BEGINNING, END, Stretch, length_class, stretch
from sokhoe.fhir.search.fold import beginnings, fold, without_prefixes
from sokhoe.fhir.search.hashing import cached, key, token_keys
from sokhoe.fhir.search.sensitive import coded_keys
from sokhoe.fhir.search.units import UCUM, in_base_units

Prefixes = tuple[str, ...]
CURRENCIES = "urn:iso:std:iso:4217"
# The function for a datatype of a quantity parameter, if it is not `quantity`.
QUANTITIES = {"Money": "money", "Range": "span", "SampledData": "sampled"}

_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?\Z")
_URL = re.compile(r"\w+://.*/([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?\Z")


@dataclass(slots=True)
class Rows:
    """Index rows while they are gathered."""

    keys: set[int] = field(default_factory=set)
    personal: set[int] = field(default_factory=set)  # of `keys`: those of personal values
    dates: list[tuple[int, int, int]] = field(default_factory=list)
    texts: dict[int, set[str]] = field(default_factory=dict)
    sorts: dict[int, set[str]] = field(default_factory=dict)
    numbers: set[tuple[int, float]] = field(default_factory=set)
    links: set[int] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    seen: int = 0
    inside: dict[str, str] = field(default_factory=dict)  # types of contained resources, by #id


@dataclass(frozen=True, slots=True)
class Target:
    """A reference read: `type` as far as it can be told, `ref` the text without version,
    `key` its hash; `local`: it points into this store."""

    type: str
    ref: str
    key: int
    local: bool


@lru_cache(maxsize=65_536)
def target(text: str) -> Target | None:
    """A reference's text; None for one to a contained resource."""
    if text.startswith("#") or not text:
        return None
    if match := _LOCAL.match(text):
        ref = f"{match.group(1)}/{match.group(2)}"
        return Target(match.group(1), ref, key(ref), True)
    text = text.split("/_history/")[0]
    match = _URL.match(text)
    return Target(match.group(1) if match else "", text, key(text), False)


def code(rows: Rows, prefixes: Prefixes, value: str) -> None:
    for prefix in prefixes:
        rows.keys.add(cached(prefix + value))


def boolean(rows: Rows, prefixes: Prefixes, value: bool) -> None:
    code(rows, prefixes, "true" if value else "false")


def coding(rows: Rows, prefixes: Prefixes, value: dict[str, Any]) -> None:
    rows.keys.update(coded_keys(prefixes, value.get("system", ""), value.get("code", "")))


def concept(rows: Rows, prefixes: Prefixes, value: dict[str, Any]) -> None:
    for one in value.get("coding", ()):
        rows.keys.update(coded_keys(prefixes, one.get("system", ""), one.get("code", "")))


def identifier(rows: Rows, prefixes: Prefixes, value: dict[str, Any]) -> None:
    found = set(token_keys(prefixes, value.get("system", ""), value.get("value", "")))
    if kind := value.get("type"):
        for one in kind.get("coding", ()):
            text = f"{one.get('system', '')}|{one.get('code', '')}|{value.get('value', '')}"
            found.update(key(f"{prefix[:-1]}:of-type|{text}") for prefix in prefixes)
    rows.personal |= found


def contact(rows: Rows, prefixes: Prefixes, value: dict[str, Any]) -> None:
    rows.personal.update(token_keys(prefixes, value.get("system", ""), value.get("value", "")))


def reference(
    rows: Rows,
    params: tuple[tuple[str, int, str, bool], ...],
    value: dict[str, Any],
) -> None:
    """`params`: (prefix of the parameter, its hash, only this target type, patient compartment)."""
    if text := value.get("reference"):
        found = target(text)
        if found is not None:
            if found.local:
                rows.links.add(found.key)
            for _, param, only, compartment in params:
                if not only or found.type == only:
                    rows.keys.add(param ^ found.key)
                if compartment and found.local and found.type == "Patient":
                    rows.patients.add(found.ref)
    if known := value.get("identifier"):
        prefixes = tuple(f"{prefix[:-1]}:identifier|" for prefix, _, _, _ in params)
        system, code = known.get("system", ""), known.get("value", "")
        rows.personal.update(token_keys(prefixes, system, code))


def typed(rows: Rows, bits: tuple[tuple[str, int], ...], value: Any) -> None:
    """The shape's bits of parameters that look at references to one type only."""
    if isinstance(value, dict):
        text = value.get("reference", "")
        found = target(text)
        kind = value.get("resourceType") or (found.type if found else rows.inside.get(text))
        for only, bit in bits:
            if kind == only:
                rows.seen |= bit


def itself(
    rows: Rows, params: tuple[tuple[str, int, str, bool], ...], value: dict[str, Any]
) -> None:
    """Bundle.composition: the resource itself, by its type and id."""
    ref = f"{value.get('resourceType')}/{value.get('id')}"
    for _, param, only, _ in params:
        if value.get("resourceType") == only and value.get("id"):
            rows.keys.add(param ^ key(ref))
            rows.links.add(key(ref))


def canonical(rows: Rows, params: tuple[tuple[str, int, str, bool], ...], value: str) -> None:
    """A canonical in a reference parameter: found with and without its |version."""
    for text in {value, value.partition("|")[0]}:
        if found := target(text):
            rows.keys.update(param ^ found.key for _, param, _, _ in params)


def uri(rows: Rows, prefixes: Prefixes, value: str) -> None:
    for prefix in prefixes:
        rows.keys.add(cached(prefix + value))
        if "|" in value:
            rows.keys.add(cached(prefix + value.partition("|")[0]))


def address_of(rows: Rows, params: tuple[tuple[str, int], ...], value: str) -> None:
    """A uri, and its text so that it is found by its beginning (`url:below`)."""
    uri(rows, tuple(prefix for prefix, _ in params), value)
    for _, param in params:
        rows.texts.setdefault(param, set()).add(value[:1024])


def position(rows: Rows, params: tuple[tuple[int, int], ...], value: dict[str, Any]) -> None:
    for latitude, longitude in params:
        rows.numbers.add((latitude, float(value["latitude"])))
        rows.numbers.add((longitude, float(value["longitude"])))


def date(rows: Rows, params: tuple[int, ...], value: str) -> None:
    low, high = stretch(value)
    length = length_class(low, high)
    for param in params:
        rows.dates.append((param | length, low, high))


def period(rows: Rows, params: tuple[int, ...], value: dict[str, Any]) -> None:
    low, high = period_stretch(value)
    if (low, high) != (BEGINNING, END):
        length = length_class(low, high)
        for param in params:
            rows.dates.append((param | length, low, high))


def period_stretch(value: dict[str, Any]) -> Stretch:
    """[from, to) of a Period. One that ends before it begins is taken as its beginning alone."""
    start, end = value.get("start"), value.get("end")
    low, least = stretch(start) if start else (BEGINNING, BEGINNING)
    high = stretch(end)[1] if end else END
    return low, high if high > low else least


def timing(rows: Rows, params: tuple[int, ...], value: dict[str, Any]) -> None:
    """The outer limits alone count, not the days between them (R4, search.html#date)."""
    found = [stretch(event) for event in value.get("event", ()) if event]
    bounds = value.get("repeat", {}).get("boundsPeriod", {})
    if bounds.get("start") or bounds.get("end"):
        found.append(period_stretch(bounds))
    if found:
        low, high = min(one for one, _ in found), max(one for _, one in found)
        rows.dates += [(param | length_class(low, high), low, high) for param in params]


def text(rows: Rows, params: tuple[tuple[str, int, int], ...], *values: str) -> None:
    """`params`: (prefix, the parameter's hash, the hash under which its sort text stands)."""
    for prefix, param, sort in params:
        found = rows.texts.setdefault(param, set())
        for value in values:
            rows.personal.add(key(prefix + value))
            found.update(beginnings(fold(value)))
        if values:
            rows.sorts.setdefault(sort, set()).add(fold(values[0])[:64])


def name(rows: Rows, params: tuple[tuple[str, int, int], ...], value: dict[str, Any]) -> None:
    """A HumanName: as a whole in both orders if it is not written out, and each part."""
    givens = [one for one in value.get("given", ()) if one]
    family, given = value.get("family", ""), " ".join(givens)
    ends = [one for part in ("prefix", "suffix") for one in value.get(part, ()) if one]
    parts = [family, *givens, *ends]
    whole = [value["text"]] if value.get("text") else [f"{family} {given}", f"{given} {family}"]
    text(rows, params, *(one.strip() for one in [*whole, *parts] if one.strip()))


def address(rows: Rows, params: tuple[tuple[str, int, int], ...], value: dict[str, Any]) -> None:
    parts = [value.get("text"), *value.get("line", ())]
    parts += [value.get(part) for part in ("city", "district", "state", "postalCode", "country")]
    text(rows, params, *(part for part in parts if part))


def number(rows: Rows, params: tuple[tuple[str, int], ...], value: Any) -> None:
    for _, param in params:
        rows.numbers.add((param, float(value)))


def quantity(rows: Rows, params: tuple[tuple[str, int], ...], value: dict[str, Any]) -> None:
    """A quantity is found by its bare number, and with its unit: in base units if it is UCUM's,
    else under system and code as they are."""
    if value.get("value") is None:
        return
    amount = float(value["value"])
    system, code = value.get("system", ""), value.get("code", "")
    measure, measured = f"{system}|{code}", amount
    if system == UCUM and (based := in_base_units(value["value"], code)):
        measure, measured = f"~{based[0]}", based[1]
    for prefix, param in params:
        rows.numbers.add((param, amount))
        if code:
            rows.numbers.add((cached(prefix + measure), measured))


def money(rows: Rows, params: tuple[tuple[str, int], ...], value: dict[str, Any]) -> None:
    code = {"system": CURRENCIES, "code": value.get("currency", "")}
    quantity(rows, params, {"value": value.get("value"), **code})


def span(rows: Rows, params: tuple[tuple[str, int], ...], value: dict[str, Any]) -> None:
    for side in ("low", "high"):
        quantity(rows, params, value.get(side, {}))


def sampled(rows: Rows, params: tuple[tuple[str, int], ...], value: dict[str, Any]) -> None:
    quantity(rows, params, value.get("origin", {}))


def settled(rows: Rows) -> list[tuple[int, str]]:
    """The text rows, without those that a longer one makes needless, and the sort texts: of
    several names the one that stands first in either direction (R4, search.html#_sort)."""
    found = [(param, one) for param, all_ in rows.texts.items() for one in without_prefixes(all_)]
    ends = {(sort, one) for sort, all_ in rows.sorts.items() for one in (min(all_), max(all_))}
    return found + sorted(ends)

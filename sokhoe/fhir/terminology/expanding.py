"""`$expand`: a value set's concepts as a page that a screen or a program can show.

Rules: hl7.org/fhir/R4/valueset-operation-expand.html. Without a filter the order is that of the
code systems; with one, the best match comes first (words.py). Nested as the code systems are,
where nothing was asked that would tear the tree apart (filter, offset, count).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sokhoe.errors import Unsupported
from sokhoe.fhir.terminology.sets import Members, Part, not_here
from sokhoe.fhir.terminology.systems import speaks, value_of
from sokhoe.fhir.terminology.words import Words

Json = Mapping[str, Any]
MOST_AT_ONCE = 10_000  # concepts in one answer: 1 to 3 MB
_PROPERTY = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of an expansion; names as in the operation. `count` None: all."""

    filter: str = ""
    offset: int = 0
    count: int | None = None
    active_only: bool = False
    exclude_nested: bool = False
    exclude_abstract: bool = False  # excludeNotForUI
    designations: bool = False
    designation: tuple[str, ...] = ()  # only these: `use|code` or `lang|vi`
    definition: bool = False
    languages: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    exclude_systems: tuple[str, ...] = ()
    said: tuple[tuple[str, Any], ...] = field(default=())  # parameters to repeat in the answer


def expand(value_set: Json, members: Members, wish: Wish, timestamp: str) -> dict[str, Any]:
    """The value set with its expansion. Raises `too-costly` (Unsupported), NotFound for a code
    system that is not here."""
    check_listable(members)
    parts = [part for part in members.parts if part.system.url not in wish.exclude_systems]
    active = wish.active_only or members.inactive is False
    chosen = [(part, _rows(part, wish, active)) for part in parts]
    total = sum(len(rows) for _, rows in chosen)
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{members.canonical} {timestamp} {wish}')}",
        "timestamp": timestamp,
        "total": total,
        "parameter": _parameters(members, wish),
    }
    paged = wish.offset > 0 or wish.count is not None
    if paged:
        expansion["offset"] = wish.offset
    wanted = total - wish.offset if wish.count is None else min(wish.count, total - wish.offset)
    if wanted > MOST_AT_ONCE:
        raise too_costly(
            f"The value set {members.canonical} has {total} codes; "
            f"at most {MOST_AT_ONCE} are given at once.",
            f"Ask with filter=…, or page by page with offset=0&count={MOST_AT_ONCE // 10}.",
        )
    if wish.count != 0:
        tree = not (paged or wish.filter or wish.exclude_nested)
        contains = _nested(chosen, wish) if tree else list(_page(chosen, wish))
        if contains:
            expansion["contains"] = contains
    return {**_head(value_set, wish), "expansion": expansion}


def check_listable(members: Members) -> None:
    """Raises NotFound where a code system is not here, `too-costly` where it is a rule."""
    if members.missing:
        url = members.missing[0]
        raise not_here("code system", url, f"The value set {members.canonical or ''} needs it.")
    for part in members.parts:
        if part.grammar:
            raise too_costly(
                f"{part.system.url} follows a rule and has no list of codes.",
                "Ask $validate-code about a code.",
            )


def too_costly(message: str, hint: str) -> Unsupported:
    return Unsupported(message, hint=hint, slug="too-costly", status=422, code="too-costly")


def _head(value_set: Json, wish: Wish) -> dict[str, Any]:
    left_out = {"expansion", "text", "contained"} | (set() if wish.definition else {"compose"})
    head = {name: value for name, value in value_set.items() if name not in left_out}
    head.setdefault("status", "active")
    return head


def _parameters(members: Members, wish: Wish) -> list[dict[str, Any]]:
    found = [{"name": name, _value_key(value): value} for name, value in wish.said]
    return found + [{"name": name, "valueUri": canonical} for name, canonical in members.used]


def _value_key(value: Any) -> str:
    if isinstance(value, bool):
        return "valueBoolean"
    return "valueInteger" if isinstance(value, int) else "valueString"


def _rows(part: Part, wish: Wish, active: bool) -> Sequence[int]:
    """The concepts of a part that are wanted, in the order to be shown."""
    rows = part.rows
    if wish.filter:
        rows = _found(part, wish.filter)
    system = part.system
    if active:
        rows = [row for row in rows if not system.inactive(row)]
    if wish.exclude_abstract:
        rows = [row for row in rows if not system.abstract(row)]
    return rows


def _found(part: Part, text: str) -> list[int]:
    everything = isinstance(part.members, range) and len(part.rows) == len(part.system)
    found = part.system.words.find(text, None if everything else part.members)
    if not part.own:
        return found
    # Names that the value set itself gives are looked through one by one; they are few.
    own = sorted(part.own)
    names = Words(
        (part.system.codes[row], part.display(row), [d.value for d in part.own[row].designations])
        for row in own
    )
    return list(dict.fromkeys([*(own[at] for at in names.find(text)), *found]))


def _page(chosen: Sequence[tuple[Part, Sequence[int]]], wish: Wish) -> Iterator[dict[str, Any]]:
    skip = wish.offset
    left = MOST_AT_ONCE if wish.count is None else wish.count
    for part, rows in chosen:
        page = rows[skip : skip + left]
        skip = max(0, skip - len(rows))
        left -= len(page)
        for row in page:
            yield _shown(part, row, wish)


def _nested(chosen: Sequence[tuple[Part, Sequence[int]]], wish: Wish) -> list[dict[str, Any]]:
    """Each concept below the first of its parents that is shown as well."""
    tops: list[dict[str, Any]] = []
    for part, rows in chosen:
        shown = {row: _shown(part, row, wish) for row in rows}
        for row, one in shown.items():
            above = [up for up in part.system.above[row] if up in shown] if part.tree else []
            if above and not _circular(part, row, above[0]):
                shown[above[0]].setdefault("contains", []).append(one)
            else:
                tops.append(one)
    return tops


def _circular(part: Part, row: int, above: int) -> bool:
    return row in part.system.ancestors(above)


def _shown(part: Part, row: int, wish: Wish) -> dict[str, Any]:
    system = part.system
    one: dict[str, Any] = {"system": system.url}
    if system.abstract(row):
        one["abstract"] = True
    if system.inactive(row):
        one["inactive"] = True
    if system.version and part.known:
        one["version"] = system.version
    one["code"] = system.codes[row]
    one["display"] = part.display(row, wish.languages)
    if wish.properties:
        found = list(_properties(part, row, wish.properties))
        if found:
            one["extension"] = found
    if wish.designations:
        names = list(_designations(part, row, wish.designation))
        if names:
            one["designation"] = names
    return one


def _designations(part: Part, row: int, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    for one in part.designations(row):
        if wanted and not any(_is_wanted(one.language, one.use, wish) for wish in wanted):
            continue
        name: dict[str, Any] = {}
        if one.language:
            name["language"] = one.language
        if one.use:
            name["use"] = one.use
        yield {**name, "value": one.value}


def _is_wanted(language: str, use: Json, wish: str) -> bool:
    system, bar, code = wish.partition("|")
    if not bar:
        return speaks(language, wish) or use.get("code") == wish
    if system in {"lang", "urn:ietf:bcp:47"}:
        return speaks(language, code)
    return use.get("system") == system and code in {"", use.get("code")}


def _properties(part: Part, row: int, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Properties of a concept; R4 has no place for them, R5's is written as its extension."""
    for name, value in properties_of(part, row):
        if name in wanted:
            parts = [{"url": "code", "valueCode": name}, {"url": "value", **value}]
            yield {"url": _PROPERTY, "extension": parts}


def properties_of(part: Part, row: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(code, {value[x]: …}) of each property, those that the hierarchy implies included."""
    system = part.system
    written = set()
    for one in system.properties(row):
        if value_of(one) is not None:
            written.add(one["code"])
            yield one["code"], {key: value for key, value in one.items() if key[:5] == "value"}
    if "inactive" not in written:
        yield "inactive", {"valueBoolean": system.inactive(row)}
    if "definition" not in written and system.definition(row):
        yield "definition", {"valueString": system.definition(row)}
    if "parent" not in written:
        for up in system.above[row]:
            yield "parent", {"valueCode": system.codes[up]}
    if "child" not in written:
        for below in system.children(row):
            yield "child", {"valueCode": system.codes[below]}

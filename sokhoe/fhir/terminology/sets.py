"""A value set as what it comes to: which concepts of which code systems are in it.

    compose: include [A] include [B] exclude [C]   →   (A ∪ B) \\ C
    one include: system (all, listed or filtered) ∩ value set ∩ value set …

A `Part` is some concepts of one version of one code system, in the order to be shown. Two parts
never hold the same concept of the same code system version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sokhoe.errors import Invalid, NotFound, SokhoeError
from sokhoe.fhir.terminology.filters import rows_of
from sokhoe.fhir.terminology.grammars import GRAMMARS, is_code
from sokhoe.fhir.terminology.systems import Designation, System

Json = Mapping[str, Any]
MOST_DEEP = 30  # value sets that import each other


@dataclass(frozen=True, slots=True)
class Listed:
    """What an include says of a concept itself: another display, more names."""

    display: str = ""
    designations: tuple[Designation, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Concepts `rows` of `system`, in this order; `own` says more of some of them.

    `tree`: they may be shown nested (not where they were listed one by one).
    `known`: the code system itself is here; where it is not, `system` holds what was listed.
    `grammar`: the codes are all that follow the rule of this code system, and `rows` is empty.
    """

    system: System
    rows: Sequence[int]
    own: Mapping[int, Listed] = field(default_factory=dict)
    tree: bool = False
    known: bool = True
    grammar: bool = False
    members: Collection[int] = ()

    @classmethod
    def of(cls, system: System, rows: Sequence[int], **more: Any) -> Part:
        members = rows if isinstance(rows, range) else frozenset(rows)
        return cls(system, rows, members=members, **more)

    def row(self, code: str) -> int | None:
        """The concept of this code, if it is in this part."""
        row = self.system.row(code)
        return row if row is not None and row in self.members else None

    def holds(self, code: str) -> bool:
        if self.grammar:
            return is_code(self.system.url, code)
        return self.row(code) is not None

    def keep(self, rows: Sequence[int]) -> Part:
        return replace(self, rows=tuple(rows), members=frozenset(rows))

    def display(self, row: int, languages: Sequence[str] = ()) -> str:
        own = self.own.get(row)
        if own is not None and own.display and not languages:
            return own.display
        if own is not None:
            for language in languages:
                for one in own.designations:
                    if one.language.lower().startswith(language.lower()):
                        return one.value
        shown = self.system.display(row, languages)
        if own is not None and own.display and shown == self.system.displays[row]:
            return own.display
        return shown

    def designations(self, row: int) -> tuple[Designation, ...]:
        own = self.own.get(row)
        more = own.designations if own else ()
        return (*self.system.designations(row), *more)


@dataclass(frozen=True, slots=True)
class Members:
    """What a value set comes to. `canonical` is its `url|version`; `used` are the code systems and
    value sets that it was worked out from; `missing` are code systems that are not here and of
    which nobody can say whether a code is in them."""

    canonical: str
    parts: tuple[Part, ...]
    used: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    inactive: bool | None = None

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    def find(self, system: str, code: str, version: str = "") -> Part | None:
        """The part that holds this code."""
        for part in self.parts:
            if part.system.url == system and (not version or part.system.version == version):
                if not part.holds(code):
                    continue
                row = part.row(code)
                if self.inactive is False and row is not None and part.system.inactive(row):
                    continue
                return part
        return None

    def infer(self, code: str) -> list[Part]:
        """All parts with such a code, when nobody said of which code system it is."""
        found = (self.find(part.system.url, code, part.system.version) for part in self.parts)
        return list(dict.fromkeys(part for part in found if part is not None))


class Finder(Protocol):
    """Where definitions come from (Library)."""

    def system(self, url: str, version: str = "") -> System | None: ...

    def why_not(self, url: str) -> str:
        """Why a code system or value set is not here, in words; "" if nothing is known."""

    def members(self, canonical: str, above: tuple[str, ...]) -> Members:
        """A value set that another imports. Raises NotFound."""


def members_of(value_set: Json, finder: Finder, above: tuple[str, ...] = ()) -> Members:
    """Work a value set out. Raises Invalid for a wrong definition, a circle; NotFound for an
    import that is not here. A code system that is not here is kept as `missing`."""
    name = canonical_of(value_set)
    url = value_set.get("url", "")
    if url and url in above:
        circle = " → ".join((*above[above.index(url) :], url))
        raise Invalid(
            f"The value set {url} is defined by itself: {circle}.",
            slug="value-set-circle",
            status=422,
            code="processing",
        )
    if len(above) >= MOST_DEEP:
        raise Invalid(
            f"Value sets import each other more than {MOST_DEEP} deep.",
            slug="too-costly",
            status=422,
            code="too-costly",
        )
    work = _Work(finder, (*above, url) if url else above)
    compose = value_set.get("compose")
    if compose is None:
        return Members(name, tuple(_as_expanded(value_set, finder, work)), tuple(work.used))
    parts: list[Part] = []
    for index, one in enumerate(compose.get("include", ())):
        parts = _union(parts, work.include(one, f"ValueSet.compose.include[{index}]"))
    for index, one in enumerate(compose.get("exclude", ())):
        parts = _without(parts, work.include(one, f"ValueSet.compose.exclude[{index}]"))
    return Members(
        name,
        tuple(part for part in parts if part.rows or part.grammar),
        tuple(dict.fromkeys(work.used)),
        tuple(dict.fromkeys(work.missing)),
        compose.get("inactive"),
    )


class _Work:
    def __init__(self, finder: Finder, above: tuple[str, ...]) -> None:
        self._finder = finder
        self._above = above
        self.used: list[tuple[str, str]] = []
        self.missing: list[str] = []

    def include(self, one: Json, at: str) -> list[Part]:
        parts: list[Part] | None = None
        if "system" in one:
            parts = self._of_system(one, at)
        for canonical in one.get("valueSet", ()):
            imported = self._finder.members(canonical, self._above)
            self.used += [("used-valueset", imported.canonical), *imported.used]
            self.missing += imported.missing
            others = list(imported.parts)
            if imported.inactive is False:
                others = [_active(part) for part in others]
            parts = others if parts is None else _both(parts, others)
        return parts or []

    def _of_system(self, one: Json, at: str) -> list[Part]:
        url, version = one["system"], one.get("version", "")
        system = self._finder.system(url, version)
        listed = one.get("concept", ())
        if system is None and url in GRAMMARS and not listed and not one.get("filter"):
            return [Part(System({"url": url, "content": "not-present"}), (), grammar=True)]
        if system is None or (system.content == "not-present" and not len(system)):
            return self._unknown(one, url, version)
        self.used.append(("used-codesystem", system.canonical))
        self.used += [("used-supplement", name) for name in system.supplements]
        if listed:
            return [_listed(system, listed)]
        rows: set[int] | None = None
        for index, each in enumerate(one.get("filter", ())):
            try:
                found = rows_of(system, each)
            except SokhoeError as error:
                raise _placed(error, f"{at}.filter[{index}]", self._above) from None
            rows = found if rows is None else rows & found
        chosen = range(len(system)) if rows is None else sorted(rows)
        return [Part.of(system, chosen, tree=True)]

    def _unknown(self, one: Json, url: str, version: str) -> list[Part]:
        """A code system that is not here: what is listed of it stands for itself."""
        listed = one.get("concept", ())
        if not listed:
            self.missing.append(f"{url}|{version}" if version else url)
            return []
        stand_in = System(
            {"url": url, "version": version, "content": "not-present", "concept": _plain(listed)}
        )
        return [Part.of(stand_in, range(len(stand_in)), own=_own(stand_in, listed), known=False)]


def _plain(listed: Sequence[Json]) -> list[dict[str, Any]]:
    return [
        {"code": one["code"], **({"display": one["display"]} if one.get("display") else {})}
        for one in listed
    ]


def _listed(system: System, listed: Sequence[Json]) -> Part:
    """Concepts in the order in which they are listed; codes that do not exist are left out, but
    are kept where the code system is only known in part."""
    unknown = [one for one in listed if system.row(one["code"]) is None]
    if unknown and not system.whole:
        stand_in = System(
            {
                "url": system.url,
                "version": system.version,
                "content": system.content,
                "concept": _plain(listed),
            }
        )
        return Part.of(stand_in, range(len(stand_in)), own=_own(stand_in, listed))
    rows = dict.fromkeys(row for one in listed if (row := system.row(one["code"])) is not None)
    return Part.of(system, list(rows), own=_own(system, listed))


def _own(system: System, listed: Sequence[Json]) -> dict[int, Listed]:
    found = {}
    for one in listed:
        row = system.row(one["code"])
        names = tuple(
            Designation(each["value"], each.get("language", ""), each.get("use", {}))
            for each in one.get("designation", ())
        )
        if row is not None and (one.get("display") or names):
            found[row] = Listed(one.get("display", ""), names)
    return found


def _active(part: Part) -> Part:
    return part.keep([row for row in part.rows if not part.system.inactive(row)])


def _same(one: Part, other: Part) -> bool:
    """Whether both are of the same version of the same code system."""
    return one.system is other.system or one.system.canonical == other.system.canonical


def _codes(parts: Sequence[Part], like: Part, *, any_version: bool) -> Iterator[Part]:
    for part in parts:
        if part.system.url == like.system.url and (any_version or _same(part, like)):
            yield part


def _held(part: Part, row: int, others: Sequence[Part]) -> bool:
    code = part.system.codes[row]
    return any(
        row in other.members if other.system is part.system else other.holds(code)
        for other in others
    )


def _union(parts: list[Part], more: Sequence[Part]) -> list[Part]:
    parts = list(parts)
    for part in more:
        rivals = list(_codes(parts, part, any_version=False))
        if part.grammar:
            if not any(one.grammar for one in rivals):
                parts.append(part)
        elif rivals:
            parts.append(part.keep([row for row in part.rows if not _held(part, row, rivals)]))
        else:
            parts.append(part)
    return parts


def _without(parts: Sequence[Part], excluded: Sequence[Part]) -> list[Part]:
    left = []
    for part in parts:
        rivals = list(_codes(excluded, part, any_version=True))
        if not rivals:
            left.append(part)
        elif part.grammar:
            if not any(one.grammar for one in rivals):
                raise Invalid(
                    f"Codes of {part.system.url} follow a rule; single ones cannot be excluded.",
                    slug="grammar-exclude",
                    status=422,
                    code="not-supported",
                )
        else:
            left.append(part.keep([row for row in part.rows if not _held(part, row, rivals)]))
    return left


def _both(parts: Sequence[Part], others: Sequence[Part]) -> list[Part]:
    common = []
    for part in parts:
        rivals = list(_codes(others, part, any_version=True))
        if part.grammar:
            common += rivals
        else:
            common.append(part.keep([row for row in part.rows if _held(part, row, rivals)]))
    return common


def _as_expanded(value_set: Json, finder: Finder, work: _Work) -> Iterator[Part]:
    """A value set that has no definition but an expansion: what it lists."""
    by_system: dict[tuple[str, str], list[Json]] = {}
    waiting = list(value_set.get("expansion", {}).get("contains", ()))[::-1]
    while waiting:
        one = waiting.pop()
        waiting += list(one.get("contains", ()))[::-1]
        if "code" in one and "system" in one:
            by_system.setdefault((one["system"], one.get("version", "")), []).append(one)
    for (url, version), listed in by_system.items():
        system = finder.system(url, version)
        if system is not None and all(system.row(one["code"]) is not None for one in listed):
            work.used.append(("used-codesystem", system.canonical))
            yield _listed(system, listed)
        else:
            yield from work._unknown({"concept": listed}, url, version)


def canonical_of(resource: Json) -> str:
    """`url|version` of a resource."""
    url, version = resource.get("url", ""), resource.get("version", "")
    return f"{url}|{version}" if version else str(url)


def not_here(kind: str, canonical: str, why: str = "") -> NotFound:
    """The error for a code system, value set or map that nobody has."""
    return NotFound(
        f"The {kind} {canonical} is not known here." + (f" {why}" if why else ""),
        hint="Load it with `sokhoe terms load FILE` or POST it to this server.",
        slug=f"unknown-{kind.replace(' ', '-')}",
        code="not-found",
    )


def _placed(error: SokhoeError, at: str, above: tuple[str, ...]) -> SokhoeError:
    of = f" (value set {above[-1]})" if above else ""
    return type(error)(
        error.message + of,
        hint=error.hint,
        slug=error.slug,
        status=error.status,
        code=error.code,
        location=at,
    )

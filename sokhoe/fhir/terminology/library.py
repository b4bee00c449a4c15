"""Where code systems, value sets and maps are found, and kept at hand while nothing changes.

    asked for url|version → what came with the request → sources in turn → implicit value sets
    found → System / Members, worked out once for as long as no source changes

A source answers with a `Found`: its `key` names this content, so that a code system of 15,000
concepts is not worked out again because a value set beside it was changed. At most `ROOM` concepts
are kept (some 1.1 kB each, words included); what was asked for longest ago goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sokhoe.errors import SokhoeError
from sokhoe.fhir.definitions import terms
from sokhoe.fhir.terminology import implicit
from sokhoe.fhir.terminology.asking import row_of
from sokhoe.fhir.terminology.expanding import check_listable
from sokhoe.fhir.terminology.maps import Map
from sokhoe.fhir.terminology.sets import Members, members_of, not_here
from sokhoe.fhir.terminology.systems import System

T = TypeVar("T")
K = TypeVar("K", System, Map)
Json = Mapping[str, Any]
ROOM = 40_000  # concepts; 15,000 measured at 9 MB, and 8 MB for their words
MOST_MET = 2_000  # answers remembered


@dataclass(frozen=True, slots=True)
class Found:
    """A definition: `key` is the same only for the same content; `read` opens it."""

    key: str
    read: Callable[[], Json]


class Source(Protocol):
    """A place where definitions lie: the server's memory, the standard, a country's lists."""

    def stamp(self) -> Hashable:
        """Another value whenever something here may have changed."""

    def find(self, kind: str, url: str, version: str) -> Found | None:
        """The definition of this kind (CodeSystem, ValueSet, ConceptMap); without a version the
        newest active one."""

    def supplements(self, url: str) -> Sequence[Found]:
        """Code systems that supplement this one."""

    def maps(self, system: str, *, into: bool = False) -> Sequence[Found]:
        """Concept maps that translate codes of this code system, or `into` it."""

    def why_not(self, url: str) -> str:
        """Why something known is not here, in words; "" for nothing to say."""


class Standard:
    """The definitions of R4 that come with the program."""

    def stamp(self) -> Hashable:
        return 0

    def find(self, kind: str, url: str, version: str) -> Found | None:
        entry = terms.entry(kind, url)
        if entry is None or entry.owner or (version and version != entry.version):
            return None
        return Found(f"standard {kind} {url}", lambda: terms.read(kind, url) or {})

    def supplements(self, url: str) -> Sequence[Found]:
        return ()

    def maps(self, system: str, *, into: bool = False) -> Sequence[Found]:
        urls = terms.maps(system, into=into)
        found = (self.find("ConceptMap", url, "") for url in urls)
        return [one for one in found if one is not None]

    def why_not(self, url: str) -> str:
        for kind in ("CodeSystem", "ValueSet", "ConceptMap"):
            entry = terms.entry(kind, url)
            if entry is not None and entry.owner:
                return f"It lists codes of {entry.owner}, whose licence does not let us ship them."
            if entry is not None and entry.version:
                return f"The version that is here is {entry.version}."
        return ""

    def by_id(self, kind: str, id: str) -> Json | None:
        """The definition whose id this is (`ValueSet`, `administrative-gender`)."""
        url = terms.url_of(kind, id)
        return terms.read(kind, url) if url else None

    def systems(self) -> list[tuple[str, str]]:
        """(URL, version) of every code system that is here."""
        return [
            (one.url, one.version)
            for one in terms.entries()
            if one.kind == "CodeSystem" and not one.owner
        ]


class Lists:
    """A few code systems that are made when they are first asked for (a country's own lists).
    `make`: by URL, how to make the resource; `more`: by the URL of a code system, a supplement."""

    def __init__(
        self,
        make: Mapping[str, Callable[[], Json]],
        more: Mapping[str, Callable[[], Json]] | None = None,
    ) -> None:
        self._make = dict(make)
        self._more = dict(more or {})

    def stamp(self) -> Hashable:
        return 0

    def find(self, kind: str, url: str, version: str) -> Found | None:
        make = self._make.get(url) if kind == "CodeSystem" else None
        if make is None or (version and make().get("version") != version):
            return None
        return Found(f"list {url}", make)

    def supplements(self, url: str) -> Sequence[Found]:
        make = self._more.get(url)
        return [Found(f"list for {url}", make)] if make else []

    def maps(self, system: str, *, into: bool = False) -> Sequence[Found]:
        return ()

    def why_not(self, url: str) -> str:
        return ""


class Given:
    """Definitions that came with one request (`valueSet`, `codeSystem`, `tx-resource`)."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self._all = [one for one in resources if one.get("url")]

    def stamp(self) -> Hashable:
        return 0

    def find(self, kind: str, url: str, version: str) -> Found | None:
        for one in self._all:
            fits = one["resourceType"] == kind and one["url"] == url
            if fits and one.get("content") != "supplement" and version in {"", one.get("version")}:
                return _found(one)
        return None

    def supplements(self, url: str) -> Sequence[Found]:
        return [
            _found(one)
            for one in self._all
            if one.get("content") == "supplement"
            and str(one.get("supplements", "")).partition("|")[0] == url
        ]

    def maps(self, system: str, *, into: bool = False) -> Sequence[Found]:
        end = "target" if into else "source"
        return [
            _found(one)
            for one in self._all
            if one["resourceType"] == "ConceptMap"
            and any(group.get(end) == system for group in one.get("group", ()))
        ]

    def why_not(self, url: str) -> str:
        return ""


def _found(one: Json) -> Found:
    return Found(f"given {id(one)}", lambda: one)


class Library:
    """Asked by everybody; one per process, safe for several threads."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        versions: Mapping[str, str] | None = None,
        forced: Mapping[str, str] | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._versions = dict(versions or {})
        self._forced = dict(forced or {})
        self._lock = threading.RLock()
        self._stamp: Hashable = None
        self._met: dict[Hashable, Any] = {}
        self._kept: OrderedDict[tuple[str, ...], System | Map] = OrderedDict()

    def wider(
        self,
        given: Iterable[Json] = (),
        *,
        versions: Mapping[str, str] | None = None,
        forced: Mapping[str, str] | None = None,
    ) -> Library:
        """A library for one request: with what came with it, and the versions it asks for of code
        systems (`versions` where nothing else is said, `forced` whatever is said)."""
        given = list(given)
        if not given and not versions and not forced:
            return self
        source = [Given(given)] if given else []
        made = Library([*source, *self._sources], versions=versions, forced=forced)
        made._kept = self._kept
        made._lock = self._lock
        return made

    def refresh(self) -> Library:
        """See whether a source has changed; once for each request, before its first question."""
        stamp = tuple(one.stamp() for one in self._sources)
        with self._lock:
            if stamp != self._stamp:
                self._met, self._stamp = {}, stamp
        return self

    # -- asking ------------------------------------------------------------------------------

    def definition(self, kind: str, canonical: str) -> Json | None:
        """The resource behind `url` or `url|version`; also value sets that nobody wrote down."""
        url, _, version = canonical.partition("|")
        found = self._find(kind, url, version)
        if found is not None:
            return found.read()
        return implicit.value_set(url) if kind == "ValueSet" else None

    def system(self, url: str, version: str = "") -> System | None:
        """A code system, supplements included; None if it is not here."""
        version = self._forced.get(url) or version or self._versions.get(url, "")
        return self._remember(("system", url, version), lambda: self._open(url, version))

    def members(self, canonical: str, above: tuple[str, ...] = ()) -> Members:
        """What a value set comes to. Raises NotFound, and Invalid for a wrong definition."""

        def work() -> Members:
            definition = self.definition("ValueSet", canonical)
            if definition is None:
                raise not_here("value set", canonical, self.why_not(canonical.partition("|")[0]))
            return members_of(definition, self, above)

        return self._remember(("members", canonical), work)

    def members_of(self, value_set: Json) -> Members:
        """The same for a value set that is at hand."""
        return members_of(value_set, self)

    def head(self, canonical: str) -> Json | None:
        """A value set without what it consists of; that may be long."""

        def look() -> Json | None:
            found = self.definition("ValueSet", canonical)
            if found is None:
                return None
            long = ("compose", "expansion", "text", "contained")
            return {name: value for name, value in found.items() if name not in long}

        return self._remember(("head", canonical), look)

    def map(self, canonical: str) -> Map | None:
        """The concept map of this URL; None if it is not here."""
        url, _, version = canonical.partition("|")
        found = self._find("ConceptMap", url, version)
        return None if found is None else self._map(found)

    def maps(self, system: str, *, into: bool = False) -> list[Map]:
        """All concept maps from (or `into`) this code system."""

        def look() -> list[Found]:
            every = (source.maps(system, into=into) for source in self._sources)
            return [one for some in every for one in some]

        return [self._map(one) for one in self._remember(("maps", system, into), look)]

    def _map(self, found: Found) -> Map:
        return self._kept_at((found.key,), lambda: Map(found.read()))

    def why_not(self, url: str) -> str:
        return next((why for one in self._sources if (why := one.why_not(url))), "")

    # -- for search and validation -----------------------------------------------------------

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Whether a code is in a value set; None where nobody here can tell. `system` "" for a
        bare `code`, whose code system the value set alone says."""
        try:
            members = self.members(value_set)
        except SokhoeError:
            return None
        if members.find(system, code) if system else members.infer(code):
            return True
        if any(not system or one.partition("|")[0] == system for one in members.missing):
            return None
        return False

    def codes(self, value_set: str) -> Iterator[tuple[str, str]]:
        """All (system, code) of a value set. Raises NotFound, Unsupported (`too-costly`) where
        its codes cannot be listed."""
        members = self.members(value_set)
        check_listable(members)
        for part in members.parts:
            for row in part.rows:
                if members.inactive is not False or not part.system.inactive(row):
                    yield part.system.url, part.system.codes[row]

    def below(self, system: str, code: str) -> list[tuple[str, str]]:
        """A code and all that it subsumes. Raises NotFound for a code system or code not here."""
        return self._around(system, code, System.descendants)

    def above(self, system: str, code: str) -> list[tuple[str, str]]:
        """A code and all that subsume it."""
        return self._around(system, code, System.ancestors)

    def _around(
        self, system: str, code: str, way: Callable[[System, int], set[int]]
    ) -> list[tuple[str, str]]:
        found = self.system(system) if system else None
        if found is None:
            raise not_here("code system", system or "(none was named)", self.why_not(system))
        row = row_of(found, code)
        return [(system, found.codes[one]) for one in (row, *sorted(way(found, row)))]

    # -- inside ------------------------------------------------------------------------------

    def _find(self, kind: str, url: str, version: str) -> Found | None:
        def look() -> Found | None:
            for source in self._sources:
                found = source.find(kind, url, version)
                if found is not None:
                    return found
            return None

        return self._remember(("find", kind, url, version), look)

    def _open(self, url: str, version: str) -> System | None:
        found = self._find("CodeSystem", url, version)
        if found is None:
            return None
        more = [one for source in self._sources for one in source.supplements(url)]
        return self._kept_at(
            (found.key, *(one.key for one in more)),
            lambda: System(found.read(), [one.read() for one in more]),
        )

    def _kept_at(self, key: tuple[str, ...], make: Callable[[], K]) -> K:
        """What is made of definitions, kept as long as there is room and they are the same."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept  # type: ignore[return-value]
        made = make()
        if not any(one.startswith("given ") for one in key):
            with self._lock:
                self._kept[key] = made
                while sum(map(len, self._kept.values())) > ROOM and len(self._kept) > 1:
                    self._kept.popitem(last=False)
                    self._met = {}  # they hold what was just dropped
        return made

    def _remember(self, key: Hashable, work: Callable[[], T]) -> T:
        """What `work` says, once for as long as no source changes."""
        with self._lock:
            met = self._met
            if key in met:
                known: T = met[key]
                return known
        value = work()
        with self._lock:
            if len(met) >= MOST_MET:
                met.clear()
            met[key] = value
        return value

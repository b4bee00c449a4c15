"""From the words of a search to a `Query`; strict, so a misspelt filter cannot widen an answer.

An unknown or unsupported parameter, modifier or prefix is an error that names it and what is near;
with `lenient` it is dropped and listed in `Query.ignored` (header `Prefer: handling=lenient`).
Rules: hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir.search.compiled import sort_key
from sokhoe.fhir.search.conditions import Reader, targets
from sokhoe.fhir.search.custom import STANDARD, SearchParameters
from sokhoe.fhir.search.definitions import SearchParameter, main_dates, searchable_types
from sokhoe.fhir.search.expanding import Expander
from sokhoe.fhir.search.filtering import filtered
from sokhoe.fhir.search.hashing import key, prefix
from sokhoe.fhir.search.query import Condition, Include, Query, Sort, Total

MOST = 1000  # answers on a page
MOST_SORTS = 5
MOST_INCLUDES = 20

# Of no concern here: the answer's form, which the web door reads itself.
_NOT_HERE = {"_format", "_pretty"}
_SUMMARIES = ("true", "text", "data", "count", "false")
# What `_sort` by a parameter of this kind reads.
_SORTABLE = {
    "date": "date",
    "string": "text",
    "number": "number",
    "quantity": "number",
    "token": "word",
    "reference": "word",
    "uri": "word",
}


def parse_query(
    type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    lenient: bool = False,
    expander: Expander | None = None,
    known: SearchParameters = STANDARD,
) -> Query:
    """Read a search's `name=value` pairs. Invalid or Unsupported name the pair that is wrong.
    `expander`: the terminology that `:in`, `:above` and `:below` ask; `known`: the parameters
    there are. Unavailable (`not-ready`) for one by which records are still being indexed."""
    reading = _Reading(type, Reader(expander, known=known))
    reading.reader.parameters(type)  # is there such a type at all?
    asked = list(pairs)
    for name, value in asked:
        try:
            reading.take(name, value)
        except (Unsupported, Invalid) as error:
            if not lenient or error.slug == "bad-search-value" or error.code == "too-costly":
                raise
            reading.ignored.append(name)
    return reading.query("&".join(f"{name}={value}" for name, value in asked))


@dataclass(slots=True)
class _Reading:
    """A query while it is read."""

    type: str
    reader: Reader
    where: list[Condition] = field(default_factory=list)
    sorts: list[Sort] = field(default_factory=list)
    count: int = 50
    total: Total = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    include: list[Include] = field(default_factory=list)
    revinclude: list[Include] = field(default_factory=list)
    cursor: str | None = None
    ignored: list[str] = field(default_factory=list)

    def take(self, name: str, value: str) -> None:
        match name:
            case "_count":
                self.count = _count(value)
            case "_total":
                self.total = cast(Total, _choice(name, value, get_args(Total)))
            case "_summary":
                self.summary = _choice(name, value, _SUMMARIES)
            case "_elements":
                self.elements = tuple(part.strip() for part in value.split(",") if part.strip())
            case "_sort":
                self.sorts += self._sorts(value)
            case "_include" | "_include:iterate" | "_include:recurse":
                self.include.append(self._include(name, value))
            case "_revinclude" | "_revinclude:iterate" | "_revinclude:recurse":
                self.revinclude.append(self._include(name, value))
            case "_cursor":
                self.cursor = value
            case "_filter":
                self.where += filtered(self.reader, self.type, value)
            case _ if name in _NOT_HERE:
                pass
            case _:
                self.where += self.reader.condition(self.type, name, value)

    def query(self, text: str) -> Query:
        sorts = self.sorts or [usual_sort(self.type)]
        return Query(
            type=self.type,
            where=tuple(self.where),
            sort=sorts[0],
            then=tuple(sorts[1:]),
            count=self.count,
            total="accurate" if self.summary == "count" or not self.count else self.total,
            summary=self.summary if self.count else "count",
            elements=self.elements,
            include=tuple(self.include),
            revinclude=tuple(self.revinclude),
            cursor=self.cursor,
            ignored=tuple(self.ignored),
            text=text,
        )

    # --- includes -------------------------------------------------------------------------------

    def _include(self, name: str, value: str) -> Include:
        """`_include` and `_revinclude`: `Type:parameter`, `Type:parameter:Type`, `Type:*`, `*`."""
        if len(self.include) + len(self.revinclude) >= MOST_INCLUDES:
            raise Unsupported(
                f"There are more than {MOST_INCLUDES} includes.", code="too-costly", location=name
            )
        back, _, modifier = name.partition(":")
        iterate = bool(modifier)
        source, _, rest = value.partition(":")
        code, _, target = rest.partition(":")
        if value == "*" or (source == "*" and code in ("*", "")):
            return Include("*", "*", iterate=iterate)
        if source not in searchable_types() or not code:
            raise Invalid(
                f"{name}={value} names no reference.",
                hint=f"Write {back}=Type:parameter, Type:parameter:Target, Type:* or *.",
                location=name,
            )
        if target and target not in searchable_types():
            raise Invalid(f"{name}={value}: there is no type {target}.", location=name)
        if code == "*":
            return Include(source, "*", 0, target or None, iterate)
        param = self.reader.parameter(source, code)
        if param.type != "reference" or (target and target not in targets(param)):
            raise Invalid(
                f"{code} of {source} is no reference to {target or 'follow'}.", location=name
            )
        if back == "_revinclude" and not iterate and self.type not in targets(param):
            raise Invalid(f"{code} of {source} does not point at {self.type}.", location=name)
        only = target or _only_target(param)
        return Include(source, code, key(prefix(source, param.stored[0])), only, iterate)

    # --- order ----------------------------------------------------------------------------------

    def _sorts(self, value: str) -> list[Sort]:
        codes = [part.strip() for part in value.split(",") if part.strip()]
        if not codes or len(codes) + len(self.sorts) > MOST_SORTS:
            raise Invalid(f"_sort={value}: name one to {MOST_SORTS} parameters.", location="_sort")
        return [self._sort(code) for code in codes]

    def _sort(self, value: str) -> Sort:
        descending, code = value.startswith("-"), value.removeprefix("-")
        param = self.reader.parameter(self.type, code)
        if code == "_lastUpdated":
            return Sort("written", descending, code)
        if code == "_id":
            return Sort("id", descending, code)
        if main_dates(self.type)[:1] == (code,):
            return Sort("main", descending, code)
        kind = _SORTABLE.get(param.type)
        if kind is None:
            raise Unsupported(
                f"_sort by {code} is not supported: it is a {param.type} parameter.",
                hint="All others can be sorted by.",
                location="_sort",
            )
        if len(param.stored) > 1 or kind == "word":
            return Sort("word", descending, code)
        stored = param.stored[0]
        found = sort_key(self.type, stored) if kind == "text" else key(prefix(self.type, stored))
        if kind == "date":
            found &= ~3
        return Sort(cast(Literal["date", "text", "number"], kind), descending, code, found)


def _only_target(param: SearchParameter) -> str | None:
    """`patient` is about patients alone, although it is indexed with all that `subject` names."""
    narrow = {path.partition("(")[2].rstrip(")") for path in param.paths}
    return (narrow.pop() or None) if len(narrow) == 1 else None


def usual_sort(type: str) -> Sort:
    """The newest clinical date first; for types without one what was written last."""
    main = main_dates(type)
    return Sort("main", True, main[0]) if main else Sort("written", True, "_lastUpdated")


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise Invalid(f"_count={value} is not a number of answers.", location="_count")
    return min(int(value), MOST)


def _choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise Invalid(f"{name}={value}: choose one of {', '.join(choices)}.", location=name)
    return value

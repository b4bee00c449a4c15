"""From the words of a search to a `Query`; strict, so a misspelt filter cannot widen an answer.

An unknown or unsupported parameter, modifier or prefix is an error that names it and what is near;
with `lenient` it is dropped and listed in `Query.ignored` (header `Prefer: handling=lenient`).
Rules: hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, cast, get_args

from sokhoe.errors import Invalid, SokhoeError, Unsupported
from sokhoe.fhir.search import values
from sokhoe.fhir.search.compiled import prefix, sort_key
from sokhoe.fhir.search.definitions import (
    SearchParameter,
    main_dates,
    search_parameters,
    searchable_types,
)
from sokhoe.fhir.search.hashing import key
from sokhoe.fhir.search.query import (
    Condition,
    Dates,
    Include,
    Keys,
    Linked,
    Missing,
    Numbers,
    Pointed,
    Query,
    Sort,
    Texts,
    Total,
    Written,
)

MOST = 1000  # answers on a page
MOST_VALUES = 500  # values in one parameter
DEEPEST = 4  # steps of a chain

_NOT_HERE = {"_format", "_pretty"}  # about the answer's form, which the web door reads itself
_SUMMARIES = ("true", "text", "data", "count", "false")
# What `_sort` by a parameter of this kind reads.
_SORTABLE = {"date": "date", "string": "text", "number": "number", "quantity": "number"}


def parse_query(type: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False) -> Query:
    """Read a search's `name=value` pairs. Invalid or Unsupported name the pair that is wrong."""
    search_parameters(type)  # is there such a type at all?
    asked = list(pairs)
    reading = _Reading(type)
    for name, value in asked:
        try:
            reading.take(name, value)
        except (Unsupported, Invalid) as error:
            if not lenient or error.slug == "bad-search-value":
                raise
            reading.ignored.append(name)
    return reading.query("&".join(f"{name}={value}" for name, value in asked))


@dataclass(slots=True)
class _Reading:
    """A query while it is read."""

    type: str
    where: list[Condition] = field(default_factory=list)
    sort: Sort | None = None
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
                self.sort = _sort(self.type, value)
            case "_include":
                self.include.append(_include(value))
            case "_revinclude":
                self.revinclude.append(_revinclude(self.type, value))
            case "_cursor":
                self.cursor = value
            case _ if name in _NOT_HERE:
                pass
            case _:
                self.where.append(condition(self.type, name, value))

    def query(self, text: str) -> Query:
        return Query(
            type=self.type,
            where=tuple(self.where),
            sort=self.sort or usual_sort(self.type),
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


def usual_sort(type: str) -> Sort:
    """The newest clinical date first; for types without one what was written last."""
    main = main_dates(type)
    return Sort("main", True, main[0]) if main else Sort("written", True, "_lastUpdated")


def condition(type: str, name: str, value: str, depth: int = 0) -> Condition:
    """One `name=value` as a condition on records of a type."""
    if depth > DEEPEST:
        raise Unsupported(
            f"{name} goes on over more than {DEEPEST} references.", slug="search-too-deep"
        )
    if name.startswith("_has:"):
        return _pointed(type, name, value, depth)
    first, dot, rest = name.partition(".")
    if dot:
        return _linked(type, first, rest, value, depth)
    code, _, modifier = name.partition(":")
    param = parameter(type, code)
    if not value.strip():
        raise Invalid(
            f"{name} has no value.", hint="Leave the parameter out or give it one.", location=name
        )
    parts = values.split(value, ",")
    if len(parts) > MOST_VALUES:
        raise Invalid(f"{name} has more than {MOST_VALUES} values.", location=name)
    if modifier == "missing":
        return _missing(type, param, value)
    return _simple(type, param, modifier, [part for part in parts if part])


def parameter(type: str, code: str) -> SearchParameter:
    known = search_parameters(type)
    if code in known:
        return known[code]
    near = get_close_matches(code, known, 4, 0.6)
    raise Invalid(
        f"{type} has no search parameter {code}."
        + (f" Near it are {', '.join(near)}." if near else ""),
        hint=f"{type} has: {', '.join(known)}.",
        slug="unknown-search-parameter",
        code="not-supported",
        location=code,
    )


def _simple(type: str, param: SearchParameter, modifier: str, parts: Sequence[str]) -> Condition:
    """A condition without a chain, by kind of parameter and modifier."""
    if param.code == "_lastUpdated" and not modifier:
        return Written(param.code, tuple(values.date(param, part) for part in parts))
    start = key(prefix(type, param.stored[0]))
    match param.type, modifier:
        case "token", "" | "not":
            keys = _all(values.token(type, param, part) for part in parts)
            return Keys(param.code, keys, modifier == "not")
        case "reference", "identifier":
            return Keys(param.code, _all(values.identifier(type, param, part) for part in parts))
        case "reference", _ if not modifier or modifier in param.target:
            only = modifier or None
            found = _all(values.reference(type, param, only, part) for part in parts)
            return Keys(param.code, found)
        case ("uri", "") | ("string", "exact"):
            return Keys(param.code, _all(values.plain(type, param, part) for part in parts))
        case "string", "" | "contains":
            folded = tuple(values.folded(param, part) for part in parts)
            return Texts(param.code, start, folded, modifier == "contains")
        case "date", "":
            tests = tuple(values.date(param, part) for part in parts)
            return Dates(param.code, start & ~3, tests, main_dates(type)[:1] == (param.code,))
        case "number", "":
            return Numbers(param.code, tuple(values.number(param, start, part) for part in parts))
        case "quantity", "":
            lists = (values.quantity(type, param, part) for part in parts)
            return Numbers(param.code, tuple(test for tests in lists for test in tests))
    raise _no_modifier(type, param, modifier)


def _all(lists: Iterable[list[int]]) -> tuple[int, ...]:
    return tuple(one for keys in lists for one in keys)


def _no_modifier(type: str, param: SearchParameter, modifier: str) -> Unsupported:
    able = {
        "token": ":not",
        "string": ":exact, :contains, :missing",
        "reference": f":identifier, {', '.join(f':{one}' for one in param.target[:8])}",
        "date": ":missing",
        "number": ":missing",
        "quantity": ":missing",
    }.get(param.type, "none")
    return Unsupported(
        f"{param.code}:{modifier} is not supported for {type}.",
        hint=f"Modifiers of this parameter: {able}.",
        slug="unsupported-modifier",
        location=f"{param.code}:{modifier}",
    )


def _missing(type: str, param: SearchParameter, value: str) -> Missing:
    kind = _SORTABLE.get(param.type)
    if kind is None or param.code == "_lastUpdated" or len(param.stored) > 1:
        raise _no_modifier(type, param, "missing")
    truth = _choice(f"{param.code}:missing", value, ("true", "false")) == "true"
    start = key(prefix(type, param.stored[0]))
    if kind == "date":
        start &= ~3
    return Missing(param.code, cast(Literal["date", "text", "number"], kind), start, truth)


def _linked(type: str, first: str, rest: str, value: str, depth: int) -> Linked:
    """`subject:Patient.name=an`, `patient.identifier=…`, several steps in one."""
    code, _, only = first.partition(":")
    param = parameter(type, code)
    if param.type != "reference":
        raise Invalid(
            f"{code} of {type} is no reference, so {code}.{rest} leads nowhere.", location=first
        )
    if only and only not in param.target:
        raise Invalid(f"{code} of {type} cannot point at {only}.", location=first)
    branches: list[tuple[str, tuple[Condition, ...]]] = []
    errors: list[SokhoeError] = []
    for one in [only] if only else param.target:
        if one not in searchable_types():
            continue
        try:
            branches.append((one, (condition(one, rest, value, depth + 1),)))
        except (Invalid, Unsupported) as error:
            if error.slug == "bad-search-value":
                raise
            errors.append(error)
    if not branches:
        raise errors[0] if errors else Unsupported(f"{first}.{rest} leads nowhere.", location=first)
    return Linked(f"{first}.{rest}", key(prefix(type, param.stored[0])), tuple(branches))


def _pointed(type: str, name: str, value: str, depth: int) -> Pointed:
    """`_has:Observation:patient:code=…`: what points here, by which parameter, with what."""
    parts = name.split(":", 3)
    if len(parts) < 4 or not all(parts):
        raise Invalid(
            f"{name} is incomplete.",
            hint="Write _has:Type:reference:parameter=value.",
            location=name,
        )
    _, source, code, rest = parts
    param = parameter(source, code)
    if param.type != "reference" or type not in param.target:
        raise Invalid(f"{code} of {source} does not point at {type}.", location=name)
    where = (condition(source, rest, value, depth + 1),)
    return Pointed(name, source, key(prefix(source, param.stored[0])), where)


def _include(value: str) -> Include:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if "*" in (source, code) or not code:
        raise Unsupported(
            f"_include={value} is not supported.", hint="Write _include=Type:parameter.",
            location="_include",
        )  # fmt: skip
    param = parameter(source, code)
    if param.type != "reference" or (target and target not in param.target):
        raise Invalid(f"{code} of {source} is no reference to {target or 'follow'}.")
    return Include(source, code, key(prefix(source, param.stored[0])), target or None)


def _revinclude(type: str, value: str) -> Include:
    found = _include(value)
    if type not in search_parameters(found.source)[found.param].target:
        raise Invalid(f"{found.param} of {found.source} does not point at {type}.")
    return found


def _sort(type: str, value: str) -> Sort:
    if "," in value:
        raise Unsupported(
            f"_sort={value}: answers can be sorted by one parameter only.", location="_sort"
        )
    descending, code = value.startswith("-"), value.lstrip("-")
    param = parameter(type, code)
    if code == "_lastUpdated":
        return Sort("written", descending, code)
    if code == "_id":
        return Sort("id", descending, code)
    if main_dates(type)[:1] == (code,):
        return Sort("main", descending, code)
    kind = _SORTABLE.get(param.type)
    if kind is None or len(param.stored) > 1:
        raise Unsupported(
            f"_sort by {code} is not supported: it is a {param.type}.",
            hint="Dates, strings, numbers, quantities, _id and _lastUpdated can be sorted by.",
            location="_sort",
        )
    found = sort_key(type, code) if kind == "text" else key(prefix(type, code))
    if kind == "date":
        found &= ~3
    return Sort(cast(Literal["date", "text", "number"], kind), descending, code, found)


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise Invalid(f"_count={value} is not a number of answers.", location="_count")
    return min(int(value), MOST)


def _choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise Invalid(f"{name}={value}: choose one of {', '.join(choices)}.", location=name)
    return value

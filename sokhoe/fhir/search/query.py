"""A search as the store understands it: hashes, stretches and folded texts instead of words.

`Query.where` is a list of conditions that must all hold. Each condition is one of

    Keys     the record has one of these hashes (token, reference, uri, exact string, `_id`)
    Dates    a date parameter passes one of the tests
    Texts    a folded text begins with (or contains) one of these
    Numbers  a number or quantity passes one of the tests
    Missing  the parameter has no value (or has one)
    Written  `_lastUpdated` passes one of the tests
    Linked   chained search: what a reference points at meets conditions of its own
    Pointed  `_has`: something that points at the record meets conditions of its own
    AnyOf    all conditions of one of the options hold
    Not      not all of these hold
    Near     the place is within a distance of one of these
    Scan     what no index answers: looked up in the record (`scanning`)
    UpTo     the version is not newer than a place in the log (later pages of a search)

The first four are leaves: each lies in one index table. `Missing` and `Near` become leaves once
the store knows its shapes and places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
Total = Literal["none", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class DateTest:
    """A prefix and the stretch [low, high) of the date that was asked for, in microseconds."""

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NumberTest:
    """A prefix and the number asked for; [low, high) is what counts as equal to it. `key`: the
    hash of the parameter, or of the parameter with the unit that was asked for."""

    key: int
    prefix: Prefix
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Keys:
    """`personal`: whether these are hashes of identifiers, contacts or words, all of them or, where
    a parameter has values of both kinds, some (`IndexRows.personal`)."""

    param: str
    keys: tuple[int, ...]
    negated: bool = False
    personal: Literal["", "all", "some"] = ""


@dataclass(frozen=True, slots=True)
class Dates:
    """`key`: of the parameter, to be combined with the class of length (`dates.length_class`);
    `main`: this is the date by which the type is sorted."""

    param: str
    key: int
    tests: tuple[DateTest, ...]
    main: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    param: str
    key: int
    texts: tuple[str, ...]
    contains: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    param: str
    tests: tuple[NumberTest, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`bits`: of the parameter in a record's shape (`SearchParameter.present`)."""

    param: str
    type: str
    bits: int
    missing: bool


@dataclass(frozen=True, slots=True)
class AnyOf:
    param: str
    options: tuple[tuple[Condition, ...], ...]


@dataclass(frozen=True, slots=True)
class Not:
    param: str
    where: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """`places`: (latitude, longitude, metres). `latitude` and `longitude`: the keys of the two
    numbers under which a position is indexed."""

    param: str
    latitude: int
    longitude: int
    places: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """`wanted`: any of these, by kind: (word, …) all in the content, (text,) at the beginning of a
    word beside a code, (beginning,) of a uri, (number test, unit), or (element, conditions)."""

    param: str
    kind: Literal["content", "text", "below", "unit", "together"]
    paths: tuple[str, ...]
    wanted: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class UpTo:
    param: str
    seq: int


@dataclass(frozen=True, slots=True)
class Written:
    param: str
    tests: tuple[DateTest, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """`key`: hash of the reference parameter; `branches`: for each possible type of the target
    the conditions it must meet."""

    param: str
    key: int
    branches: tuple[tuple[str, tuple[Condition, ...]], ...]


@dataclass(frozen=True, slots=True)
class Pointed:
    """`type`: what points here; `key`: hash of the reference parameter by which it does."""

    param: str
    type: str
    key: int
    where: tuple[Condition, ...]


Condition = (
    Keys | Dates | Texts | Numbers | Missing | Written | Linked | Pointed | AnyOf | Not | Near
    | Scan | UpTo
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sort:
    """How answers are ordered. `main`: by the type's clinical date; `written`: `_lastUpdated`;
    `word`: by a token's code, a reference or a uri, as they stand in the record; else by the
    parameter whose `key` is given. Records without a value come last."""

    by: Literal["main", "written", "id", "date", "text", "number", "word"]
    descending: bool
    param: str
    key: int = 0


@dataclass(frozen=True, slots=True)
class Include:
    """`_include`: follow `param` of `source` from the matches to `target` (None: any type);
    `_revinclude`: add what points at the matches by it. `source` and `param` may be `*`, any.
    `iterate`: go on from what was included."""

    source: str
    param: str
    key: int = 0
    target: str | None = None
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A checked search. `then`: what orders those that `sort` leaves equal. `elements` and
    `summary` are for who writes the answer; `ignored` lists what a lenient reading dropped; `text`
    is the search as it was asked, for the audit."""

    type: str
    where: tuple[Condition, ...] = ()
    sort: Sort = Sort("written", True, "_lastUpdated")
    then: tuple[Sort, ...] = ()
    count: int = 50
    total: Total = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    include: tuple[Include, ...] = ()
    revinclude: tuple[Include, ...] = ()
    cursor: str | None = None
    ignored: tuple[str, ...] = ()
    text: str = ""

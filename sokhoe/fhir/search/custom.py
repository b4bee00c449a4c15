"""Search parameters that were sent to a server as SearchParameter, besides those of the standard.

    resource ── read ──▶ Custom ── registered ──▶ SearchParameters ── of(type) ──▶ SearchParameter

Each edition of one has hashes of its own (`Patient|birth-order#7|2`): a new expression is a new
edition, so rows of the old one cannot be taken for its own while they are being removed.
Rules: hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from sokhoe.errors import Conflict, Invalid, Unsupported
from sokhoe.fhir.search.definitions import SearchParameter, search_parameters, searchable_types
from sokhoe.fhir.search.hashing import key, prefix

# The datatypes each kind of parameter can be made from (hl7.org/fhir/R4/search.html#ptypes).
ENDS: Mapping[str, tuple[str, ...]] = {
    "token": tuple(
        "code Coding CodeableConcept Identifier ContactPoint boolean id string uri".split()
    ),
    "reference": ("Reference", "canonical", "uri"),
    "string": ("string", "markdown", "HumanName", "Address"),
    "date": ("date", "dateTime", "instant", "Period", "Timing"),
    "number": ("decimal", "integer", "positiveInt", "unsignedInt"),
    "quantity": tuple("Quantity Age Duration Count Distance Money Range SampledData".split()),
    "uri": ("uri", "url", "canonical", "oid", "uuid", "string"),
}
# What a component of a composite may be; the last one may also be one of LAST.
FIRST = frozenset({"token", "reference", "uri"})
LAST = FIRST | {"quantity", "number", "date"}
# An index must give the same rows tomorrow, and knows one record at a time.
_FORBIDDEN = frozenset(
    "now today timeOfDay memberOf conformsTo subsumes subsumedBy elementDefinition trace".split()
)
LONGEST = 2_000  # characters of an expression
MOST = 200  # parameters of one server
MOST_PARTS = 4  # of a composite
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_BEYOND = re.compile(r"resolve\s*\(\s*\)\s*\.(?!\s*is\b)")
NOT_INDEXED = frozenset({"AuditEvent"})

State = Literal["indexing", "checking", "ready", "retiring"]


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a composite: `expression` goes on from the composite's element; `code` and
    `type` are those of the parameter that defines it."""

    code: str
    type: str
    expression: str
    target: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Custom:
    """One edition of a parameter. `id`: of its SearchParameter; `base`: the types it is for."""

    id: str
    url: str
    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    target: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    edition: int = 0
    state: State = "indexing"

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What makes an edition: two with the same are indexed alike."""
        return (self.code, self.type, self.base, self.expression, self.target, self.parts)

    def parameter(self, type: str) -> SearchParameter:
        """As the parameter of one resource type."""
        path = f"={self.expression}"
        return SearchParameter(
            self.code,
            self.type,
            self.expression,
            (path,),
            self.target,
            (f"{self.code}#{self.edition}",),
            tuple(part.code for part in self.parts),
            custom=self,
            ends=_ends(self, type),
            component_ends=tuple(_part_ends(self, part, type) for part in self.parts),
        )


@dataclass(frozen=True, eq=False)
class SearchParameters:
    """All parameters of one server: the standard's, and its own as they stand at this `edition`
    (a number that rises with every change). The one without its own is `STANDARD`."""

    edition: int = 0
    customs: tuple[Custom, ...] = ()

    def of(self, type: str) -> Mapping[str, SearchParameter]:
        """Those of a type by code, those that are still being indexed among them."""
        return _of(self, type) if self.customs else search_parameters(type)

    def written(self, type: str, *, leaving: bool = False) -> tuple[SearchParameter, ...]:
        """Our own under which a record of the type is indexed; `leaving`: and those whose rows
        may still be there."""
        return _written(self, type, leaving) if self.customs else ()

    @property
    def types(self) -> frozenset[str]:
        """The types that have parameters of our own."""
        return frozenset(type for one in self.customs for type in one.base)


STANDARD = SearchParameters()


@lru_cache(maxsize=1024)
def _of(known: SearchParameters, type: str) -> Mapping[str, SearchParameter]:
    own = {one.code: one for one in known.written(type)}
    return MappingProxyType({**search_parameters(type), **own})


@lru_cache(maxsize=1024)
def _written(known: SearchParameters, type: str, leaving: bool) -> tuple[SearchParameter, ...]:
    return tuple(
        one.parameter(type)
        for one in known.customs
        if type in one.base and (leaving or one.state != "retiring")
    )


def present_key(type: str, param: SearchParameter) -> int:
    """The hash of all records in which one of our own parameters has a value."""
    return key(f"{prefix(type, param.stored[0])}:present")


# --- reading a SearchParameter --------------------------------------------------------------------


def is_active(resource: Mapping[str, Any]) -> bool:
    return resource.get("status") == "active"


def read(resource: Mapping[str, Any], known: SearchParameters = STANDARD) -> Custom:
    """What a SearchParameter defines. Raises Invalid, Unsupported or Conflict (its code is taken),
    each naming the element. `known`: for clashes, and for the parts of a composite."""
    code, kind = str(resource.get("code", "")), str(resource.get("type", ""))
    if not _CODE.fullmatch(code):
        raise _wrong(f"the code {code!r} is no name", "code", "Use letters, digits, - and _.")
    if kind not in ENDS and kind != "composite":
        raise _wrong(
            f"a parameter of type {kind!r} cannot be made", "type", f"Choose one of {_kinds()}."
        )
    base = _base(resource)
    _check_free(code, base, str(resource.get("id", "")), known)
    expression = str(resource.get("expression", ""))
    target = tuple(sorted(resource.get("target", ())))
    unknown = sorted(set(target) - set(searchable_types()))
    if unknown:
        raise _wrong(f"there is no type {unknown[0]}", "target", "Name types of FHIR R4.")
    parts = _parts(resource, base[0], known) if kind == "composite" else ()
    found = Custom(
        str(resource.get("id", "")),
        str(resource.get("url", "")),
        code,
        kind,
        base,
        expression,
        target,
        parts,
    )
    for type in base:
        _check_expression(found, type)
    return found


def _base(resource: Mapping[str, Any]) -> tuple[str, ...]:
    named = list(resource.get("base", ()))
    if "Resource" in named or "DomainResource" in named:
        named = list(searchable_types())
    found = tuple(sorted(set(named) - NOT_INDEXED)) if len(named) > 1 else tuple(named)
    for type in found:
        if type not in searchable_types() or type in NOT_INDEXED:
            raise _wrong(f"records of type {type} are not indexed", "base", "Name another type.")
    if not found:
        raise _wrong("it is for no resource type", "base", "Name at least one.")
    return found


def _check_free(code: str, base: Sequence[str], id: str, known: SearchParameters) -> None:
    for type in base:
        if code in search_parameters(type):
            raise Conflict(
                f"{type} has a search parameter {code} by the standard.",
                hint="Choose another code.",
                slug="parameter-taken",
                location="SearchParameter.code",
            )
    others = [one for one in known.customs if one.id != id and one.state != "retiring"]
    for one in others:
        if one.code == code and (both := sorted(set(one.base) & set(base))):
            raise Conflict(
                f"{both[0]} has a search parameter {code} already: SearchParameter/{one.id}.",
                hint="Change that one, retire it first, or choose another code.",
                slug="parameter-taken",
                location="SearchParameter.code",
            )
    if len(others) >= MOST:
        raise Unsupported(
            f"This server has {MOST} search parameters of its own, and no more are taken.",
            hint="Retire one that nobody uses.",
            slug="too-many-parameters",
            code="too-costly",
        )


def _parts(resource: Mapping[str, Any], base: str, known: SearchParameters) -> tuple[Part, ...]:
    listed = list(resource.get("component", ()))
    if not 2 <= len(listed) <= MOST_PARTS:
        raise _wrong(
            f"a composite has 2 to {MOST_PARTS} components", "component", "Name each in its order."
        )
    found = []
    for number, one in enumerate(listed):
        where = f"component[{number}]"
        url = str(one.get("definition", "")).partition("|")[0]
        param = _defined(url, base, known)
        if param is None:
            raise _wrong(
                f"{url!r} is no search parameter of {base}",
                f"{where}.definition",
                f"Name one of the standard (http://hl7.org/fhir/SearchParameter/{base}-…) or one "
                "of this server by its url.",
            )
        allowed = LAST if number == len(listed) - 1 else FIRST
        if param.type not in allowed:
            raise _wrong(
                f"a {param.type} cannot stand as component {number + 1}",
                f"{where}.definition",
                f"There may stand: {', '.join(sorted(allowed))}.",
            )
        found.append(Part(param.code, param.type, str(one.get("expression", "")), param.target))
    return tuple(found)


def _defined(url: str, base: str, known: SearchParameters) -> SearchParameter | None:
    """The parameter of a type that a canonical names: `…/SearchParameter/clinical-code` is `code`
    of each type that has it."""
    for param in known.written(base):
        if param.custom is not None and param.custom.url == url:
            return param
    name = url.removeprefix("http://hl7.org/fhir/SearchParameter/")
    if name == url:
        return None
    fits = [code for code in search_parameters(base) if f"-{name}".endswith(f"-{code}")]
    return search_parameters(base)[max(fits, key=len)] if fits else None


# --- expressions ----------------------------------------------------------------------------------


def _check_expression(custom: Custom, type: str) -> None:
    _check_text(custom.expression, "expression")
    found, kinds = _static(custom.expression, type)
    if found:
        raise _wrong(found[0], "expression", "The elements are listed at hl7.org/fhir/R4.")
    if custom.type != "composite":
        _check_kinds(custom.type, kinds, "expression")
        return
    for number, part in enumerate(custom.parts):
        where = f"component[{number}].expression"
        _check_text(part.expression, where)
        for one in sorted(kinds or ()):
            problems, ends_ = _static(part.expression, one)
            if problems:
                raise _wrong(problems[0], where, "It goes on from the composite's expression.")
            _check_kinds(part.type, ends_, where)


def _check_text(text: str, where: str) -> None:
    from sokhoe.fhir import path

    if not 0 < len(text) <= LONGEST:
        raise _wrong(f"an expression has 1 to {LONGEST} characters", where, "Write FHIRPath.")
    try:
        path.expression(text)
    except Invalid as error:
        raise Invalid(
            error.message,
            hint=error.hint,
            slug="parameter-expression",
            status=422,
            location=f"SearchParameter.{where}",
        ) from error
    bad = sorted(path.functions_in(text) & _FORBIDDEN)
    if bad or _BEYOND.search(text):
        what = f"{bad[0]}()" if bad else "what stands behind resolve()"
        raise _wrong(
            f"{what} looks beyond the record that is indexed",
            where,
            "Use what the record itself says; other records are reached by a chain or _has.",
        )


def _check_kinds(kind: str, kinds: frozenset[str] | None, where: str) -> None:
    if kinds is not None and not kinds & set(ENDS[kind]):
        raise _wrong(
            f"it gives {' or '.join(sorted(kinds))}, and a {kind} parameter is not made of that",
            where,
            f"A {kind} parameter is made of {', '.join(ENDS[kind])}.",
        )


@lru_cache(maxsize=2048)
def _static(text: str, type: str) -> tuple[list[str], frozenset[str] | None]:
    """What is wrong with an expression on this type, and the datatypes it may give (None: not
    known before a record is seen)."""
    from sokhoe.fhir import path

    return path.foreseen(text, type)


def _part_ends(custom: Custom, part: Part, type: str) -> tuple[str, ...]:
    found: set[str] = set()
    for one in _static(custom.expression, type)[1] or ():
        found |= _static(part.expression, one)[1] or {""}
    return tuple(sorted(found))


def _ends(custom: Custom, type: str) -> tuple[str, ...]:
    """The datatypes that a parameter is surely made of; none if that is not known."""
    if custom.type == "composite":
        return ()
    return tuple(sorted(_static(custom.expression, type)[1] or ()))


def _kinds() -> str:
    return ", ".join((*ENDS, "composite"))


def _wrong(reason: str, element: str, way_out: str) -> Invalid:
    return Invalid(
        f"This SearchParameter cannot be used: {reason}.",
        hint=way_out,
        slug="parameter-refused",
        status=422,
        location=f"SearchParameter.{element}",
    )

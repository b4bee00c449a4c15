"""One `name=value` of a search as conditions that must all hold.

Rules: hl7.org/fhir/R4/search.html (modifiers in 3.1.1.5.3, chains in 3.1.1.5.10, `_has` in .11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice, product
from typing import Literal

from sokhoe.errors import Invalid, NotFound, SokhoeError, Unavailable, Unsupported
from sokhoe.fhir.search import composites, values
from sokhoe.fhir.search.custom import STANDARD, Custom, Part, SearchParameters, present_key
from sokhoe.fhir.search.definitions import (
    SearchParameter,
    main_dates,
    search_parameters,
    searchable_types,
)
from sokhoe.fhir.search.expanding import Code, Expander
from sokhoe.fhir.search.fold import words
from sokhoe.fhir.search.hashing import key, prefix
from sokhoe.fhir.search.query import (
    AnyOf,
    Condition,
    Dates,
    DateTest,
    Keys,
    Linked,
    Missing,
    Near,
    Numbers,
    NumberTest,
    Pointed,
    Scan,
    Texts,
    Written,
)

MOST_VALUES = 500  # values in one parameter
MOST_CODES = 20_000  # codes of a value set
DEEPEST = 16  # steps of a chain
MOST_STEPS = 2_000  # conditions of one search, chains over many types counted for each

_MODIFIERS = {
    "token": ":not, :text, :in, :not-in, :above, :below, :of-type (identifiers), :missing",
    "string": ":exact, :contains, :missing",
    "date": ":missing",
    "number": ":missing",
    "quantity": ":missing",
    "uri": ":above, :below, :missing",
}
_SECRET = (":Identifier", ":ContactPoint")
Where = tuple[Condition, ...]


@dataclass(slots=True)
class Reader:
    """Reads the conditions of one search. `steps`: how many it may still have; `known`: the
    parameters there are."""

    expander: Expander | None = None
    steps: int = MOST_STEPS
    known: SearchParameters = STANDARD

    def parameters(self, type: str) -> Mapping[str, SearchParameter]:
        return self.known.of(type)

    def condition(self, type: str, name: str, value: str, depth: int = 0) -> Where:
        """One `name=value` on records of a type."""
        self.steps -= 1
        if depth > DEEPEST or self.steps < 0:
            raise Unsupported(
                f"{name} goes on over too many references.",
                hint="Name the type of a reference (subject:Patient.name), or search in two steps.",
                slug="search-too-deep",
                code="too-costly",
                location=name,
            )
        if name.startswith("_has:"):
            return (self._pointed(type, name, value, depth),)
        first, dot, rest = name.partition(".")
        if dot:
            return (self._linked(type, first, rest, value, depth),)
        code, colon, modifier = name.partition(":")
        if colon and not modifier:
            raise Invalid(f"{name} ends in a colon without a modifier.", location=name)
        parts = _parts(name, value)
        if not modifier and code in ("_text", "_content", "_list"):
            return _anywhere(type, code, parts)
        param = self.parameter(type, code)
        if modifier == "missing":
            return (_missing(type, param, value),)
        if param.type == "composite" and param.custom is not None and not modifier:
            return (_together(type, param, param.custom, parts),)
        if param.type == "composite" and not modifier:
            return self._composite(type, param, parts)
        if modifier in ("in", "not-in", "above", "below") and param.type == "token":
            return (self._coded(type, param, modifier, parts),)
        return simple(type, param, modifier, parts)

    def parameter(self, type: str, code: str) -> SearchParameter:
        known = self.parameters(type)
        if code in known:
            if not known[code].is_ready:
                raise _not_ready(type, code)
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

    # --- other records --------------------------------------------------------------------------

    def _linked(self, type: str, first: str, rest: str, value: str, depth: int) -> Linked:
        """`subject:Patient.name=an`, `patient.identifier=…`, several steps in one."""
        code, _, only = first.partition(":")
        param = self.parameter(type, code)
        if param.type != "reference":
            raise Invalid(
                f"{code} of {type} is no reference, so {code}.{rest} leads nowhere.", location=first
            )
        if only and only not in param.target:
            raise Invalid(f"{code} of {type} cannot point at {only}.", location=first)
        branches: list[tuple[str, Where]] = []
        errors: list[SokhoeError] = []
        for one in [only] if only else targets(param):
            try:
                branches.append((one, self.condition(one, rest, value, depth + 1)))
            except (Invalid, Unsupported) as error:
                if error.slug in ("bad-search-value", "search-too-deep"):
                    raise
                errors.append(error)
        if not branches:
            raise (
                errors[0]
                if errors
                else Unsupported(f"{first}.{rest} leads nowhere.", location=first)
            )
        return Linked(f"{first}.{rest}", key(prefix(type, param.stored[0])), tuple(branches))

    def _pointed(self, type: str, name: str, value: str, depth: int) -> Pointed:
        """`_has:Observation:patient:code=…`: what points here, by which parameter, with what."""
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise Invalid(
                f"{name} is incomplete.",
                hint="Write _has:Type:reference:parameter=value.",
                location=name,
            )
        _, source, code, rest = parts
        param = self.parameter(source, code)
        if param.type != "reference" or type not in targets(param):
            raise Invalid(f"{code} of {source} does not point at {type}.", location=name)
        where = self.condition(source, rest, value, depth + 1)
        return Pointed(name, source, key(prefix(source, param.stored[0])), where)

    # --- code systems ---------------------------------------------------------------------------

    def _coded(
        self, type: str, param: SearchParameter, modifier: str, parts: Sequence[str]
    ) -> Keys:
        """`:in` and `:not-in` a value set, `:above` and `:below` a code."""
        name = f"{param.code}:{modifier}"
        if self.expander is None or param.code in ("_id", "_tag", "_security"):
            raise _no_modifier(type, param, modifier)
        asked: Callable[[str], Iterable[Code]]
        if modifier in ("in", "not-in"):
            expander = self.expander
            asked = lambda part: expander.codes(values.unescape(part))  # noqa: E731
        else:
            look = self.expander.below if modifier == "below" else self.expander.above
            asked = lambda part: look(*values.coded(param, part))  # noqa: E731
        found: set[Code] = set()
        for part in parts:
            try:
                found.update(asked(part))
            except NotFound as error:
                raise Invalid(
                    f"{name}={part}: {error.message}",
                    hint=error.hint,
                    slug="unknown-code-set",
                    code="not-found",
                    location=name,
                ) from error
            if len(found) > MOST_CODES:
                raise Unsupported(
                    f"{name}={part} stands for more than {MOST_CODES} codes.",
                    hint="Ask for a narrower value set.",
                    slug="too-many-codes",
                    code="too-costly",
                    location=name,
                )
        bare = values.is_bare(param)
        keys = tuple(
            key(start + (code if bare or not system else f"{system}|{code}"))
            for start in values.starts(type, param)
            for system, code in sorted(found)
        )
        return Keys(param.code, keys, modifier == "not-in")

    # --- composites -----------------------------------------------------------------------------

    def _composite(self, type: str, param: SearchParameter, parts: Sequence[str]) -> Where:
        options: list[Where] = []
        for part in parts:
            pieces = values.split(part, "$")
            if len(pieces) != len(param.components) or not all(pieces):
                raise values.wrong(
                    param, part, f"write {'$'.join(param.components)}, a $ in a value as \\$"
                )
            for base in composites.bases(type, param.code):
                options.append(_element(type, param, base, pieces))
        return any_of(param.code, options)


def _element(
    type: str, param: SearchParameter, base: composites.Base, pieces: Sequence[str]
) -> Where:
    """A composite in one kind of element."""
    if base.repeats and len(pieces) == 2:
        return (_pair(type, param, base, pieces),)
    each = tuple(
        one
        for component, piece in zip(base.components, pieces, strict=True)
        for one in simple(type, _only(type, component), "", [piece])
    )
    if not base.repeats:
        return each
    return (*each, Scan(param.code, "together", (), ((base, each),)))


def _together(
    type: str, param: SearchParameter, custom: Custom, parts: Sequence[str]
) -> Keys | Numbers | Dates:
    """A composite of our own: the last component under the hash of those before it."""
    keys: list[int] = []
    numbers: list[NumberTest] = []
    dates: list[tuple[int, DateTest]] = []
    for part in parts:
        pieces = values.split(part, "$")
        if len(pieces) != len(custom.parts) or not all(pieces):
            raise values.wrong(
                param, part, f"write {'$'.join(param.components)}, a $ in a value as \\$"
            )
        *first, last = [_defining(param, one, n) for n, one in enumerate(custom.parts)]
        begin = [_written(one, piece) for one, piece in zip(first, pieces[:-1], strict=True)]
        for together in islice(product(*begin), MOST_VALUES):
            start = prefix(type, param.stored[0]) + "$".join(together) + "$"
            match last.type:
                case "quantity":
                    split = [values.unescape(one) for one in values.split(pieces[-1], "|")]
                    numbers += values.measured(last, start, split, pieces[-1])
                case "number":
                    numbers.append(values.number(last, key(start), pieces[-1]))
                case "date":
                    dates.append((key(start) & ~3, values.date(last, pieces[-1])))
                case _:
                    keys += [key(start + one) for one in _written(last, pieces[-1])]
    if dates:
        if len({at for at, _ in dates}) > 1:
            raise values.wrong(param, parts[0], "with a date, name one first component at a time")
        return Dates(param.code, dates[0][0], tuple(test for _, test in dates))
    return Numbers(param.code, tuple(numbers)) if numbers else Keys(param.code, tuple(keys))


def _written(param: SearchParameter, text: str) -> list[str]:
    """A component as it may stand in the index."""
    match param.type:
        case "reference":
            return values.referenced(param, text)
        case "uri":
            return [values.unescape(text)]
    return [values.written(param, text)]


def _defining(whole: SearchParameter, part: Part, number: int) -> SearchParameter:
    """A component as a parameter, for reading its value."""
    ends = whole.component_ends[number] if number < len(whole.component_ends) else ()
    return SearchParameter(
        part.code, part.type, part.expression, (f"={part.expression}",), part.target, ends=ends
    )


def _only(type: str, component: composites.Component) -> SearchParameter:
    """The parameter of a component, as far as it is about this element."""
    param = component.param
    if len(param.stored) == 1:
        return param
    parts = search_parameters(type)
    stored = tuple(one for one in param.stored if set(parts[one].paths) <= set(component.paths))
    return replace(param, stored=stored, paths=component.paths)


def _pair(
    type: str, param: SearchParameter, base: composites.Base, pieces: Sequence[str]
) -> Keys | Numbers:
    first, second = base.components
    start = prefix(type, param.stored[0]) + values.written(first.param, pieces[0]) + "$"
    match second.param.type:
        case "quantity":
            split = [values.unescape(one) for one in values.split(pieces[1], "|")]
            if len(split) == 3 and not split[1]:
                raise values.wrong(param, pieces[1], "inside a composite write number|system|code")
            return Numbers(
                param.code, tuple(values.measured(second.param, start, split, pieces[1]))
            )
        case "reference":
            named = values.referenced(second.param, pieces[1])
            return Keys(param.code, tuple(key(start + one) for one in named))
    return Keys(param.code, (key(start + values.written(second.param, pieces[1])),))


def any_of(name: str, options: Sequence[Where]) -> Where:
    return options[0] if len(options) == 1 else (AnyOf(name, tuple(options)),)


def targets(param: SearchParameter) -> Sequence[str]:
    """The types a reference parameter may point at, all if that is not said."""
    known = searchable_types()
    return [one for one in param.target if one in known] or known


def simple(type: str, param: SearchParameter, modifier: str, parts: Sequence[str]) -> Where:
    """Conditions without a chain, by kind of parameter and modifier."""
    if param.code == "_lastUpdated" and not modifier:
        return (Written(param.code, tuple(values.date(param, part) for part in parts)),)
    start = key(prefix(type, param.stored[0]))
    match param.type, modifier:
        case "token", "" | "not":
            keys = _all(values.token(type, param, part) for part in parts)
            return (Keys(param.code, keys, modifier == "not", _secrecy(param)),)
        case "token", "of-type" if _has_identifiers(param):
            keys = _all(values.of_type(type, param, part) for part in parts)
            return (Keys(param.code, keys, personal="all"),)
        case "token", "text" if param.code != "_id":
            wanted = tuple((values.folded(param, part),) for part in parts)
            return (Scan(f"{param.code}:text", "text", param.paths, wanted),)
        case "reference", "identifier":
            keys = _all(values.identifier(type, param, part) for part in parts)
            return (Keys(param.code, keys, personal="all"),)
        case "reference", _ if not modifier or modifier in param.target:
            only = modifier or None
            found = _all(values.reference(type, param, only, part) for part in parts)
            return (Keys(param.code, found),)
        case ("uri", "") | ("string", "exact"):
            keys = _all(values.plain(type, param, part) for part in parts)
            return (Keys(param.code, keys, personal="all" if modifier else ""),)
        case "uri", "above":
            return (Keys(param.code, _all(values.above(type, param, part) for part in parts)),)
        case "uri", "below" if param.code.startswith("_"):
            begin = tuple((values.unescape(part),) for part in parts)
            return (Scan(f"{param.code}:below", "below", param.paths, begin),)
        case "uri", "below":
            return (Texts(param.code, start, tuple(values.unescape(part) for part in parts)),)
        case "string", "" | "contains":
            folded = tuple(values.folded(param, part) for part in parts)
            return (Texts(param.code, start, folded, modifier == "contains"),)
        case "date", "":
            tests = tuple(values.date(param, part) for part in parts)
            main = main_dates(type)[:1] == (param.code,)
            return (Dates(param.code, start & ~3, tests, main),)
        case "number", "":
            return (Numbers(param.code, tuple(values.number(param, start, one) for one in parts)),)
        case "quantity", "":
            return _quantities(type, param, parts)
        case "special", "":
            places = tuple(values.near(param, part) for part in parts)
            begin_ = prefix(type, param.code)
            return (Near(param.code, key(f"{begin_}lat"), key(f"{begin_}lon"), places),)
    raise _no_modifier(type, param, modifier)


def _has_identifiers(param: SearchParameter) -> bool:
    return "Identifier" in param.ends or any(":Identifier" in path for path in param.paths)


def _secrecy(param: SearchParameter) -> Literal["", "all", "some"]:
    """Whether a token parameter's values are identifiers or contacts; of an expression that may
    give anything: some may be."""
    if param.is_expressed and not param.ends:
        return "some"
    ends = [f":{one}" for one in param.ends]
    secret = [any(kind in path for kind in _SECRET) for path in ends or param.paths]
    return "all" if secret and all(secret) else "some" if any(secret) else ""


def _quantities(type: str, param: SearchParameter, parts: Sequence[str]) -> Where:
    """What names a unit without a system is found by its number, then looked up."""
    options: list[Where] = []
    whole: list[str] = []
    for part in parts:
        named = values.with_unit(param, part)
        if named is None:
            whole.append(part)
            continue
        numbers = Numbers(param.code, tuple(values.quantity(type, param, part)))
        options.append((numbers, Scan(param.code, "unit", param.paths, (named,))))
    if whole:
        tests = [test for part in whole for test in values.quantity(type, param, part)]
        options.append((Numbers(param.code, tuple(tests)),))
    return any_of(param.code, options)


def _anywhere(type: str, code: str, parts: Sequence[str]) -> Where:
    """`_text`, `_content`, `_list`."""
    if code == "_list":
        return (_listed(parts),)
    wanted = [tuple(dict.fromkeys(words(values.unescape(part)))) for part in parts]
    if not all(wanted):
        raise Invalid(f"{code}: there is no word to look for in it.", location=code)
    if code == "_content":
        return (Scan(code, "content", (), tuple(wanted)),)
    return any_of(
        code,
        [
            tuple(Keys(code, (key(f"{type}|_text|{word}"),), personal="all") for word in one)
            for one in wanted
        ],
    )


def _listed(parts: Sequence[str]) -> Pointed:
    """`_list=42`: what the entries of List/42 point at."""
    if any(part.startswith("$") for part in parts):
        raise Unsupported(
            f"The list {parts[0]} is not kept here.",
            hint="Lists of one's own can be asked for by their id.",
            location="_list",
        )
    own = key(prefix("List", "_id"))
    ids = tuple(own ^ key(f"List/{values.unescape(part).removeprefix('List/')}") for part in parts)
    return Pointed("_list", "List", key(prefix("List", "item")), (Keys("_id", ids),))


def _parts(name: str, value: str) -> list[str]:
    parts = values.split(value, ",")
    if len(parts) > MOST_VALUES:
        raise Invalid(f"{name} has more than {MOST_VALUES} values.", location=name)
    found = [part for part in parts if part.strip()]
    if not found:
        raise Invalid(
            f"{name} has no value.", hint="Leave the parameter out or give it one.", location=name
        )
    return found


def _all(lists: Iterable[list[int]]) -> tuple[int, ...]:
    return tuple(one for keys in lists for one in keys)


def _missing(type: str, param: SearchParameter, value: str) -> Missing | Keys:
    if not param.present and param.custom is None:
        raise _no_modifier(type, param, "missing")
    if value not in ("true", "false"):
        raise Invalid(
            f"{param.code}:missing={value}: choose one of true, false.",
            location=f"{param.code}:missing",
            slug="bad-search-value",
        )
    if param.custom is not None:
        return Keys(f"{param.code}:missing", (present_key(type, param),), value == "true")
    return Missing(param.code, type, param.present, value == "true")


def _not_ready(type: str, code: str) -> Unavailable:
    return Unavailable(
        f"The records are still being indexed by {code} of {type}.",
        hint="An answer now would leave some out. Try again in a moment; how far it is tells the "
        "operator: sokhoe reindex --status",
        slug="not-ready",
        location=code,
    )


def _no_modifier(type: str, param: SearchParameter, modifier: str) -> Unsupported:
    able = _MODIFIERS.get(param.type, "none")
    if param.type == "reference":
        able = f":identifier, :missing, {', '.join(f':{one}' for one in param.target[:8])}"
    return Unsupported(
        f"{param.code}:{modifier} is not supported for {type}.",
        hint=f"Modifiers of this parameter: {able}.",
        slug="unsupported-modifier",
        location=f"{param.code}:{modifier}",
    )

"""What stands right of the equals sign, by kind of parameter.

Rules: hl7.org/fhir/R4/search.html (escaping in 3.1.1.5.6, prefixes in 3.1.1.5.8).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import cast, get_args

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir.search.compiled import prefix as prefix_of
from sokhoe.fhir.search.dates import stretch
from sokhoe.fhir.search.definitions import SearchParameter, searchable_types
from sokhoe.fhir.search.fold import fold
from sokhoe.fhir.search.hashing import key
from sokhoe.fhir.search.leaves import target
from sokhoe.fhir.search.query import DateTest, NumberTest, Prefix

_PREFIXED = re.compile(r"([a-z]{2})(?=[-+\d.])")
_PREFIXES = frozenset(get_args(Prefix))
UCUM = "http://unitsofmeasure.org"
# A token parameter on these datatypes has no system of its own, so one that is given is no help.
_BARE = {"code", "boolean", "id", "string", "uri", "exists"}


def split(text: str, separator: str) -> list[str]:
    """Split at separators without a backslash before them; the parts stay escaped."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text) if "\\" in text else text


def starts(type: str, param: SearchParameter) -> list[str]:
    """The beginnings of the hashed texts under which a parameter's values are indexed."""
    return [prefix_of(type, code) for code in param.stored]


def token(type: str, param: SearchParameter, text: str) -> list[int]:
    """The hashes for `code`, `system|code`, `|code` (no system) or `system|` (any code)."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2:
        raise _wrong(param, text, "write system|code; a | inside a code is escaped as \\|")
    code = parts[-1]
    if param.code == "_id":
        return [key(start) ^ key(f"{type}/{code}") for start in starts(type, param)]
    if not any(parts):
        raise _wrong(param, text, "there is neither a system nor a code in it")
    if len(parts) == 1 or {path.partition(":")[2] for path in param.paths} <= _BARE:
        return [key(f"{start}{code}") for start in starts(type, param)]
    return [key(f"{start}{parts[0]}|{code}") for start in starts(type, param)]


def identifier(type: str, param: SearchParameter, text: str) -> list[int]:
    """`subject:identifier=system|value`."""
    parts = [unescape(part) for part in split(text, "|")]
    return [key(f"{start[:-1]}:identifier|{'|'.join(parts[:2])}") for start in starts(type, param)]


def reference(type: str, param: SearchParameter, only: str | None, text: str) -> list[int]:
    """The hashes for `Type/id`, a URL, or a bare id (of any type the parameter may point at)."""
    hashed = [key(start) for start in starts(type, param)]
    text = unescape(text)
    if re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", text):
        types = [only] if only else param.target or searchable_types()
        return [start ^ key(f"{one}/{text}") for start in hashed for one in types]
    found = target(text)
    if found is None or (found.local and found.type not in searchable_types()):
        raise _wrong(param, text, "write Type/id, an id, or a URL")
    if only and found.type != only:
        raise _wrong(param, text, f"it is not a {only}, which the modifier demands")
    return [start ^ found.key for start in hashed]


def plain(type: str, param: SearchParameter, text: str) -> list[int]:
    """The hashes for a uri, or for a string that must be exactly so."""
    return [key(start + unescape(text)) for start in starts(type, param)]


def folded(param: SearchParameter, text: str) -> str:
    found = fold(unescape(text))
    if not found:
        raise _wrong(param, text, "there is nothing to look for in it")
    return found


def date(param: SearchParameter, text: str) -> DateTest:
    prefix, rest = _prefix(param, text)
    # a + before the offset arrives as a space when the client forgot to escape it
    rest = rest.replace(" ", "+")
    try:
        low, high = stretch(rest)
    except (ValueError, OverflowError) as error:
        raise _wrong(param, text, "write YYYY, YYYY-MM, YYYY-MM-DD or a time with it") from error
    if prefix == "ap":  # a tenth of the distance from now, at least as wide as what was written
        slack = abs(clock.now() - low) // 10
        low, high = low - slack, high + slack
    return DateTest(prefix, low, high)


def number(param: SearchParameter, param_key: int, text: str) -> NumberTest:
    prefix, rest = _prefix(param, text)
    try:
        value = Decimal(rest)
        if not value.is_finite():
            raise InvalidOperation
    except InvalidOperation as error:
        raise _wrong(param, text, "write a number like 5.4 or ge5.4") from error
    if prefix == "ap":
        slack = abs(value) / 10
    else:  # 100 means 99.5 to 100.5, 100.00 means 99.995 to 100.005
        slack = Decimal(5).scaleb(cast(int, value.as_tuple().exponent) - 1)
    return NumberTest(param_key, prefix, float(value), float(value - slack), float(value + slack))


def quantity(type: str, param: SearchParameter, text: str) -> list[NumberTest]:
    """`5.4`, `5.4|system|code`, or `5.4||code` (a UCUM code, or the unit if it has no code)."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) == 1:
        units = [""]
    elif len(parts) == 3 and parts[2]:
        systems = [parts[1]] if parts[1] else ["", UCUM]
        units = [f"{system}|{parts[2]}" for system in systems]
    else:
        raise _wrong(param, text, "write number, number|system|code or number||unit")
    return [
        number(param, key(start + unit), parts[0])
        for start in starts(type, param)
        for unit in units
    ]


def _prefix(param: SearchParameter, text: str) -> tuple[Prefix, str]:
    match = _PREFIXED.match(text)
    if not match:
        return "eq", text
    if match.group(1) not in _PREFIXES:
        raise _wrong(param, text, f"the prefixes are {', '.join(sorted(_PREFIXES))}")
    return cast(Prefix, match.group(1)), text[2:]


def _wrong(param: SearchParameter, text: str, way_out: str) -> Invalid:
    return Invalid(
        f"{param.code}={text} is not a {param.type} to search for: {way_out}.",
        location=param.code,
        slug="bad-search-value",
    )

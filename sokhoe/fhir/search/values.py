"""What stands right of the equals sign, by kind of parameter.

Rules: hl7.org/fhir/R4/search.html (escaping in 3.1.1.5.6, prefixes in 3.1.1.5.8).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import cast, get_args

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir.search.dates import stretch
from sokhoe.fhir.search.definitions import SearchParameter, searchable_types
from sokhoe.fhir.search.fold import fold
from sokhoe.fhir.search.hashing import key
from sokhoe.fhir.search.hashing import prefix as prefix_of
from sokhoe.fhir.search.leaves import target
from sokhoe.fhir.search.query import DateTest, NumberTest, Prefix
from sokhoe.fhir.search.units import UCUM, dimension, in_base
from sokhoe.fhir.units import unit

_PREFIXED = re.compile(r"([a-z]{2})(?=[-+\d.])")
_PREFIXES = frozenset(get_args(Prefix))
# Metres in a unit of distance (hl7.org/fhir/R4/location.html#positional).
_METRES = {"km": 1000.0, "m": 1.0, "[mi_us]": 1609.3472, "mi": 1609.344, "[mi_i]": 1609.344}
USUAL_DISTANCE = 50.0  # km, when a search says only where
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
        raise wrong(param, text, "write system|code; a | inside a code is escaped as \\|")
    code = parts[-1]
    if param.code == "_id":
        return [key(start) ^ key(f"{type}/{code}") for start in starts(type, param)]
    if not any(parts):
        raise wrong(param, text, "there is neither a system nor a code in it")
    if len(parts) == 1 or is_bare(param):
        return [key(f"{start}{code}") for start in starts(type, param)]
    return [key(f"{start}{parts[0]}|{code}") for start in starts(type, param)]


def is_bare(param: SearchParameter) -> bool:
    """Whether a token's values have no system of their own."""
    if param.is_expressed:
        return bool(param.ends) and set(param.ends) <= _BARE
    return {path.partition(":")[2] for path in param.paths} <= _BARE


def written(param: SearchParameter, text: str) -> str:
    """A token inside a composite, as it is indexed there: `code`, `system|code` or `|code`."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise wrong(param, text, "inside a composite write code or system|code")
    return parts[-1] if is_bare(param) else "|".join(parts)


def coded(param: SearchParameter, text: str) -> tuple[str, str]:
    """System and code, for what asks a terminology."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise wrong(param, text, "write system|code")
    return parts[0] if len(parts) == 2 else "", parts[-1]


def of_type(type: str, param: SearchParameter, text: str) -> list[int]:
    """`identifier:of-type=system|code|value`: an identifier of a kind."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts[1:]):
        raise wrong(param, text, "write system|code|value")
    return [key(f"{start[:-1]}:of-type|{'|'.join(parts)}") for start in starts(type, param)]


def above(type: str, param: SearchParameter, text: str) -> list[int]:
    """The hashes of a uri and of all it lies below, with and without a / at their end."""
    whole = unescape(text)
    found, rest = [whole], whole.rstrip("/")
    while "/" in rest and not rest.endswith(":/"):
        found += [rest, rest + "/"]
        rest = rest.rpartition("/")[0]
    return [key(start + one) for start in starts(type, param) for one in dict.fromkeys(found)]


def near(param: SearchParameter, text: str) -> tuple[float, float, float]:
    """`latitude|longitude|distance|unit` in degrees and metres."""
    parts = [*split(text, "|"), "", ""]
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
        distance = float(parts[2]) if parts[2] else USUAL_DISTANCE
        metres = distance * _METRES[parts[3] or "km"]
    except (ValueError, KeyError, IndexError) as error:
        raise wrong(
            param, text, f"write latitude|longitude|distance|unit, a unit of {', '.join(_METRES)}"
        ) from error
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and 0 <= metres < 3e7):
        raise wrong(param, text, "there is no such place")
    return latitude, longitude, metres


def identifier(type: str, param: SearchParameter, text: str) -> list[int]:
    """`subject:identifier=system|value`."""
    parts = [unescape(part) for part in split(text, "|")]
    return [key(f"{start[:-1]}:identifier|{'|'.join(parts[:2])}") for start in starts(type, param)]


def reference(type: str, param: SearchParameter, only: str | None, text: str) -> list[int]:
    """The hashes for `Type/id`, a URL, or a bare id (of any type the parameter may point at)."""
    hashed = [key(start) for start in starts(type, param)]
    return [start ^ key(one) for start in hashed for one in referenced(param, text, only)]


def referenced(param: SearchParameter, text: str, only: str | None = None) -> list[str]:
    """What a search for a reference may mean, as references are written."""
    text = unescape(text)
    narrow = [path.partition("(")[2].rstrip(")") for path in param.paths if path[:1] != "="]
    if re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", text):
        types = [only] if only else param.target or searchable_types()
        return [f"{one}/{text}" for one in types]
    found = target(text)
    if found is None or (found.local and found.type not in searchable_types()):
        raise wrong(param, text, "write Type/id, an id, or a URL")
    if only and found.type != only:
        raise wrong(param, text, f"it is not a {only}, which the modifier demands")
    if narrow and all(narrow) and found.type and found.type not in narrow:
        return []  # patient=Group/1: the parameter looks at patients only
    return [found.ref]


def plain(type: str, param: SearchParameter, text: str) -> list[int]:
    """The hashes for a uri, or for a string that must be exactly so."""
    return [key(start + unescape(text)) for start in starts(type, param)]


def folded(param: SearchParameter, text: str) -> str:
    found = fold(unescape(text))
    if not found:
        raise wrong(param, text, "there is nothing to look for in it")
    return found


def date(param: SearchParameter, text: str) -> DateTest:
    prefix, rest = _prefix(param, text)
    # a + before the offset arrives as a space when the client forgot to escape it
    rest = rest.replace(" ", "+")
    try:
        low, high = stretch(rest)
    except (ValueError, OverflowError) as error:
        raise wrong(param, text, "write YYYY, YYYY-MM, YYYY-MM-DD or a time with it") from error
    if prefix == "ap":  # a tenth of the distance from now, at least as wide as what was written
        slack = abs(clock.now() - low) // 10
        low, high = low - slack, high + slack
    return DateTest(prefix, low, high)


def number(param: SearchParameter, param_key: int, text: str) -> NumberTest:
    prefix, value, low, high = _amount(param, text)
    return NumberTest(param_key, prefix, float(value), float(low), float(high))


def _amount(param: SearchParameter, text: str) -> tuple[Prefix, Decimal, Decimal, Decimal]:
    """Prefix, number, and from where to where it counts as equal."""
    prefix, rest = _prefix(param, text)
    try:
        value = Decimal(rest)
        if not value.is_finite():
            raise InvalidOperation
    except InvalidOperation as error:
        raise wrong(param, text, "write a number like 5.4 or ge5.4") from error
    if prefix == "ap":
        slack = abs(value) / 10
    else:  # 100 means 99.5 to 100.5, 100.00 means 99.995 to 100.005
        slack = Decimal(5).scaleb(cast(int, value.as_tuple().exponent) - 1)
    return prefix, value, value - slack, value + slack


def quantity(type: str, param: SearchParameter, text: str) -> list[NumberTest]:
    """`5.4`, `5.4|system|code`, or `5.4||code`."""
    parts = [unescape(part) for part in split(text, "|")]
    return [one for start in starts(type, param) for one in measured(param, start, parts, text)]


def measured(param: SearchParameter, start: str, parts: list[str], text: str) -> list[NumberTest]:
    """The tests for a quantity indexed under hashes that begin with `start`. A UCUM unit is
    compared in base units. `5.4||mg` finds the number alone here (`with_unit` has the rest)."""
    if len(parts) == 1 or (len(parts) == 3 and parts[2] and not parts[1]):
        return [number(param, key(start), parts[0])]
    if len(parts) != 3 or not parts[2]:
        raise wrong(param, text, "write number, number|system|code or number||unit")
    system, code = parts[1:]
    known = unit(code) if system == UCUM else None
    if known is None:
        return [number(param, key(f"{start}{system}|{code}"), parts[0])]
    prefix, value, low, high = _amount(param, parts[0])
    ends = sorted(in_base(known, one) for one in (low, high))
    at = key(f"{start}~{dimension(known)}")
    return [NumberTest(at, prefix, in_base(known, value), ends[0], ends[1])]


def with_unit(param: SearchParameter, text: str) -> tuple[NumberTest, str] | None:
    """`5.4||mg`: the unit as it is written, as code or in words, together with its number."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) == 3 and not parts[1] and parts[2]:
        return number(param, 0, parts[0]), parts[2]
    return None


def _prefix(param: SearchParameter, text: str) -> tuple[Prefix, str]:
    match = _PREFIXED.match(text)
    if not match:
        return "eq", text
    if match.group(1) not in _PREFIXES:
        raise wrong(param, text, f"the prefixes are {', '.join(sorted(_PREFIXES))}")
    return cast(Prefix, match.group(1)), text[2:]


def wrong(param: SearchParameter, text: str, way_out: str) -> Invalid:
    return Invalid(
        f"{param.code}={text} is not a {param.type} to search for: {way_out}.",
        location=param.code,
        slug="bad-search-value",
    )

"""What a primitive value must look like: one yes-or-no function and one sentence for each.

Both validators use these, so they cannot differ. The patterns are those of
hl7.org/fhir/R4/datatypes.html; calendar days are checked as well (30 February is none), which the
patterns of the standard leave to the reader.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

LONGEST_STRING = 1024 * 1024
LARGEST_INT = 2**31 - 1

_YEAR = r"(?!0000)[0-9]{4}"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?!0000)(?:[02468][048]|[13579][26])00)"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = (
    rf"(?:{_YEAR}-(?:{_MONTH}-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"  # 60: leap second
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

# Below 32 only tab, line feed and carriage return may occur; half a surrogate pair is no letter.
_UNFIT = r"\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff"
_unfit = re.compile(f"[{_UNFIT}]").search

URI = re.compile(rf"[^\s{_UNFIT}]+")
CODE = re.compile(rf"[^\s{_UNFIT}]+(?: [^\s{_UNFIT}]+)*")
ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DATE = re.compile(rf"{_DAY}|{_YEAR}(?:-{_MONTH})?")
DATE_TIME = re.compile(rf"{_DAY}(?:T{_TIME}{_ZONE})?|{_YEAR}(?:-{_MONTH})?")
INSTANT = re.compile(rf"{_DAY}T{_TIME}{_ZONE}")
TIME = re.compile(_TIME)
# RFC 6838, with parameters; and the short words that FHIR allows for its own formats.
_PART = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
MEDIA_TYPE = re.compile(
    rf"{_PART}/{_PART}(?:\s*;\s*{_PART}=(?:{_PART}|\"[^\"\\]*\"))*|xml|json|ttl"
)


def is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -LARGEST_INT - 1 <= value <= LARGEST_INT
    )


def is_unsigned(value: Any) -> bool:
    return is_integer(value) and value >= 0


def is_positive(value: Any) -> bool:
    return is_integer(value) and value > 0


def is_decimal(value: Any) -> bool:
    """A whole number or a `Decimal`; not a float, which has lost its written digits."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def is_string(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_STRING and not _unfit(value)


def is_base64(value: Any) -> bool:
    """Base64 with padding; white space between the groups is allowed by R4."""
    if not isinstance(value, str) or not value:
        return False
    try:
        return bool(binascii.a2b_base64("".join(value.split()), strict_mode=True))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Primitive:
    """`check` says whether a value is one; `wish` completes "expected …".

    `pattern` is set where it decides alone, given that the value is a text.
    """

    check: Callable[[Any], bool]
    wish: str
    pattern: re.Pattern[str] | None = None


def _text(pattern: re.Pattern[str], wish: str) -> Primitive:
    match = pattern.fullmatch
    return Primitive(
        lambda value: isinstance(value, str) and match(value) is not None, wish, pattern
    )


_STRING = Primitive(is_string, "a text that is not empty, at most 1 MB, without control characters")
_URI = _text(URI, "an address without spaces, such as http://example.org/x or urn:oid:1.2")

PRIMITIVES: dict[str, Primitive] = {
    "boolean": Primitive(is_boolean, "true or false, without quotes"),
    "integer": Primitive(is_integer, "a whole number from -2147483648 to 2147483647"),
    "unsignedInt": Primitive(is_unsigned, "a whole number from 0 to 2147483647"),
    "positiveInt": Primitive(is_positive, "a whole number from 1 to 2147483647"),
    "decimal": Primitive(is_decimal, "a number without quotes, such as 72.50"),
    "string": _STRING,
    "markdown": _STRING,
    "xhtml": _STRING,
    "uri": _URI,
    "url": _URI,
    "canonical": _URI,
    "code": _text(CODE, "a code without spaces at the ends and no two spaces in a row"),
    "id": _text(ID, "an id of 1 to 64 letters A-Z a-z, digits, '-' or '.'"),
    "oid": _text(OID, "an OID such as urn:oid:1.2.3"),
    "uuid": _text(UUID, "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    "date": _text(DATE, "a day that exists: 1980, 1980-05 or 1980-05-17"),
    "dateTime": _text(
        DATE_TIME,
        "a moment that exists: 2024, 2024-05, 2024-05-17 or 2024-05-17T08:30:00+07:00",
    ),
    "instant": _text(INSTANT, "a moment that exists, with zone: 2024-05-17T08:30:00.000Z"),
    "time": _text(TIME, "a time of day such as 08:30:00"),
    "base64Binary": Primitive(is_base64, "base64 text whose length is a multiple of 4"),
}
for _name in ("string", "uri", "id"):
    PRIMITIVES["@" + _name] = PRIMITIVES[_name]

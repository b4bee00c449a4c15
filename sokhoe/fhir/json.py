"""Strict JSON: what the standard forbids is refused, and a decimal stays as it was written.

FHIR demands that 72.50 comes back as 72.50 (hl7.org/fhir/R4/json.html#decimal), so floats are
`Decimal` here. Duplicate keys are refused: two parsers would read two different records.
"""

from __future__ import annotations

import gc
import re
from decimal import Decimal
from typing import Any

import msgspec

from sokhoe.errors import Invalid

MAX_DEPTH = 100  # lists and objects inside each other; a deep questionnaire has some 30
MAX_EXPONENT = 400  # a double ends at 308; int(Decimal("1E+9999999")) would fill the memory

_BOM = b"\xef\xbb\xbf"
_SLUG = "not-json"
_COLON_ESCAPE = b"\\u003"  # \u003a is a colon
_STRING_OR_BRACKET = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}\[\]]', re.DOTALL)
_HALF_LETTER = re.compile(
    rb"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|[c-fC-F]..)",
)
_BYTE = re.compile(r"\s*\(byte (\d+)\)$")


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:  # an exponent of 19 digits
        raise OverflowError(text) from None
    if -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        return value
    raise OverflowError(text)


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(data: bytes | str) -> Any:
    """JSON text as plain values: dict in written order, list, str, int, Decimal, bool, None.

    Raises `Invalid` (400) with the byte where it goes wrong: broken JSON, bytes that are not UTF-8,
    the same key twice in one object, NaN, more than 100 levels, a number beyond 1E400.
    A byte order mark at the start is skipped, as RFC 8259 allows.
    """
    try:
        text = data.encode() if isinstance(data, str) else bytes(data)
    except UnicodeEncodeError as error:
        raise _refused(f"character {error.start} is half a surrogate pair") from None
    if text.startswith(_BOM):
        text = text[len(_BOM) :]
    try:
        value = _decoder.decode(text)
        written = _encoder.encode(value)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise _broken(text, error) from None
    if _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    # The decoder keeps the last of two equal keys, so what it wrote back has fewer colons: those
    # within strings are the same on both sides, unless one was written as an escape.
    if written != text and (written.count(b":") != text.count(b":") or _COLON_ESCAPE in text):
        _refuse_second_key(text)
    return value


def encode(obj: Any) -> bytes:
    """Plain values as compact JSON in UTF-8; keys in the order of the dict, decimals as written.

    Raises `Invalid` (422) for what JSON cannot hold: NaN, infinity, half a surrogate pair.
    """
    try:
        written = _encoder.encode(obj)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise _refused("a text holds half a surrogate pair", status=422) from None
    # The encoder writes a decimal NaN as NaN and a float NaN as null.
    if b"null" in written or b"NaN" in written or b"Infinity" in written:
        _refuse_nan(obj)
    return written


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether lists and objects lie more than `limit` deep.

    Level by level, in C: the garbage collector tracks all that can hold other containers, and an
    object of texts and numbers only may be untracked (so such a last level is not counted).
    """
    level = [value]
    for _ in range(limit):
        level = list(filter(gc.is_tracked, gc.get_referents(*level)))
        if not level:
            return False
    return True


def _refuse_second_key(text: bytes) -> None:
    """Raise if an object holds a key twice; `text` is known to be JSON."""
    objects: list[set[str]] = []
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in b"{[":
            objects.append(set())
        elif token in b"}]":
            objects.pop()
        elif match[2]:
            key = msgspec.json.decode(match[1], type=str)
            if key in objects[-1]:
                raise _refused(
                    f"the key '{key}' occurs a second time in the same object",
                    text,
                    match.start(),
                    hint="Keep one of the two; several values of one element form a list.",
                )
            objects[-1].add(key)


def _refuse_nan(value: Any) -> None:
    if isinstance(value, dict):
        for one in value.values():
            _refuse_nan(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _refuse_nan(one)
    elif isinstance(value, float | Decimal) and not Decimal(value).is_finite():
        raise _refused(
            f"JSON has no number {value}", status=422, hint="Leave the element out instead."
        )


def _too_deep() -> Invalid:
    return Invalid(
        f"The JSON has more than {MAX_DEPTH} lists and objects inside each other.",
        hint="Send it flatter, or in parts.",
        slug="too-deep",
        code="too-costly",
    )


def _broken(text: bytes, error: Exception) -> Invalid:
    """Why the decoder stopped, and at which byte."""
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return _refused(
            "the text is not UTF-8", text, wrong.start, hint="Save or send it as UTF-8."
        )
    if isinstance(error, OverflowError):
        number = str(error)
        return _refused(
            f"the number {number[:40]} has an exponent beyond {MAX_EXPONENT}",
            text,
            text.find(number.encode()),
        )
    reason = str(error).removeprefix("JSON is malformed: ").rstrip(".")
    if at := _BYTE.search(reason):
        past = reason.startswith("trailing characters")  # here the decoder names the byte after
        return _refused(reason[: at.start()], text, int(at[1]) - past)
    if half := _HALF_LETTER.search(text):
        return _refused("half a surrogate pair", text, half.start())
    if "truncated" in reason:
        return _refused("the text ends too early", text, len(text))
    return _refused(reason)


def _refused(
    reason: str, text: bytes = b"", position: int = -1, *, hint: str = "", status: int = 400
) -> Invalid:
    place = ""
    if position >= 0:
        line = text.count(b"\n", 0, position) + 1
        place = f" at byte {position} (line {line})"
    return Invalid(
        f"This is not the JSON that FHIR asks for: {reason}{place}.",
        hint=hint or "Correct the text at that place and send it again.",
        slug=_SLUG,
        status=status,
        code="structure",
    )

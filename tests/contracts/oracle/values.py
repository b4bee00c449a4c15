"""Whether a value of a record meets what was asked, by kind of parameter.

A value is a FHIRPath node: its datatype (`kind`) and its JSON (`value`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sokhoe.fhir.path import Node
from tests.contracts.oracle import amounts, moments, words

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
Test = Callable[[Any], bool]
_LOCAL = re.compile(r"([A-Z]\w+)/([A-Za-z0-9\-.]+)(/_history/.+)?")
_URL = re.compile(r"https?://.+/([A-Z]\w+)/[A-Za-z0-9\-.]+(/_history/.+)?")


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that have no backslash before them; still escaped."""
    found = [""]
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            found[-1] += letter + next(letters, "")
        elif letter == separator:
            found.append("")
        else:
            found[-1] += letter
    return found


def plain(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text)


def prefixed(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


# --- tokens -----------------------------------------------------------------------------------


def codes(item: Any) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) of a value. A system of "*" is implied, and says nothing."""
    kind, value = (item.kind, item.value) if isinstance(item, Node) else ("boolean", item)
    match kind:
        case "CodeableConcept":
            for one in value.get("coding", ()):
                yield one.get("system"), one.get("code")
        case "Coding":
            yield value.get("system"), value.get("code")
        case "Identifier" | "ContactPoint":
            yield value.get("system"), value.get("value")
        case "boolean":
            yield "*", "true" if value else "false"
        case _:
            yield "*", str(value)


def token(asked: str) -> Test:
    parts = [plain(part) for part in split(asked, "|")]

    def test(item: Any) -> bool:
        for system, code in codes(item):
            if len(parts) == 2 and system != "*" and (system or "") != parts[0]:
                continue
            if code == parts[-1] or (len(parts) == 2 and not parts[1] and system != "*"):
                return True
        return False

    return test


def token_text(asked: str) -> Test:
    """`:text`: the words beside a code, searched as a string."""

    return lambda item: any(words.begins(plain(asked), text) for text in beside(item))


def beside(item: Any) -> list[str]:
    """The words beside a code."""
    found = []
    match item.kind if isinstance(item, Node) else "":
        case "CodeableConcept":
            codings = item.value.get("coding", ())
            found = [item.value.get("text"), *(one.get("display") for one in codings)]
        case "Coding":
            found = [item.value.get("display")]
        case "Identifier":
            found = [item.value.get("type", {}).get("text")]
    return [text for text in found if text]


def of_type(asked: str) -> Test:
    system, code, value = (plain(part) for part in split(asked, "|"))

    def test(item: Any) -> bool:
        return item.value.get("value") == value and any(
            (one.get("system"), one.get("code")) == (system, code)
            for one in item.value.get("type", {}).get("coding", ())
        )

    return test


# --- references -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a reference points: `ref` without version; `local`: `Type/id` in this store."""

    type: str
    ref: str
    local: bool


def pointer(item: Node) -> Pointer | None:
    """None for what points nowhere by address: contained, by identifier, in words alone."""
    text = item.value.get("reference") if isinstance(item.value, dict) else item.value
    return read_pointer(text) if text else None


def read_pointer(text: str) -> Pointer | None:
    if text.startswith("#"):
        return None
    if found := _LOCAL.fullmatch(text):
        return Pointer(found[1], f"{found[1]}/{found[2]}", True)
    found = _URL.fullmatch(text)
    return Pointer(found[1] if found else "", text.partition("/_history/")[0], False)


def reference(asked: str, only: str | None, targets: tuple[str, ...]) -> Test:
    asked = plain(asked)
    if re.fullmatch(r"[A-Za-z0-9\-.]+", asked):
        wanted = {f"{one}/{asked}" for one in ([only] if only else targets)}
    else:
        one = read_pointer(asked)
        wanted = {one.ref} if one else set()

    def test(item: Node) -> bool:
        if item.kind in ("canonical", "uri"):
            return asked in (item.value, item.value.partition("|")[0])
        here = pointer(item)
        return here is not None and here.ref in wanted and (not only or here.type == only)

    return test


def identifier(asked: str) -> Test:
    """`:identifier`: what a reference says the record is known by."""
    inner = token(asked)

    def test(item: Node) -> bool:
        value = item.value.get("identifier") if isinstance(item.value, dict) else None
        return value is not None and inner(Node(value, "Identifier"))

    return test


# --- the others -------------------------------------------------------------------------------


def date(asked: str, now: int) -> Test:
    prefix, text = prefixed(asked)
    wanted = moments.stretch(text)
    return lambda item: any(
        moments.meets(prefix, wanted, one, now) for one in moments.of_value(item.kind, item.value)
    )


def number(asked: str) -> Test:
    prefix, text = prefixed(asked)
    return lambda item: amounts.meets(prefix, text, amounts.exact(item.value))


def quantity(asked: str) -> Test:
    prefix, rest = prefixed(asked)
    parts = [plain(part) for part in split(rest, "|")]
    return lambda item: any(
        amounts.quantity_meets(prefix, parts, one)
        for one in amounts.of_value(item.kind, item.value)
    )


def string(asked: str, modifier: str) -> Test:
    asked = plain(asked)
    meets: Callable[[str], bool]
    match modifier:
        case "exact":
            meets = lambda field: field == asked  # noqa: E731
        case "contains":
            meets = lambda field: words.contains(asked, field)  # noqa: E731
        case _:
            meets = lambda field: words.begins(asked, field)  # noqa: E731
    return lambda item: any(meets(field) for field in words.fields(item.kind, item.value))


def uri(asked: str, modifier: str) -> Test:
    asked = plain(asked)

    def test(item: Node) -> bool:
        value = str(item.value)
        match modifier:
            case "below":
                return value.startswith(asked)
            case "above":
                bare = value.partition("|")[0]
                return asked in (value, bare) or asked.startswith(bare.rstrip("/") + "/")
        return asked in (value, value.partition("|")[0])

    return test


def by_kind(kind: str, modifier: str, asked: str, targets: tuple[str, ...], now: int) -> Test:
    """The test of one value of a search, for one value of a record."""
    match kind, modifier:
        case "token", "" | "not":
            return token(asked)
        case "token", "text":
            return token_text(asked)
        case "token", "of-type":
            return of_type(asked)
        case "reference", "identifier":
            return identifier(asked)
        case "reference", _:
            return reference(asked, modifier or None, targets)
        case "date", "":
            return date(asked, now)
        case "number", "":
            return number(asked)
        case "quantity", "":
            return quantity(asked)
        case "string", _:
            return string(asked, modifier)
        case "uri", _:
            return uri(asked, modifier)
    raise ValueError(f"{kind}:{modifier}")

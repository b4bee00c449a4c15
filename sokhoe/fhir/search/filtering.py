"""`_filter`: a small language of and, or, not, compiled onto the conditions that others use.

    name co "an" and (birthdate ge 1980 or not (gender eq male))
    code in http://example.org/ValueSet/pressure
    subject.name sw "ng"          subject:Patient.organization.name eq "x"

Grammar: hl7.org/fhir/R4/search_filter.html. `ew`, `po` and paths with conditions
(`a[b eq c].d`) are not supported and say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir.search.query import AnyOf, Condition, Not

if TYPE_CHECKING:
    from sokhoe.fhir.search.conditions import Reader, Where

MOST_DEEP = 20
MOST_WORDS = 5_000
_TOKEN = re.compile(r'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')
# What an operation is called in the other syntax: a modifier, or a prefix of the value.
_MODIFIERS = {"in": ":in", "ni": ":not-in", "ss": ":above", "sb": ":below"}
_ORDERS = {"gt", "lt", "ge", "le", "ap", "sa", "eb"}


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return self.text


def filtered(reader: Reader, type: str, text: str) -> Where:
    """The conditions of a `_filter`. Invalid says at which word it could not be read."""
    parser = _Parser(reader, type, _words(text))
    found = parser.expression(0)
    if parser.words:
        raise _unread(f"{parser.words[0]} is left over")
    return found


def _words(text: str) -> list[_Word]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unread(f"a quotation mark is not closed near {text[at : at + 20]!r}")
        bracket, quoted, plain = match.groups()
        if quoted is not None:
            found.append(_Word(re.sub(r"\\(.)", r"\1", quoted), True))
        else:
            found.append(_Word(bracket or plain))
        at = match.end()
        if len(found) > MOST_WORDS:
            raise Invalid(
                f"_filter has more than {MOST_WORDS} words.",
                hint="Ask in several searches.",
                slug="too-costly",
                code="too-costly",
                location="_filter",
            )
    return found


@dataclass(slots=True)
class _Parser:
    reader: Reader
    type: str
    words: list[_Word]

    def expression(self, depth: int) -> Where:
        """`a or b or c`, where `and` binds closer."""
        if depth > MOST_DEEP:
            raise _unread("it goes too deep")
        options = [self._all(depth)]
        while self._next("or"):
            options.append(self._all(depth))
        return options[0] if len(options) == 1 else (AnyOf("_filter", tuple(options)),)

    def _all(self, depth: int) -> Where:
        found = list(self._one(depth))
        while self._next("and"):
            found += self._one(depth)
        return tuple(found)

    def _one(self, depth: int) -> Where:
        if depth > MOST_DEEP:
            raise _unread("it goes too deep")
        if self._next("not"):
            return (Not("_filter", self._one(depth + 1)),)
        if self._next("("):
            found = self.expression(depth + 1)
            if not self._next(")"):
                raise _unread("a bracket is not closed")
            return found
        return self._comparison()

    def _comparison(self) -> Where:
        name, operation, value = self._take("a parameter"), self._take("an operation"), None
        if "[" in name.text:
            raise Unsupported(
                f"_filter: {name} has conditions within a path, which is not supported.",
                hint="Use _has, or a chain.",
                location="_filter",
            )
        value = self._take("a value")
        return self._compiled(name.text, operation.text, value)

    def _compiled(self, name: str, operation: str, word: _Word) -> Where:
        end = self._end(name)
        value = re.sub(r"([,\\$])", r"\\\1", word.text)
        if end not in ("token", "quantity"):
            value = value.replace("|", "\\|") if end == "string" else value
        match operation:
            case "pr":
                there = {"true": "false", "false": "true"}.get(word.text, word.text)
                return self._read(f"{name}:missing", there)
            case "eq":
                return self._read(f"{name}:exact" if end == "string" else name, value)
            case "ne":
                equal = self._read(f"{name}:exact" if end == "string" else name, value)
                return (Not("_filter", equal),)
            case "co" | "sw" if end == "string":
                return self._read(f"{name}:contains" if operation == "co" else name, value)
            case "re" if end == "reference":
                return self._read(name, value)
            case _ if operation in _MODIFIERS and end in ("token", "uri"):
                return self._read(f"{name}{_MODIFIERS[operation]}", value)
            case _ if operation in _ORDERS and end in ("date", "number", "quantity"):
                return self._read(name, f"{operation}{value}")
        raise Unsupported(
            f"_filter: {operation} is not supported for {name}, which is a {end}.",
            hint="Known: eq ne pr; co sw (strings); gt lt ge le ap sa eb (dates, numbers); "
            "in ni ss sb (codes); re (references).",
            slug="unsupported-filter",
            location="_filter",
        )

    def _end(self, name: str) -> str:
        """The kind of the parameter at the end of a chain."""
        type = self.type
        *chain, last = name.split(".")
        for step in chain:
            code, _, only = step.partition(":")
            param = self.reader.parameter(type, code)
            type = only or (param.target[0] if param.target else type)
            if not only and len(param.target) != 1:
                raise Invalid(
                    f"_filter: {step} may point at several types.",
                    hint=f"Name one: {step}:{(param.target or ('Patient',))[0]}.",
                    location="_filter",
                )
        return self.reader.parameter(type, last).type

    def _read(self, name: str, value: str) -> tuple[Condition, ...]:
        return self.reader.condition(self.type, name, value)

    def _take(self, what: str) -> _Word:
        if not self.words or (self.words[0].text in ("(", ")") and not self.words[0].quoted):
            raise _unread(f"{what} is missing")
        return self.words.pop(0)

    def _next(self, text: str) -> bool:
        if self.words and self.words[0].text == text and not self.words[0].quoted:
            self.words.pop(0)
            return True
        return False


def _unread(why: str) -> Invalid:
    return Invalid(
        f"_filter cannot be read: {why}.",
        hint='Write like: name co "an" and (birthdate ge 1980 or not (gender eq male)).',
        slug="bad-filter",
        location="_filter",
    )

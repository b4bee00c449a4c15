"""The words of FHIRPath: text in, tokens out (hl7.org/fhirpath/N1/grammar.html)."""

from __future__ import annotations

import re
from typing import NamedTuple

from sokhoe.fhir.path.refusing import wrong

LONGEST_EXPRESSION = 20_000

_TOKENS = re.compile(
    r"""
      (?P<space>\s+|//[^\n\r]*|/\*.*?\*/)
    | (?P<open>/\*)
    | (?P<time>@T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?)
    | (?P<date>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
        (?P<clock>T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<dollar>\$[a-z]+)
    | (?P<sign><=|>=|!=|!~|[][(){},.=~<>|+\-*/&%])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


class Token(NamedTuple):
    """`kind` is one of time, date, number, text, quoted, word, dollar, sign, end."""

    kind: str
    text: str
    at: int


def tokens(expression: str) -> list[Token]:
    """The tokens and a last one of kind `end`; `Invalid` names the character that fits nothing."""
    if len(expression) > LONGEST_EXPRESSION:
        raise wrong(f"it is longer than {LONGEST_EXPRESSION} characters", code="too-costly")
    found: list[Token] = []
    at = 0
    while at < len(expression):
        match = _TOKENS.match(expression, at)
        if match is None:
            raise wrong(f"unexpected {expression[at]!r}", expression, at)
        kind = "date" if match.lastgroup == "clock" else str(match.lastgroup)
        if kind == "open":
            raise wrong("the comment is not closed with */", expression, at)
        if kind in ("text", "quoted"):
            found.append(Token(kind, unescaped(match[0][1:-1]), at))
        elif kind != "space":
            found.append(Token(kind, match[0], at))
        at = match.end()
    found.append(Token("end", "", at))
    return found


def unescaped(text: str) -> str:
    r"""A text literal as it is meant: `\'` `\n` `\u0065` …"""
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        return _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(one, text)

"""Pieces of SQL that carry their values with them, so that no value is ever part of the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values of its question marks, in order."""

    text: str
    args: tuple[Any, ...] = ()


def sql(text: str, *parts: Sql | Any) -> Sql:
    """Put together: each `{}` takes an `Sql` or becomes a question mark for a value."""
    pieces = text.split("{}")
    out = [pieces[0]]
    args: list[Any] = []
    for part, rest in zip(parts, pieces[1:], strict=True):
        if isinstance(part, Sql):
            out.append(part.text)
            args.extend(part.args)
        else:
            out.append("?")
            args.append(part)
        out.append(rest)
    return Sql("".join(out), tuple(args))


def joined(word: str, parts: Iterable[Sql]) -> Sql:
    listed = list(parts)
    text = word.join(part.text for part in listed)
    return Sql(text, tuple(arg for part in listed for arg in part.args))


def either(tests: Iterable[Sql]) -> Sql:
    listed = list(tests)
    return listed[0] if len(listed) == 1 else sql("({})", joined(" OR ", listed))


TRUE, FALSE = Sql("1=1"), Sql("1=0")

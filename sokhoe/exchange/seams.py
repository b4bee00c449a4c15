"""What a country pack may fill in foreign mail: the kinds of files it can read.

A kind does two pure things: name a file (`label`), and translate it whole into resources, or say
every reason why it cannot. Keeping, order, retries and quarantine are the tray's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Label:
    """What can be said of a file without believing it: which episodes it is about (`keys`, in
    `system`; usually one), and the code of the facility that says it made it."""

    system: str
    keys: tuple[str, ...]
    facility: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A place in the file and what is wrong there; `severity` is error or warning."""

    field: str
    code: str
    message: str
    severity: str = "error"


@dataclass(frozen=True, slots=True)
class Translated:
    """A whole file as resources (each with its id), or the problems for which it has none."""

    resources: tuple[dict[str, Any], ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def valid(self) -> bool:
        return not any(one.severity == "error" for one in self.problems)


class FileKind(Protocol):
    name: str
    media_type: str

    def recognises(self, content: bytes) -> bool:
        """Is this file of my kind? Cheap; looks at the beginning."""

    def label(self, content: bytes) -> Label:
        """Raises Invalid when the envelope cannot be read."""

    def translate(self, content: bytes) -> Translated: ...


class CodeTable(Protocol):
    """A national table of codes as it is published, out of a spreadsheet (`sokhoe terms load`)."""

    def recognises(self, rows: Sequence[Sequence[str]]) -> bool:
        """Are these rows of my kind? Looks at the first ones."""

    def code_system(self, rows: Sequence[Sequence[str]]) -> dict[str, Any]:
        """The CodeSystem of the table. Raises Invalid naming the rows that are wrong."""

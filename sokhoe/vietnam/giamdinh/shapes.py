"""The shapes of an exchange file once read: a file has records (HOSO), a record tables of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Row = Mapping[str, str]  # element name → its text, trimmed; an empty element is ""
Severity = Literal["ERROR", "WARNING"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place (`HOSO[0]/XML2[3]/SO_LUONG`, counted from 0). An ERROR keeps the
    file out; a WARNING does not. `message` is for the sender, in Vietnamese."""

    path: str
    code: str
    message: str
    severity: Severity = "ERROR"


@dataclass(frozen=True, slots=True)
class Record:
    """One HOSO: its place in the file and its tables by name (XML1 … XML15)."""

    place: int
    tables: Mapping[str, tuple[Row, ...]]

    def rows(self, table: str) -> tuple[Row, ...]:
        return self.tables.get(table, ())

    @property
    def summary(self) -> Row:
        """The row of XML1; empty if there is none."""
        rows = self.rows("XML1")
        return rows[0] if rows else {}

    @property
    def visit(self) -> str:
        """MA_LK, which names the episode and never changes when it is sent again."""
        return self.summary.get("MA_LK", "")


@dataclass(frozen=True, slots=True)
class File:
    """A whole file. `facility` is the sender's code (MACSKCB), `created` NGAYLAP as written,
    `declared` SOLUONGHOSO as written; `oddities` are what was let pass while reading."""

    facility: str
    created: str
    declared: str
    records: tuple[Record, ...]
    signed: bool
    sha256: str
    size: int
    oddities: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What Provenance and receipts say of a file: episodes, sender, digest, rows by table."""

    visits: tuple[str, ...]
    facility: str
    sha256: str
    counts: Mapping[str, int]


def describe(file: File) -> Description:
    """The few facts by which a file is named."""
    counts: Counter[str] = Counter()
    for record in file.records:
        counts.update({table: len(rows) for table, rows in record.tables.items()})
    return Description(
        visits=tuple(record.visit for record in file.records),
        facility=file.facility,
        sha256=file.sha256,
        counts=dict(sorted(counts.items())),
    )

"""The authorities that are believed: a folder of certificates, and from when to when each is.

    anchors/
      national-root.pem      trusted for signing and for time stamps, while it is valid itself
      anchors.toml           narrows it, where there is need:

          [[anchor]]
          file = "national-root.pem"
          for = ["sign", "stamp"]
          from = 2019-01-01
          until = 2044-01-01
          source = "…"       # where this is said

Certificates of authorities between a root and a signer may lie in `between/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from cryptography import x509

from sokhoe.errors import Invalid

SIGN, STAMP = "sign", "stamp"


@dataclass(frozen=True, slots=True)
class Anchor:
    certificate: x509.Certificate
    uses: frozenset[str] = frozenset({SIGN, STAMP})
    begins: datetime | None = None
    ends: datetime | None = None
    source: str = ""

    def holds(self, at: datetime, use: str) -> bool:
        began = self.begins is None or self.begins <= at
        return use in self.uses and began and (self.ends is None or at < self.ends)


@dataclass(frozen=True, slots=True)
class Anchors:
    """None of them: nothing is believed, and every signature is `untrusted`."""

    roots: tuple[Anchor, ...] = ()
    between: tuple[x509.Certificate, ...] = ()

    def at(self, moment: datetime, use: str) -> list[x509.Certificate]:
        return [one.certificate for one in self.roots if one.holds(moment, use)]


def read_anchors(folder: Path | None) -> Anchors:
    """The anchors of a folder. Raises Invalid naming the file that is not right."""
    if folder is None or not folder.is_dir():
        return Anchors()
    notes = _notes(folder / "anchors.toml")
    files = sorted(one for one in folder.iterdir() if one.suffix in {".pem", ".crt", ".cer"})
    unknown = notes.keys() - {one.name for one in files}
    if unknown:
        raise Invalid(f"anchors.toml names {sorted(unknown)[0]}, which is not there.")
    roots = [
        _anchor(certificate, notes.get(file.name, {}))
        for file in files
        for certificate in _certificates(file)
    ]
    beneath = folder / "between"
    between = [
        certificate
        for file in (sorted(beneath.iterdir()) if beneath.is_dir() else ())
        for certificate in _certificates(file)
    ]
    return Anchors(tuple(roots), tuple(between))


def _notes(file: Path) -> dict[str, dict[str, Any]]:
    if not file.is_file():
        return {}
    try:
        rows = tomllib.loads(file.read_text("utf-8")).get("anchor", [])
        return {row["file"]: row for row in rows}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Invalid(f"{file} cannot be read: {error}", slug="settings-file") from error


def _anchor(certificate: x509.Certificate, row: dict[str, Any]) -> Anchor:
    return Anchor(
        certificate,
        frozenset(row.get("for", (SIGN, STAMP))),
        _moment(row.get("from")),
        _moment(row.get("until")),
        str(row.get("source", "")),
    )


def _moment(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _certificates(file: Path) -> Sequence[x509.Certificate]:
    held = file.read_bytes()
    try:
        if b"-----BEGIN" in held:
            return x509.load_pem_x509_certificates(held)
        return [x509.load_der_x509_certificate(held)]
    except ValueError as error:
        raise Invalid(f"{file} is not a certificate.", slug="settings-file") from error

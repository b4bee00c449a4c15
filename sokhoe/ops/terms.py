"""`sokhoe terms load FILE…`: code lists into a server's memory, for `$expand` and the screens.

A file is a CodeSystem, ValueSet or ConceptMap (or a Bundle of them) as JSON; a table of codes as
CSV (columns code, display, …; see `sokhoe terms load --help`); or a table of the country's own
form, CSV or .xlsx, that its pack can read. It may run beside the server, which uses the new list
at its next question. The same file again changes nothing.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sokhoe import country
from sokhoe.errors import Invalid, NotFound, SokhoeError
from sokhoe.exchange import CodeTable
from sokhoe.fhir import decode, terminology
from sokhoe.ops import sheets
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.trust import Gate, Put, Session

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
_COLUMNS = """\
columns of a CSV file:
  code, display                    needed
  parent                           a code of the same list
  definition, inactive, abstract
  designation:LANGUAGE             other names; several with | between them
  property:NAME or property:NAME:TYPE
lines before them say what the list is:
  # url: http://example.org/toys
  # version: 2026-07
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _COLUMNS
    parser.add_argument("deed", choices=("load",))
    parser.add_argument("paths", nargs="+", metavar="FILE", help=".json, .csv or .xlsx")
    parser.add_argument("--url", default="", help="URL of the list, where the file says none")
    parser.add_argument("--version", default="", help="its version, where the file says none")
    add_settings(parser, ["data", "database", "country", "province"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    tables = country.load(settings.country, settings.province).seam("exchange.code_tables") or ()
    about = terminology.About(arguments.url, arguments.version)
    store = open_existing(settings)
    refused = 0
    try:
        session = Gate(store, settings).machine("ops")
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[doing]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        ) as progress:
            for name in arguments.paths:
                bar = progress.add_task(Path(name).name, total=3, doing="reading")
                try:
                    found = read(Path(name), about, tables)
                    progress.update(bar, completed=1, doing="writing")
                    for line in write(session, found):
                        progress.console.print(line, highlight=False, soft_wrap=True, markup=False)
                    progress.update(bar, completed=3, doing="done")
                except SokhoeError as error:
                    refused += 1
                    progress.update(bar, doing="refused")
                    for line in _complaint(name, error):
                        progress.console.print(line, highlight=False, soft_wrap=True, markup=False)
    finally:
        store.close()
    return 1 if refused else 0


def read(
    path: Path, about: terminology.About, tables: Sequence[CodeTable] = ()
) -> list[dict[str, Any]]:
    """The resources of a file. Raises Invalid, NotFound."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", slug="no-file")
    if path.suffix.lower() == ".json":
        return [_with(one, about) for one in _of_json(path)]
    if path.suffix.lower() in {".xlsx", ".xlsm"}:
        rows = sheets.sheet_of(path)
    elif path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        text = sheets.text_of(path)
        rows = list(csv.reader(io.StringIO(text), delimiter=max(",;\t", key=text[:20_000].count)))
        if not any(one.recognises(rows) for one in tables):
            return [terminology.code_system(text, about)]
    else:
        raise Invalid(f"{path.name} is neither .json, .csv nor .xlsx.", slug="unknown-file")
    for one in tables:
        if one.recognises(rows):
            return [_with(one.code_system(rows), about)]
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return [terminology.code_system(written.getvalue(), about)]


def _of_json(path: Path) -> list[dict[str, Any]]:
    value = decode(path.read_bytes())
    if not isinstance(value, dict):
        raise Invalid(f"{path.name} is no FHIR resource.", slug="unknown-file")
    found = [value]
    if value.get("resourceType") == "Bundle":
        found = [one["resource"] for one in value.get("entry", ()) if "resource" in one]
        found = [one for one in found if one.get("resourceType") in TYPES]
    if not found or any(one.get("resourceType") not in TYPES for one in found):
        kind = value.get("resourceType")
        raise Invalid(
            f"{path.name} is a {kind}; loaded are {', '.join(TYPES)} and Bundles of them.",
            slug="unknown-file",
        )
    return found


def _with(one: Mapping[str, Any], about: terminology.About) -> dict[str, Any]:
    """What the file says goes before what the command says."""
    given = {"url": about.url, "version": about.version}
    return {**{key: value for key, value in given.items() if value}, **one}


def write(session: Session, resources: Sequence[dict[str, Any]]) -> list[str]:
    """Write them all or none; what became of each, in a line. Raises Invalid."""
    puts = [Put(_in_place(session, one)) for one in resources]
    receipt = session.commit(puts, note="sokhoe terms load")
    lines = []
    for put, version, changed in zip(puts, receipt.versions, receipt.changed, strict=True):
        one = put.resource
        state = "is there already" if not changed else "new" if version.version == 1 else "updated"
        count = len(one.get("concept", ()))
        size = f", {count:,} concepts" if count else ""
        name = "|".join(part for part in (one.get("url", ""), one.get("version", "")) if part)
        lines.append(f"{one['resourceType']} {name}: {state}{size}")
    return lines


def _in_place(session: Session, one: dict[str, Any]) -> dict[str, Any]:
    """With the id under which this URL and version is stored, or one made of both."""
    kind, url, version = one["resourceType"], one.get("url", ""), one.get("version", "")
    if not url:
        raise Invalid(
            f"The {kind} has no URL, so nobody could ask for it.", hint="Give --url.", slug="table"
        )
    for standing in session.search(kind, [("url", url), ("_count", "200")]).versions:
        if standing.resource.get("version", "") == version:
            return {**one, "id": standing.id}
    return {**one, "id": sha256(f"{url}|{version}".encode()).hexdigest()[:32]}


def _complaint(name: str, error: SokhoeError) -> list[str]:
    lines = [f"REFUSED {name}: {error.message}"]
    if len(error.issues) > 1:
        lines += [f"  {one.message}" for one in error.issues[:20]]
    return [*lines, *([f"  → {error.hint}"] if error.hint else [])]

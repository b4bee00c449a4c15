"""`sokhoe reindex [TYPE…]`: compare the search index with the records and put it right.

--check    only look: each record that differs is named, and rows that belong to none; ends with 1
           when anything is wrong
--status   how far records are indexed by the server's own search parameters

May run beside the server. Ctrl-C or a power cut is no harm: what is put right stays so, and
starting again looks at everything again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sokhoe.errors import NotFound
from sokhoe.fhir import TYPES
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.store import Difference, Edition, Reindex, Store, Sums
from sokhoe.trust import Gate

SHOWN = 50  # records that differ; of the others the number


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("types", nargs="*", metavar="TYPE", help="only these resource types")
    parser.add_argument("--check", action="store_true", help="only look, change nothing")
    parser.add_argument("--status", action="store_true", help="the server's own search parameters")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    unknown = sorted(set(arguments.types) - TYPES)
    if unknown:
        raise NotFound(f"There is no resource type {unknown[0]}.", slug="unknown-type")
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        if arguments.status:
            show(store.editions())
            return 0
        what = " ".join(arguments.types) or "everything"
        deed = "check of the index" if arguments.check else "reindex"
        Gate(store, settings).machine("ops").note("E", "", f"{deed} of {what} by the operator")
        return compare(store, frozenset(arguments.types) or None, mend=not arguments.check)
    finally:
        store.close()


def compare(store: Store, types: frozenset[str] | None, *, mend: bool) -> int:
    """Look at every record, and at all rows if all types are wanted; the exit code."""
    sums = Sums(store.head())
    looked, found = 0, list[Difference]()
    with _progress() as progress:
        bar = progress.add_task("records", total=max(1, sums.upto))
        reach = 0
        while reach < sums.upto:
            done = store.reindex(Reindex(types, sums.upto, mend=mend), reach, sums=sums)
            looked, reach = looked + done.looked, done.reach
            found += done.differences
            progress.update(bar, completed=reach)
        if types is None:
            progress.add_task("rows of no record", total=None)
            found += store.strays(sums, mend=mend)
    for line in _told(found):
        print(line)
    rows = sum(one.missing for one in found), sum(one.extra for one in found)
    word = "put right" if mend else "wrong"
    print(
        f"{looked} records looked at, {len(found)} {word}: {rows[0]} rows missing, {rows[1]} extra"
    )
    if found and not mend:
        print("  → put it right: sokhoe reindex")
    return 1 if found and not mend else 0


def _told(found: list[Difference]) -> Iterator[str]:
    for one in found[:SHOWN]:
        kinds = ", ".join(one.kinds)
        yield f"{one.ref}: {one.missing} rows missing, {one.extra} too many ({kinds})"
    if len(found) > SHOWN:
        yield f"… and {len(found) - SHOWN} more"


def show(editions: list[Edition]) -> None:
    if not editions:
        print("This server has no search parameters of its own.")
    for one in editions:
        custom = one.custom
        share = "" if custom.state == "ready" else f" {100 * one.reach // max(1, one.upto)} %"
        print(
            f"{custom.code} of {', '.join(custom.base)}: {custom.state}{share}; "
            f"{one.looked} records looked at, {one.changed} changed, {one.added} rows added, "
            f"{one.removed} removed, {one.wrong} wrong when checked (SearchParameter/{custom.id})"
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

"""`sokhoe audit verify`: prove that no line of the audit and no commit was changed, or name the
first that was. `sokhoe audit tail`: its last lines. Works beside a running server."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sokhoe import clock
from sokhoe.errors import NotFound
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import Settings
from sokhoe.store import Store, open_store


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", choices=("verify", "tail"))
    parser.add_argument("-n", type=int, default=20, help="how many lines `tail` shows")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        return verify(store) if arguments.deed == "verify" else tail(store, arguments.n)
    finally:
        store.close()


def open_existing(settings: Settings) -> Store:
    """Open a server's memory; never make a new one where there is none."""
    url = settings.database_url
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not file.exists():
        raise NotFound(
            f"There is no memory in {file.parent} (no {file.name}).",
            hint="Name the server's data folder: --data DIR (of the demo: demo-data/hub)",
            slug="no-database",
        )
    return open_store(url, settings.journals)


def verify(store: Store) -> int:
    faults = 0
    for fault in store.verify():
        faults += 1
        if faults == 1:
            print(f"FIRST BAD ENTRY: {fault.where}: {fault.message}", file=sys.stderr)
        elif faults <= 10:
            print(f"  also: {fault.where}: {fault.message}", file=sys.stderr)
    if faults:
        print(f"The record was changed outside the system: {faults} faults.", file=sys.stderr)
        print("  → Stop the server, keep this data folder as evidence, restore a backup.")
        return 2
    last = store.entries(count=1)
    lines = last[0].seq if last else 0
    print(f"OK: {lines} audit lines and {store.head()} versions, both chains whole.")
    if last:
        print(f"Audit head: {last[0].hash.hex()}")
    return 0


def tail(store: Store, count: int) -> int:
    for line in reversed(store.entries(count=count)):
        one = line.entry
        what = one.query or " ".join(one.what[:3]) or one.note
        print(
            f"{line.seq:>8} {clock.local(one.at):%Y-%m-%d %H:%M:%S} {one.action} {one.outcome} "
            f"{one.role:<12} {one.name[:30]:<30} {what[:80]}"
        )
    return 0

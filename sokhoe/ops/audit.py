"""The audit for the inspector; works beside a running server.

verify       prove that no line of the audit and no commit was changed, or name the first that
             was; --witness FILE: also against a checkpoint that somebody else kept
tail         its last lines
checkpoint   sign and print where the log stands: keep it elsewhere
key          the public key by which anybody checks our checkpoints
prove SEQ    a receipt that one line is in the log
export DIR   the whole log for scripts/verify_log.py, which needs nothing of ours
"""

from __future__ import annotations

import argparse
import sys
from base64 import b64encode
from itertools import chain
from pathlib import Path
from typing import Any

from sokhoe import clock
from sokhoe.errors import Invalid, NotFound
from sokhoe.fhir import encode
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import Settings
from sokhoe.store import Store
from sokhoe.trust import AuditLog, open_memory

EXPORTED = 10_000  # lines in one file


def add(parser: argparse.ArgumentParser) -> None:
    deeds = ("verify", "tail", "checkpoint", "key", "prove", "export")
    parser.add_argument("deed", choices=deeds)
    parser.add_argument("what", nargs="?", default="", help="line number, or folder to export to")
    parser.add_argument(
        "--witness", action="append", default=[], metavar="FILE", help="a checkpoint kept elsewhere"
    )
    parser.add_argument("-n", type=int, default=20, help="how many lines `tail` shows")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        match arguments.deed:
            case "verify":
                return verify(store, [Path(one).read_text() for one in arguments.witness])
            case "checkpoint":
                print(AuditLog(store).grow(), end="")
            case "key":
                print(AuditLog(store).verifier)
            case "prove":
                print(encode(receipt(AuditLog(store), _number(arguments.what))).decode())
            case "export":
                return export(AuditLog(store), store, Path(arguments.what or "audit-log"))
            case _:
                return tail(store, arguments.n)
        return 0
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
    return open_memory(settings)


def _number(text: str) -> int:
    if not text.isdigit():
        raise Invalid("Say which line: sokhoe audit prove 42 (see `sokhoe audit tail`).")
    return int(text)


def receipt(log: AuditLog, seq: int) -> dict[str, Any]:
    """What shows anybody that this line is in the log."""
    proof = log.proof(seq)
    return {
        "line": proof.line.decode(),
        "index": proof.index,
        "path": [b64encode(one).decode() for one in proof.path],
        "checkpoint": proof.checkpoint,
        "key": log.verifier,
    }


def export(log: AuditLog, store: Store, folder: Path) -> int:
    """The log as files: `checkpoint`, `key`, `checkpoints/NN` and `lines/NNN`, each line with its
    length in four bytes before it. Holds personal data: for the inspector alone."""
    (folder / "lines").mkdir(mode=0o700, parents=True)
    (folder / "checkpoints").mkdir(mode=0o700)
    (folder / "checkpoint").write_text(log.grow())
    (folder / "key").write_text(log.verifier + "\n")
    for number, note in enumerate(log.checkpoints()):
        (folder / "checkpoints" / f"{number:06}").write_text(note)
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    for start in range(0, size, EXPORTED):
        lines = store.lines(start, min(EXPORTED, size - start))
        held = b"".join(len(one).to_bytes(4, "big") + one for one in lines)
        (folder / "lines" / f"{start // EXPORTED:06}").write_bytes(held)
    print(f"{size} audit lines are in {folder}. Check them with: python verify_log.py {folder}")
    return 0


def verify(store: Store, witnesses: list[str]) -> int:
    faults = 0
    for fault in chain(store.verify(), AuditLog(store).faults(witnesses)):
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
    newest = AuditLog(store).checkpoint().split("\n")
    if len(newest) > 2:
        print(f"Signed checkpoint: {newest[1]} lines, root {newest[2]}")
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

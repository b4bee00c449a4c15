"""Signatures: what waits for its time stamp, how one stands, the facility's seal over its audit.

waiting      what is signed and not yet time-stamped, and what never will be, with the reason
complete     have it stamped now (a running server does so by itself)
check WHAT   how a signature stands: a PDF, an XML file, or the id of a Provenance here
seal         sign where the audit stands, as the organisation; asks for the PIN
hold REF WHY      nothing of this record, or of this patient, is deleted from now on
release REF       end that
"""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from sokhoe import clock, country
from sokhoe.errors import Invalid
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import Settings
from sokhoe.trust import Gate, locks, signing

DEEDS = ("waiting", "complete", "check", "seal", "hold", "release")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", nargs="?", choices=DEEDS, default="waiting")
    parser.add_argument("what", nargs="?", default="", help="file, Provenance id, or reference")
    parser.add_argument("why", nargs="?", default="", help="with hold: the reason")
    parser.add_argument("--inside", default="", help="XML: the element that holds the signature")
    add_settings(
        parser, ["data", "database", "timestamp_url", "trust_anchors", "signing_key", "demo"]
    )


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    file = Path(arguments.what)
    if arguments.deed == "check" and arguments.what and file.is_file():
        verdict = signing.check_file(file.read_bytes(), settings, inside=arguments.inside)
        return tell(verdict)
    store = open_existing(settings)
    try:
        gate = Gate(store, settings)
        match arguments.deed:
            case "hold":
                locks.hold(store, arguments.what, arguments.why, "Device/ops")
                gate.machine("ops").note("E", arguments.what, "legal hold")
                print(f"{arguments.what} is under legal hold.")
                return 0
            case "release":
                locks.release(store, arguments.what)
                gate.machine("ops").note("E", arguments.what, "legal hold ended")
                print(f"The legal hold on {arguments.what} is ended.")
                return 0
        return at_the_desk(arguments, gate, settings)
    finally:
        store.close()


def at_the_desk(arguments: argparse.Namespace, gate: Gate, settings: Settings) -> int:
    retention = country.load(settings.country, settings.province).seam("trust.retention")
    desk = signing.open_desk(gate, settings, retention)
    match arguments.deed:
        case "check":
            if not arguments.what:
                raise Invalid("Say what to check: sokhoe signatures check FILE")
            id = arguments.what.removeprefix("Provenance/")
            found = desk.check(gate.machine("ops"), id, ask=True)
            for ref in found.targets:
                after = ": there is a newer version" if ref in found.later else ""
                print(f"  {ref}{': NOT AS IT WAS SIGNED' if ref in found.changed else after}")
            return tell(found.verdict)
        case "complete":
            print(f"{desk.complete(gate.machine('trust'), 100_000)} signatures were time-stamped.")
        case "seal":
            with signing.open_device(settings).unlock(pin()) as signer:
                made = desk.seal_day(gate.machine("ops"), signer)
            print(f"The audit of {clock.today()} is sealed: {made.provenance}, code {made.code}")
        case _:
            return waiting(desk)
    return 0


def waiting(desk: signing.Desk) -> int:
    held = sorted(desk.waiting().items(), key=lambda pair: int(pair[1]["at"]))
    bad = [(id, one) for id, one in held if one["why"]]
    print(f"{len(held) - len(bad)} signatures wait for their time stamp.")
    if len(held) > len(bad):
        print(f"  The oldest since {clock.iso_local(held[0][1]['at'])}.")
    for id, one in bad:
        print(f"  Provenance/{id} will not be good: {one['why']}")
    return 1 if bad else 0


def tell(verdict: signing.Verdict) -> int:
    """The verdict in words; 0 when it is accepted."""
    who = ", ".join(part for part in (verdict.name, verdict.organisation) if part)
    print(f"{str(verdict.status).upper()} {verdict.level}".strip())
    if who:
        print(f"  signed by {who}")
    if verdict.at is not None:
        said = "time stamp" if verdict.proven else "as the signer says"
        print(f"  at {verdict.at.astimezone(clock.zone()):%Y-%m-%d %H:%M:%S} ({said})")
    if verdict.why:
        print(f"  {verdict.why}")
    return 0 if verdict.accepted else 2


def pin() -> str:
    """The PIN, typed unseen, or a line from a pipe. It is never an argument: others see those."""
    if sys.stdin.isatty():
        return getpass.getpass("PIN: ")
    return sys.stdin.readline().strip()

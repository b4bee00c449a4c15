"""`sokhoe backup FILE`: a consistent copy of a server's memory, taken while it runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from sokhoe.errors import Conflict
from sokhoe.ops.audit import open_existing, verify
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.store import open_store
from sokhoe.trust import keys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="where the copy goes; must not exist")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    target = Path(arguments.file)
    if target.exists():
        raise Conflict(f"{target} is already there.", hint="Choose a new name.", slug="exists")
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        store.backup(str(target))
    finally:
        store.close()
    # A backup nobody has opened is a hope: read it back before saying that it is good.
    copy = open_store(f"sqlite:///{target}", keys=keys.unlock(settings))
    try:
        code = verify(copy, [])
    finally:
        copy.close()
    ring = keys.ring.load(settings.folder)
    if ring is not None:  # useless without the master key, and the copy is useless without it
        beside = target.with_name(f"{target.name}.{keys.ring.FILE}")
        beside.touch(mode=0o600)
        beside.write_bytes(keys.ring.written(ring))
        print(f"Its keys are in {beside}, locked with the master key.")
    if code == 0:
        print(f"Copied to {target} ({target.stat().st_size / 1e6:.1f} MB), read back whole.")
    return code

"""The verbs: each is a file of this room with `add(parser)` and `run(arguments) -> exit code`.

An expected error prints one sentence and the way out, and ends with 1; only what we did not
foresee shows a traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from sokhoe import __version__
from sokhoe.errors import SokhoeError
from sokhoe.settings import SETTINGS, Settings, load

VERBS: dict[str, str] = {
    "demo": "start an invented province: hub, two stations, citizens",
    "serve": "serve one station or hub",
    "load": "send files and folders (exchange XML, FHIR) to a server",
    "terms": "load code lists (FHIR, CSV, a country's own tables)",
    "audit": "verify the audit chain, or show its last lines",
    "clients": "show the software that may ask for tokens; add some, end its access",
    "subscriptions": "show who is told of changes, and send again what was refused",
    "accounts": "list who may sign in; add, close, open, reset an account",
    "signatures": "what waits for its time stamp; check a signature; seal the audit; legal hold",
    "doctor": "look for what is wrong with this installation, and how to put it right",
    "jobs": "show exports, imports and later answers; end one",
    "reindex": "compare the search index with the records, and put it right",
    "backup": "copy a server's memory while it runs",
    "keys": "make, print, recover and change the keys that encrypt the data on disk",
    "settings": "show each setting, its value and where it came from",
    "rooms": "show the rooms of the house and who may ask whom",
}
# Started by `sokhoe demo` for each of its servers; not for people.
INNER = {"demo-server": "one server of the demo"}


def _module(verb: str) -> str:
    return "sokhoe.ops." + verb.replace("-", "_").replace("settings", "settings_verb")


def add_settings(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Options for these settings, with their meaning as help. Who opens the memory needs to know
    where its master key is."""
    wanted = {*names, "master_key_file"} if "database" in names else set(names)
    for one in SETTINGS:
        if one.name in wanted:
            kind = int if isinstance(one.default, int) else str
            flag = "--" + one.name.replace("_", "-")
            parser.add_argument(flag, dest=one.name, type=kind, help=one.meaning)


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Settings from the command line, the environment and the file."""
    given = {one.name: getattr(arguments, one.name, None) for one in SETTINGS}
    return load(given, os.environ)


def run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sokhoe",
        description="Sổ Khoẻ: one digital record per citizen, for a whole province.",
        epilog="Start with: sokhoe demo",
    )
    parser.add_argument("--version", action="version", version=f"sokhoe {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for verb, text in {**VERBS, **INNER}.items():
        shown = text if verb in VERBS else argparse.SUPPRESS
        if verb in INNER and verb != wanted:
            continue
        child = verbs.add_parser(verb, help=shown, description=text)
        if verb == wanted:  # only the verb that runs pays for its imports
            importlib.import_module(_module(verb)).add(child)
    arguments = parser.parse_args(argv)
    if arguments.verb is None:
        parser.print_help()
        return 0
    try:
        return int(importlib.import_module(_module(arguments.verb)).run(arguments))
    except SokhoeError as error:
        print(f"sokhoe {arguments.verb}: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  → {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130

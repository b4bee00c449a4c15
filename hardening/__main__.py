"""`make hardening`: every check in full; what they come to is written to docs/hardening.md.

make hardening                        all of them
make hardening ARGS="fuzz --n 50000 --seed 7"    one of them
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import hardening
from hardening import Outcome

PAPER = Path(__file__).parents[1] / "docs" / "hardening.md"
HEAD = """# Hardening

What our own attacks came to, by `make hardening`. "Bad" must be 0. A planted fault is put into the
running server on purpose; a check that does not find it proves nothing. The tests in
`tests/hardening/` run each of them in short on every change.

| check | tried | bad | planted fault | seed | date |
|---|---:|---:|---|---:|---|
"""


def checks() -> list[str]:
    """The names of the modules that are checks: those with a `run`."""
    names = [one.name for one in pkgutil.iter_modules(hardening.__path__) if one.name[0] != "_"]
    return [name for name in names if hasattr(_module(name), "run")]


def _module(name: str) -> object:
    return importlib.import_module(f"hardening.{name}")


def full(name: str) -> int:
    """How often a check tries in full: the default of its `run`."""
    return int(inspect.signature(_module(name).run).parameters["n"].default)  # type: ignore[attr-defined]


def write(outcome: Outcome) -> None:
    """Put the row of a check into the paper, in place of its earlier one."""
    text = PAPER.read_text("utf-8") if PAPER.is_file() else HEAD
    caught = "caught" if outcome.planted_caught else "NOT CAUGHT"
    row = f"| {outcome.name} | {outcome.tried:,} | {outcome.bad} | {caught} | {outcome.seed} |"
    row += f" {datetime.now(tz=UTC).date().isoformat()} |"
    earlier = re.compile(rf"^\| {re.escape(outcome.name)} \|.*$", re.MULTILINE)
    if earlier.search(text):
        text = earlier.sub(lambda _: row, text)
    else:
        rows, end = text.rstrip().split("|\n\n", 1) if "|\n\n" in text.rstrip() else (text, "")
        text = f"{rows.rstrip()}\n{row}\n" + (f"\n{end}\n" if end else "")
    PAPER.write_text(text, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", nargs="*", help="names of checks; none: all")
    parser.add_argument("--n", type=int, default=0, help="so many tries")
    parser.add_argument("--seed", type=int, default=20261123)
    arguments = parser.parse_args()
    failed = False
    for name in arguments.check or checks():
        outcome: Outcome = _module(name).run(arguments.n or full(name), arguments.seed)  # type: ignore[attr-defined]
        print(outcome, flush=True)
        for example in outcome.examples:
            print(f"    {example}")
        write(outcome)
        failed |= bool(outcome.bad) or not outcome.planted_caught
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

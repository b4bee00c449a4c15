"""`sokhoe rooms`: the house, read off the doors themselves."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

HOUSE = Path(__file__).parents[1]
ORDER = (
    "fhir",
    "store",
    "trust",
    "web",
    "people",
    "sync",
    "exchange",
    "clinic",
    "book",
    "warehouse",
    "vietnam",
    "ops",
)


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(arguments: argparse.Namespace) -> int:
    for number, room in enumerate(ORDER, 1):
        source = (HOUSE / room / "__init__.py").read_text("utf-8")
        says = (ast.get_docstring(ast.parse(source)) or "").strip()
        print(f"{number:2} {room}")
        for line in says.splitlines():
            print(f"   {line}" if line else "")
        print()
    return 0

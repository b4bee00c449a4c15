"""`sokhoe settings`: each setting, its value, where the value came from, and what it means."""

from __future__ import annotations

import argparse

from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import SETTINGS


def add(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, [one.name for one in SETTINGS if not one.secret])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    for one in SETTINGS:
        value = settings.values[one.name]
        shown = "(set)" if one.secret and value else str(value) or "(empty)"
        print(f"{one.name} = {shown}   [{settings.sources[one.name]}]\n    {one.meaning}")
    return 0

"""`sokhoe serve`: one station or hub, in the foreground."""

from __future__ import annotations

import argparse

from sokhoe.app import build
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.ops.crew import Crew, web_processes
from sokhoe.ops.serving import check_port, serve
from sokhoe.settings import SETTINGS


def add(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, [one.name for one in SETTINGS if not one.secret])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    check_port(settings.host, settings.port)
    count = web_processes(settings)
    app = build(settings) if count == 1 else None
    print(f"Sổ Khoẻ ({settings.role}) at {settings.url}, data in {settings.folder}", flush=True)
    if app is not None:
        serve(app, settings)
    else:
        Crew(settings, count).run()
    return 0

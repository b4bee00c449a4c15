"""`sokhoe serve`: one station or hub, in the foreground."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import socket

import uvicorn
from starlette.applications import Starlette

from sokhoe.app import build
from sokhoe.errors import Unavailable
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.ops.corked import CorkedProtocol
from sokhoe.settings import SETTINGS, Settings


def add(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, [one.name for one in SETTINGS if not one.secret])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    check_port(settings.host, settings.port)
    app = build(settings)
    print(f"Sổ Khoẻ ({settings.role}) at {settings.url}, data in {settings.folder}", flush=True)
    serve(app, settings)
    return 0


def serve(app: Starlette, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; followers stop and the memory closes before it returns."""
    faulthandler.enable()  # a crash in a library must leave its place in the log
    # A bundle is tens of thousands of objects, none of them in a circle: looking for circles after
    # every 700 took a quarter of an import (391 -> 249 us of CPU a resource).
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvicorn.run(
        app,
        http=CorkedProtocol,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # paths can hold ids; who read what stands in the audit
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def check_port(host: str, port: int) -> None:
    """Raise Unavailable, with the way out, when somebody already listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"Port {port} on {host} cannot be used: {error.strerror or error}.",
                hint=f"Stop what listens there, or choose another: --port {port + 1000}",
                slug="port-taken",
            ) from None

"""One process that serves: how the server is set up, and its port."""

from __future__ import annotations

import faulthandler
import gc
import socket

import uvicorn
from starlette.applications import Starlette

from sokhoe.errors import Unavailable
from sokhoe.ops.corked import CorkedProtocol
from sokhoe.settings import Settings


def tune() -> None:
    """What every process of a server does before its work."""
    faulthandler.enable()  # a crash in a library must leave its place in the log
    # A bundle is tens of thousands of objects, none of them in a circle: looking for circles after
    # every 700 took a quarter of an import (391 -> 249 us of CPU a resource).
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def serve(app: Starlette, settings: Settings, ours: socket.socket | None = None) -> None:
    """Serve until SIGINT or SIGTERM; followers stop and the memory closes before it returns.

    `ours`: a socket that listens already; without it one is opened at the settings' port.
    """
    tune()
    config = uvicorn.Config(
        app,
        http=CorkedProtocol,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # paths can hold ids; who read what stands in the audit
        server_header=False,
        proxy_headers=False,  # whom to believe is a setting of ours (web/forwarded.py)
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    server.run(sockets=None if ours is None else [ours])
    if not server.started:  # the reason stands in the log
        raise SystemExit(3)


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

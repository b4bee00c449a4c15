"""One server of the demo, started by `sokhoe demo`: an ordinary station or hub, plus the control
page and the test e-ID at the hub."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route

from sokhoe.app import build
from sokhoe.ops import control, eid
from sokhoe.ops.demo import CITIZENS_FILE, STATIONS, Place, settings_of
from sokhoe.ops.serving import serve
from sokhoe.settings import Settings
from sokhoe.trust import DEMO_PASSWORD


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", choices=("hub", *STATIONS))
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, required=True)


def run(arguments: argparse.Namespace) -> int:
    place = Place(Path(arguments.data), arguments.port)
    settings = settings_of(place, arguments.server)
    more: list[BaseRoute] = []
    if arguments.server == "hub":
        more = [*control.routes(place), Mount("/eid", routes=_eid(settings))]
    else:
        more = [*control.signpost(place)]
    app = build(settings, more_routes=more)
    app.state.site.banners.append(control.banner)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(app, settings)
    return 0


def _eid(settings: Settings) -> list[Route]:
    """The test e-ID, with the demo's citizens to choose from."""
    citizens = eid.read_citizens(settings.folder / CITIZENS_FILE)
    client = eid.Client(
        settings.oidc_client_id,
        settings.oidc_client_secret,
        (f"{settings.url}/book/callback",),
    )
    return eid.routes(
        settings,
        settings.oidc_issuer,
        citizens,
        eid.open_key(settings.folder),
        [client],
        hint=DEMO_PASSWORD,
        samples=list(citizens),
    )


def _end_with_parent() -> None:
    """Our standard input is a pipe from `sokhoe demo`; it closes when that process is gone."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)

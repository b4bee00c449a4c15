"""`sokhoe clients`: the software that may ask for tokens: list it, add some, end its access and
allow it again. Works beside a running server; an end binds there within a second."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.trust import Actor, Client, Gate, Kind, Role

# Whoever may run this on the machine may do anything there; the audit says that it was so.
OPERATOR = Actor("Device/ops", "operator at the terminal", Role.OPERATOR, username="terminal")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", nargs="?", choices=("list", "add", "end", "allow"), default="list")
    parser.add_argument("client", nargs="?", default="", help="its client_id")
    parser.add_argument("--name", default="", help="with add: the name people know it by")
    parser.add_argument("--scope", default="", help="with add: SMART scopes, spaces between")
    parser.add_argument("--jwks", default="", help="with add: file or address of its public keys")
    parser.add_argument("--public", action="store_true", help="with add: an app without a secret")
    parser.add_argument(
        "--redirect", action="append", default=[], help="with add: where its users come back to"
    )
    parser.add_argument("--launch", default="", help="with add: opened here from a person's page")
    parser.add_argument("--agreement", default="", help="with add: the agreement it works under")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        gate = Gate(store, settings)
        if arguments.deed == "list":
            print("\n".join(lines(gate)))
        elif arguments.deed == "add":
            print(added(gate, client_of(arguments)))
        else:
            active = arguments.deed == "allow"
            gate.registrar.set_active(arguments.client, active, OPERATOR)
            print(f"{arguments.client}: {'may come in again' if active else 'access ended'}")
    finally:
        store.close()
    return 0


def lines(gate: Gate) -> list[str]:
    used = gate.clients.used()
    found = []
    for one in gate.clients.all():
        at, count = used.get(one.id, (0, 0))
        last = f"{clock.local(at):%Y-%m-%d %H:%M}, {count} tokens" if at else "never here"
        state = "" if one.active else "  ENDED"
        under = f"  agreement {one.agreement}" if one.agreement else ""
        found.append(f"{one.id}  {one.name}  ({one.kind})  {last}{under}{state}")
        found.append(f"  {' '.join(one.scopes)}")
    return found or [
        "No software is registered. Add some: sokhoe clients add ID --name … --scope …"
    ]


def client_of(arguments: argparse.Namespace) -> Client:
    """Raises Invalid for a key file that cannot be read."""
    jwks, address = None, ""
    if arguments.jwks.startswith(("https://", "http://")):
        address = arguments.jwks
    elif arguments.jwks:
        try:
            jwks = json.loads(Path(arguments.jwks).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Invalid(f"{arguments.jwks} is no key set: {error}", slug="jwks") from None
    kind = Kind.PUBLIC if arguments.public else Kind.KEY if arguments.jwks else Kind.SECRET
    return Client(
        id=arguments.client,
        name=arguments.name or arguments.client,
        kind=kind,
        scopes=tuple(arguments.scope.split()),
        jwks=jwks,
        jwks_uri=address,
        redirects=tuple(arguments.redirect),
        launch=arguments.launch,
        agreement=arguments.agreement,
    )


def added(gate: Gate, client: Client) -> str:
    secret = gate.registrar.add(client, OPERATOR)
    if not secret:
        return f"client_id      {client.id}"
    return f"client_id      {client.id}\nclient_secret  {secret}   (not shown again)"

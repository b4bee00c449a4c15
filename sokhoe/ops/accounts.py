"""`sokhoe accounts`: who may sign in here; add, close, open again, reset. Works beside a running
server, and makes the first account of a new one."""

from __future__ import annotations

import argparse
from uuid import uuid4

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.settings import Settings
from sokhoe.trust import Account, Actor, Gate, Role

PEOPLE = [str(one) for one in Role if one not in {Role.CITIZEN, Role.MACHINE}]
WORDS = {"idle": "closed: not used for long", "closed": "closed"}


def add(parser: argparse.ArgumentParser) -> None:
    deed = parser.add_mutually_exclusive_group()
    deed.add_argument("--add", metavar="USER", help="make an account; prints its first password")
    deed.add_argument("--close", metavar="USER", help="close it and end its sign-ins")
    deed.add_argument("--open", metavar="USER", help="open a closed one again")
    deed.add_argument(
        "--reset", metavar="USER", help="a new first password; second factors are taken off"
    )
    parser.add_argument("--role", choices=PEOPLE, help="with --add")
    parser.add_argument("--name", default="", help="with --add: the person's name")
    parser.add_argument(
        "--place-name", default="", help="with --add: name of the facility on the screens"
    )
    add_settings(parser, ["data", "database", "facility"])


def run(arguments: argparse.Namespace) -> int:
    role, arguments.role = arguments.role, None  # the account's, not the server's
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        gate = Gate(store, settings)
        if arguments.add:
            password = _added(gate, settings, arguments, role)
            print(f"{arguments.add}: first password {password} (shown only now)")
        elif arguments.reset:
            password = gate.reset(arguments.reset)
            print(f"{arguments.reset}: first password {password} (shown only now)")
        elif arguments.close or arguments.open:
            gate.set_active(arguments.close or arguments.open, bool(arguments.open))
            print(f"{arguments.close or arguments.open}: {'open' if arguments.open else 'closed'}")
        else:
            print("\n".join(line(one) for one in gate.accounts.all()) or "There are no accounts.")
        for deed in ("add", "reset", "close", "open"):
            if getattr(arguments, deed):
                who = Actor("Device/ops", "sokhoe accounts", Role.MACHINE, room="ops")
                gate.note(who, f"account, {deed}: {getattr(arguments, deed)}", "")
        return 0
    finally:
        store.close()


def _added(gate: Gate, settings: Settings, arguments: argparse.Namespace, role: str | None) -> str:
    if role is None:
        raise Invalid("Say which role.", hint=f"--role {'|'.join(PEOPLE)}", location="role")
    place = settings.facility
    return gate.accounts.add_once(
        arguments.add,
        role=Role(role),
        name=arguments.name,
        actor=f"Practitioner/{uuid4()}",
        place=f"Organization/{place}" if place else "",
        place_name=arguments.place_name,
    )


def line(one: Account) -> str:
    """An account in one line."""
    last = f"{clock.local(one.last):%Y-%m-%d %H:%M}" if one.last else "never"
    state = "open" if one.active else WORDS.get(one.why, "closed")
    paper = ", password on paper" if one.once else ""
    return f"{one.username:<20} {one.role:<13} {one.name:<30} last {last}  {state}{paper}"

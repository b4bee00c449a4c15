"""`sokhoe subscriptions`: how each Subscription stands, what receivers refused, and sending that
again. Works beside a running server, which does the sending."""

from __future__ import annotations

import argparse

from sokhoe import clock
from sokhoe.errors import NotFound
from sokhoe.exchange import Overview, overview, send_again
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.trust import Gate


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resend", metavar="ID", help="send what was refused again; begin anew if it is off"
    )
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        gate = Gate(store, settings)
        if arguments.resend:
            if send_again(gate, arguments.resend) is None:
                raise NotFound(
                    f"There is no Subscription {arguments.resend}.",
                    hint="sokhoe subscriptions lists those there are.",
                )
            print(f"Subscription {arguments.resend}: the server will send again what was refused.")
            return 0
        found = overview(gate)
        for one in found:
            print("\n".join(lines(one)))
        if not found:
            print("There are no Subscriptions.")
        return 0
    finally:
        store.close()


def lines(one: Overview) -> list[str]:
    """A Subscription in a few lines; which records it was about is told by number, not by name."""
    subscribed, sent = one.subscribed, one.sent
    last = f"{clock.local(sent.last):%Y-%m-%d %H:%M}" if sent.last else "never"
    found = [
        f"{subscribed.id}  {subscribed.state}  of {subscribed.owner}: {one.events} events, "
        f"{one.waiting} waiting, {len(one.dead)} refused; last delivered {last}"
    ]
    if subscribed.fault or sent.error:
        found.append(f"  {subscribed.fault or sent.error}")
    found += [f"  refused: event {letter.event.number}: {letter.error}" for letter in one.dead[:10]]
    if len(one.dead) > 10:
        found.append(f"  and {len(one.dead) - 10} more")
    if one.dead:
        found.append(f"  → sokhoe subscriptions --resend {subscribed.id}")
    return found

"""For the operator: how each Subscription stands, and sending again what was refused."""

from __future__ import annotations

from dataclasses import dataclass

from sokhoe.exchange.subscriptions.board import Board, State, Subscribed
from sokhoe.exchange.subscriptions.ledger import DeadLetter, Sent, ask_again
from sokhoe.trust import Gate


@dataclass(frozen=True, slots=True)
class Overview:
    """One Subscription: `events` so far, `waiting` to be sent, `dead` that were refused."""

    subscribed: Subscribed
    events: int
    waiting: int
    sent: Sent
    dead: tuple[DeadLetter, ...]


def overview(gate: Gate) -> list[Overview]:
    board = Board(gate)
    ledger = board.ledger
    sent, numbered, dead = ledger.all_sent(), ledger.all_numbered(), ledger.dead()
    found = []
    for id, one in sorted(board.all().items()):
        own = sent.get(id, Sent())
        events = numbered[id].events if id in numbered else 0
        letters = tuple(letter for letter in dead if letter.subscription == id)
        found.append(Overview(one, events, max(0, events - own.sent), own, letters))
    return found


def send_again(gate: Gate, id: str) -> Subscribed | None:
    """Let the dead letters of a Subscription be sent again, and one that is off begin anew with
    what still waits. The running server does it. None when there is no such Subscription."""
    board = Board(gate)
    one = board.refresh(id)
    if one is None:
        return None
    board.ledger.keep(*ask_again([id]))
    if one.state is State.OFF:
        board.ask_for(one)
    return one

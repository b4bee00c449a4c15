"""The follower that indexes what stood before a new search parameter, and removes the rows of a
retired one, a piece at each step. What is to be done stands in the memory, so a restart, or another
process, goes on where it stood."""

from __future__ import annotations

import logging

from sokhoe.trust import Edition, Gate

log = logging.getLogger("sokhoe.exchange")


class Indexer:
    name = "exchange.index"
    follows = False  # its list is the search parameters, not the feed

    def __init__(self, gate: Gate) -> None:
        self._session = gate.machine("exchange", name="index")

    def step(self) -> bool:
        """A piece of one parameter's work; True when there may be more at once."""
        done = self._session.index_on()
        if done is None:
            return False
        if done.custom.state == "ready":
            self._tell(done)
        return True

    def _tell(self, done: Edition) -> None:
        what = f"SearchParameter/{done.custom.id}"
        text = (
            f"{done.custom.code}: {done.looked} records looked at, {done.changed} indexed, "
            f"{done.wrong} found wrong when checked"
        )
        log.info("%s %s", what, text)
        self._session.note("E", what, text)

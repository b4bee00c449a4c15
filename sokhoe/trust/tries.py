"""How often somebody may be wrong: counted tries that make guessing wait, and nobody else.

A try is counted *before* the secret is looked at, by compare-and-set, so that two hundred guesses
in the same moment are not more than their number; a right answer gives its try back. The waits
grow, and end by themselves: there is no locked account that somebody has to free.

    tries  name → {count, until, rounds, at}

What a name is made of decides whom it can hurt (`buckets` in entrance.py): account and address
together, or account and a device on which its owner has signed in, never the account alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from sokhoe import clock
from sokhoe.errors import Busy, Conflict
from sokhoe.store import Keep, Store

MINUTE = 60_000_000
HOUR = 60 * MINUTE
KIND = "tries"
ROUNDS = 50  # so often the counters are read anew when others write them in the same moment


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` wrong answers within `window` minutes; then the waits (minutes), each longer than
    the one before. No waits: it is only counted."""

    free: int
    window: int
    waits: tuple[int, ...] = ()


PERSON = Limit(5, 24 * 60, (1, 5, 15, 30, 60))
STRICT = Limit(1, 24 * 60, (1, 5, 15, 30, 60))  # while an account or a facility is being tried
ADDRESS = Limit(20, 15, (5, 15, 30, 60))  # one address, whichever the accounts
ACCOUNT = Limit(30, 60)
PLACE = Limit(60, 15)
HARD = Limit(5, 24 * 60, (15, 60, 240))  # what has few values: codes of six digits


class Tries:
    """The counters of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, limits: dict[str, Limit]) -> None:
        """Count a try under each name. Raises Busy (`too-many-tries`) when one has to wait."""

        def count() -> list[Keep]:
            now = clock.now()
            keeps = []
            for name, limit in limits.items():
                kept = self._kept(name)
                value = _alive(kept, limit)
                if value["until"] > now:
                    raise _wait(value["until"])
                value["count"] += 1
                value["at"] = now
                if limit.waits and value["count"] >= limit.free:
                    step = min(value["rounds"], len(limit.waits) - 1)
                    value["until"] = now + limit.waits[step] * MINUTE
                    value["rounds"] += 1
                    value["count"] = 0
                keeps.append(Keep(KIND, name, value, expected=kept))
            return keeps

        self._write(count)

    def forget(self, *names: str) -> None:
        """The right answer was given: these begin anew."""
        keeps = [Keep(KIND, name, None) for name in names if self._kept(name) is not None]
        if keeps:
            self._store.keep(*keeps)

    def give_back(self, limits: dict[str, Limit]) -> None:
        """The right answer was given, under names that others share: only this try is undone."""

        def undo() -> list[Keep]:
            keeps = []
            for name, limit in limits.items():
                kept = self._kept(name)
                if kept is None:
                    continue
                value = dict(kept)
                if value["count"]:
                    value["count"] -= 1
                elif value["rounds"] and limit.waits:  # it was this try that began the wait
                    value |= {"count": limit.free - 1, "until": 0, "rounds": value["rounds"] - 1}
                keeps.append(Keep(KIND, name, value, expected=kept))
            return keeps

        self._write(undo)

    def is_hot(self, name: str, limit: Limit) -> bool:
        """Have there been more wrong answers than the limit's, within its window?"""
        return bool(_alive(self._kept(name), limit)["count"] >= limit.free)

    def old(self) -> list[Keep]:
        """What can be forgotten: nothing happened under it for a day, and nobody waits."""
        now = clock.now()
        return [
            Keep(KIND, name, None, expected=value)
            for name, value in self._store.all_kept(KIND).items()
            if value["at"] + 24 * HOUR < now and value["until"] < now
        ]

    def _kept(self, name: str) -> Any:
        return self._store.kept(KIND, name)

    def _write(self, plan: Callable[[], list[Keep]]) -> None:
        for _ in range(ROUNDS):
            keeps = plan()
            if not keeps:
                return
            try:
                self._store.keep(*keeps)
            except Conflict:
                continue
            return
        raise Busy("Many people are signing in just now.", slug="sign-in-busy")


def _alive(kept: Any, limit: Limit) -> dict[str, Any]:
    """The counter as it stands now: after its window a quiet one begins anew."""
    now = clock.now()
    if kept is None or (kept["at"] + limit.window * MINUTE < now and kept["until"] < now):
        return {"count": 0, "until": 0, "rounds": 0, "at": now}
    return dict(kept)


def _wait(until: int) -> Busy:
    seconds = -(-(until - clock.now()) // 1_000_000)
    return Busy(
        f"Too many wrong tries from here. Try again in {-(-seconds // 60)} minutes.",
        hint="Whoever owns the account signs in on a computer where that worked before.",
        slug="too-many-tries",
        status=429,
        wait=seconds,
    )


def network(address: str) -> str:
    """What counts as one address: an IPv6 user has a whole /64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)

"""Computers and phones that people sign in on: each browser carries a secret of its own.

    device  sha256(secret) → {made, people: {who: {since, pin, tries, name}}}

`who`: user name of an account, or the reference of a citizen; `since`: the last whole sign-in
here. A device stands for its owner in two ways: others' wrong passwords elsewhere do not make him
wait, and a PIN of six digits is enough for some hours where a whole sign-in took place.
"""

from __future__ import annotations

from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict
from sokhoe.store import Keep, Store
from sokhoe.trust.passwords import digest

KIND = "device"
MOST_PEOPLE = 40  # of one device: the oldest is forgotten


class Devices:
    """The devices of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def knows(self, secret: str, who: str) -> bool:
        """Has this person wholly signed in on this device?"""
        return who in self.people(secret)

    def people(self, secret: str) -> dict[str, dict[str, Any]]:
        """Who has signed in here: {who: {since, …}}."""
        value = self._store.kept(KIND, digest(secret)) if secret else None
        return dict(value["people"]) if value else {}

    def is_shared(self, hash: str) -> bool:
        """Have two people or more a PIN on the device of this hash?"""
        value = self._store.kept(KIND, hash) if hash else None
        if value is None:
            return False
        return sum(bool(one["pin"]) for one in value["people"].values()) > 1

    def seen(self, secret: str, who: str, name: str) -> None:
        """A whole sign-in of this person took place here."""

        def now_here(people: dict[str, Any]) -> None:
            person = people.pop(who, {"pin": "", "tries": 0})
            people[who] = {**person, "since": clock.now(), "name": name, "tries": 0}
            while len(people) > MOST_PEOPLE:
                people.pop(next(iter(people)))

        self.change(secret, now_here)

    def change(self, secret: str, how: Any) -> None:
        """Change the people of a device, by compare and set."""
        for _ in range(20):
            kept = self._store.kept(KIND, digest(secret))
            value = kept or {"made": clock.now(), "people": {}}
            people = {who: dict(one) for who, one in value["people"].items()}
            how(people)
            changed = {**value, "people": people}
            try:
                self._store.keep(Keep(KIND, digest(secret), changed, expected=kept))
            except Conflict:
                continue
            return
        raise Conflict("This device is being changed just now. Try again.")

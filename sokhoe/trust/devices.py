"""Computers and phones that people sign in on: each browser carries a secret of its own.

    device  sha256(secret) → {made, people: {who: {since, pin, tries, name}}}

`who`: user name of an account, or the reference of a citizen; `since`: the last whole sign-in
here. A device stands for its owner in two ways: others' wrong passwords elsewhere do not make him
wait, and a PIN of six digits is enough for some hours where a whole sign-in took place.

Six digits are searched in a second by whoever steals the memory, so what is hashed is the PIN
together with the device's secret, which only the browser has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, SignIn
from sokhoe.store import Keep, Store
from sokhoe.trust.passwords import digest, hash_password, password_fits

KIND = "device"
MOST_PEOPLE = 40  # of one device: the oldest is forgotten
PIN_DIGITS = 6
PIN_TRIES = 5
HOUR = 3_600_000_000
# What a third of all people choose when they are free to.
_USUAL = frozenset(
    "123123 121212 112233 123321 147258 159753 789456 102030 131313 232323 456456 789789 520520"
    " 010203 011090 191919 202020 200000 100000 199999 147852 258456 369369 246810 135790".split()
)


@dataclass(frozen=True, slots=True)
class Here:
    """Somebody who may come in on this device with a PIN. `handle` stands for him in a form, so
    that the page shows names and no user names."""

    who: str
    name: str
    handle: str


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
            person = people.pop(who, {"pin": ""})
            people[who] = {**person, "since": clock.now(), "name": name, "tries": 0}
            while len(people) > MOST_PEOPLE:
                people.pop(next(iter(people)))

        self._change(secret, now_here)

    def forget(self, secret: str, who: str) -> None:
        """This person does not use this device any more."""
        self._change(secret, lambda people: people.pop(who, None))

    # -- PIN -------------------------------------------------------------------------------

    def set_pin(self, secret: str, who: str, pin: str) -> None:
        """A PIN for this person on this device; "" takes it away. Raises Invalid (`pin-…`),
        SignIn (`pin-over`) where no whole sign-in took place."""
        hashed = ""
        if pin:
            check_pin_rules(pin)
            hashed = hash_password(f"{pin}\n{secret}")

        def put(people: dict[str, Any]) -> None:
            if who not in people:
                raise SignIn("Sign in wholly on this device first.", slug="pin-over")
            people[who] |= {"pin": hashed, "tries": 0}

        self._change(secret, put)

    def has_pin(self, secret: str, who: str) -> bool:
        return bool(self.people(secret).get(who, {}).get("pin"))

    def here(self, secret: str, hours: int) -> list[Here]:
        """Who may come in with a PIN now, by name. `hours`: how long ago the last whole sign-in
        may be; 0: however long."""
        found = [
            Here(who, one["name"], digest(f"{secret}\n{who}")[:16])
            for who, one in self.people(secret).items()
            if one["pin"] and one["tries"] < PIN_TRIES and _young(one, hours)
        ]
        return sorted(found, key=lambda one: one.name)

    def check_pin(self, secret: str, who: str, pin: str, hours: int) -> int:
        """Is it this person's PIN here? Returns when the whole sign-in was. A try is counted
        before it is looked at. Raises SignIn (`wrong-pin`, `pin-locked`, `pin-over`)."""
        person: dict[str, Any] = {}

        def count(people: dict[str, Any]) -> None:
            one = people.get(who)
            if one is None or not one["pin"] or not _young(one, hours):
                raise SignIn("The PIN is over for today.", slug="pin-over")
            if one["tries"] >= PIN_TRIES:
                raise SignIn("The PIN was wrong too often on this device.", slug="pin-locked")
            one["tries"] += 1
            person.clear()
            person.update(one)

        self._change(secret, count)
        if not password_fits(person["pin"], f"{pin}\n{secret}"):
            if person["tries"] >= PIN_TRIES:
                raise SignIn("The PIN was wrong too often on this device.", slug="pin-locked")
            raise SignIn("The PIN is wrong.", slug="wrong-pin")

        def right(people: dict[str, Any]) -> None:
            if who in people:
                people[who]["tries"] = 0

        self._change(secret, right)
        return int(person["since"])

    # -- inside ----------------------------------------------------------------------------

    def _change(self, secret: str, how: Callable[[dict[str, Any]], object]) -> None:
        """Change the people of a device, by compare and set."""
        for _ in range(30):
            kept = self._store.kept(KIND, digest(secret))
            value = kept or {"made": clock.now(), "people": {}}
            people = {who: dict(one) for who, one in value["people"].items()}
            how(people)
            changed = {**value, "people": people}
            if changed == kept:
                return
            try:
                self._store.keep(Keep(KIND, digest(secret), changed, expected=kept))
            except Conflict:
                continue
            return
        raise Conflict("This device is being changed just now. Try again.")


def check_pin_rules(pin: str) -> None:
    """Six digits that are not the first to be tried. Raises Invalid (`pin-form`, `pin-usual`)."""
    if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdigit()):
        raise Invalid("A PIN has six digits.", slug="pin-form", location="pin")
    steps = {int(right) - int(left) for left, right in pairwise(pin)}
    if len(set(pin)) < 3 or (len(steps) == 1) or pin in _USUAL:
        raise Invalid(
            "This PIN is one of those that are tried first.", slug="pin-usual", location="pin"
        )


def _young(one: dict[str, Any], hours: int) -> bool:
    return not hours or bool(one["since"] + hours * HOUR > clock.now())

"""Accounts of people and gateways: names, passwords, and when one is closed.

    account  username → {hash, role, name, actor, place, place_name, active, scopes,
                         once, made, last, reopened, why, void}

`once`: the password was given by somebody else and must be changed at the first sign-in; `last`:
the last whole sign-in; `why`: the reason of a closed account ("closed", "idle"); `void`: PINs from
before then open nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SignIn
from sokhoe.settings import DEMO_PASSWORD, Settings
from sokhoe.store import Keep, Store
from sokhoe.trust.actors import Actor, Role
from sokhoe.trust.passwords import (
    check_rules,
    draw_code,
    hash_password,
    password_fits,
)

DAY = 24 * 60 * 60_000_000
KIND = "account"
CLOSED, IDLE = "closed", "idle"
ONCE_LETTERS = 12  # of a password that is given on paper: 60 bits
_USERNAME = re.compile(r"^[a-z0-9][a-z0-9._-]{1,63}$")


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is listed. `why`: the reason of a closed one; `once`: the password was
    given and is not changed yet; `last`: the last whole sign-in (0: none yet)."""

    username: str
    name: str
    role: Role
    actor: str
    place: str
    place_name: str
    active: bool
    once: bool = False
    why: str = ""
    made: int = 0
    last: int = 0


class Accounts:
    """The accounts of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    # -- looking ---------------------------------------------------------------------------

    def all(self) -> list[Account]:
        return [_account(name, one) for name, one in sorted(self._store.all_kept(KIND).items())]

    def find(self, username: str) -> Account | None:
        value = self.kept(username)
        return _account(username, value) if value else None

    def kept(self, username: str) -> Any:
        return self._store.kept(KIND, username)

    def actor_of(self, username: str) -> Actor:
        """The account as somebody who acts. Raises NotFound."""
        value = self._must(username)
        return Actor(
            id=value["actor"],
            name=value["name"],
            role=Role(value["role"]),
            place=value["place"],
            place_name=value["place_name"],
            username=username,
            scopes=tuple(value["scopes"]),
        )

    # -- changing --------------------------------------------------------------------------

    def add(
        self,
        username: str,
        password: str,
        *,
        role: Role,
        name: str,
        actor: str,
        place: str = "",
        place_name: str = "",
        scopes: Sequence[str] = (),
        once: bool = False,
    ) -> None:
        """Create an account. Raises Invalid (name, password), Conflict (name taken)."""
        if not _USERNAME.match(username):
            raise Invalid(
                "A user name has 2 to 64 of the letters a-z, digits, dot, dash, underscore.",
                slug="user-name",
                location="username",
            )
        if not name.strip() or len(name) > 200:
            raise Invalid("The name of the person is missing.", slug="no-name", location="name")
        if not once:
            self.check_rules(password, username)
        value = {
            "hash": hash_password(password),
            "role": str(role),
            "name": name,
            "actor": actor,
            "place": place,
            "place_name": place_name,
            "active": True,
            "scopes": list(scopes),
            "once": once,
            "made": clock.now(),
            "last": 0,
            "why": "",
        }
        try:
            self._store.keep(Keep(KIND, username, value, expected=None))
        except Conflict:
            raise Conflict(
                f"There is an account {username!r} already.",
                slug="account-there",
                location="username",
            ) from None

    def add_once(self, username: str, **about: Any) -> str:
        """Create an account with a password on paper; returns that, for this one time."""
        password = draw_code(ONCE_LETTERS)
        self.add(username, password, once=True, **about)
        return password

    def give_password(self, username: str) -> str:
        """A new password on paper in place of a forgotten one; it must be changed at once."""
        password = draw_code(ONCE_LETTERS)
        self._change(username, hash=hash_password(password), once=True, void=clock.now())
        return password

    def choose_password(self, username: str, new: str) -> None:
        """The owner's own in place of one that was given; the given one is no choice."""
        value = self._must(username)
        self.check_rules(new, username)
        if password_fits(value["hash"], new):
            raise Invalid(
                "The new password is the old one.", slug="password-same", location="password"
            )
        self._change(username, hash=hash_password(new), once=False)

    def change_password(self, username: str, old: str, new: str) -> None:
        """The owner's own change. Raises SignIn (wrong old one), Invalid (rules)."""
        value = self._must(username)
        if not password_fits(value["hash"], old):
            raise SignIn("The old password is wrong.", slug="old-password", location="old")
        self.choose_password(username, new)

    def check_rules(self, password: str, username: str) -> None:
        check_rules(password, username, self._settings.password_least)

    def set_active(self, username: str, active: bool, why: str = CLOSED) -> list[Keep]:
        """What to write to close or reopen an account; a reopened one counts as used today."""
        value = self._must(username)
        changed = {**value, "active": active, "why": "" if active else why, "void": clock.now()}
        if active:
            changed["reopened"] = clock.now()
        return [Keep(KIND, username, changed, expected=value)]

    def void(self, username: str) -> None:
        """PINs that were set before now open nothing any more."""
        self._change(username, void=clock.now())

    def used(self, username: str) -> None:
        """A whole sign-in took place."""
        self._change(username, last=clock.now())

    # -- asking ----------------------------------------------------------------------------

    def fits(self, username: str, password: str) -> bool:
        """Is this the account's password? The same time passes for a name that is not there."""
        value = self.kept(username)
        good = password_fits(value["hash"] if value else None, password)
        return good and (password != DEMO_PASSWORD or self._settings.is_demo)

    def check_open(self, username: str) -> None:
        """Raises SignIn for an account that is closed, and why; closes one that was not used for
        too long. Asked after the password only: who does not know it learns nothing."""
        value = self._must(username)
        if value["active"] and self.is_idle(value):
            self._store.keep(*self.set_active(username, False, IDLE))
            value = self._must(username)
        if value["active"]:
            return
        if value.get("why") == IDLE:
            raise SignIn(
                f"This account was not used for {self._settings.account_idle_days} days"
                " and is closed.",
                hint="The head of your facility opens it again.",
                slug="account-idle",
            )
        raise SignIn(
            "This account is closed.",
            hint="Ask the head of your facility.",
            slug="account-closed",
        )

    def is_idle(self, value: dict[str, Any]) -> bool:
        """Not used for too long? Accounts of software are used by tokens, not by sign-ins."""
        days = self._settings.account_idle_days
        last = max(value.get(one, 0) for one in ("last", "made", "reopened"))
        if not days or not last or value["role"] == Role.SOFTWARE or self._settings.is_demo:
            return False
        return bool(last + days * DAY < clock.now())

    def idle(self) -> list[str]:
        """Names of the open accounts that have not been used for too long."""
        found = self._store.all_kept(KIND).items()
        return [name for name, value in found if value["active"] and self.is_idle(value)]

    # -- inside ----------------------------------------------------------------------------

    def _must(self, username: str) -> dict[str, Any]:
        value: dict[str, Any] | None = self.kept(username)
        if value is None:
            raise NotFound(
                f"There is no account {username!r}.", slug="no-account", location="username"
            )
        return value

    def _change(self, username: str, **changed: Any) -> None:
        """Compare and set, so that a closing in the same moment is not undone by it."""
        for _ in range(10):
            value = self._must(username)
            try:
                self._store.keep(Keep(KIND, username, {**value, **changed}, expected=value))
            except Conflict:
                continue
            return
        raise Conflict("Somebody else changes this account just now. Try again.")


def _account(username: str, one: dict[str, Any]) -> Account:
    return Account(
        username,
        one["name"],
        Role(one["role"]),
        one["actor"],
        one["place"],
        one["place_name"],
        one["active"],
        bool(one.get("once")),
        one.get("why", ""),
        one.get("made", 0),
        one.get("last", 0),
    )

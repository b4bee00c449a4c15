"""Living sign-ins of people. A sign-in is a cookie's secret, of which only the hash is kept, in the
memory that all processes share: ending it there ends it everywhere at once.

    signin   sha256(cookie) → {actor, purpose, csrf, since, seen, stage, how, fresh, device,
                               address, agent}

`stage`: IN, or what is still missing; `how`: by which proof ("password", "code", "passkey",
"pin", "eid"); `fresh`: when the person last proved who it is, wholly; `device`: hash of the
device's cookie. A sign-in gets a new secret whenever it comes to mean more (RFC 6265 §8.4 on
fixation): what was planted in a browser before is worth nothing after.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict
from sokhoe.settings import Settings
from sokhoe.store import Keep, Store
from sokhoe.trust.actors import USUAL_PURPOSE, Actor, Role
from sokhoe.trust.passwords import digest, draw
from sokhoe.trust.tokens import kept

MINUTE = 60_000_000
KIND = "signin"
HALF_MINUTES = 10  # a sign-in that is not whole yet


class Stage(StrEnum):
    IN = "in"
    FACTOR = "factor"  # the second factor is missing
    ENROL = "enrol"  # a second factor must be set up first
    PASSWORD = "password"  # the given password must be changed first  # noqa: S105


@dataclass(frozen=True, slots=True)
class Entry:
    """A sign-in as its owner sees it in the list of his devices."""

    key: str
    since: int
    seen: int
    how: str
    address: str
    agent: str
    device: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from: network address, secret of the device's cookie ("" for a new
    browser), and the browser's words about itself."""

    address: str = ""
    device: str = ""
    agent: str = ""


class SignIns:
    """The sign-ins of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def open(
        self,
        actor: Actor,
        origin: Origin,
        *,
        how: str,
        stage: Stage = Stage.IN,
        strong: bool = True,
    ) -> str:
        """A new sign-in; returns the secret for the cookie. `strong`: by a whole proof."""
        now = clock.now()
        value = {
            "actor": kept(actor),
            "purpose": str(USUAL_PURPOSE[actor.role]),
            "csrf": secrets.token_urlsafe(24),
            "since": now,
            "seen": now,
            "stage": str(stage),
            "how": how,
            "fresh": now if strong and stage is Stage.IN else 0,
            "device": digest(origin.device) if origin.device else "",
            "address": origin.address,
            "agent": origin.agent[:200],
        }
        cookie = draw()
        self._store.keep(Keep(KIND, digest(cookie), value))
        return cookie

    def living(
        self, cookie: str, is_shared: Callable[[str], bool] = lambda _: False
    ) -> dict[str, Any] | None:
        """The record of a sign-in, whole or half; None when there is none or it has ended.
        `is_shared`: do several people use the device of this hash?"""
        key = digest(cookie)
        for _ in range(5):
            value: dict[str, Any] | None = self._store.kept(KIND, key)
            if value is None:
                return None
            now = clock.now()
            if self.is_over(value, is_shared(value.get("device", ""))):
                self._store.keep(Keep(KIND, key, None))
                return None
            if now <= value["seen"] + MINUTE:  # not at every click: each keep is an fsync
                return value
            seen = {**value, "seen": now}
            try:  # compare and set: an end in this very moment must stay an end
                self._store.keep(Keep(KIND, key, seen, expected=value))
            except Conflict:
                continue
            return seen
        return None

    def is_over(self, value: dict[str, Any], shared: bool = False) -> bool:
        """Has this sign-in ended by itself? `shared`: several people use its device."""
        now = clock.now()
        if value.get("stage", Stage.IN) != Stage.IN:
            return bool(now > value["since"] + HALF_MINUTES * MINUTE)
        over = now > value["since"] + self._settings.session_hours * 60 * MINUTE
        idle = self.idle_minutes(Role(value["actor"]["role"]), shared)
        return over or bool(now > value["seen"] + idle * MINUTE)

    def idle_minutes(self, role: Role, shared: bool = False) -> int:
        """After how many minutes without a click this sign-in ends."""
        if role is Role.CITIZEN:
            return int(self._settings.citizen_idle_minutes)
        minutes = int(self._settings.idle_minutes)
        if shared and not self._settings.is_demo:
            return min(minutes, int(self._settings.shared_idle_minutes))
        return minutes

    def raise_to(self, cookie: str, **changed: Any) -> str | None:
        """The same sign-in with more in it, under a new secret; the old one ends in the same
        moment. None when it has ended meanwhile."""
        old = digest(cookie)
        value = self._store.kept(KIND, old)
        if value is None:
            return None
        new = draw()
        now = clock.now()
        csrf = secrets.token_urlsafe(24)
        whole = {**value, "csrf": csrf, "seen": now, **changed}
        try:
            self._store.keep(Keep(KIND, old, None, expected=value), Keep(KIND, digest(new), whole))
        except Conflict:
            return None
        return new

    def end(self, cookie: str) -> None:
        self._store.keep(Keep(KIND, digest(cookie), None))

    def of(self, who: str) -> list[Entry]:
        """Everything that is open for an account's user name or a citizen's reference, the last
        used first."""
        found = [
            Entry(
                key,
                value["since"],
                value["seen"],
                value.get("how", ""),
                value.get("address", ""),
                value.get("agent", ""),
                value.get("device", ""),
            )
            for key, value in self._store.all_kept(KIND).items()
            if owner_of(value["actor"]) == who
            and value.get("stage", Stage.IN) == Stage.IN
            and not self.is_over(value)
        ]
        return sorted(found, key=lambda one: -one.seen)

    def ends(self, who: str, but: str = "") -> list[Keep]:
        """What to write to end all sign-ins and tokens of somebody, what he let apps do too, except
        the one of key `but`."""
        return [
            Keep(kind, key, None)
            for kind in (KIND, "token", "grant")
            for key, value in self._store.all_kept(kind).items()
            if key != but and owner_of(value["actor"]) == who
        ]

    def end_one(self, who: str, key: str) -> bool:
        """End one sign-in of the list; False when it is not this person's (or over)."""
        value = self._store.kept(KIND, key)
        if value is None or owner_of(value["actor"]) != who:
            return False
        self._store.keep(Keep(KIND, key, None))
        return True

    def old(self) -> list[Keep]:
        """What is over and can be forgotten."""
        return [
            Keep(KIND, key, None, expected=value)
            for key, value in self._store.all_kept(KIND).items()
            if self.is_over(value)
        ]


def owner_of(actor: dict[str, Any]) -> str:
    """Whose keys open it: an account's user name, or the reference of a citizen."""
    return str(actor["username"] or actor["id"])

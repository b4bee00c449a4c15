"""How people come in: password, then whatever else their account asks for, then a sign-in.

Guessing is slowed where the guesser is, never where the owner is:

    who tries                                     counted under                 free tries
    ─────────────────────────────────────────────────────────────────────────────────────
    on a device where this account signed in      account + device              5
    anywhere else                                 account + address             5
                                                  address (whatever accounts)   20 in 15 minutes
      while the account (30 an hour) or the       account + address             1
      facility (60 in 15 minutes) is being tried

Then each waits 1, 5, 15, 30, 60 minutes, growing. So a thousand strangers cannot lock the nurse
out of her own computer, and a thousand addresses have one guess each and then an hour's wait.
A code of the second factor is counted in the same way with longer waits, and twenty an hour for
one account wherever its owner has not signed in before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sokhoe import clock
from sokhoe.errors import Busy, Forbidden, SignIn
from sokhoe.settings import Settings
from sokhoe.store import Store
from sokhoe.trust.accounts import Accounts
from sokhoe.trust.actors import Actor, Role
from sokhoe.trust.devices import Devices, Here
from sokhoe.trust.factors import Factors, refused
from sokhoe.trust.notes import note
from sokhoe.trust.passwords import digest
from sokhoe.trust.signins import Origin, SignIns, Stage
from sokhoe.trust.tokens import actor_of
from sokhoe.trust.tries import (
    ACCOUNT,
    ADDRESS,
    HARD,
    PERSON,
    PLACE,
    STRICT,
    Limit,
    Tries,
    network,
)

# Codes of an account that somebody elsewhere tries who has its password already.
CODES = Limit(20, 60, (60,))
RECENT_MINUTES = 5


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Names under which a try is counted: `own` begin anew after a right answer, `shared` get
    the try back, `wrong` count wrong answers only."""

    own: dict[str, Limit]
    shared: dict[str, Limit]
    wrong: dict[str, Limit]


@dataclass(frozen=True, slots=True)
class Half:
    """A sign-in that is not whole yet: it opens nothing but the page for what is missing."""

    who: str  # the account's user name
    actor: Actor
    stage: Stage
    csrf: str


class Entrance:
    """The way in to one store."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        accounts: Accounts,
        signins: SignIns,
        devices: Devices,
        factors: Factors,
        tries: Tries,
    ) -> None:
        self._store = store
        self._settings = settings
        self._accounts = accounts
        self._signins = signins
        self._devices = devices
        self._factors = factors
        self._tries = tries

    # -- password --------------------------------------------------------------------------

    def sign_in(self, username: str, password: str, origin: Origin) -> str:
        """Check a password; the secret of the new sign-in, whole or half (see its stage).
        Raises SignIn, Busy."""
        actor = self.check_password(username, password, origin)
        if actor.role is Role.SOFTWARE:
            raise SignIn("This account is for software, not for people.", slug="wrong-password")
        stage = self._stage(actor, proved=False)
        if stage is Stage.IN:
            self._entered(actor, origin, "password")
        return self._signins.open(actor, origin, how="password", stage=stage)

    def check_password(self, username: str, password: str, origin: Origin) -> Actor:
        """Who has this name and password. Raises SignIn (also for a closed account), Busy."""
        username = username.strip().lower()[:64]
        buckets = self._buckets(username, origin)
        self._take(username, buckets, origin)
        if not self._accounts.fits(username, password):
            self._wrong(username, buckets, "sign-in refused", origin)
            raise SignIn("The user name or the password is wrong.", slug="wrong-password")
        self._right(buckets)
        try:
            self._accounts.check_open(username)
        except SignIn as closed:
            note(
                self._store,
                username,
                f"sign-in refused: {closed.slug}",
                origin.address,
                actor=self._accounts.actor_of(username),
                outcome="4",
            )
            raise
        return self._accounts.actor_of(username)

    # -- what is missing after the password --------------------------------------------------

    def half(self, cookie: str) -> Half | None:
        """The sign-in of this cookie while something is still missing."""
        value = self._signins.living(cookie)
        if value is None or value.get("stage", Stage.IN) == Stage.IN:
            return None
        actor = actor_of(value["actor"])
        return Half(actor.username, actor, Stage(value["stage"]), value["csrf"])

    def second(self, cookie: str, code: str, origin: Origin) -> str:
        """The code of the app, or a recovery code; the new secret. Raises SignIn, Busy."""
        half = self._must(cookie, Stage.FACTOR)
        self._check_code(half.who, code, origin)
        return self._go_on(cookie, half, origin, "code")

    def second_passkey(self, cookie: str, answer: str, origin: Origin) -> str:
        """A passkey in place of the code."""
        half = self._must(cookie, Stage.FACTOR)
        self._factors.check_passkey(answer, half.who)
        return self._go_on(cookie, half, origin, "passkey")

    def enrolled(self, cookie: str, origin: Origin) -> str:
        """The second factor that was missing is set up now."""
        half = self._must(cookie, Stage.ENROL)
        if not self._factors.of(half.who).any:
            raise refused()
        return self._go_on(cookie, half, origin, "code")

    def new_password(self, cookie: str, password: str, origin: Origin) -> str:
        """The owner's own password in place of the one on paper. Raises Invalid (rules)."""
        half = self._must(cookie, Stage.PASSWORD)
        self._accounts.choose_password(half.who, password)
        note(self._store, half.who, "password changed", origin.address, actor=half.actor)
        return self._go_on(cookie, half, origin, "password")

    # -- without a password ------------------------------------------------------------------

    def with_passkey(self, answer: str, origin: Origin) -> str:
        """A passkey alone: it is something one has, and it asked for finger, face or PIN."""
        try:
            who = self._factors.check_passkey(answer)
        except SignIn:
            note(self._store, "", "passkey refused", origin.address, outcome="4")
            raise
        if self._accounts.find(who) is None:
            raise SignIn("This passkey belongs to no account.", slug="passkey-wrong")
        self._accounts.check_open(who)
        actor = self._accounts.actor_of(who)
        stage = self._stage(actor, proved=True)
        if stage is Stage.IN:
            self._entered(actor, origin, "passkey")
        return self._signins.open(actor, origin, how="passkey", stage=stage)

    # -- a PIN on a device that several people use ---------------------------------------------

    def set_pin(self, actor: Actor, how: str, pin: str, origin: Origin) -> None:
        """A PIN of one's own on this device; "" takes it away. Only from a whole sign-in.
        Raises SignIn (`pin-over`), Invalid."""
        who = actor.username
        if how == "pin":
            raise SignIn("Sign in wholly on this device first.", slug="pin-over")
        self._devices.set_pin(origin.device, who, pin)
        what = "PIN set on a device" if pin else "PIN taken off a device"
        note(self._store, who, what, origin.address, actor=actor)

    def here(self, origin: Origin) -> list[Here]:
        """Who may come in on this device with a PIN now."""
        return [
            one
            for one in self._devices.here(origin.device, self._settings.pin_hours)
            if self._pin_counts(one.who, self._devices.people(origin.device)[one.who]["since"])
        ]

    def switch(self, handle: str, pin: str, origin: Origin) -> str:
        """Another of this device's people takes over, with a PIN; the new secret. Raises SignIn:
        after five wrong ones only a whole sign-in opens this device for that person."""
        found = next((one for one in self.here(origin) if one.handle == handle), None)
        if found is None:
            raise SignIn("The PIN is over for today.", slug="pin-over")
        try:
            self._devices.check_pin(origin.device, found.who, pin, self._settings.pin_hours)
        except SignIn as refusal:
            what = f"PIN refused: {refusal.slug}"
            note(self._store, found.who, what, origin.address, outcome="4")
            raise
        self._accounts.check_open(found.who)
        actor = self._accounts.actor_of(found.who)
        note(self._store, found.who, "sign-in (pin)", origin.address, actor=actor)
        return self._signins.open(actor, origin, how="pin", strong=False)

    def _pin_counts(self, who: str, since: int) -> bool:
        """A PIN from before the account was closed, reset or signed out everywhere is void."""
        account = self._accounts.kept(who)
        return bool(account) and account["active"] and since > account.get("void", 0)

    # -- once more, for what is delicate -------------------------------------------------------

    def step_up(self, cookie: str, password: str, code: str, origin: Origin) -> str:
        """Prove it wholly once more: the password, and the code where the account has an app.
        The new secret of the same sign-in."""
        actor = self._owner(cookie)
        self.check_password(actor.username, password, origin)
        if self._factors.of(actor.username).any:
            self._check_code(actor.username, code, origin)
        return self._fresh(cookie, actor, origin, "password")

    def step_up_passkey(self, cookie: str, answer: str, origin: Origin) -> str:
        actor = self._owner(cookie)
        self._factors.check_passkey(answer, actor.username or actor.id)
        return self._fresh(cookie, actor, origin, "passkey")

    def step_up_pin(self, cookie: str, pin: str, origin: Origin) -> str:
        """A citizen's PIN on the phone where it was set; for staff a PIN is not enough."""
        actor = self._owner(cookie)
        if actor.role is not Role.CITIZEN:
            raise SignIn("A PIN is not enough for this.", slug="pin-over")
        self._devices.check_pin(origin.device, actor.id, pin, 0)
        return self._fresh(cookie, actor, origin, "pin")

    @contextmanager
    def counted(self, name: str, origin: Origin) -> Iterator[None]:
        """A try of something that can be guessed, counted for this address; it is given back when
        the block ends well. Raises Busy before the block."""
        address = network(origin.address)
        own, shared = {f"{name}|{address}": HARD}, {f"address|{address}": ADDRESS}
        self._tries.take({**own, **shared})
        yield
        self._tries.forget(*own)
        self._tries.give_back(shared)

    # -- inside ----------------------------------------------------------------------------

    def needs_factor(self, role: Role) -> bool:
        """Do the settings want a second factor of this role?"""
        if self._settings.is_demo:
            return False
        wanted = str(self._settings.second_factor_roles).replace(",", " ").split()
        return str(role) in wanted

    def _stage(self, actor: Actor, proved: bool) -> Stage:
        """What is missing. `proved`: the second factor was given already."""
        has = self._factors.of(actor.username).any
        account = self._accounts.find(actor.username)
        if has and not proved:
            return Stage.FACTOR
        if account is not None and account.once:
            return Stage.PASSWORD
        if not has and self.needs_factor(actor.role):
            return Stage.ENROL
        return Stage.IN

    def _must(self, cookie: str, stage: Stage) -> Half:
        half = self.half(cookie)
        if half is None or half.stage is not stage:
            raise SignIn("This sign-in is over. Begin again.", slug="sign-in-over")
        return half

    def _go_on(self, cookie: str, half: Half, origin: Origin, how: str) -> str:
        self._accounts.check_open(half.who)
        stage = self._stage(half.actor, proved=True)
        now = clock.now()
        changed: dict[str, Any] = {"stage": str(stage), "how": how, "since": now}
        if stage is Stage.IN:
            self._entered(half.actor, origin, how)
            changed["fresh"] = now
        return self._raised(cookie, **changed)

    def _owner(self, cookie: str) -> Actor:
        value = self._signins.living(cookie)
        if value is None or value.get("stage", Stage.IN) != Stage.IN:
            raise SignIn("This sign-in is over. Begin again.", slug="sign-in-over")
        return actor_of(value["actor"])

    def _fresh(self, cookie: str, actor: Actor, origin: Origin, how: str) -> str:
        note(self._store, actor.username, f"proved again ({how})", origin.address, actor=actor)
        return self._raised(cookie, fresh=clock.now())

    def _raised(self, cookie: str, **changed: Any) -> str:
        new = self._signins.raise_to(cookie, **changed)
        if new is None:
            raise SignIn("This sign-in is over. Begin again.", slug="sign-in-over")
        return new

    def _entered(self, actor: Actor, origin: Origin, how: str) -> None:
        note(self._store, actor.username, f"sign-in ({how})", origin.address, actor=actor)
        self._accounts.used(actor.username)
        if origin.device:
            self._devices.seen(origin.device, actor.username, actor.name)

    def _check_code(self, username: str, code: str, origin: Origin) -> None:
        known = origin.device and self._devices.knows(origin.device, username)
        where = digest(origin.device)[:16] if known else network(origin.address)
        own = {f"{username}|code|{where}": HARD}
        shared = {} if known else {f"code|{username}": CODES}
        buckets = _Buckets(own, shared, {})
        self._take(username, buckets, origin)
        found = self._factors.check_code(username, code)
        if not found:
            self._wrong(username, buckets, "code refused", origin)
            raise refused()
        self._right(buckets)
        if found == "recovery":
            note(self._store, username, "recovery code used", origin.address)

    def _buckets(self, username: str, origin: Origin) -> _Buckets:
        value = self._accounts.kept(username)
        place = value["place"] if value else ""
        wrong = {f"account|{username}": ACCOUNT} | ({f"place|{place}": PLACE} if place else {})
        if origin.device and self._devices.knows(origin.device, username):
            own = {f"{username}|device {digest(origin.device)[:16]}": PERSON}
            return _Buckets(own, {}, {})
        hot = any(self._tries.is_hot(name, limit) for name, limit in wrong.items())
        address = network(origin.address)
        own = {f"{username}|{address}": STRICT if hot else PERSON}
        return _Buckets(own, {f"address|{address}": ADDRESS}, wrong)

    def _take(self, username: str, buckets: _Buckets, origin: Origin) -> None:
        try:
            self._tries.take({**buckets.own, **buckets.shared})
        except Busy as refusal:
            note(
                self._store,
                username,
                f"sign-in refused: {refusal.slug}",
                origin.address,
                outcome="4",
            )
            raise

    def _right(self, buckets: _Buckets) -> None:
        self._tries.forget(*buckets.own)
        self._tries.give_back(buckets.shared)

    def _wrong(self, username: str, buckets: _Buckets, what: str, origin: Origin) -> None:
        if buckets.wrong:
            self._tries.take(buckets.wrong)
        note(self._store, username, what, origin.address, outcome="4")


def is_recent(fresh: int, minutes: int = RECENT_MINUTES) -> bool:
    """Was the last whole proof at most so many minutes ago?"""
    return fresh + minutes * 60_000_000 >= clock.now()


def check_recent(fresh: int, minutes: int = RECENT_MINUTES) -> None:
    """Raises Forbidden (`step-up`) when the last whole proof is longer ago than so many minutes."""
    if not is_recent(fresh, minutes):
        raise Forbidden(
            "Prove once more who you are.",
            hint="Enter your password again; then this goes on by itself.",
            slug="step-up",
        )

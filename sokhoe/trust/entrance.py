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
"""

from __future__ import annotations

from dataclasses import dataclass

from sokhoe.errors import SignIn, SokhoeError
from sokhoe.settings import Settings
from sokhoe.store import Store
from sokhoe.trust.accounts import Accounts
from sokhoe.trust.actors import Actor, Role
from sokhoe.trust.devices import Devices
from sokhoe.trust.notes import note
from sokhoe.trust.passwords import digest
from sokhoe.trust.signins import Origin, SignIns, Stage
from sokhoe.trust.tries import ACCOUNT, ADDRESS, PERSON, PLACE, STRICT, Limit, Tries, network


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Names under which a try is counted: `own` begin anew after a right answer, `shared` get
    the try back, `wrong` count wrong answers only."""

    own: dict[str, Limit]
    shared: dict[str, Limit]
    wrong: dict[str, Limit]


class Entrance:
    """The way in to one store."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        accounts: Accounts,
        signins: SignIns,
        devices: Devices,
        tries: Tries,
    ) -> None:
        self._store = store
        self._settings = settings
        self._accounts = accounts
        self._signins = signins
        self._devices = devices
        self._tries = tries

    # -- password --------------------------------------------------------------------------

    def sign_in(self, username: str, password: str, origin: Origin) -> str:
        """Check a password; the secret of the new sign-in, whole or half (see its stage).
        Raises SignIn, Busy."""
        actor = self.check_password(username, password, origin)
        if actor.role is Role.SOFTWARE:
            raise SignIn("This account is for software, not for people.", slug="wrong-password")
        return self._enter(actor, origin, "password", Stage.IN)

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

    # -- inside ----------------------------------------------------------------------------

    def _enter(self, actor: Actor, origin: Origin, how: str, stage: Stage) -> str:
        note(self._store, actor.username, f"sign-in ({how})", origin.address, actor=actor)
        self._accounts.used(actor.username)
        if origin.device:
            self._devices.seen(origin.device, actor.username, actor.name)
        return self._signins.open(actor, origin, how=how, stage=stage)

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
        except SokhoeError as refusal:
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

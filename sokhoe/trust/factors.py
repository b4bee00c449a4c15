"""What somebody proves himself with besides a password: an authenticator app, recovery codes,
passkeys. One record for each person, changed by compare and set.

    factor    owner → {totp: {secret, last} | None, proposed: secret | "", codes: [hash…],
                       handle, passkeys: [{id, key, count, name, made, used}…]}
    passkey   credential id → {owner}
    challenge sha256(challenge) → until      (answered ones: each is answered once)

A challenge is nothing that we keep: it carries its end and a seal over whom it was made for, so
that a page which is only looked at costs no write.

`owner`: an account's user name, or a citizen's reference. A code of the app works once, a recovery
code works once, a challenge works once.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, SignIn
from sokhoe.settings import Settings
from sokhoe.store import Keep, Store
from sokhoe.trust import passkeys, totp
from sokhoe.trust.passwords import digest, draw_code, read_code

KIND, INDEX, CHALLENGE = "factor", "passkey", "challenge"
RECOVERY_CODES = 8
RECOVERY_LETTERS = 16  # 80 bits: their plain hash cannot be searched
MOST_PASSKEYS = 10
CHALLENGE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key that lives in a phone, a computer or a stick, as its owner sees it."""

    id: str
    name: str
    made: int
    used: int


@dataclass(frozen=True, slots=True)
class View:
    """What somebody has. `codes`: recovery codes that are left."""

    totp: bool = False
    codes: int = 0
    passkeys: tuple[Passkey, ...] = ()

    @property
    def any(self) -> bool:
        return self.totp or bool(self.passkeys)


class Factors:
    """The second factors of one store."""

    def __init__(self, store: Store, settings: Settings, secret: bytes) -> None:
        self._store = store
        self._secret = secret
        self.site = passkeys.site_of(settings.url)

    def of(self, owner: str) -> View:
        value = self._kept(owner)
        return View(
            value["totp"] is not None,
            len(value["codes"]),
            tuple(
                Passkey(one["id"], one["name"], one["made"], one["used"])
                for one in value["passkeys"]
            ),
        )

    # -- authenticator app -----------------------------------------------------------------

    def propose(self, owner: str) -> str:
        """A secret for the app; it counts only when `confirm` has seen a code of it. The same
        secret until then, so that the page may be loaded again."""
        value = self._change(owner, lambda one: one.update(proposed=one["proposed"] or _secret()))
        return str(value["proposed"])

    def confirm(self, owner: str, code: str) -> list[str]:
        """The app shows the right code: from now on it is asked for. Returns the recovery codes,
        to be written down now. Raises Invalid (`wrong-code`)."""
        drawn = [draw_code(RECOVERY_LETTERS) for _ in range(RECOVERY_CODES)]

        def take(value: dict[str, Any]) -> None:
            step = _step(value["proposed"], code, 0)
            if step is None:
                raise Invalid("This code is wrong.", slug="wrong-code", location="code")
            value["totp"] = {"secret": value["proposed"], "last": step}
            value["proposed"] = ""
            value["codes"] = [digest(read_code(one)) for one in drawn]

        self._change(owner, take)
        return drawn

    def check_code(self, owner: str, typed: str) -> str:
        """Is it the app's code, or a recovery code? Each is used up. "" for neither, else the name
        of what it was ("app", "recovery")."""
        found = ""

        def use(value: dict[str, Any]) -> None:
            nonlocal found
            found = ""
            code = read_code(typed)
            if value["totp"] is not None:
                step = _step(value["totp"]["secret"], code, value["totp"]["last"])
                if step is not None:
                    value["totp"] = {**value["totp"], "last": step}
                    found = "app"
                    return
            if len(code) == RECOVERY_LETTERS and digest(code) in value["codes"]:
                value["codes"] = [one for one in value["codes"] if one != digest(code)]
                found = "recovery"

        self._change(owner, use)
        return found

    def drop_app(self, owner: str) -> None:
        self._change(owner, lambda value: value.update(totp=None, proposed="", codes=[]))

    # -- passkeys --------------------------------------------------------------------------

    def registration(self, owner: str, name: str, shown: str) -> str:
        """What the browser is asked to make a passkey with (JSON of
        PublicKeyCredentialCreationOptions, WebAuthn §5.4)."""
        value = self._change(owner, lambda _: None)
        if len(value["passkeys"]) >= MOST_PASSKEYS:
            raise Invalid("There are passkeys enough; remove one first.", slug="passkey-many")
        challenge = self._challenge(owner, "make")
        known = [one["id"] for one in value["passkeys"]]
        return passkeys.making(self._site(), challenge, value["handle"], name, shown, known)

    def add_passkey(self, owner: str, answer: str, name: str) -> None:
        """Keep the passkey that the browser made. Raises Invalid (`passkey-…`)."""
        challenge = self._answered(answer, "make", owner)
        made = passkeys.made(self._site(), answer, challenge)
        one = {
            "id": made.id,
            "key": made.key,
            "count": made.count,
            "name": name.strip()[:60] or "Passkey",
            "made": clock.now(),
            "used": 0,
        }

        def put(value: dict[str, Any]) -> None:
            value["passkeys"] = [*value["passkeys"], one]

        index = Keep(INDEX, made.id, {"owner": owner}, expected=None)
        try:
            self._store.keep(index)
        except Conflict:
            raise Conflict("This passkey is known already.", slug="passkey-known") from None
        self._change(owner, put)

    def assertion(self, owner: str = "") -> str:
        """What the browser is asked to prove itself with (JSON of
        PublicKeyCredentialRequestOptions); without an owner, whichever passkey it has."""
        known = [one["id"] for one in self._kept(owner)["passkeys"]] if owner else []
        return passkeys.asking(self._site(), self._challenge(owner, "prove"), known)

    def check_passkey(self, answer: str, owner: str = "") -> str:
        """Whose passkey has answered? Raises SignIn (`passkey-wrong`) when it is nobody's, another
        one's than `owner`'s, of another site, an old answer, or of a copied key."""
        challenge = self._answered(answer, "prove", owner)
        id = passkeys.id_in(answer)
        index = self._store.kept(INDEX, id)
        if index is None or (owner and index["owner"] != owner):
            raise passkeys.wrong("it is not known here")

        def use(value: dict[str, Any]) -> None:
            one = next((each for each in value["passkeys"] if each["id"] == id), None)
            if one is None:
                raise passkeys.wrong("it was removed")
            count = passkeys.proved(self._site(), answer, challenge, one["key"], one["count"])
            changed = {**one, "count": count, "used": clock.now()}
            value["passkeys"] = [
                changed if each["id"] == id else each for each in value["passkeys"]
            ]

        self._change(index["owner"], use)
        return str(index["owner"])

    def remove_passkey(self, owner: str, id: str) -> None:
        """Raises NotFound when this person has no such passkey."""
        if all(one.id != id for one in self.of(owner).passkeys):
            raise NotFound("There is no such passkey.", slug="no-passkey")

        def remove(value: dict[str, Any]) -> None:
            value["passkeys"] = [one for one in value["passkeys"] if one["id"] != id]

        self._change(owner, remove)
        self._store.keep(Keep(INDEX, id, None))

    # -- all -------------------------------------------------------------------------------

    def clear(self, owner: str) -> list[Keep]:
        """What to write to take everything from somebody (the phone was stolen)."""
        value = self._store.kept(KIND, owner)
        if value is None:
            return []
        index = [Keep(INDEX, one["id"], None) for one in value["passkeys"]]
        return [Keep(KIND, owner, None, expected=value), *index]

    def old(self) -> list[Keep]:
        """Answered challenges whose time is over: their end alone keeps them from coming again."""
        now = clock.now()
        return [
            Keep(CHALLENGE, key, None)
            for key, value in self._store.all_kept(CHALLENGE).items()
            if value < now
        ]

    # -- inside ----------------------------------------------------------------------------

    def _site(self) -> passkeys.Place:
        if self.site is None:
            raise Invalid(
                "Passkeys need an address with a name and HTTPS.",
                hint="Open this server by its name over HTTPS, or use an authenticator app.",
                slug="passkey-address",
            )
        return self.site

    def _kept(self, owner: str) -> dict[str, Any]:
        value: dict[str, Any] | None = self._store.kept(KIND, owner)
        return value or {"totp": None, "proposed": "", "codes": [], "handle": "", "passkeys": []}

    def _change(self, owner: str, how: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        for _ in range(20):
            kept = self._store.kept(KIND, owner)
            value = dict(kept) if kept else self._kept(owner)
            value["handle"] = value["handle"] or secrets.token_urlsafe(32)
            how(value)
            if kept == value:
                return value
            try:
                self._store.keep(Keep(KIND, owner, value, expected=kept))
            except Conflict:
                continue
            return value
        raise Conflict("Somebody else changes this just now. Try again.")

    def _challenge(self, owner: str, what: str) -> bytes:
        until = clock.now() // 1_000_000 + CHALLENGE_SECONDS
        head = secrets.token_bytes(16) + until.to_bytes(8, "big")
        return head + self._seal(head, owner, what)

    def _seal(self, head: bytes, owner: str, what: str) -> bytes:
        said = b"challenge\n" + head + f"{what}\n{owner}".encode()
        return hmac.new(self._secret, said, sha256).digest()

    def _answered(self, answer: str, what: str, owner: str) -> bytes:
        """The challenge that this answer is to; it is used up, whatever comes of it."""
        challenge = passkeys.challenge_in(answer)
        head, seal = challenge[:24], challenge[24:]
        if not hmac.compare_digest(seal, self._seal(head, owner, what)):
            raise passkeys.wrong("its challenge is not ours, or another one's")
        until = int.from_bytes(head[16:], "big") * 1_000_000
        if until < clock.now():
            raise passkeys.wrong("its challenge is over")
        try:
            self._store.keep(Keep(CHALLENGE, digest(_text(challenge)), until, expected=None))
        except Conflict:
            raise passkeys.wrong("its challenge was used") from None
        return challenge


def _text(challenge: bytes) -> str:
    return urlsafe_b64encode(challenge).decode().rstrip("=")


def _secret() -> str:
    return totp.draw_secret()


def _step(secret: str, code: str, last: int) -> int | None:
    if not secret or len(code) != totp.DIGITS or not code.isascii():
        return None
    return totp.fitting_step(secret, code, clock.now(), last)


def refused() -> SignIn:
    """One sentence for every wrong code."""
    return SignIn("This code is wrong, or was used already.", slug="wrong-code")

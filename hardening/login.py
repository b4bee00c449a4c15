"""Check 24: guessing and forging at the door: passwords from one address, from many, sprayed over
many accounts; PINs and codes by somebody who has the computer or the password; sign-ins that are
half, planted or old; answers of the e-ID that are forged.

Each attacker would find the right secret if he were let go on: it is among his guesses, behind more
than the rules allow. Bad is: a guess that opened something, more guesses looked at than the rules
say, and an owner who cannot come in from the own computer meanwhile.

argon2 is left out (a plain comparison in its place), since here its 50 ms would only hide how many
guesses the rules let through.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from unittest import mock

from hardening import Outcome
from sokhoe import clock
from sokhoe.book import id_token
from sokhoe.errors import Busy, Forbidden, Invalid, SignIn, SokhoeError
from sokhoe.trust import Gate, Origin, Role, check_recent, draw
from sokhoe.trust.totp import code_of, step_at
from sokhoe.trust.tries import Tries
from tests.book.forger import Liar, signed
from tests.book.test_oidc import FORGERIES
from tests.worlds import a_gate

MORNING = datetime(2026, 11, 23, 1, tzinfo=UTC)
WORD = "con đò nhỏ qua sông"
PIN = "482915"
FORGED = 200


@dataclass(slots=True)
class Tally:
    """What came of the attacks so far."""

    tried: int = 0
    bad: list[str] = field(default_factory=list)

    def check(self, holds: bool, words: str) -> None:
        if not holds:
            self.bad.append(words)


@dataclass(slots=True)
class Town:
    """A gate with some accounts; each owner has a computer where he signed in before."""

    gate: Gate
    random: Random
    tally: Tally
    ahead: Callable[[float], None]
    computers: dict[str, str] = field(default_factory=dict)

    def guess(self, username: str, password: str, origin: Origin) -> bool:
        """One guess; whether it was looked at. A right one is bad."""
        self.tally.tried += 1
        try:
            self.gate.entrance.sign_in(username, password, origin)
        except Busy:
            return False
        except SignIn:
            return True
        self.tally.bad.append(f"a guess opened {username}")
        return True

    def owner_comes_in(self, username: str, after: str) -> None:
        """The owner, on the own computer, with the right password."""
        origin = Origin("10.0.0.1", self.computers[username])
        try:
            self.gate.entrance.sign_in(username, WORD, origin)
        except SokhoeError as error:
            self.tally.bad.append(f"after {after} {username} is kept out: {error.slug}")


def run(n: int = 20_000, seed: int = 20261123) -> Outcome:
    """So many guesses in all, and 200 forged answers of the e-ID (fewer in short)."""
    tally = Tally()
    forged = min(FORGED, max(n // 10, len(FORGERIES)))
    attacks = (one_address, many_addresses, spraying, pins, codes)
    for attack in attacks:
        with town(seed, tally) as made:
            attack(made, n // len(attacks))
    with town(seed, tally) as made:
        half_and_planted(made)
    forge(forged, Random(seed), tally)
    caught = _planted(seed)
    return Outcome("24 log-in", tally.tried, len(tally.bad), caught, seed, tuple(tally.bad[:10]))


# -- attackers ------------------------------------------------------------------------------------


def one_address(made: Town, n: int) -> None:
    """A list of passwords against one account, the right one at its end, a day long."""
    looked = 0
    for number in range(n):
        password = WORD if number >= n - 3 else f"guess {number}"
        looked += made.guess("nurse", password, Origin("10.6.6.6"))
        made.ahead(86_400 / n)
        if number % max(n // 10, 1) == 0:
            made.owner_comes_in("nurse", "guesses from one address")
    # five, then waits of 1, 5, 15, 30 and 60 minutes, five each time
    made.tally.check(looked <= 5 * 30, f"{looked} passwords of one address were looked at in a day")


def many_addresses(made: Town, n: int) -> None:
    """As many addresses as guesses, against one account: it must not hurt its owner."""
    looked = sum(
        made.guess("nurse", f"guess {number}", Origin(f"10.{number >> 8 & 255}.{number & 255}.7"))
        for number in range(n // 2)
    )
    made.tally.check(looked <= n // 2, "more looked at than sent")
    again = sum(
        made.guess("nurse", f"again {number}", Origin(f"10.{number >> 8 & 255}.{number & 255}.7"))
        for number in range(n - n // 2)
    )
    # who had one guess while the account was being tried waits; the first thirty had five
    made.tally.check(again <= 30 * 5, f"{again} second guesses were looked at")
    made.owner_comes_in("nurse", "guesses from many addresses")


def spraying(made: Town, n: int) -> None:
    """One likely password over many accounts from one address; it is right for some of them."""
    looked = 0
    for number in range(n):
        right = number > n // 2
        name = made.random.choice(list(made.computers)) if right else f"person-{number}"
        looked += made.guess(name, WORD if right else "Spring2026!", Origin("10.7.7.7"))
    made.tally.check(looked <= 20, f"{looked} sprayed passwords were looked at")
    for name in made.computers:
        made.owner_comes_in(name, "spraying")


def pins(made: Town, n: int) -> None:
    """Somebody sits at the owner's computer, and tries PINs in random order."""
    gate, here = made.gate, Origin("10.0.0.1", made.computers["nurse"])
    gate.entrance.set_pin(gate.accounts.actor_of("nurse"), "password", PIN, here)
    handle = gate.entrance.here(here)[0].handle
    looked = 0
    for number in range(n):
        made.tally.tried += 1
        pin = PIN if number >= n - 3 else f"{made.random.randrange(10**6):06}"
        try:
            gate.entrance.switch(handle, pin if pin != PIN or number >= n - 3 else "000000", here)
            made.tally.bad.append("a guessed PIN opened")
        except SignIn as refusal:
            looked += refusal.slug != "pin-over"
    made.tally.check(looked <= 5, f"{looked} PINs were looked at")
    made.owner_comes_in("nurse", "guessed PINs")
    signed_in = gate.entrance.switch(gate.entrance.here(here)[0].handle, PIN, here)
    whole = gate.signed_in(signed_in)
    with suppress(Forbidden):
        check_recent(whole.fresh if whole else 0)
        made.tally.bad.append("a PIN was enough for what is delicate")


def codes(made: Town, n: int) -> None:
    """Somebody has the password and guesses the app's code, from many addresses, a day long."""
    gate, secret = made.gate, _app(made.gate, "doctor")
    looked = 0
    for number in range(n):
        made.tally.tried += 1
        there = Origin(f"10.8.{number % 7}.{number % 50}")
        made.ahead(86_400 / n)
        try:
            cookie = gate.entrance.sign_in("doctor", WORD, there)
            now = code_of(secret, step_at(clock.now()))
            guess = f"{made.random.randrange(10**6):06}"
            gate.entrance.second(cookie, guess if guess != now else "000000", there)
            made.tally.bad.append("a guessed code opened")
        except Busy:
            continue
        except SignIn as refusal:
            looked += refusal.slug == "wrong-code"
    made.tally.check(looked <= 20 * 24, f"{looked} codes were looked at in a day")
    here = Origin("10.0.0.1", made.computers["doctor"])
    cookie = gate.entrance.sign_in("doctor", WORD, here)
    try:
        gate.entrance.second(cookie, code_of(secret, step_at(clock.now())), here)
    except SokhoeError as error:
        made.tally.bad.append(f"after guessed codes the owner is kept out: {error.slug}")


def half_and_planted(made: Town) -> None:
    """Half sign-ins used as whole, planted cookies, secrets from before, a code used twice."""
    gate, entrance = made.gate, made.gate.entrance
    secret, here = _app(gate, "head"), Origin("10.0.0.1", made.computers["head"])
    half = entrance.sign_in("head", WORD, here)
    made.tally.check(gate.signed_in(half) is None, "a half sign-in opened")
    steps: list[Callable[[], str]] = [
        lambda: entrance.enrolled(half, here),
        lambda: entrance.new_password(half, "another good one", here),
        lambda: entrance.step_up(half, WORD, "", here),
        lambda: entrance.second(half, "", here),
        lambda: entrance.second("planted", code_of(secret, step_at(clock.now())), here),
    ]
    for step in steps:
        made.tally.tried += 1
        with suppress(SignIn, Busy):
            step()
            made.tally.bad.append("a step was skipped")
    code = code_of(secret, step_at(clock.now()))
    whole = entrance.second(half, code, here)
    made.tally.check(gate.signed_in(whole) is not None, "the right code did not open")
    made.tally.check(gate.signed_in(half) is None, "the secret from before the code opens")
    made.tally.check(gate.signed_in("planted") is None, "a planted secret opens")
    again = entrance.sign_in("head", WORD, here)
    with suppress(SignIn):
        entrance.second(again, code, here)
        made.tally.bad.append("a code opened twice")
    gate.sign_out_everywhere("head")
    made.tally.check(gate.signed_in(whole) is None, "signed out everywhere, and still in")
    made.tally.tried += 5


def forge(n: int, random: Random, tally: Tally) -> None:
    """Answers of the e-ID with something wrong: algorithm, key, issuer, audience, nonce, time, and
    each honest answer once more for another question."""
    names = list(FORGERIES)
    for number in range(n):
        tally.tried += 1
        name = names[number % len(names)]
        if number >= len(names) and random.random() < 0.3:
            name = "replayed"
        try:
            _answer(name)
            tally.bad.append(f"a forged answer was believed: {name}")
        except Invalid:
            pass


def _answer(name: str) -> None:
    """One sign-in that is answered by a forgery, or by the honest answer to the one before."""
    liar = Liar()
    provider = liar.provider()
    if name == "replayed":
        liar.attempt(provider)
        kept = signed(liar.claims, liar.key)
        liar.token = lambda _: kept
    else:
        liar.token = lambda claims: FORGERIES[name](liar, claims)
    attempt = liar.attempt(provider)
    provider.finish({"code": "c", "state": attempt.state}, attempt)


# -- the town -------------------------------------------------------------------------------------


@contextmanager
def town(seed: int, tally: Tally) -> Iterator[Town]:
    """A nurse, a doctor and a head, each known on a computer of the own."""
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-login-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ahead = stack.enter_context(clock.standing_at(MORNING))
        for module in ("accounts", "devices"):
            stack.enter_context(mock.patch(f"sokhoe.trust.{module}.hash_password", _plain))
            stack.enter_context(mock.patch(f"sokhoe.trust.{module}.password_fits", _plain_fits))
        gate = stack.enter_context(a_gate(folder))
        made = Town(gate, Random(seed), tally, ahead)
        for role in (Role.NURSE, Role.DOCTOR, Role.HEAD):
            name = str(role)
            gate.add_account(
                name,
                WORD,
                role=role,
                name=name,
                actor=f"Practitioner/{name}",
                place="Organization/1",
            )
            made.computers[name] = draw()
            gate.entrance.sign_in(name, WORD, Origin("10.0.0.1", made.computers[name]))
        yield made


def _plain(password: str) -> str:
    return f"plain {password}"


def _plain_fits(kept: str | None, password: str) -> bool:
    return kept == f"plain {password}"


def _app(gate: Gate, who: str) -> str:
    secret = gate.factors.propose(who)
    gate.factors.confirm(who, code_of(secret, step_at(clock.now()) - 1))
    return secret


def _planted(seed: int) -> bool:
    """Without the counters, and without the checks of an answer, the attackers must get in."""
    guesses, answers = Tally(), Tally()
    with mock.patch.object(Tries, "take", lambda *_: None), town(seed, guesses) as made:
        one_address(made, 60)
    with mock.patch.object(id_token, "check", lambda *_: None):
        forge(len(FORGERIES), Random(seed), answers)
    return bool(guesses.bad) and bool(answers.bad)

"""Guessing waits where the guesser is, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Invalid, SignIn, SokhoeError
from sokhoe.trust import Actor, Gate, Role, draw
from sokhoe.trust.tries import HARD, PERSON, Limit, Tries, network

WORD = "a long enough word"
NOON = datetime(2026, 11, 23, 5, tzinfo=UTC)


@pytest.fixture
def gate(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Passwords are compared without argon2's 50 ms: here the counting is tried, not the hash."""
    monkeypatch.setattr("sokhoe.trust.accounts.hash_password", lambda word: f"plain {word}")
    monkeypatch.setattr(
        "sokhoe.trust.accounts.password_fits", lambda kept, word: kept == f"plain {word}"
    )
    for name, place in (("nurse", "Organization/1"), ("doctor", "Organization/1"), ("far", "")):
        gate.add_account(
            name, WORD, role=Role.NURSE, name=name, actor=f"Practitioner/{name}", place=place
        )
    with clock.standing_at(NOON):
        yield gate


def guess(gate: Gate, name: str, address: str, device: str = "", times: int = 1) -> int:
    """Wrong passwords; how many were looked at and not turned away."""
    looked = 0
    for _ in range(times):
        with suppress(Busy):
            try:
                gate.sign_in(name, "wrong", address, device)
            except SignIn:
                looked += 1
    return looked


def test_the_waits_grow_and_end_by_themselves(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        waits = []
        for _ in range(6):
            guess(gate, "nurse", "10.0.0.9", times=5)
            with pytest.raises(Busy) as refusal:
                gate.sign_in("nurse", WORD, "10.0.0.9")
            waits.append(-(-refusal.value.wait // 60))
            ahead(refusal.value.wait)
        assert waits == [1, 5, 15, 30, 60, 60]
        assert gate.sign_in("nurse", WORD, "10.0.0.9")


def test_two_hundred_guesses_in_one_moment_are_five(gate: Gate) -> None:
    with ThreadPoolExecutor(16) as pool:
        looked = sum(pool.map(lambda _: guess(gate, "nurse", "10.0.0.9"), range(200)))
    assert looked <= 5


def test_the_owner_s_computer_does_not_wait_for_strangers(gate: Gate) -> None:
    device = draw()
    gate.sign_in("nurse", WORD, "10.0.0.1", device)
    for number in range(300):
        guess(gate, "nurse", f"10.1.{number % 250}.{number}")
    guess(gate, "nurse", "10.0.0.1", times=10)  # and somebody behind the same router
    assert gate.sign_in("nurse", WORD, "10.0.0.1", device)
    guess(gate, "nurse", "10.0.0.1", device, times=5)
    with pytest.raises(Busy):  # a thief of the computer has five tries too
        gate.sign_in("nurse", WORD, "10.0.0.1", device)


def test_a_device_stands_for_its_own_people_only(gate: Gate) -> None:
    device = draw()
    gate.sign_in("far", WORD, "10.0.0.66", device)
    assert guess(gate, "nurse", "10.0.0.66", device, times=50) == 5


def test_while_an_account_is_being_tried_each_new_address_has_one_guess(gate: Gate) -> None:
    looked = sum(guess(gate, "nurse", f"10.2.0.{n}", times=5) for n in range(100))
    assert looked <= 30 + 5 + 100
    assert guess(gate, "nurse", "10.3.0.1", times=5) == 1
    assert gate.sign_in("nurse", WORD, "10.3.0.2")  # a new computer of the owner gets in at once
    assert guess(gate, "far", "10.3.0.1", times=5) == 5  # an account of elsewhere is as before


def test_spraying_one_password_over_many_accounts_waits(gate: Gate) -> None:
    looked = sum(guess(gate, f"person-{n}", "10.0.0.9") for n in range(200))
    assert looked == 20
    with pytest.raises(Busy):
        gate.sign_in("nurse", WORD, "10.0.0.9")
    assert gate.sign_in("nurse", WORD, "10.0.0.10")


def test_a_good_account_of_one_s_own_does_not_wash_the_address_clean(gate: Gate) -> None:
    looked = 0
    for number in range(200):
        looked += guess(gate, f"person-{number}", "10.0.0.9")
        with suppress(SokhoeError):
            gate.sign_in("far", WORD, "10.0.0.9")
    assert looked == 20


def test_while_a_facility_is_being_sprayed_its_accounts_are_stricter(gate: Gate) -> None:
    for number in range(70):
        guess(gate, "doctor" if number % 2 else "nurse", f"10.4.0.{number}")
    assert guess(gate, "doctor", "10.5.0.1", times=5) == 1


def test_forgotten_after_a_day(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        guess(gate, "nurse", "10.0.0.9", times=5)
        ahead(25 * 3600)
        assert gate.tidy() > 0
        assert gate._store.all_kept("tries") == {}


def test_an_ipv6_user_has_one_address_not_a_million() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:2") != network("2001:db8:0:1::1")
    assert network("::ffff:10.0.0.1") == "10.0.0.1"
    assert network("testclient") == "testclient"


def test_what_has_few_values_waits_longer(gate: Gate) -> None:
    tries = Tries(gate._store)
    for _ in range(5):
        tries.take({"code": HARD})
    with pytest.raises(Busy) as refusal:
        tries.take({"code": HARD})
    assert refusal.value.wait == 15 * 60
    tries.forget("code")
    tries.take({"code": HARD})


def test_a_try_given_back_ends_the_wait_it_began(gate: Gate) -> None:
    tries, limit = Tries(gate._store), Limit(2, 60, (5,))
    tries.take({"a": limit})
    tries.take({"a": limit})
    tries.give_back({"a": limit})
    tries.take({"a": limit})
    with pytest.raises(Busy):
        tries.take({"a": limit})
    tries.give_back({"never taken": PERSON})


def test_every_refusal_is_in_the_audit(gate: Gate) -> None:
    guess(gate, "nurse", "10.0.0.9", times=6)
    auditor = gate.session(Actor("Practitioner/a", "A", Role.AUDITOR))
    lines = auditor.search("AuditEvent", [("_count", "100")]).versions
    assert sum("sign-in refused" in str(one.resource) for one in lines) == 6


# -- accounts -------------------------------------------------------------------------------------


def test_an_account_nobody_uses_is_closed_and_told_to_its_owner_alone(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        gate.sign_in("nurse", WORD)
        ahead(46 * 24 * 3600)
        with pytest.raises(SignIn) as wrong:
            gate.sign_in("nurse", "wrong")
        assert wrong.value.slug == "wrong-password"
        with pytest.raises(SignIn) as idle:
            gate.sign_in("nurse", WORD)
        assert idle.value.slug == "account-idle"
        gate.set_active("nurse", True)
        assert gate.sign_in("nurse", WORD)
        assert gate.signed_in(gate.sign_in("nurse", WORD)) is not None


def test_the_daily_work_closes_idle_accounts_and_ends_their_sign_ins(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        ahead(40 * 24 * 3600)
        gate.sign_in("doctor", WORD)
        ahead(6 * 24 * 3600)
        gate.tidy()
        open_ones = {one.username for one in gate.accounts.all() if one.active}
    assert open_ones == {"doctor"}
    assert {one.why for one in gate.accounts.all() if not one.active} == {"idle"}


def test_a_sign_in_does_not_outlive_its_account(gate: Gate) -> None:
    cookie = gate.sign_in("nurse", WORD)
    gate._store.keep(*gate.accounts.set_active("nurse", False))  # as another process would
    assert gate.signed_in(cookie) is None


@pytest.mark.parametrize(
    ("password", "slug"),
    [
        ("ngắn thôi", "password-short"),
        ("Matkhau@123", "password-common"),
        ("mật khẩu 2026", "password-common"),
        ("Bệnh viện 115", "password-common"),
        ("0912345678", "password-common"),  # a telephone number or a date
        ("aaaaaaaaaaaa", "password-common"),
        ("nurse2026!!", "password-common"),
        ("x" * 129, "password-long"),
    ],
)
def test_passwords_that_are_tried_first_are_refused(gate: Gate, password: str, slug: str) -> None:
    with pytest.raises(Invalid) as refusal:
        gate.accounts.change_password("nurse", WORD, password)
    assert refusal.value.slug == slug


@pytest.mark.parametrize("password", ["lúa chín vàng đồng", "correct horse", "Tram4!x#9Qzz"])
def test_no_rule_of_signs_and_capitals(gate: Gate, password: str) -> None:
    gate.accounts.change_password("nurse", WORD, password)
    assert gate.sign_in("nurse", password)
    with pytest.raises(SignIn):
        gate.accounts.change_password("nurse", WORD, "another good one")


def test_closing_and_changing_in_one_moment_leaves_it_closed(gate: Gate) -> None:
    planned = gate.accounts.set_active("nurse", False)
    gate.accounts.used("nurse")
    with pytest.raises(Conflict):
        gate._store.keep(*planned)

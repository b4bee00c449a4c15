"""The second factor: an app's code, recovery codes, passkeys; and what is asked of whom."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, SignIn, SokhoeError
from sokhoe.trust import Gate, Origin, Role, draw
from sokhoe.trust.entrance import check_recent
from sokhoe.trust.passkeys import site_of
from sokhoe.trust.signins import Stage
from sokhoe.trust.totp import code_of, step_at
from tests.trust.authenticator import PRESENT, Authenticator
from tests.worlds import a_gate

WORD = "a long enough word"
URL = "https://tram.test"
NOON = datetime(2026, 11, 23, 5, tzinfo=UTC)
HERE = Origin("10.0.0.1", draw(), "Chromium")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with a_gate(tmp_path, public_url=URL, second_factor_roles="head") as made:
        made.add_account("nurse", WORD, role=Role.NURSE, name="Sáu", actor="Practitioner/6")
        made.add_account("head", WORD, role=Role.HEAD, name="Hoa", actor="Practitioner/7")
        with clock.standing_at(NOON):
            yield made


def app_of(gate: Gate, who: str) -> tuple[str, list[str]]:
    """Set up an authenticator app; its secret and the recovery codes."""
    secret = gate.factors.propose(who)
    assert gate.factors.propose(who) == secret
    codes = gate.factors.confirm(who, code_of(secret, step_at(clock.now()) - 1))
    return secret, codes


def key_of(gate: Gate, who: str, name: str = "phone") -> Authenticator:
    key = Authenticator(URL)
    gate.factors.add_passkey(who, key.make(gate.factors.registration(who, who, who)), name)
    return key


def stage(gate: Gate, cookie: str) -> Stage:
    half = gate.entrance.half(cookie)
    return half.stage if half else Stage.IN


# -- what is asked of whom ------------------------------------------------------------------------


def test_a_nurse_without_a_second_factor_comes_in_with_her_password(gate: Gate) -> None:
    assert gate.signed_in(gate.sign_in("nurse", WORD)) is not None


def test_a_head_must_set_one_up_before_anything_opens(gate: Gate) -> None:
    cookie = gate.entrance.sign_in("head", WORD, HERE)
    assert stage(gate, cookie) is Stage.ENROL
    assert gate.signed_in(cookie) is None
    with pytest.raises(SignIn):  # not by simply saying so
        gate.entrance.enrolled(cookie, HERE)
    app_of(gate, "head")
    whole = gate.entrance.enrolled(cookie, HERE)
    assert gate.signed_in(whole) is not None
    assert gate.signed_in(cookie) is None


def test_who_has_an_app_is_asked_for_its_code_whatever_the_role(gate: Gate) -> None:
    secret, _ = app_of(gate, "nurse")
    cookie = gate.entrance.sign_in("nurse", WORD, HERE)
    assert stage(gate, cookie) is Stage.FACTOR
    with pytest.raises(SignIn):
        gate.entrance.second(cookie, "000000", HERE)
    whole = gate.entrance.second(cookie, code_of(secret, step_at(clock.now())), HERE)
    assert gate.signed_in(whole) is not None
    assert gate.entrance.half(cookie) is None  # the secret from before is worth nothing


def test_a_half_sign_in_cannot_skip_to_another_stage(gate: Gate) -> None:
    app_of(gate, "head")
    cookie = gate.entrance.sign_in("head", WORD, HERE)
    with pytest.raises(SignIn):
        gate.entrance.enrolled(cookie, HERE)
    with pytest.raises(SignIn):
        gate.entrance.new_password(cookie, "another good one", HERE)
    with pytest.raises(SignIn):
        gate.entrance.step_up(cookie, WORD, "", HERE)
    assert gate.signed_in(cookie) is None


def test_a_half_sign_in_ends_after_ten_minutes(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        secret, _ = app_of(gate, "nurse")
        cookie = gate.entrance.sign_in("nurse", WORD, HERE)
        ahead(601)
        with pytest.raises(SignIn):
            gate.entrance.second(cookie, code_of(secret, step_at(clock.now())), HERE)


def test_a_given_password_must_be_changed_first(gate: Gate) -> None:
    paper = gate.accounts.give_password("nurse")
    cookie = gate.entrance.sign_in("nurse", paper, HERE)
    assert stage(gate, cookie) is Stage.PASSWORD
    with pytest.raises(Invalid):
        gate.entrance.new_password(cookie, paper, HERE)
    whole = gate.entrance.new_password(cookie, "lúa chín vàng đồng", HERE)
    assert gate.signed_in(whole) is not None
    with pytest.raises(SignIn):
        gate.entrance.sign_in("nurse", paper, HERE)


# -- codes ----------------------------------------------------------------------------------------


def test_a_code_and_a_recovery_code_work_once(gate: Gate) -> None:
    secret, codes = app_of(gate, "nurse")
    code = code_of(secret, step_at(clock.now()))
    assert gate.factors.check_code("nurse", code) == "app"
    assert gate.factors.check_code("nurse", code) == ""
    assert gate.factors.check_code("nurse", codes[0].lower()) == "recovery"
    assert gate.factors.check_code("nurse", codes[0]) == ""
    assert gate.factors.of("nurse").codes == 7
    assert codes[1] not in repr(gate._store.all_kept("factor"))


def test_one_code_sent_twenty_times_at_once_opens_once(gate: Gate) -> None:
    secret, _ = app_of(gate, "nurse")
    code = code_of(secret, step_at(clock.now()))

    def use(_: int) -> str:
        try:
            return gate.factors.check_code("nurse", code)
        except Conflict:
            return ""

    with ThreadPoolExecutor(8) as pool:
        assert sum(bool(one) for one in pool.map(use, range(20))) == 1


def test_codes_are_guessed_five_times_and_the_owner_s_computer_goes_on(gate: Gate) -> None:
    secret, _ = app_of(gate, "nurse")
    cookie = gate.entrance.sign_in("nurse", WORD, HERE)
    gate.entrance.second(cookie, code_of(secret, step_at(clock.now())), HERE)
    looked = 0
    for number in range(60):  # somebody has the password, and many addresses
        there = Origin(f"10.9.0.{number}")
        with suppress(Busy):
            cookie = gate.entrance.sign_in("nurse", WORD, there)
            for _ in range(7):
                try:
                    gate.entrance.second(cookie, "000000", there)
                except SignIn:
                    looked += 1
    assert looked <= 20
    cookie = gate.entrance.sign_in("nurse", WORD, HERE)
    code = code_of(secret, step_at(clock.now()) + 1)
    assert gate.signed_in(gate.entrance.second(cookie, code, HERE)) is not None


# -- passkeys -------------------------------------------------------------------------------------


def test_a_passkey_opens_alone_and_in_place_of_a_code(gate: Gate) -> None:
    key = key_of(gate, "head")
    alone = gate.entrance.with_passkey(key.prove(gate.factors.assertion()), HERE)
    assert gate.signed_in(alone) is not None
    cookie = gate.entrance.sign_in("head", WORD, HERE)
    answer = key.prove(gate.factors.assertion("head"))
    assert gate.signed_in(gate.entrance.second_passkey(cookie, answer, HERE)) is not None


def test_several_passkeys_with_names_and_one_removed(gate: Gate) -> None:
    first, second = key_of(gate, "nurse", "Điện thoại"), key_of(gate, "nurse", "Máy bàn")
    views = gate.factors.of("nurse").passkeys
    assert [one.name for one in views] == ["Điện thoại", "Máy bàn"]
    gate.factors.remove_passkey("nurse", views[0].id)
    with pytest.raises(SignIn):
        gate.factors.check_passkey(first.prove(gate.factors.assertion()))
    assert gate.factors.check_passkey(second.prove(gate.factors.assertion())) == "nurse"
    with pytest.raises(SokhoeError):
        gate.factors.remove_passkey("head", views[1].id)


def refused(gate: Gate, answer: str, owner: str = "") -> bool:
    try:
        gate.factors.check_passkey(answer, owner)
    except SignIn as refusal:
        return refusal.slug == "passkey-wrong"
    return False


def test_an_answer_is_good_once_for_its_own_challenge_owner_and_time(gate: Gate) -> None:
    key = key_of(gate, "nurse")
    answer = key.prove(gate.factors.assertion())
    assert gate.factors.check_passkey(answer) == "nurse"
    assert refused(gate, answer)  # again
    assert refused(gate, key.prove(gate.factors.assertion("head")), "head")  # another's challenge
    assert refused(gate, key.prove(gate.factors.assertion("head")), "nurse")
    made = gate.factors.registration("nurse", "nurse", "Sáu")
    assert refused(gate, key.prove(made.replace('"rp":', '"rpId":"tram.test","rp":')))
    with clock.standing_at(NOON) as ahead:
        late = key.prove(gate.factors.assertion())
        ahead(301)
        assert refused(gate, late)
    assert refused(gate, key.prove('{"rpId":"tram.test","challenge":"AAAA"}'))


def test_another_site_a_missing_finger_a_stranger_s_key_and_a_copy_are_refused(gate: Gate) -> None:
    key = key_of(gate, "nurse")
    for changed in ({"origin": "https://tram.test.evil"}, {"rp_id": "evil"}, {"flags": PRESENT}):
        other = Authenticator(URL, count=50, id=key.id, key=key.key)
        for name, value in changed.items():
            setattr(other, name, value)
        assert refused(gate, other.prove(gate.factors.assertion()))
    thief = Authenticator(URL, count=60, id=key.id)
    assert refused(gate, thief.prove(gate.factors.assertion()))
    assert refused(gate, Authenticator(URL).prove(gate.factors.assertion()))
    key.count = 70
    assert not refused(gate, key.prove(gate.factors.assertion()))
    copied = Authenticator(URL, count=20, id=key.id, key=key.key)  # its counter ran behind
    assert refused(gate, copied.prove(gate.factors.assertion()))


@pytest.mark.parametrize("answer", ["", "{}", "[]", "{", '{"response":{"clientDataJSON":7}}', "x"])
def test_nonsense_is_refused_not_a_failure(gate: Gate, answer: str) -> None:
    assert refused(gate, answer)
    with pytest.raises(SokhoeError):
        gate.factors.add_passkey("nurse", answer, "x")


def test_a_key_made_for_another_site_or_without_finger_is_not_kept(gate: Gate) -> None:
    for key in (Authenticator("https://evil"), Authenticator(URL, flags=PRESENT)):
        with pytest.raises(Invalid):
            gate.factors.add_passkey(
                "nurse", key.make(gate.factors.registration("nurse", "n", "n")), "x"
            )
    key = key_of(gate, "nurse")
    with pytest.raises(Conflict):  # the same key again, also by somebody else
        gate.factors.add_passkey("head", key.make(gate.factors.registration("head", "h", "h")), "x")


def test_where_browsers_allow_passkeys() -> None:
    assert site_of("https://tram.test:8443") is not None
    assert site_of("http://localhost:8000") is not None
    assert site_of("http://127.0.0.1:8000") is None
    assert site_of("https://192.168.1.5") is None
    assert site_of("http://tram.test") is None


# -- once more ------------------------------------------------------------------------------------


def test_what_is_delicate_asks_once_more(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        secret, _ = app_of(gate, "nurse")
        cookie = gate.entrance.sign_in("nurse", WORD, HERE)
        cookie = gate.entrance.second(cookie, code_of(secret, step_at(clock.now())), HERE)
        signed_in = gate.signed_in(cookie)
        assert signed_in is not None
        check_recent(signed_in.fresh)
        ahead(301)
        with pytest.raises(Forbidden):
            check_recent(signed_in.fresh)
        code = code_of(secret, step_at(clock.now()))
        with pytest.raises(SignIn):
            gate.entrance.step_up(cookie, "wrong", code, HERE)
        with pytest.raises(SignIn):
            gate.entrance.step_up(cookie, WORD, "000000", HERE)
        new = gate.entrance.step_up(cookie, WORD, code, HERE)
        again = gate.signed_in(new)
        assert again is not None
        check_recent(again.fresh)
        assert gate.signed_in(cookie) is None
        assert again.csrf != signed_in.csrf


def test_everything_ends_everywhere(gate: Gate) -> None:
    here, there = gate.sign_in("nurse", WORD), gate.sign_in("nurse", WORD)
    other = gate.sign_in("nurse", WORD)
    signed_in = gate.signed_in(here)
    assert signed_in is not None
    assert len(gate.signins.of("nurse")) == 3
    assert gate.sign_out_everywhere("nurse", but=signed_in.key) == 2
    assert gate.signed_in(here) is not None
    assert gate.signed_in(there) is None
    assert gate.signed_in(other) is None

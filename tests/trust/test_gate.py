"""Accounts, sign-ins, tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, SignIn
from sokhoe.trust import Gate, Role

WORD = "a long enough word"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def nurse(gate: Gate) -> str:
    gate.add_account("nurse", WORD, role=Role.NURSE, name="Sáu", actor="Practitioner/6")
    return "nurse"


def test_the_right_password_opens_and_a_restart_keeps_it_open(gate: Gate, nurse: str) -> None:
    cookie = gate.sign_in(nurse, WORD)
    signed_in = gate.signed_in(cookie)
    assert signed_in is not None
    assert signed_in.session.actor.role is Role.NURSE
    assert signed_in.csrf


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(gate: Gate, nurse: str) -> None:
    with pytest.raises(SignIn) as wrong:
        gate.sign_in(nurse, "wrong")
    with pytest.raises(SignIn) as unknown:
        gate.sign_in("nobody", "wrong")
    assert str(wrong.value) == str(unknown.value)


def test_guessing_waits_but_the_owner_elsewhere_does_not(gate: Gate, nurse: str) -> None:
    with clock.standing_at(NOON) as ahead:
        for _ in range(5):
            with pytest.raises(SignIn):
                gate.sign_in(nurse, "wrong", address="10.0.0.9")
        with pytest.raises(Busy):
            gate.sign_in(nurse, WORD, address="10.0.0.9")
        assert gate.sign_in(nurse, WORD, address="10.0.0.1")
        ahead(301)
        assert gate.sign_in(nurse, WORD, address="10.0.0.9")


def test_an_idle_sign_in_ends_and_a_used_one_lives(gate: Gate, nurse: str) -> None:
    with clock.standing_at(NOON) as ahead:
        cookie = gate.sign_in(nurse, WORD)
        for _ in range(5):
            ahead(14 * 60)
            assert gate.signed_in(cookie) is not None
        ahead(16 * 60)
        assert gate.signed_in(cookie) is None


def test_every_sign_in_ends_after_its_hours(gate: Gate, nurse: str) -> None:
    with clock.standing_at(NOON) as ahead:
        cookie = gate.sign_in(nurse, WORD)
        for _ in range(12 * 5 + 1):
            ahead(12 * 60)
            gate.signed_in(cookie)
        assert gate.signed_in(cookie) is None


def test_signing_out_and_closing_an_account_end_it_everywhere(gate: Gate, nurse: str) -> None:
    first, second = gate.sign_in(nurse, WORD), gate.sign_in(nurse, WORD)
    gate.sign_out(first)
    assert gate.signed_in(first) is None
    assert gate.signed_in(second) is not None
    gate.set_active(nurse, False)
    assert gate.signed_in(second) is None
    with pytest.raises(SignIn):
        gate.sign_in(nurse, WORD)


def test_a_name_is_given_once_and_passwords_have_a_length(gate: Gate, nurse: str) -> None:
    with pytest.raises(Conflict):
        gate.add_account("nurse", WORD, role=Role.DOCTOR, name="x", actor="Practitioner/7")
    with pytest.raises(Invalid):
        gate.add_account("short", "1234567", role=Role.DOCTOR, name="x", actor="Practitioner/7")
    with pytest.raises(Invalid):
        gate.add_account("Bad Name!", WORD, role=Role.DOCTOR, name="x", actor="Practitioner/7")


def test_software_gets_no_more_than_it_was_granted(gate: Gate) -> None:
    secret = gate.add_client("lab", "Lab", ["system/Observation.cruds"])
    token = gate.client_token("lab", secret, "")
    assert gate.bearer(token.access_token).actor.scopes == ("system/Observation.cruds",)
    with pytest.raises(Forbidden):
        gate.client_token("lab", secret, "system/*.cruds")
    with pytest.raises(SignIn):
        gate.client_token("lab", "wrong", "")
    with pytest.raises(SignIn):
        gate.client_token("nobody", secret, "")


def test_a_token_ends(gate: Gate) -> None:
    secret = gate.add_client("lab", "Lab", ["system/*.rs"])
    with clock.standing_at(NOON) as ahead:
        token = gate.client_token("lab", secret, "").access_token
        ahead(3599)
        gate.bearer(token)
        ahead(2)
        with pytest.raises(SignIn):
            gate.bearer(token)


def test_a_revoked_token_ends_at_once(gate: Gate) -> None:
    secret = gate.add_client("lab", "Lab", ["system/*.rs"])
    token = gate.client_token("lab", secret, "").access_token
    gate.revoke(token)
    with pytest.raises(SignIn):
        gate.bearer(token)


def test_people_do_not_get_tokens_nor_software_a_sign_in(gate: Gate, nurse: str) -> None:
    gate.add_account("gw", WORD, role=Role.SOFTWARE, name="HIS", actor="Device/1")
    with pytest.raises(SignIn):
        gate.password_token(nurse, WORD)
    with pytest.raises(SignIn):
        gate.sign_in("gw", WORD)


def test_a_sealed_note_cannot_be_changed_and_grows_old(gate: Gate) -> None:
    with clock.standing_at(NOON) as ahead:
        note = gate.seal({"state": "x"}, 60)
        assert gate.unseal(note)["state"] == "x"
        for broken in (note[:-1] + "z", "x" + note, "", ".", "a.b"):
            with pytest.raises(Invalid):
                gate.unseal(broken)
        ahead(61)
        with pytest.raises(Invalid):
            gate.unseal(note)


def test_no_secret_is_kept_as_it_is(gate: Gate, nurse: str, tmp_path: object) -> None:
    cookie = gate.sign_in(nurse, WORD)
    secret = gate.add_client("lab", "Lab", ["system/*.rs"])
    token = gate.client_token("lab", secret, "").access_token
    kept = repr([gate._store.all_kept(kind) for kind in ("account", "signin", "client", "token")])
    for word in (WORD, cookie, secret, token):
        assert word not in kept


def test_the_demo_s_password_opens_nothing_outside_the_demo(gate: Gate) -> None:
    word = "sokhoe-demo"
    gate.add_account("head", word, role=Role.HEAD, name="x", actor="Practitioner/1")
    with pytest.raises(SignIn):
        gate.sign_in("head", word)

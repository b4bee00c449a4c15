"""Software: registered by what it is, and proving that in no other way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Conflict, Forbidden, Invalid, NotFound, SignIn
from sokhoe.store import open_store
from sokhoe.trust import Client, Gate, Kind, Proof, Token
from sokhoe.trust.clients import check, covered
from tests.trust.vendor import (
    AUDIENCE,
    an_ec_key,
    an_rsa_key,
    claims,
    public,
    signed,
)
from tests.worlds import settings_in

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def lab(gate: Gate, **given: Any) -> Client:
    """A laboratory that signs with its keys."""
    client = Client(
        "lab",
        "Labor",
        Kind.KEY,
        ("system/Observation.cruds", "system/Patient.rs"),
        jwks=public(an_ec_key(), an_rsa_key()),
    )
    client = replace(client, **given)
    gate.clients.add(client)
    return client


def proof(word: str) -> Proof:
    return Proof(assertion=word, audience=(AUDIENCE,))


def token(gate: Gate, word: str, scope: str = "") -> Token:
    return gate.software_token(proof(word), scope)


def test_a_word_signed_with_a_registered_key_gets_a_token_of_five_minutes(gate: Gate) -> None:
    lab(gate)
    for key in (an_ec_key(), an_rsa_key()):
        made = token(gate, signed(claims("lab"), key))
        assert made.seconds == 300
        assert gate.bearer(made.access_token).actor.id == "Device/lab"


def test_a_word_is_good_once_in_all_processes(gate: Gate, tmp_path: Path) -> None:
    lab(gate)
    word = signed(claims("lab"), an_ec_key())
    token(gate, word)
    other = open_store(f"sqlite:///{tmp_path / 'sokhoe.db'}")
    try:
        for one in (gate, Gate(other, settings_in(tmp_path))):
            with pytest.raises(SignIn, match="jti"):
                token(one, word)
    finally:
        other.close()


def test_a_spent_number_is_remembered_until_its_word_is_too_old_by_itself(gate: Gate) -> None:
    lab(gate)
    with clock.standing_at(NOON) as ahead:
        word = signed(claims("lab"), an_ec_key())
        token(gate, word)
        ahead(269)
        gate.tidy()
        with pytest.raises(SignIn, match="jti"):
            token(gate, word)
        ahead(120)
        assert gate.tidy() == 2  # the token, and the number
        with pytest.raises(SignIn, match="expired"):
            token(gate, word)


def test_a_client_proves_itself_in_its_own_way_only(gate: Gate) -> None:
    lab(gate)
    secret = gate.add_client("his", "HIS", ["system/*.rs"])
    gate.clients.add(Client("app", "App", Kind.PUBLIC, redirects=("https://app.example/back",)))
    good = signed(claims("lab"), an_ec_key())
    for wrong in (
        Proof("lab"),
        Proof("lab", secret),
        Proof("his", "not the secret"),
        Proof("his"),
        Proof("his", assertion=good, audience=(AUDIENCE,)),
        Proof("lab", secret, good, (AUDIENCE,)),
        Proof("app", secret),
        Proof("nobody", secret),
        Proof(),
    ):
        with pytest.raises(SignIn):
            gate.clients.prove(wrong)
    assert gate.clients.prove(Proof("his", secret)).id == "his"
    assert gate.clients.prove(Proof("app")).kind is Kind.PUBLIC
    with pytest.raises(Forbidden):
        gate.software_token(Proof("app"))


def test_a_client_whose_access_ends_loses_its_tokens_and_gets_them_back(gate: Gate) -> None:
    secret = gate.add_client("his", "HIS", ["system/*.rs"])
    made = gate.client_token("his", secret, "").access_token
    gate.clients.change("his", lambda one: replace(one, active=False))
    with pytest.raises(SignIn):
        gate.bearer(made)
    with pytest.raises(SignIn):
        gate.client_token("his", secret, "")
    assert gate.software("Device/his") is None
    gate.clients.change("his", lambda one: replace(one, active=True))
    assert gate.bearer(made).actor.username == "his"


def test_what_is_taken_from_a_client_is_taken_from_its_tokens(gate: Gate) -> None:
    secret = gate.add_client("his", "HIS", ["system/*.rs", "system/Task.c"])
    made = gate.client_token("his", secret, "").access_token
    gate.clients.change("his", lambda one: replace(one, scopes=("system/Patient.r",)))
    assert gate.bearer(made).actor.scopes == ()


def test_less_than_what_was_granted_may_be_asked_for(gate: Gate) -> None:
    secret = gate.add_client("his", "HIS", ["system/*.rs", "system/Task.c"])
    assert gate.client_token("his", secret, "system/Patient.r").scope == "system/Patient.r"
    for more in (
        "system/Patient.c",
        "user/Patient.r",
        "system/Task.cr",
        "openid",
        "system/*.rs\u00a0",
    ):
        with pytest.raises(Forbidden):
            gate.client_token("his", secret, more)


@pytest.mark.parametrize(
    ("asked", "granted", "within"),
    [
        ("system/Observation.r", "system/*.rs", True),
        ("system/*.rs", "system/Observation.rs", False),
        ("system/Observation.read", "system/Observation.rs", True),
        ("system/Observation.rs", "user/Observation.rs", False),
        ("system/Observation.rs", "system/Observation.rs?category=laboratory", False),
        ("openid", "system/*.cruds", False),
    ],
)
def test_a_scope_is_within_another(asked: str, granted: str, within: bool) -> None:
    assert covered(asked, [granted]) is within


def test_the_register_says_what_is_wrong_with_a_field(gate: Gate) -> None:
    app = Client("app", "App", Kind.PUBLIC, redirects=("https://app.example/back",))
    short = {"kty": "RSA", "kid": "k", "n": "x" * 171, "e": "AQAB"}  # 1,024 bits
    private = {"keys": [an_ec_key().as_dict(private=True)]}
    for wrong, field in (
        (replace(app, id="../etc"), "id"),
        (replace(app, name=" "), "name"),
        (replace(app, scopes=("system/*.rs",)), "scope"),
        (replace(app, scopes=("all",)), "scope"),
        (replace(app, redirects=()), "redirects"),
        (replace(app, kind=Kind.KEY), "jwks"),
        (replace(app, kind=Kind.KEY, jwks={"keys": []}), "jwks"),
        (replace(app, kind=Kind.KEY, jwks=private), "jwks"),
        (replace(app, kind=Kind.KEY, jwks={"keys": [short]}), "jwks"),
    ):
        with pytest.raises(Invalid) as error:
            gate.clients.add(wrong)
        assert error.value.issues[0].location == field
    gate.clients.add(app)
    with pytest.raises(Conflict):
        gate.clients.add(app)
    with pytest.raises(NotFound):
        gate.clients.get("other")


@pytest.mark.parametrize(
    ("url", "kind", "good"),
    [
        ("https://app.example/back?x=1", Kind.SECRET, True),
        ("http://127.0.0.1:7000/back", Kind.PUBLIC, True),
        ("org.example.app:/back", Kind.PUBLIC, True),
        ("org.example.app:/back", Kind.SECRET, False),
        ("http://app.example/back", Kind.SECRET, False),
        ("https://app.example/back#x", Kind.SECRET, False),
        ("https://me@app.example/back", Kind.SECRET, False),
        ("https://app.example/a/../back", Kind.SECRET, False),
        ("https://*.example/back", Kind.SECRET, False),
        ("https:///back", Kind.SECRET, False),
        ("javascript:alert(1)", Kind.PUBLIC, False),
        ("data:text/html,x", Kind.PUBLIC, False),
        ("https://app.example:99999/", Kind.SECRET, False),
        ("//app.example/", Kind.SECRET, False),
    ],
)
def test_an_app_is_opened_at_plain_addresses_only(url: str, kind: Kind, good: bool) -> None:
    app = Client("app", "App", kind, redirects=(url,))
    if good:
        check(app)
    else:
        with pytest.raises(Invalid):
            check(app)


def test_no_secret_of_a_client_is_kept(gate: Gate) -> None:
    secret = gate.add_client("his", "HIS", ["system/*.rs"])
    lab(gate)
    kept = repr(gate.memory.all_kept("client"))
    assert secret not in kept and str(an_ec_key().as_dict(private=True)["d"]) not in kept


def test_it_is_known_when_a_client_was_last_here(gate: Gate) -> None:
    secret = gate.add_client("his", "HIS", ["system/*.rs"])
    assert gate.clients.used() == {}
    with clock.standing_at(NOON):
        gate.client_token("his", secret, "")
        gate.client_token("his", secret, "")
        assert gate.clients.used() == {"his": (clock.now(), 2)}

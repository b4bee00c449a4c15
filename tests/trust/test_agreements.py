"""Partners have what was agreed, as long as agreed, as often as agreed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, NotFound, SignIn
from sokhoe.store import open_store
from sokhoe.trust import Agreement, Client, Gate, Kind, Proof, Purpose
from sokhoe.trust.agreements import CLASSES, check
from tests.trust.vendor import AUDIENCE, an_ec_key, claims, public, signed
from tests.worlds import Hub, a_patient, settings_in

NOON = datetime(2026, 11, 23, 5, tzinfo=UTC)  # in Vietnam


def an_agreement(**given: Any) -> Agreement:
    agreement = Agreement(
        "lab-2026",
        "Labor Vĩnh Long",
        "Kết quả xét nghiệm",
        Purpose.TREAT,
        ("results", "people"),
        "2026-11-01",
        "2026-11-30",
    )
    return replace(agreement, **given)


def partner(gate: Gate, *scopes: str, **given: Any) -> str:
    """A client under the agreement; its secret."""
    gate.agreements.add(an_agreement(**given))
    scopes = scopes or ("system/*.rs",)
    return gate.clients.add(Client("lab", "Labor", scopes=scopes, agreement="lab-2026"))


def token(gate: Gate, secret: str, scope: str = "") -> str:
    return gate.client_token("lab", secret, scope).access_token


def test_a_wildcard_is_what_was_agreed(gate: Gate) -> None:
    with clock.standing_at(NOON):
        secret = partner(gate)
        scopes = gate.bearer(token(gate, secret)).actor.scopes
        assert "system/Observation.rs" in scopes and "system/Patient.rs" in scopes
        assert not any("Condition" in one or "*" in one for one in scopes)
        narrow = gate.client_token("lab", secret, "system/Observation.r").scope
        assert narrow == "system/Observation.r"
        for more in ("system/Condition.rs", "system/Observation.c"):
            with pytest.raises(Forbidden):
                token(gate, secret, more)


def test_what_lies_outside_cannot_even_be_registered(gate: Gate) -> None:
    gate.agreements.add(an_agreement())
    with pytest.raises(Invalid) as error:
        gate.clients.add(Client("x", "X", scopes=("system/Condition.r",), agreement="lab-2026"))
    assert error.value.slug == "agreement-data"
    with pytest.raises(Invalid):
        gate.clients.add(Client("x", "X", scopes=("system/*.r",), agreement="nothing"))


@pytest.mark.parametrize("day", ["2026-10-31", "2026-12-01"])
def test_before_the_first_and_after_the_last_day_there_is_nothing(gate: Gate, day: str) -> None:
    with clock.standing_at(NOON):
        secret = partner(gate)
        made = token(gate, secret)
    with clock.standing_at(datetime.fromisoformat(f"{day}T05:00:00+00:00")):
        with pytest.raises(Forbidden) as error:
            token(gate, secret)
        assert error.value.slug == "agreement-over"
        session = gate.software("Device/lab")
        assert session is not None and session.actor.scopes == ()
    assert made


def test_an_agreement_that_ends_while_a_token_lives_ends_it(gate: Gate) -> None:
    last = datetime(2026, 11, 30, 16, 50, tzinfo=UTC)  # ten minutes before midnight in Vietnam
    with clock.standing_at(last) as ahead:
        made = token(gate, partner(gate))
        gate.bearer(made)
        ahead(601)
        with pytest.raises(Forbidden) as error:
            gate.bearer(made)
        assert error.value.slug == "agreement-over"


def test_an_agreement_that_is_closed_ends_at_once_and_may_be_reopened(gate: Gate) -> None:
    with clock.standing_at(NOON):
        made = token(gate, partner(gate))
        gate.agreements.change("lab-2026", lambda one: replace(one, active=False))
        with pytest.raises(Forbidden):
            gate.bearer(made)
        gate.agreements.change("lab-2026", lambda one: replace(one, active=True))
        gate.agreements.change("lab-2026", lambda one: replace(one, classes=("people",)))
        scopes = gate.bearer(made).actor.scopes
        assert "system/Patient.rs" in scopes and "system/Observation.rs" not in scopes


def test_a_day_s_quota_is_never_exceeded_in_two_processes(gate: Gate, tmp_path: Path) -> None:
    other = open_store(f"sqlite:///{tmp_path / 'sokhoe.db'}")
    try:
        with clock.standing_at(NOON) as ahead:
            made = token(gate, partner(gate, quota=450))
            gates = [gate, Gate(other, settings_in(tmp_path))]
            answered = 0
            for turn in range(600):
                one = gates[turn % 2]
                try:
                    if one.bearer_soon(made) is None:
                        one.bearer(made)
                    answered += 1
                except Busy as error:
                    assert (error.slug, error.status) == ("over-quota", 429)
                    assert error.seconds == 12 * 3600 + 1
            assert answered == 450
            assert gate.agreements.used_today() == {"lab-2026": 450}
            ahead(12 * 3600 + 1)  # tomorrow
            lab = gate.clients.get("lab").actor
            again = gate.tokens.issue(lab, 60, client="lab").access_token
            gate.bearer(again)
            assert gate.agreements.used_today() == {"lab-2026": 4}
            gate.tidy()
            assert len(gate.memory.all_kept("agreement-used")) == 1
    finally:
        other.close()


def test_a_purpose_that_was_agreed_stands_in_the_session(gate: Gate) -> None:
    with clock.standing_at(NOON):
        made = token(gate, partner(gate, purpose=Purpose.PUBHLTH))
        assert gate.bearer(made).purpose is Purpose.PUBHLTH


def test_a_partner_s_keys_stand_in_the_agreement(gate: Gate) -> None:
    gate.agreements.add(an_agreement(jwks=public(an_ec_key())))
    gate.clients.add(Client("k", "K", Kind.KEY, ("system/*.rs",), agreement="lab-2026"))
    with clock.standing_at(NOON):
        word = signed(claims("k"), an_ec_key())
        assert gate.software_token(Proof(assertion=word, audience=(AUDIENCE,))).seconds == 300
        stranger = signed(claims("k"), an_ec_key("other"))
        with pytest.raises(SignIn):
            gate.software_token(Proof(assertion=stranger, audience=(AUDIENCE,)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "a/b"}, "id"),
        ({"organisation": " "}, "organisation"),
        ({"classes": ()}, "classes"),
        ({"classes": ("everything",)}, "classes"),
        ({"begins": "23/11/2026"}, "begins"),
        ({"ends": "2026-10-01"}, "ends"),
        ({"quota": -1}, "quota"),
    ],
)
def test_an_agreement_says_what_is_wrong_with_it(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        check(an_agreement(**change))
    assert error.value.issues[0].location == field


def test_the_audit_is_in_no_class() -> None:
    assert not any("AuditEvent" in types for types in CLASSES.values())


def test_the_register_of_agreements(gate: Gate) -> None:
    gate.agreements.add(an_agreement())
    with pytest.raises(Conflict):
        gate.agreements.add(an_agreement())
    with pytest.raises(NotFound):
        gate.agreements.get("other")
    assert [one.id for one in gate.agreements.all()] == ["lab-2026"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as made:
        yield made


def test_a_partner_is_told_over_http_why_it_gets_nothing(hub: Hub) -> None:
    hub.put(a_patient("p1"))
    with clock.standing_at(NOON):
        secret = partner(hub.gate, quota=2)
        form = {"grant_type": "client_credentials", "client_id": "lab", "client_secret": secret}
        program = hub.client()
        made = program.post("/oauth/token", data=form).json()["access_token"]
        program.headers["Authorization"] = f"Bearer {made}"
        assert program.get("/fhir/Condition").status_code == 403
        assert program.get("/fhir/Patient/p1").status_code == 200
        refused = program.get("/fhir/Patient/p1")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) == 12 * 3600 + 1
        assert refused.json()["issue"][0]["code"] == "throttled"
    with clock.standing_at(datetime(2026, 12, 24, tzinfo=UTC)):
        late = program.post("/oauth/token", data=form)
        assert (late.status_code, late.json()["error"]) == (400, "unauthorized_client")

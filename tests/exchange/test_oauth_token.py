"""The token address, as an OAuth library of a vendor uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.errors import Busy
from sokhoe.trust import ASSERTION_TYPE, Agreement, Client, Kind, Purpose
from tests.exchange.launching import App, an_app, staff
from tests.testland import Pack
from tests.trust.vendor import an_ec_key, claims, public, signed
from tests.worlds import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        yield made


@pytest.fixture
def program(hub: Hub) -> TestClient:
    hub.gate.clients.add(
        Client("lab", "Labor", Kind.KEY, ("system/*.rs",), jwks=public(an_ec_key()))
    )
    return hub.client()


def ask(program: TestClient, **form: Any) -> Any:
    data = {"grant_type": "client_credentials", **form}
    return program.post("/oauth/token", data={k: v for k, v in data.items() if v is not None})


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


def test_a_signed_word_is_a_token_and_opens_the_api(hub: Hub, program: TestClient) -> None:
    word = signed(claims("lab"), an_ec_key())
    answer = ask(program, client_assertion_type=ASSERTION_TYPE, client_assertion=word)
    made = answer.json()
    assert (answer.status_code, made["token_type"], made["expires_in"]) == (200, "Bearer", 300)
    assert made["scope"] == "system/*.rs"
    found = program.get(
        "/fhir/Patient", headers={"Authorization": f"Bearer {made['access_token']}"}
    )
    assert found.status_code == 200
    again = ask(program, client_assertion_type=ASSERTION_TYPE, client_assertion=word)
    assert error(again, 401) == "invalid_client"


def test_a_secret_may_come_by_header_or_in_the_form_but_not_twice(
    hub: Hub, program: TestClient
) -> None:
    secret = hub.gate.add_client("his", "HIS", ["system/*.rs"])
    basic = ("his", secret)
    form = {"grant_type": "client_credentials"}
    assert program.post("/oauth/token", data=form, auth=basic).status_code == 200
    assert ask(program, client_id="his", client_secret=secret).status_code == 200
    both = program.post("/oauth/token", data={**form, "client_secret": secret}, auth=basic)
    assert error(both, 401) == "invalid_client"
    other = program.post("/oauth/token", data={**form, "client_id": "lab"}, auth=basic)
    assert error(other, 401) == "invalid_client"


def test_a_form_that_cannot_be_understood_is_refused_in_the_rfc_s_words(
    program: TestClient,
) -> None:
    assert error(ask(program, grant_type="password")) == "unsupported_grant_type"
    assert error(ask(program, grant_type=None, scope="x")) == "invalid_request"
    twice = program.post(
        "/oauth/token",
        content=b"grant_type=client_credentials&scope=a&scope=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert error(twice) == "invalid_request"
    assert error(program.post("/oauth/token", json={"grant_type": "x"})) == "invalid_request"
    assert error(ask(program, client_assertion="a.b.c")) == "invalid_request"
    assert error(ask(program, client_id="nobody"), 401) == "invalid_client"
    long = ask(program, scope="x" * 40_000)
    assert long.status_code in {400, 413}


def test_the_server_says_where_tokens_are_got(hub: Hub, program: TestClient) -> None:
    answer = program.get("/fhir/.well-known/smart-configuration")
    assert answer.headers["content-type"].startswith("application/json")
    told = answer.json()
    assert told["token_endpoint"] == f"{hub.settings.url}/oauth/token"
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    security = program.get("/fhir/metadata").json()["rest"][0]["security"]
    codes = [one["code"] for one in security["service"][0]["coding"]]
    assert codes == ["SMART-on-FHIR", "OAuth"]
    uris = {one["url"]: one["valueUri"] for one in security["extension"][0]["extension"]}
    assert uris["token"] == told["token_endpoint"]


def test_what_works_once_works_once_on_both_databases(both: Hub) -> None:
    both.gate.clients.add(
        Client("lab", "Labor", Kind.KEY, ("system/*.rs",), jwks=public(an_ec_key()))
    )
    program = both.client()
    word = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed(claims("lab"), an_ec_key()),
    }
    assert [ask(program, **word).status_code for _ in range(2)] == [200, 401]
    an_app(both)
    app = App(both, staff(both))
    code = app.code("offline_access user/Observation.rs")["code"]
    made = app.redeem(code).json()
    again = app.refresh(made["refresh_token"]).json()
    assert app.get(again["access_token"], "/fhir/Observation").status_code == 200
    assert error(app.refresh(made["refresh_token"])) == "invalid_grant"
    assert app.get(again["access_token"], "/fhir/Observation").status_code == 401
    assert error(app.redeem(code)) == "invalid_grant"
    words = ("results",)
    both.gate.agreements.add(
        Agreement("a", "A", "", Purpose.TREAT, words, "2000-01-01", "2999-01-01", quota=2)
    )
    assert [both.gate.agreements.spend("a") for _ in range(2)] == [True, True]
    with pytest.raises(Busy):
        both.gate.agreements.spend("a")

"""SMART app launch: an app gets what somebody allowed it, within what that person may, as long as
he wants it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from sokhoe import clock
from sokhoe.store import Keep, open_store
from sokhoe.trust import Actor, Client, Gate, Kind, Role, may_grant
from tests.exchange.launching import BACK, SCOPES, App, an_app, answer_of, asked, browser_of, staff
from tests.testland import Pack
from tests.worlds import PASSWORD, Form, Hub, a_patient, a_visit

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        an_app(made)
        yield made


@pytest.fixture
def app(hub: Hub) -> App:
    return App(hub, staff(hub))


def people(hub: Hub) -> tuple[str, str]:
    """Two patients with a visit each, the first of them with a Person."""
    one, two = a_patient("p1"), a_patient("p2", name="Trần Thị Bê")
    person = {
        "resourceType": "Person",
        "id": "one",
        "link": [{"target": {"reference": "Patient/p1"}}],
    }
    hub.put(one, two, *a_visit(one), *a_visit(two), person)
    return "p1", "p2"


def citizen(hub: Hub) -> App:
    return App(hub, browser_of(hub, Actor("Person/one", "An", Role.CITIZEN)))


def total(answer: Any) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()["total"])


def error(answer: Any) -> str:
    assert answer.status_code in {400, 401}, answer.text
    return str(answer.json()["error"])


def test_an_app_gets_what_a_doctor_allowed_and_no_more(hub: Hub, app: App) -> None:
    people(hub)
    given = app.code("user/Observation.rs user/Condition.rs", tick=("user/Observation.rs",))
    assert given["state"] == "s1" and given["iss"] == hub.settings.url
    made = app.redeem(given["code"]).json()
    assert made["scope"] == "user/Observation.rs" and "refresh_token" not in made
    assert total(app.get(made["access_token"], "/fhir/Observation?_total=accurate")) == 2
    assert app.get(made["access_token"], "/fhir/Condition").status_code == 403


def test_an_app_gets_no_more_than_the_role_of_its_user(hub: Hub) -> None:
    people(hub)
    app = App(hub, staff(hub, Role.STEWARD))
    page = app.browser.get(
        "/oauth/authorize", params=asked(hub, scope="user/Patient.cruds user/Observation.rs")
    )
    assert "user/Patient.rs" in page.text and "user/Observation" not in page.text
    made = app.redeem(app.code("user/Patient.cruds", tick=("user/Patient.rs",))["code"]).json()
    assert made["scope"] == "user/Patient.rs"
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 403
    refused = hub.client().put(
        "/fhir/Patient/p1",
        json=a_patient("p1", name="Other"),
        headers={"Authorization": f"Bearer {made['access_token']}"},
    )
    assert refused.status_code == 403


def test_who_may_nothing_of_it_is_told_so(hub: Hub) -> None:
    app = App(hub, staff(hub, Role.OPERATOR))
    answer = app.browser.get("/oauth/authorize", params=asked(hub))
    assert answer_of(answer)["error"] == "invalid_scope"


def test_a_citizen_s_app_sees_the_citizen_alone(hub: Hub) -> None:
    people(hub)
    app = citizen(hub)
    made = app.tokens("launch/patient patient/*.rs", tick=("patient/*.rs",))
    assert made["patient"] == "p1"
    token = made["access_token"]
    assert total(app.get(token, "/fhir/Observation?_total=accurate")) == 1
    assert app.get(token, "/fhir/Patient/p2").status_code == 404
    assert total(app.get(token, "/fhir/Observation?patient=p2&_total=accurate")) == 0


def test_an_app_for_one_patient_sees_no_other(hub: Hub, app: App) -> None:
    people(hub)
    ask = asked(hub, scope="launch/patient patient/Observation.rs patient/Patient.rs")
    choose = app.browser.get("/oauth/authorize", params={**ask, "q": "Trần"})
    assert "Trần Thị Bê" in choose.text and "chosen=p2" in choose.text
    made = app.tokens(
        "launch/patient patient/Observation.rs patient/Patient.rs",
        tick=("patient/Observation.rs", "patient/Patient.rs"),
        chosen="p2",
    )
    assert made["patient"] == "p2" and made["need_patient_banner"] is True
    token = made["access_token"]
    assert app.get(token, "/fhir/Patient/p2").status_code == 200
    assert app.get(token, "/fhir/Patient/p1").status_code == 404
    assert total(app.get(token, "/fhir/Observation?_total=accurate")) == 1
    assert app.get(token, "/fhir/Condition").status_code == 403
    assert total(app.get(token, "/fhir/Observation?patient=p1&_total=accurate")) == 0


def test_a_launch_from_a_patient_s_page_names_the_patient(hub: Hub, app: App) -> None:
    people(hub)
    launch = hub.gate.grants.launch("app", "Patient/p1", "Practitioner/doctor")
    made = app.tokens("launch patient/*.rs", tick=("patient/*.rs",), launch=launch)
    assert made["patient"] == "p1"
    for bad, by in (("nonsense", ""), (launch, "other")):
        browser = app.browser
        if by:
            browser = browser_of(hub, Actor("Practitioner/9", "x", Role.DOCTOR, username="x"))
        answer = browser.get(
            "/oauth/authorize", params=asked(hub, scope="launch patient/*.rs", launch=bad)
        )
        assert answer_of(answer)["error"] == "invalid_request"


def test_who_is_not_signed_in_comes_back_to_the_question(hub: Hub) -> None:
    stranger = hub.client()
    page = stranger.get("/oauth/authorize", params=asked(hub))
    assert "/signin?next=/oauth/authorize%3F" in page.text
    assert "/book/signin?next=/oauth/authorize%3F" in page.text
    hub.account(Role.DOCTOR)
    door = next(one for one in page.text.split('"') if one.startswith("/signin?next="))
    form = Form(stranger.get(door.replace("&amp;", "&")).text)
    back = form.typed(username="doctor", password=PASSWORD).send(stranger)
    assert "user/Observation.rs" in back.text
    silent = asked(hub, prompt="none")
    browser = hub.client()
    browser.follow_redirects = False
    assert answer_of(browser.get("/oauth/authorize", params=silent))["error"] == "login_required"


def test_no_box_is_ticked_before_and_nothing_ticked_is_asked_again(hub: Hub, app: App) -> None:
    page = app.browser.get("/oauth/authorize", params=asked(hub, scope="openid user/*.rs"))
    assert "checked" not in page.text
    page = app.browser.get("/oauth/authorize", params=asked(hub))
    assert (
        f"form-action 'self' {BACK.partition('/back')[0]}"
        in page.headers["content-security-policy"]
    )
    again = Form(page.text, action="/oauth/authorize").send(app.browser, "allow")
    assert again.status_code == 422
    no = Form(page.text, action="/oauth/authorize").send(app.browser, "deny")
    assert answer_of(no)["error"] == "access_denied"


def test_a_refresh_token_works_once_and_a_second_time_ends_everything(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/Observation.rs")
    again = app.refresh(made["refresh_token"]).json()
    assert again["refresh_token"] != made["refresh_token"]
    assert app.get(again["access_token"], "/fhir/Observation").status_code == 200
    assert error(app.refresh(made["refresh_token"])) == "invalid_grant"
    assert error(app.refresh(again["refresh_token"])) == "invalid_grant"
    for token in (made["access_token"], again["access_token"]):
        assert app.get(token, "/fhir/Observation").status_code == 401
    assert any("came twice" in one.entry.note for one in hub.store.entries())


def test_a_code_works_once_and_a_second_time_ends_what_it_gave(hub: Hub, app: App) -> None:
    code = app.code("user/Observation.rs")["code"]
    made = app.redeem(code).json()
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 200
    assert error(app.redeem(code)) == "invalid_grant"
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 401


def test_a_code_is_good_for_a_minute(hub: Hub, app: App) -> None:
    with clock.standing_at(NOON) as ahead:
        app = App(
            hub, browser_of(hub, Actor("Practitioner/1", "T", Role.DOCTOR, username="doctor"))
        )
        code = app.code("user/Observation.rs")["code"]
        ahead(61)
        assert error(app.redeem(code)) == "invalid_grant"


def test_a_code_is_bound_to_its_app_its_address_and_its_verifier(hub: Hub, app: App) -> None:
    an_app(hub, "other")
    for more in (
        {"code_verifier": "w" * 43},
        {"code_verifier": None},
        {"code_verifier": "v"},
        {"redirect_uri": "https://app.example/back"},
        {"redirect_uri": None},
        {"client_id": "other"},
        {"client_id": None},
    ):
        code = app.code("user/Observation.rs")["code"]
        assert error(app.redeem(code, **more)) in {
            "invalid_grant",
            "invalid_request",
            "invalid_client",
        }
    assert error(app.redeem("x")) == "invalid_grant"


def test_online_access_ends_with_the_sign_in_and_offline_access_does_not(hub: Hub) -> None:
    browser = staff(hub)
    app = App(hub, browser)
    online = app.tokens("online_access user/Observation.rs")
    offline = app.tokens("offline_access user/Observation.rs")
    csrf = Form(browser.get("/help").text, action="/signout").send(browser)
    assert csrf.status_code in {200, 303}
    assert error(app.refresh(online["refresh_token"])) == "invalid_grant"
    renewed = app.refresh(offline["refresh_token"])
    assert renewed.status_code == 200
    hub.gate.set_active("doctor", False)
    assert error(app.refresh(renewed.json()["refresh_token"])) == "invalid_grant"
    assert app.get(renewed.json()["access_token"], "/fhir/Observation").status_code == 401


def test_a_refresh_gives_at_most_what_the_role_still_may(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/*.cruds")
    account = hub.store.kept("account", "doctor")
    hub.store.keep(Keep("account", "doctor", {**account, "role": "steward"}))
    scopes = app.refresh(made["refresh_token"]).json()["scope"].split()
    assert "user/*.cuds" not in scopes and "user/*.cruds" not in scopes


def test_less_may_be_asked_at_a_refresh_but_not_more(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/Observation.rs user/Condition.rs")
    less = app.refresh(made["refresh_token"], scope="user/Condition.rs").json()
    assert less["scope"] == "user/Condition.rs"
    assert error(app.refresh(less["refresh_token"], scope="user/*.rs")) == "invalid_scope"
    assert app.refresh(less["refresh_token"]).json()["scope"].count("user/") == 2


def test_an_id_token_says_who_it_is_and_is_checked_by_the_published_keys(
    hub: Hub, app: App
) -> None:
    made = app.tokens("openid fhirUser user/Observation.rs", nonce="n1")
    keys = hub.client().get("/oauth/jwks").json()
    assert all("d" not in one for one in keys["keys"])
    told = jwt.decode(made["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"])
    claims = told.claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (hub.settings.url, "app", "n1")
    assert claims["fhirUser"] == f"{hub.settings.url}/fhir/Practitioner/doctor"
    assert "Practitioner" not in claims["sub"] and claims["exp"] - claims["iat"] == 300
    found = hub.client().get("/.well-known/openid-configuration").json()
    assert found["issuer"] == claims["iss"]


def test_the_next_signing_key_is_published_a_day_before_it_signs(hub: Hub) -> None:
    issuer = hub.gate.issuer
    with clock.standing_at(NOON) as ahead:
        first = {one["kid"] for one in issuer.jwks()["keys"]}
        second = issuer.rotate()
        assert {one["kid"] for one in issuer.jwks()["keys"]} == {*first, second}
        assert issuer._signing()[0] in first
        ahead(24 * 3600 + 1)
        assert issuer._signing()[0] == second
        hub.gate.tidy()
        assert len(issuer.jwks()["keys"]) == 2
        ahead(24 * 3600 + 1)
        hub.gate.tidy()
        assert [one["kid"] for one in issuer.jwks()["keys"]] == [second]
        ahead(90 * 24 * 3600)
        hub.gate.tidy()
        assert len(issuer.jwks()["keys"]) == 2


def test_a_client_asks_about_its_own_tokens_and_ends_them(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/Observation.rs")
    an_app(hub, "other")

    def post(path: str, token: str, client: str = "app") -> Any:
        return hub.client().post(path, data={"client_id": client, "token": token})

    told = post("/oauth/introspect", made["access_token"]).json()
    assert told["active"] and told["scope"] == made["scope"] and told["client_id"] == "app"
    assert post("/oauth/introspect", made["refresh_token"]).json()["active"] is True
    for token, client in ((made["access_token"], "other"), ("nonsense", "app")):
        assert post("/oauth/introspect", token, client).json() == {"active": False}
        assert post("/oauth/revoke", token, client).status_code == 200
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 200
    assert post("/oauth/revoke", made["refresh_token"], "other").status_code == 200
    assert post("/oauth/introspect", made["refresh_token"]).json()["active"] is True
    post("/oauth/revoke", made["refresh_token"])
    assert post("/oauth/introspect", made["refresh_token"]).json() == {"active": False}
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 401


def test_an_end_binds_in_another_process_within_a_second(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/Observation.rs")
    other = open_store(hub.settings.database_url)
    try:
        gate = Gate(other, hub.settings)
        gate.bearer(made["access_token"])
        assert gate.bearer_soon(made["access_token"]) is not None
        (grant,) = hub.gate.grants.all()
        hub.gate.grants.end(grant.id)
        assert gate.tokens.standing(made["access_token"]) is None
        time.sleep(0.55)
        assert gate.bearer_soon(made["access_token"]) is None
    finally:
        other.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"aud": "https://evil.example/fhir"}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "http://127.0.0.1/x"}, "request_uri_not_supported"),
    ],
)
def test_a_wrong_question_goes_back_as_an_error(
    hub: Hub, app: App, change: dict[str, Any], said: str
) -> None:
    answer = app.browser.get("/oauth/authorize", params=asked(hub, **change))
    assert answer_of(answer)["error"] == said


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://app.example/back"},
        {"redirect_uri": "https://app.example/back?x=1&y=2"},
        {"redirect_uri": "https://app.example/back?x=1#"},
        {"redirect_uri": "https://app.example.evil.example/back?x=1"},
        {"redirect_uri": "https://APP.example/back?x=1"},
        {"redirect_uri": "https://app.example/./back?x=1"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_a_wrong_app_or_address_is_never_redirected(
    hub: Hub, app: App, change: dict[str, Any]
) -> None:
    answer = app.browser.get("/oauth/authorize", params=asked(hub, **change))
    assert answer.status_code == 403 and "location" not in answer.headers


def test_a_yes_cannot_be_carried_to_another_sign_in(hub: Hub, app: App) -> None:
    page = app.browser.get("/oauth/authorize", params=asked(hub))
    other = browser_of(hub, Actor("Practitioner/9", "x", Role.DOCTOR, username="doctor"))
    csrf = Form(other.get("/help").text, action="/signout").fields
    form = Form(page.text, action="/oauth/authorize")
    stolen = {**dict(form.fields), **dict(csrf), "do": "allow", "scope": "user/Observation.rs"}
    assert other.post("/oauth/authorize", data=stolen).status_code == 400
    no_csrf = {**dict(form.fields), "csrf": "x", "do": "allow", "scope": "user/Observation.rs"}
    assert app.browser.post("/oauth/authorize", data=no_csrf).status_code == 403


def test_a_confidential_app_proves_itself_at_each_step(hub: Hub, app: App) -> None:
    secret = hub.gate.clients.add(Client("web", "Web", Kind.SECRET, SCOPES, redirects=(BACK,)))
    web = App(hub, app.browser, "web")
    code = web.code("offline_access user/Observation.rs")["code"]
    assert error(web.redeem(code)) == "invalid_client"
    made = web.redeem(code, client_secret=secret).json()
    assert error(web.refresh(made["refresh_token"])) == "invalid_client"
    assert web.refresh(made["refresh_token"], client_secret=secret).status_code == 200


def test_an_app_whose_access_ends_is_out_at_once(hub: Hub, app: App) -> None:
    made = app.tokens("offline_access user/Observation.rs")
    hub.gate.clients.change("app", lambda one: replace(one, active=False))
    assert app.get(made["access_token"], "/fhir/Observation").status_code == 401
    assert error(app.refresh(made["refresh_token"])) == "invalid_client"
    page = app.browser.get("/oauth/authorize", params=asked(hub))
    assert page.status_code == 403


def test_who_comes_through_an_app_lets_no_other_app_in(hub: Hub, app: App) -> None:
    made = app.tokens("user/Observation.rs")
    session = hub.gate.bearer(made["access_token"])
    assert session.actor.client == "app" and "(App app)" in session.actor.name
    assert not may_grant(session.actor)


def test_what_is_over_is_forgotten(hub: Hub) -> None:
    with clock.standing_at(NOON) as ahead:
        hub.account(Role.DOCTOR)
        actor = Actor("Practitioner/doctor", "T", Role.DOCTOR, username="doctor")
        app = App(hub, browser_of(hub, actor))
        app.tokens("offline_access user/Observation.rs")
        assert len(hub.gate.grants.all()) == 1
        ahead(91 * 24 * 3600)
        hub.gate.tidy()
        for kind in ("grant", "refresh", "code", "token", "launch", "signin"):
            assert not hub.store.all_kept(kind), kind

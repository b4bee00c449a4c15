"""Signing in page by page: the second factor, a password of one's own, once more for the delicate;
what was typed meanwhile comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.trust import Role
from sokhoe.trust.totp import code_of, step_at
from tests.trust.authenticator import Authenticator
from tests.web.house import PASSWORD, House, field_of

SAFE = "https://tram.test"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, public_url=SAFE)
    yield made
    made.close()


def post(browser: TestClient, path: str, **fields: str) -> Any:
    return browser.post(path, data=fields)


def password(browser: TestClient, role: Role, **more: str) -> Any:
    return post(browser, "/signin", username=str(role), password=PASSWORD, next="", **more)


def asked_of(html: str, at: int = 0) -> str:
    """What a passkey form on the page asks the browser."""
    return unescape(re.findall(r'data-asked="([^"]*)"', html)[at])


def app_secret(html: str) -> str:
    found = re.search(r"<code>([A-Z2-7 ]{39})</code>", html)
    assert found, "no secret for the app on this page"
    return found[1].replace(" ", "")


def now_code(secret: str, ahead: int = 0) -> str:
    return code_of(secret, step_at(clock.now()) + ahead)


def test_a_head_sets_up_an_app_at_the_first_sign_in(house: House) -> None:
    house.account(Role.HEAD)
    browser = house.visitor()
    page = password(browser, Role.HEAD)
    assert browser.get("/").headers["location"] != "/today"  # nothing is open yet
    secret, token = app_secret(page.text), field_of(page.text, "csrf")
    wrong = post(browser, "/signin/more", csrf=token, code="000000")
    assert app_secret(wrong.text) == secret
    forged = post(browser, "/signin/more", csrf="guessed", code=now_code(secret))
    assert forged.status_code == 403
    codes = post(browser, "/signin/more", csrf=token, code=now_code(secret))
    assert len(re.findall(r"<li><code>", codes.text)) == 8
    assert browser.get("/").headers["location"] != "/signin"


def test_next_time_the_code_is_asked_for_and_what_was_typed_comes_back(house: House) -> None:
    house.account(Role.NURSE)
    house.gate.factors.propose("nurse")
    secret = house.gate.factors.propose("nurse")
    house.gate.factors.confirm("nurse", now_code(secret, -1))
    browser = house.visitor()
    typed = {"kept:name": "Nguyễn Văn An", "next": "/people/new"}
    page = browser.post("/signin", data={"username": "nurse", "password": PASSWORD, **typed})
    assert field_of(page.text, "kept:name") == "Nguyễn Văn An"
    fields = {"csrf": field_of(page.text, "csrf"), "code": now_code(secret), **typed}
    back = browser.post("/signin/more", data=fields)
    assert field_of(back.text, "name") == "Nguyễn Văn An"
    assert 'action="/people/new"' in back.text


def test_a_passkey_instead(house: House) -> None:
    house.account(Role.HEAD)
    browser = house.visitor()
    page = password(browser, Role.HEAD)
    key = Authenticator(SAFE)
    token = field_of(page.text, "csrf")
    made = post(
        browser, "/signin/more", csrf=token, answer=key.make(asked_of(page.text)), name="PC"
    )
    assert made.status_code == 303
    other = house.visitor()
    front = other.get("/signin")
    assert json.loads(asked_of(front.text))["allowCredentials"] == []
    assert post(other, "/signin", answer=key.prove(asked_of(front.text))).status_code == 303
    assert other.get("/help").status_code == 200
    stranger = Authenticator(SAFE)
    refused = post(house.visitor(), "/signin", answer=stranger.prove(asked_of(front.text)))
    assert refused.status_code == 401


def test_a_password_from_paper_is_changed_at_once(house: House) -> None:
    house.account(Role.NURSE)
    paper = house.gate.accounts.give_password("nurse")
    browser = house.visitor()
    page = post(browser, "/signin", username="nurse", password=paper)
    token = field_of(page.text, "csrf")
    short = post(browser, "/signin/more", csrf=token, password="ngắn")
    assert short.status_code == 400
    assert 'class="note danger"' in short.text
    done = post(browser, "/signin/more", csrf=token, password="con đò nhỏ qua sông")
    assert done.status_code == 303


def test_a_sign_in_gets_a_new_secret_at_each_step_and_a_planted_one_is_worth_nothing(
    house: House,
) -> None:
    house.account(Role.NURSE)
    browser = house.visitor()
    name = "__Host-sokhoe"
    browser.cookies.set(name, "planted-by-somebody-else", domain="tram.test")
    seen = {"planted-by-somebody-else"}
    password(browser, Role.NURSE)
    inside = browser.cookies.get(name, domain="tram.test")
    assert inside not in seen
    again = post(
        browser,
        "/stepup",
        csrf=field_of(browser.get("/help").text, "csrf"),
        password=PASSWORD,
        next="/help",
    )
    assert again.headers["location"] == "/help"
    assert browser.cookies.get(name, domain="tram.test") != inside
    assert house.gate.signed_in(str(inside)) is None


def test_the_cookies_are_bound_to_this_host(house: House) -> None:
    house.account(Role.NURSE)
    answer = password(house.visitor(), Role.NURSE)
    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie

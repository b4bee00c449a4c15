"""The doors of the face: signing in and out, language, size, where links may lead, statics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe import clock
from sokhoe.country import NoPack
from sokhoe.trust import Role
from sokhoe.web import LANGUAGES, local_path
from tests.web.house import PASSWORD, DownLine, House, csrf, field_of, send


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, NoPack())
    yield made
    made.close()


def test_a_stranger_is_led_to_the_sign_in_and_then_where_he_wanted_to_go(house: House) -> None:
    house.account()
    visitor = house.visitor()
    refused = visitor.get("/people?q=an")
    assert refused.headers["location"] == "/signin?next=/people%3Fq%3Dan"
    form = visitor.get(refused.headers["location"]).text
    answer = visitor.post(
        "/signin",
        data={"username": "nurse", "password": PASSWORD, "next": field_of(form, "next")},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/people?q=an")


def test_a_wrong_password_is_said_and_the_name_stays(house: House) -> None:
    house.account()
    visitor = house.visitor()
    answer = visitor.post("/signin", data={"username": "nurse", "password": "wrong", "next": ""})
    assert answer.status_code == 401
    assert "Tên đăng nhập hoặc mật khẩu không đúng." in answer.text
    assert field_of(answer.text, "username") == "nurse"
    assert "wrong" not in answer.text
    assert visitor.get("/today").status_code == 303


def test_after_many_wrong_passwords_even_the_right_one_waits(house: House) -> None:
    house.account()
    visitor = house.visitor()
    for _ in range(5):
        visitor.post("/signin", data={"username": "nurse", "password": "wrong"})
    answer = visitor.post("/signin", data={"username": "nurse", "password": PASSWORD})
    assert answer.status_code == 429


@pytest.mark.parametrize(
    "path",
    ["//evil.example/x", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""],
)
def test_no_link_leads_away_through_the_sign_in(house: House, path: str) -> None:
    house.account()
    assert local_path(path) == "/"
    answer = house.visitor().post(
        "/signin", data={"username": "nurse", "password": PASSWORD, "next": path}
    )
    assert answer.headers["location"] == "/"


def test_everybody_begins_where_his_work_begins(house: House) -> None:
    assert house.visitor().get("/").headers["location"] == "/signin"
    for role in (Role.NURSE, Role.DOCTOR, Role.HEAD):
        assert house.client(role).get("/").headers["location"] == "/today"
    assert house.client(Role.STEWARD).get("/").headers["location"] == "/help"


def test_a_page_of_another_role_is_refused(house: House) -> None:
    answer = house.client(Role.STEWARD).get("/today")
    assert answer.status_code == 403
    assert "không dành cho vai trò của bạn" in answer.text


def test_signing_out_ends_it(house: House) -> None:
    client = house.client()
    kept = dict(client.cookies)
    assert send(client, "/signout").headers["location"] == "/signin"
    client.cookies.update(kept)  # a stolen copy of the cookie is worth nothing now
    assert client.get("/today").status_code == 303


def test_a_form_without_its_token_is_refused(house: House) -> None:
    client = house.client()
    for data in ({"name": "A B"}, {"name": "A B", "csrf": "guessed"}):
        answer = client.post("/people/new", data=data)
        assert answer.status_code == 403
        assert "csrf" in answer.text


def test_a_form_from_another_site_is_refused(house: House) -> None:
    house.account()
    client = house.client()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post("/people/new", data={"csrf": csrf(client)}, headers=headers)
        assert answer.status_code == 403
    stranger = house.visitor()
    answer = stranger.post(
        "/signin",
        data={"username": "nurse", "password": PASSWORD},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403 and not stranger.cookies


def test_what_was_typed_survives_a_sign_in_that_ended(house: House) -> None:
    house.account()
    client = house.client()
    key = field_of(client.get("/people/new").text, "key")
    token = csrf(client)
    typed = {"name": "Lê <b>Thị</b> Út", "birth": "1999", "gender": "female", "do": "save"}
    with clock.standing_at(clock.now() + 3600 * 1_000_000):
        late = client.post("/people/new", data={"csrf": token, "key": key, **typed})
        assert late.status_code == 401 and "những gì đã nhập vẫn còn" in late.text
        kept = re.findall(r'name="(kept:[^"]+)" value="([^"]*)"', late.text)
        assert ("kept:birth", "1999") in kept and "<b>Thị" not in late.text
        again = client.post(
            "/signin",
            data={
                "username": "nurse",
                "password": PASSWORD,
                "next": field_of(late.text, "next"),
                **{name: value.replace("&lt;", "<").replace("&gt;", ">") for name, value in kept},
            },
        )
        assert again.status_code == 200 and 'action="/people/new"' in again.text
        fields = {
            name: value.replace("&lt;", "<").replace("&gt;", ">")
            for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', again.text)
        }
        saved = client.post("/people/new", data=fields)
        assert saved.status_code == 303
        assert "Lê &lt;b&gt;Thị&lt;/b&gt; Út" in client.get(saved.headers["location"]).text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", ["100", "115", "130", "150"])
def test_pages_speak_the_chosen_language_in_the_chosen_size(
    house: House, language: str, size: str
) -> None:
    client = house.client()
    for path in (f"/language?to={language}", f"/size?to={size}"):
        back = client.get(path, headers={"Referer": "http://testserver/people?q=an"})
        assert back.headers["location"] == "/people?q=an"
    for path in ("/today", "/people", "/people/new", "/help", "/people/nobody"):
        html = client.get(path).text
        assert f'<html lang="{language}" data-size="{size}">' in html
    said = {"vi": "Đăng ký mới", "en": "Register a person", "km": "ចុះឈ្មោះថ្មី"}
    assert said[language] in client.get("/today").text


def test_an_unknown_language_or_size_changes_nothing(house: House) -> None:
    visitor = house.visitor()
    for path in ("/language?to=xx", "/size?to=900"):
        answer = visitor.get(path, headers={"Referer": "https://evil.example/x"})
        assert answer.headers["location"] == "/" and "set-cookie" not in answer.headers


def test_pages_work_with_no_country_at_all(bare: House) -> None:
    client = bare.client()
    assert [client.get(path).status_code for path in ("/today", "/people?q=an", "/people/new")] == [
        200,
        200,
        200,
    ]


def test_the_line_chip_does_not_keep_a_forgotten_screen_signed_in(house: House) -> None:
    house.site.line = DownLine()
    client = house.client()
    now = clock.now()
    for minute in range(1, 20):
        with clock.standing_at(now + minute * 60 * 1_000_000):
            chip = client.get("/state/line")
            assert chip.status_code == 200 and "3 phiếu chờ gửi" in chip.text
    with clock.standing_at(now + 20 * 60 * 1_000_000):
        assert client.get("/today").status_code == 303
    assert house.visitor().get("/state/line").status_code == 204


def test_no_page_carries_inline_script_or_style(house: House) -> None:
    client = house.client()
    for path in ("/signin", "/today", "/people", "/people/new", "/help"):
        answer = client.get(path)
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script>", answer.text)
        assert "'unsafe" not in answer.headers["content-security-policy"]


def test_statics_are_kept_for_a_year_under_their_hash(house: House) -> None:
    visitor = house.visitor()
    html = visitor.get("/signin").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
    assert len(addresses) >= 4
    for address in addresses:
        answer = visitor.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert visitor.get(address.partition("?")[0]).headers["cache-control"] == "no-cache"
        again = visitor.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and not again.content
    assert visitor.get("/static/README.md").status_code == 404
    assert visitor.get("/static/..%2Fsite.py").status_code == 404


def test_the_first_view_is_light(house: House) -> None:
    """At most 60 KB over the wire, page and all statics together, with an empty cache."""
    client = house.client()
    html = client.get("/today")
    weight = len(html.content)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', html.text):
        weight += int(client.get(address).headers["content-length"])
    assert weight < 60_000

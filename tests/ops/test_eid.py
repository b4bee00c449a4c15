"""The test e-ID behaves as a strict provider, and starts in the demo only."""

from __future__ import annotations

import json
import stat
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.country import Citizen
from sokhoe.errors import Invalid, Unsupported
from sokhoe.ops import eid
from sokhoe.settings import Settings, load

HUB = "http://hub.test"
BACK = f"{HUB}/book/callback"
PASSWORD = "lúa chín vàng"
SAU = Citizen("086159000123", "Nguyễn Thị Sáu", "1959-04-12", "female")
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def demo_settings(folder: Path) -> Settings:
    found = load({"data": str(folder), "role": "hub", "country": "none", "public_url": HUB})
    return Settings({**found.values, "demo": True}, found.sources)


class Visitor:
    """A browser and a client program in front of one provider."""

    def __init__(self, folder: Path) -> None:
        eid.write_citizens(folder / "citizens.json", [SAU], PASSWORD)
        self.secret = eid.open_secret(folder)
        listed = eid.routes(
            demo_settings(folder),
            f"{HUB}/eid",
            eid.read_citizens(folder / "citizens.json"),
            eid.open_key(folder),
            [eid.Client("sokhoe-book", self.secret, (BACK,))],
            hint=PASSWORD,
            samples=[SAU.citizen_id, "unknown"],
        )
        app = Starlette(routes=[Mount("/eid", routes=listed)])
        self.http = TestClient(app, base_url=HUB, follow_redirects=False)

    def question(self, **changed: str) -> dict[str, str]:
        asked = {
            "response_type": "code",
            "client_id": "sokhoe-book",
            "redirect_uri": BACK,
            "scope": "openid profile",
            "state": "st",
            "nonce": "no",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**asked, **changed}.items() if value}

    def press(self, do: str = "agree", password: str = PASSWORD, **changed: str) -> Any:
        form = {"citizen_id": SAU.citizen_id, "password": password, "do": do}
        return self.http.post("/eid/authorize", data={**self.question(**changed), **form})

    def code(self, **changed: str) -> str:
        return answer(self.press(**changed))["code"]

    def redeem(self, code: str, secret: str | None = None, **changed: str) -> Any:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }
        pair = b64encode(f"sokhoe-book:{secret or self.secret}".encode()).decode()
        headers = {"authorization": f"Basic {pair}"}
        return self.http.post("/eid/token", data={**form, **changed}, headers=headers)


def answer(response: Any) -> dict[str, str]:
    assert response.status_code == 303, response.text
    assert response.headers["location"].startswith(BACK)
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with clock.standing_at(1_800_000_000_000_000):
        yield Visitor(tmp_path)


def test_it_starts_in_the_demo_only(tmp_path: Path) -> None:
    real = load({"data": str(tmp_path), "role": "hub", "country": "none"})
    with pytest.raises(Unsupported) as refusal:
        eid.routes(real, HUB, {}, eid.open_key(tmp_path), [])
    assert "SOKHOE_OIDC_ISSUER" in refusal.value.hint


def test_every_page_says_that_it_is_a_trial(visitor: Visitor) -> None:
    shown = visitor.http.get("/eid/authorize", params=visitor.question())
    refused = visitor.http.get("/eid/authorize", params=visitor.question(client_id="other"))
    assert (shown.status_code, refused.status_code) == (200, 400)
    assert "BẢN THỬ" in shown.text
    assert "BẢN THỬ" in refused.text
    assert "<script" not in shown.text
    assert f'<option value="{SAU.citizen_id}">{SAU.name}' in shown.text
    assert PASSWORD in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_a_citizen_gets_a_signed_word_for_the_client(visitor: Visitor) -> None:
    code = visitor.code()
    given = visitor.redeem(code).json()
    keys = KeySet.import_key_set(visitor.http.get("/eid/jwks").json())
    token = jwt.decode(given["id_token"], keys, algorithms=["ES256"])
    claims = token.claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (f"{HUB}/eid", "sokhoe-book", "no")
    assert (claims["citizen_id"], claims["birthdate"]) == (SAU.citizen_id, SAU.birth_date)
    assert claims["exp"] - claims["iat"] == 300
    assert SAU.citizen_id not in claims["sub"]
    more = visitor.http.get(
        "/eid/userinfo", headers={"authorization": f"Bearer {given['access_token']}"}
    ).json()
    assert more["sub"] == claims["sub"]
    assert more["name"] == SAU.name


def test_no_private_key_is_published(visitor: Visitor) -> None:
    (key,) = visitor.http.get("/eid/jwks").json()["keys"]
    assert "d" not in key


def test_it_describes_itself_at_the_place_of_its_issuer(visitor: Visitor) -> None:
    said = visitor.http.get("/eid/.well-known/openid-configuration").json()
    assert said["issuer"] == f"{HUB}/eid"
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert "none" not in said["id_token_signing_alg_values_supported"]


def test_a_code_works_once_and_for_one_minute(visitor: Visitor) -> None:
    code = visitor.code()
    assert visitor.redeem(code).status_code == 200
    assert visitor.redeem(code).json() == {"error": "invalid_grant"}
    with clock.standing_at(1_800_000_100_000_000) as ahead:
        late = visitor.code()
        ahead(61)
        assert visitor.redeem(late).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"code_verifier": "đ" * 64},
        {"redirect_uri": "http://evil.test/"},
        {"code": "guessed"},
    ],
)
def test_a_code_needs_its_verifier_and_address(visitor: Visitor, changed: dict[str, str]) -> None:
    code = visitor.code()
    assert visitor.redeem(**{"code": code, **changed}).json() == {"error": "invalid_grant"}
    if "code" not in changed:  # and what was tried wrongly is spent
        assert visitor.redeem(code).json() == {"error": "invalid_grant"}


def test_a_client_needs_its_secret(visitor: Visitor) -> None:
    code = visitor.code()
    refused = visitor.redeem(code, secret="wrong")
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    assert visitor.http.post("/eid/token", data={"code": code}).status_code == 401
    broken = {"authorization": "Basic \x7f"}
    assert visitor.http.post("/eid/token", data={}, headers=broken).status_code == 401
    assert visitor.redeem(code).status_code == 200  # others' tries do not spend it


@pytest.mark.parametrize("redirect", ["http://evil.test/", f"{BACK}/", f"{BACK}?x=1", ""])
def test_nobody_is_sent_to_an_address_that_was_not_registered(
    visitor: Visitor, redirect: str
) -> None:
    for response in (
        visitor.http.get("/eid/authorize", params=visitor.question(redirect_uri=redirect)),
        visitor.press(redirect_uri=redirect),
        visitor.press("deny", redirect_uri=redirect),
    ):
        assert response.status_code == 400
        assert "location" not in response.headers


@pytest.mark.parametrize(
    "changed",
    [
        {"response_type": "token"},
        {"scope": "profile"},
        {"code_challenge": ""},
        {"code_challenge": "short"},
        {"code_challenge_method": "plain"},
        {"state": "x" * 600},
    ],
)
def test_a_bad_question_is_answered_with_an_error(
    visitor: Visitor, changed: dict[str, str]
) -> None:
    response = visitor.http.get("/eid/authorize", params=visitor.question(**changed))
    assert answer(response)["error"] == "invalid_request"


def test_saying_no_goes_back_without_a_code(visitor: Visitor) -> None:
    said = answer(visitor.press("deny", password=""))
    assert said == {"error": "access_denied", "iss": f"{HUB}/eid", "state": "st"}


def test_a_wrong_password_keeps_the_question_and_gives_nothing(visitor: Visitor) -> None:
    response = visitor.press(password="wrong")
    assert response.status_code == 401
    assert "chưa đúng" in response.text
    assert 'name="state" value="st"' in response.text
    assert "location" not in response.headers


def test_guessing_is_slowed_down_for_one_number(visitor: Visitor) -> None:
    for _ in range(5):
        visitor.press(password="wrong")
    assert visitor.press().status_code == 429
    with clock.standing_at(1_800_000_301_000_000):
        assert "code" in answer(visitor.press())


def test_a_parameter_sent_twice_or_a_huge_form_is_refused(visitor: Visitor) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    form = {**visitor.question(), "citizen_id": SAU.citizen_id, "password": PASSWORD}
    twice = urlencode(form) + "&nonce=another"
    huge = "a=" + "x" * 20_000
    for body in (twice, huge):
        assert visitor.http.post("/eid/authorize", content=body, headers=headers).status_code == 400


def test_a_form_from_another_site_is_refused(visitor: Visitor) -> None:
    form = {**visitor.question(), "citizen_id": SAU.citizen_id, "password": PASSWORD, "do": "agree"}
    response = visitor.http.post(
        "/eid/authorize", data=form, headers={"sec-fetch-site": "cross-site"}
    )
    assert response.status_code == 400


def test_what_it_writes_is_readable_by_the_owner_alone_and_stays(tmp_path: Path) -> None:
    first, second = eid.open_key(tmp_path), eid.open_key(tmp_path)
    assert first.as_dict(private=True) == second.as_dict(private=True)
    assert eid.open_secret(tmp_path) == eid.open_secret(tmp_path)
    for name in ("eid-key.json", "eid-secret"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_passwords_are_not_written_down(tmp_path: Path) -> None:
    file = tmp_path / "eid-citizens.json"
    eid.write_citizens(file, [SAU], PASSWORD)
    assert PASSWORD not in file.read_text("utf-8")
    assert eid.read_citizens(file)[SAU.citizen_id].name == SAU.name


@pytest.mark.parametrize("content", ["", "{", "[{}]", json.dumps([{"citizen_id": 1}]), "7"])
def test_a_broken_file_of_citizens_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "eid-citizens.json"
    file.write_text(content, "utf-8")
    with pytest.raises(Invalid) as refusal:
        eid.read_citizens(file)
    assert str(file) in refusal.value.message

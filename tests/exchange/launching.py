"""An app and its user, for the tests of SMART launch: an honest app, step by step, so that a test
can do each step otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.testclient import TestClient

from sokhoe.trust import Actor, Client, Kind, Role
from sokhoe.trust.grants import challenge_of
from sokhoe.web import cookie_name
from tests.worlds import Form, Server

BACK = "https://app.example/back?x=1"
VERIFIER = "v" * 43
SCOPES = (
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "offline_access",
    "online_access",
    "user/*.cruds",
    "patient/*.rs",
)


def an_app(hub: Server, id: str = "app", **given: Any) -> Client:
    """A public app that may ask for anything a person may have."""
    app = Client(id, f"App {id}", Kind.PUBLIC, SCOPES, redirects=(BACK,), **given)
    hub.gate.clients.add(app)
    return app


def browser_of(hub: Server, actor: Actor) -> TestClient:
    """A browser in which this person has signed in."""
    browser = TestClient(hub.app, base_url=hub.settings.url, follow_redirects=False)
    browser.cookies.set(cookie_name(hub.site), hub.gate.admit(actor))
    return browser


def staff(hub: Server, role: Role = Role.DOCTOR) -> TestClient:
    """Somebody with an account, at the facility that treats the patients of these tests."""
    name = hub.account(role, "86001")
    place = "Organization/86001"
    return browser_of(hub, Actor(f"Practitioner/{role}", "Tùng", role, place, username=name))


def asked(hub: Server, **more: Any) -> dict[str, str]:
    """The parameters of an honest question; `more` replaces, None takes away."""
    given = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": BACK,
        "scope": "user/Observation.rs",
        "state": "s1",
        "aud": f"{hub.settings.url}/fhir",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **more,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def answer_of(response: Any) -> dict[str, str]:
    """What came back to the app."""
    assert response.status_code == 303, (response.status_code, response.text[:2000])
    where = response.headers["location"]
    assert where.startswith(BACK + "&"), where
    return dict(parse_qsl(urlsplit(where).query))


@dataclass
class App:
    """An honest app of one user."""

    hub: Server
    browser: TestClient
    id: str = "app"

    def code(self, scope: str, tick: tuple[str, ...] | None = None, **more: Any) -> dict[str, str]:
        """Ask, and let the user tick these boxes (None: all) and say yes."""
        more = {"client_id": self.id, "scope": scope, **more}
        page = self.browser.get("/oauth/authorize", params=asked(self.hub, **more))
        assert page.status_code == 200, (page.status_code, page.headers.get("location"))
        form = Form(page.text, action="/oauth/authorize")
        form.fields = [pair for pair in form.fields if pair[0] != "scope"]
        boxes = scope.split() if tick is None else tick
        form.fields += [("scope", one) for one in boxes]
        return answer_of(form.send(self.browser, "allow"))

    def redeem(self, code: str, **more: Any) -> Any:
        given = {
            "grant_type": "authorization_code",
            "client_id": self.id,
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            **more,
        }
        return self.browser.post("/oauth/token", data=_some(given))

    def tokens(self, scope: str, **more: Any) -> dict[str, Any]:
        answer = self.redeem(self.code(scope, **more)["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refresh(self, token: str, **more: Any) -> Any:
        given = {"grant_type": "refresh_token", "client_id": self.id, "refresh_token": token}
        return self.browser.post("/oauth/token", data=_some({**given, **more}))

    def get(self, token: str, path: str) -> Any:
        return self.hub.client().get(path, headers={"Authorization": f"Bearer {token}"})


def _some(given: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}

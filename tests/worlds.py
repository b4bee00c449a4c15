"""Small worlds for tests: a hub, a station, the line between them, a clock, and builders with good
defaults. Everything is real (SQLite files, the whole app, HTTP in process); only the wire is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
from lxml.html import document_fromstring
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sokhoe import country
from sokhoe.app import build
from sokhoe.country import Pack
from sokhoe.settings import Settings, load
from sokhoe.store import open_store
from sokhoe.sync import enrol_directly
from sokhoe.trust import Gate, Put, Role
from sokhoe.web import Site

PASSWORD = "a long enough word"


def settings_in(folder: Path, **given: Any) -> Settings:
    """Settings of a test; a second factor is asked of those who have one, whatever the role."""
    return load({"data": str(folder), "country": "vietnam", "second_factor_roles": "none", **given})


class Server:
    """A whole server in this process, without its background threads: `settle()` runs the
    followers until nothing is new, so that tests decide when time passes."""

    def __init__(self, folder: Path, role: str, pack: Pack | None = None, **given: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.settings = settings_in(folder, role=role, **given)
        self.pack = pack or country.load(self.settings.country, self.settings.province)
        self.app: Starlette = build(self.settings, pack=self.pack, followers=False)

    @property
    def site(self) -> Site:
        site: Site = self.app.state.site
        return site

    @property
    def gate(self) -> Gate:
        return self.site.gate

    @property
    def store(self) -> Any:
        return self.app.state.store

    def client(self) -> TestClient:
        """A browser or program that talks to this server; keeps its own cookies."""
        return TestClient(self.app, base_url=self.settings.url, follow_redirects=True)

    def account(self, role: Role, place: str = "", name: str = "Somebody") -> str:
        """Make an account of this role; returns its user name."""
        self.gate.add_account(
            str(role),
            PASSWORD,
            role=role,
            name=name,
            actor=f"Practitioner/{role}",
            place=f"Organization/{place}" if place else "",
            place_name=place,
        )
        return str(role)

    def signed_in(self, role: Role, place: str = "") -> TestClient:
        """A browser that has signed in as this role."""
        browser = self.client()
        sign_in(browser, self.account(role, place), PASSWORD)
        return browser

    def software(self, *scopes: str) -> TestClient:
        """A program with an access token."""
        name = f"client-{uuid4().hex[:8]}"
        secret = self.gate.add_client(name, "Test software", scopes or ("system/*.cruds",))
        program = self.client()
        answer = program.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "client_id": name, "client_secret": secret},
        )
        program.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        program.headers["Content-Type"] = "application/fhir+json"
        return program

    def settle(self, rounds: int = 200) -> None:
        for _ in range(rounds):
            if not any(one.step() for one in self.app.state.followers):
                return
        raise AssertionError("the followers never came to rest")

    def put(self, *resources: dict[str, Any]) -> None:
        self.gate.machine("ops").commit([Put(one) for one in resources])

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Hub(Server):
    def __init__(self, folder: Path, pack: Pack | None = None, **given: Any) -> None:
        super().__init__(folder, "hub", pack, **given)


class Line(httpx.BaseTransport):
    """The wire from a station to a hub: real requests into the hub's app, or nothing when cut.
    `lose_answers`: so many answers get lost after the hub has done its work."""

    def __init__(self, hub: Server) -> None:
        self.cut = False
        self.lose_answers = 0
        self.requests = 0
        self._client = TestClient(hub.app, base_url=hub.settings.url, follow_redirects=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("the line is cut", request=request)
        self.requests += 1
        answer = self._client.request(
            request.method,
            str(request.url),
            content=request.read(),
            headers=dict(request.headers),
        )
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("the answer was lost", request=request)
        return httpx.Response(answer.status_code, content=answer.content, request=request)


class Station(Server):
    """A station of a facility, enrolled at the hub, with a line that can be cut."""

    def __init__(self, folder: Path, hub: Server, facility: str) -> None:
        super().__init__(folder, "station", hub.pack, hub_url=hub.settings.url, facility=facility)
        enrol_directly(hub.store, self.store, folder, f"Organization/{facility}")
        self.line = Line(hub)
        self.site.rooms["sync"].reach_by(self.line)

    def send(self) -> None:
        """Let the postman run until he has nothing left, or stands before a cut line."""
        self.site.line.send_now()
        for _ in range(50):
            if not any(one.step() for one in self.app.state.followers):
                return


class Form:
    """A form of a page as a browser would send it: what is filled in already, hidden fields,
    and what the user types; `press` is the button."""

    def __init__(self, html: str, at: int = 0, *, action: str = "") -> None:
        page: Any = document_fromstring(html)
        forms = [one for one in page.forms if one.method == "POST"]
        if action:
            forms = [one for one in forms if (one.action or "").startswith(action)]
        self.action = str(forms[at].action)
        self.fields: list[tuple[str, str]] = [
            (str(name), str(value)) for name, value in forms[at].form_values()
        ]

    def typed(self, **values: str) -> Form:
        for name, value in values.items():
            self.fields = [pair for pair in self.fields if pair[0] != name]
            self.fields.append((name, value))
        return self

    def send(self, browser: TestClient, press: str = "") -> Any:
        pairs = [*self.fields, *([("do", press)] if press else [])]
        data: dict[str, list[str]] = {}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        return browser.post(self.action.partition("#")[0], data=data)


def sign_in(browser: TestClient, username: str, password: str) -> Any:
    return browser.post("/signin", data={"username": username, "password": password, "next": ""})


def csrf_of(html: str) -> str:
    """The CSRF token of the first form on a page."""
    match = re.search(r'name="csrf" value="([^"]+)"', html)
    assert match, "no form with a csrf field on this page"
    return match[1]


def a_patient(
    id: str | None = None,
    *,
    name: str = "Nguyễn Văn An",
    birth_date: str = "1961-03-02",
    gender: str = "male",
    citizen_id: str = "",
    system: str = "urn:test:citizen",
    facility: str = "86001",
) -> dict[str, Any]:
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": id or str(uuid4()),
        "name": [{"text": name}],
        "birthDate": birth_date,
        "gender": gender,
        "managingOrganization": {"reference": f"Organization/{facility}"},
    }
    if citizen_id:
        patient["identifier"] = [{"system": system, "value": citizen_id}]
    return patient


def a_visit(
    patient: dict[str, Any], *, systolic: int = 120, day: str = "2026-11-20", code: str = "I10"
) -> list[dict[str, Any]]:
    """An encounter with one blood pressure and one diagnosis."""
    subject = {"reference": f"Patient/{patient['id']}"}
    encounter = str(uuid4())
    return [
        {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": subject,
            "period": {"start": f"{day}T08:00:00+07:00", "end": f"{day}T08:15:00+07:00"},
            "serviceProvider": patient["managingOrganization"],
        },
        {
            "resourceType": "Observation",
            "id": str(uuid4()),
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "subject": subject,
            "encounter": {"reference": f"Encounter/{encounter}"},
            "effectiveDateTime": f"{day}T08:05:00+07:00",
            "valueQuantity": {
                "value": systolic,
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        },
        {
            "resourceType": "Condition",
            "id": str(uuid4()),
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": code}]},
            "subject": subject,
            "encounter": {"reference": f"Encounter/{encounter}"},
            "recordedDate": f"{day}T08:15:00+07:00",
        },
    ]


@contextmanager
def a_gate(folder: Path, **given: Any) -> Iterator[Gate]:
    """A gate over a fresh memory, with no app around it."""
    store = open_store(f"sqlite:///{folder / 'sokhoe.db'}")
    try:
        yield Gate(store, settings_in(folder, **given))
    finally:
        store.close()

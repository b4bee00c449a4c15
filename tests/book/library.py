"""A small hub for the Book's tests: real memory, real index, and the real test e-ID in process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from sokhoe import book, people, web
from sokhoe.book import Provider
from sokhoe.country import Citizen, NoPack
from sokhoe.ops import eid
from sokhoe.people import PersonView, followers, of_citizen
from sokhoe.settings import Settings, load
from sokhoe.store import Put, open_store
from sokhoe.trust import Actor, Gate, Level, Role
from sokhoe.web import Site, Texts, cookie_name, make_templates
from tests.book.papers import a_facility, a_patient

ROOT = Path(__file__).parents[2] / "sokhoe"
ROOMS = ("web", "people", "book")
HUB = "http://hub.test"
PASSWORD = "lúa chín vàng"
SAU = Citizen("086159000123", "Nguyễn Thị Sáu", "1959-04-12", "female")
BAY = Citizen("086070000777", "Trần Văn Bảy", "1970-09-30", "male")
STRANGER = Citizen("086099999999", "Lê Thị Lạ", "1999-01-01", "female")
STATION, HOSPITAL = "86901", "86001"


@cache
def templates() -> Environment:
    """Compiled once for all tests: that is most of what making a library costs."""
    return make_templates(ROOMS)


@cache
def texts() -> Texts:
    return Texts([ROOT / room / "locale" for room in ROOMS])


class Wire(httpx.BaseTransport):
    """From the Book to the e-ID in this process; `down` is a provider that does not answer."""

    def __init__(self, client: TestClient) -> None:
        self.down = False
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectTimeout("nobody answers", request=request)
        answer = self._client.request(
            request.method,
            str(request.url),
            content=request.read(),
            headers=dict(request.headers),
        )
        headers = {"location": answer.headers["location"]} if answer.has_redirect_location else {}
        return httpx.Response(answer.status_code, content=answer.content, headers=headers)


class Library:
    """Two facilities, two citizens, three who have an e-ID. `settle()` runs the index."""

    def __init__(self, folder: Path, hub: str = HUB, **given: Any) -> None:
        self.hub = hub
        demo = load({"data": str(folder), "role": "hub", "country": "none", "public_url": hub})
        demo = Settings({**demo.values, "demo": True, **given}, demo.sources)
        door = {"oidc_issuer": f"{hub}/eid", "oidc_client_secret": eid.open_secret(folder)}
        self.settings = Settings({**demo.values, **door, **given}, demo.sources)
        eid.write_citizens(folder / "citizens.json", [SAU, BAY, STRANGER], PASSWORD)
        self.citizens = eid.read_citizens(folder / "citizens.json")
        self.store = open_store(f"sqlite:///{folder / 'sokhoe.db'}")
        self.gate = Gate(self.store, self.settings)
        self.site = Site(self.settings, self.gate, NoPack(), texts(), templates())
        people.open_room(self.site)
        book.open_room(self.site)
        self.follower = followers(self.site)[0]
        self.app = Starlette(
            routes=[
                Mount("/eid", routes=self._eid(folder)),
                *web.routes(self.site),
                *book.routes(self.site),
            ]
        )
        self.app.state.site = self.site
        # The provider is asked in process; everything else about it is as in the demo.
        self.wire = Wire(TestClient(self.app, base_url=self.hub, follow_redirects=False))
        self.provider = self.provider_over(self.wire)
        self.put(
            a_facility(STATION, "Trạm Y tế xã Cổ Chiên"),
            a_facility(HOSPITAL, "Bệnh viện đa khoa Vĩnh An"),
        )

    def _eid(self, folder: Path) -> list[Route]:
        settings = self.settings
        client = eid.Client(
            settings.oidc_client_id, settings.oidc_client_secret, (f"{self.hub}/book/callback",)
        )
        key = eid.open_key(folder)
        return eid.routes(settings, settings.oidc_issuer, self.citizens, key, [client])

    def provider_over(self, wire: httpx.BaseTransport) -> Provider:
        """The Book's provider, asked over this wire from now on."""
        settings = self.settings
        found = Provider(
            settings.oidc_issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret,
            f"{self.hub}/book/callback",
            http=httpx.Client(transport=wire),
        )
        self.site.rooms["book"].provider = found
        return found

    def put(self, *resources: dict[str, Any]) -> None:
        self.gate.machine("ops").commit([Put(one) for one in resources])

    def arrive(self, *resources: dict[str, Any]) -> None:
        """Records arrive and the index looks at them."""
        self.put(*resources)
        for _ in range(100):
            if not self.follower.step():
                return
        raise AssertionError("the index never came to rest")

    def register(self) -> None:
        """Sáu is known at the station and at the hospital, Bảy at the station."""
        self.arrive(
            a_patient("sau-station", STATION),
            a_patient("sau-hospital", HOSPITAL, name="NGUYEN THI SAU"),
            a_patient(
                "bay", STATION, name=BAY.name, born=BAY.birth_date, citizen_id=BAY.citizen_id,
                gender="male",
            ),
        )  # fmt: skip

    def person(self, citizen: Citizen = SAU) -> PersonView:
        found = of_citizen(self.gate.machine("people"), citizen.citizen_id)
        assert found is not None
        return found

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url=self.hub, follow_redirects=False)

    def reader(self, citizen: Citizen = SAU) -> TestClient:
        """A browser in which this citizen has signed in already."""
        browser = TestClient(self.app, base_url=self.hub, follow_redirects=True)
        person = self.person(citizen)
        secret = self.gate.admit(Actor(person.ref, person.name, Role.CITIZEN, level=Level.PROVED))
        browser.cookies.set(cookie_name(self.site), secret)
        return browser

    def doctor(self, name: str = "BS. Phạm Văn Tám", place: str = HOSPITAL) -> Actor:
        return Actor("Practitioner/tam", name, Role.DOCTOR, f"Organization/{place}")

    def close(self) -> None:
        self.store.close()


def leave(browser: TestClient, next: str = "") -> str:
    """Press the button; returns the address at the e-ID to which the browser is sent."""
    answer = browser.get("/book/signin/go", params={"next": next} if next else {})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def fields_of(html: str) -> dict[str, str]:
    """The hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', html))


def agree(
    browser: TestClient,
    address: str,
    citizen: Citizen = SAU,
    password: str = PASSWORD,
    do: str = "agree",
) -> Any:
    """Fill in the e-ID's form; returns its answer (a redirect back when it was right)."""
    form = browser.get(address)
    assert form.status_code == 200, form.text
    fields: Mapping[str, str] = {
        **{name: value.replace("&amp;", "&") for name, value in fields_of(form.text).items()},
        "citizen_id": citizen.citizen_id,
        "password": password,
        "do": do,
    }
    return browser.post("/eid/authorize", data=fields)


def answer_of(response: Any) -> dict[str, str]:
    """What the e-ID sends back with the browser."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def come_in(browser: TestClient, citizen: Citizen = SAU, next: str = "") -> Any:
    """The whole way; returns the answer of our callback."""
    back = agree(browser, leave(browser, next), citizen)
    assert back.status_code == 303, back.text
    return browser.get(back.headers["location"])

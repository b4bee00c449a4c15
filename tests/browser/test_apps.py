"""Apps in a real browser: a doctor lets one in and is taken back to it, past the content policy;
the operator's pages are readable on a phone and content axe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from sokhoe.trust import Actor, Agreement, Client, Kind, Purpose, Role
from sokhoe.web import cookie_name
from tests.browser.test_screens import looks_right, page, width
from tests.exchange.launching import SCOPES, VERIFIER, asked
from tests.testland import Pack
from tests.worlds import Hub, a_patient

__all__ = ["page", "width"]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Back(BaseHTTPRequestHandler):
    """The app: whatever comes back to it is well received."""

    def do_GET(self) -> None:
        body = b"<!doctype html><html lang=en><title>App</title><h1>Welcome back</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return None


@pytest.fixture(scope="module")
def app_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Back)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/back"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, app_url: str) -> Iterator[Hub]:
    folder: Path = tmp_path_factory.mktemp("apps")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        with Hub(folder / "hub", Pack(), port=port) as made:
            made.put(a_patient("p1"))
            made.gate.agreements.add(
                Agreement(
                    "a1", "Labor", "x", Purpose.TREAT, ("results",), "2026-01-01", "2099-01-01"
                )
            )
            app = Client("app", "Máy đo huyết áp", Kind.PUBLIC, SCOPES, redirects=(app_url,))
            made.gate.clients.add(app)
            made.gate.clients.add(Client("lab", "Labor", scopes=("system/*.rs",), agreement="a1"))
            config = uvicorn.Config(made.app, log_level="error", ws="none", lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            yield made
            server.should_exit = True
            thread.join(10)


def come_in(page: Page, hub: Hub, role: Role) -> None:
    place = "Organization/86001"  # where the patient is treated
    secret = hub.gate.admit(Actor(f"Practitioner/{role}", "BS. Tùng", role, place))
    cookie = {"name": cookie_name(hub.site), "value": secret, "url": hub.settings.url}
    page.context.add_cookies([cookie])  # type: ignore[list-item]


def test_a_doctor_lets_an_app_in_and_throws_it_out(page: Page, hub: Hub, app_url: str) -> None:
    come_in(page, hub, Role.DOCTOR)
    scope = "openid launch/patient patient/Observation.rs offline_access"
    question = urlencode(asked(hub, redirect_uri=app_url, scope=scope))
    page.goto(f"{hub.settings.url}/oauth/authorize?{question}")
    looks_right(page)
    page.get_by_role("searchbox").fill("Nguyễn")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Nguyễn Văn An").click()
    looks_right(page)
    assert page.locator("input[type=checkbox]:checked").count() == 0
    page.get_by_label("kết quả xét nghiệm").check()
    page.get_by_role("button", name="Cho phép").click()
    expect(page.get_by_role("heading")).to_have_text("Welcome back")
    answer = parse_qs(urlsplit(page.url).query)
    client = hub.gate.clients.get("app")
    made, _ = hub.gate.grants.redeem(client, answer["code"][0], app_url, VERIFIER)
    assert made.context == {"patient": "p1", "need_patient_banner": True}
    page.goto(f"{hub.settings.url}/apps/mine")
    looks_right(page)
    page.get_by_role("button", name="Dừng truy cập").first.click()
    assert hub.gate.tokens.standing(made.access_token) is None


def test_the_operator_s_pages_fit_and_an_end_is_undone(page: Page, hub: Hub) -> None:
    come_in(page, hub, Role.OPERATOR)
    for path in ("/apps", "/apps/new", "/apps/agreements"):
        page.goto(hub.settings.url + path)
        looks_right(page)
    page.goto(f"{hub.settings.url}/apps")
    page.get_by_role("button", name="Dừng truy cập").first.click()
    looks_right(page)
    page.get_by_role("button", name="Hoàn tác").click()
    assert all(one.active for one in hub.gate.clients.all())

"""Signing in as a browser really does it: passkeys by Chromium's own virtual authenticator, the
square for the app, and everything at two widths without a fault of the policy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page

from sokhoe import clock
from sokhoe.trust import Role
from sokhoe.trust.totp import code_of, step_at
from tests.demos import free_ports
from tests.testland import Pack
from tests.worlds import PASSWORD, Hub

pytestmark = pytest.mark.browser
WIDTHS = (390, 1280)
SHOTS = os.environ.get("SOKHOE_SHOTS", "")
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    port = free_ports()
    url = f"http://localhost:{port}"  # passkeys need a name, and allow this one without HTTPS
    folder = tmp_path_factory.mktemp("keys")
    with Hub(folder / "hub", Pack(), port=port, public_url=url, second_factor_roles="head") as made:
        for role in (Role.HEAD, Role.STEWARD):
            made.account(role)
        server = uvicorn.Server(
            uvicorn.Config(made.app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        for _ in range(200):
            if server.started:
                break
            time.sleep(0.05)
        yield made
        server.should_exit = True
        thread.join(timeout=10)


def a_page(browser: Browser, hub: Hub, width: int) -> tuple[Page, list[str]]:
    """A fresh browser, and what it complains of."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, base_url=hub.settings.url
    )
    page, said = context.new_page(), list[str]()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda line: said.append(line.text) if "Content Security" in line.text else None,
    )
    return page, said


def shoot(page: Page, name: str) -> None:
    """A picture for whoever looks (SOKHOE_SHOTS=folder); and no page is wider than its window."""
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth"), f"{name} is wider than the screen"
    if SHOTS:
        size = page.viewport_size
        assert size is not None
        page.screenshot(path=str(Path(SHOTS) / f"{name}-{size['width']}.png"), full_page=True)


def password(page: Page, name: str) -> None:
    page.goto("/signin")
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("form[action='/signin'] button.primary >> nth=0")


def test_a_passkey_is_made_and_opens_alone(browser: Browser, hub: Hub) -> None:
    page, said = a_page(browser, hub, 1280)
    tool = page.context.new_cdp_session(page)
    tool.send("WebAuthn.enable")
    tool.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    password(page, "head")
    shoot(page, "enrol")
    page.fill("form[data-passkey=make] #name", "Máy bàn")
    page.click("form[data-passkey=make] button")
    page.wait_for_url(lambda url: "/signin" not in url)
    assert [one.name for one in hub.gate.factors.of("head").passkeys] == ["Máy bàn"]
    page.goto("/me")
    assert "Máy bàn" in page.inner_text("main")
    shoot(page, "me")
    page.click("summary")
    page.click("form[action='/signout'] button")
    page.goto("/signin")
    shoot(page, "signin")
    page.click("form[data-passkey=prove] button")
    page.wait_for_url(lambda url: "/signin" not in url)
    page.goto("/me")
    assert page.locator("h1").count() == 1
    password_again(page, hub)
    assert said == []
    page.context.close()


def password_again(page: Page, hub: Hub) -> None:
    """Password, and the passkey as the second step."""
    page.goto("/me")
    page.click("summary")
    page.click("form[action='/signout'] button")
    password(page, "head")
    shoot(page, "second")
    page.click("form[data-passkey=prove] button")
    page.wait_for_url(lambda url: "/signin" not in url)


@pytest.mark.parametrize("width", WIDTHS)
def test_an_app_a_pin_and_the_pages_of_accounts(browser: Browser, hub: Hub, width: int) -> None:
    page, said = a_page(browser, hub, width)
    password(page, "steward")
    page.goto("/me/second")
    shoot(page, "app")
    secret = page.inner_text("p.centre code").replace(" ", "")
    page.fill("form[action='/me/app'] #code", code_of(secret, step_at(clock.now())))
    page.click("form[action='/me/app'] button")
    assert page.locator(".codes li").count() == 8
    shoot(page, "codes")
    page.goto("/me")
    page.fill("#pin", "482915")
    page.click("form[action='/me/pin'] button")
    shoot(page, "me-pin")
    page.goto("/switch")
    shoot(page, "switch")
    hub.gate.factors.drop_app("steward")
    page.goto("/stepup")
    shoot(page, "stepup")
    page.goto("/book/open")
    shoot(page, "book-open")
    page.goto("/help")
    page.evaluate("document.getElementById('idle').hidden = false")
    shoot(page, "idle")
    page.click("#idle button")
    page.wait_for_function("document.getElementById('idle').hidden")
    assert said == []
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_head_makes_an_account(browser: Browser, hub: Hub, width: int) -> None:
    page, said = a_page(browser, hub, width)
    cookie = hub.gate.admit(hub.gate.accounts.actor_of("head"))
    name = f"sokhoe-{hub.settings.port}"
    page.context.add_cookies([{"name": name, "value": cookie, "url": hub.settings.url}])
    page.goto("/accounts")
    page.fill("#name", "Nguyễn Thị Bảy")
    page.fill("#username", f"bay{width}")
    page.check("input[value=nurse]")
    shoot(page, "accounts")
    page.click("form[action='/accounts/new'] button")
    assert page.locator(".paper code").count() == 2
    shoot(page, "paper")
    page.goto("/accounts")
    page.click(f"form[action='/accounts/bay{width}/close'] button")
    shoot(page, "closed")
    page.click(f"form[action='/accounts/bay{width}/open'] button >> nth=0")
    account = hub.gate.accounts.find(f"bay{width}")
    assert account is not None
    assert account.active
    assert said == []
    page.context.close()

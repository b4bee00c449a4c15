"""The key tasks in a real browser, at phone and desk width: they can be done, nothing is cut
off, letters and targets have their size, no page breaks the content policy, and axe finds nothing
serious."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.demos import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}


@pytest.fixture(params=list(WIDTHS))
def width(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, width: str) -> Iterator[Page]:
    size = WIDTHS[width]
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="vi-VN", timezone_id="Asia/Bangkok"
    )
    made = context.new_page()
    complaints: list[str] = []
    made.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    context.close()
    assert complaints == []  # a broken content policy speaks here


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(url)
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_load_state()


def looks_right(page: Page) -> None:
    """Nothing sticks out sideways, letters are large enough, targets can be hit, axe is content."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"
    base = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert base >= 18, f"letters of {base} px"
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input:not([type=hidden]), .button')]
        .filter(e => e.offsetParent && !e.classList.contains('unseen'))
        .filter(e => !['checkbox', 'radio'].includes(e.type))
        .map(e => [e.textContent.trim() || e.name, e.getBoundingClientRect().height])
        .filter(pair => pair[1] < 44)"""
    )
    assert small == [], f"{page.url}: too small to hit: {small}"
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == [], [(one["id"], one["nodes"][0]["html"]) for one in serious]


def station_account(demo: Demo, role: str) -> tuple[str, dict[str, Any]]:
    station = demo.doors["stations"][0]
    account = next(
        one
        for one in demo.doors["accounts"]
        if one["place"] == station["facility"] and one["role"] == role
    )
    return str(station["url"]), account


def test_a_nurse_registers_somebody_and_records_a_visit(demo: Demo, page: Page, width: str) -> None:
    url, nurse = station_account(demo, "nurse")
    page.goto(url)
    looks_right(page)
    sign_in(page, url, nurse["username"], nurse["password"])
    expect(page).to_have_url(f"{url}/today")
    looks_right(page)

    page.goto(f"{url}/people/new")
    looks_right(page)
    number = "086070000111" if width == "phone" else "086070000222"
    name = "NGUYỄN VĂN BƯỞI" if width == "phone" else "TRẦN VĂN CAM"
    page.fill("[name=card]", f"{number}||{name}|05031970|Nam|Ấp 1, Cổ Chiên|01012022")
    page.click("#read-card")
    page.wait_for_load_state()
    assert page.input_value("[name=citizen_id]") == number
    page.click("button[value=save]")
    page.wait_for_url(re.compile(r"/people/[0-9a-f-]{36}$"))
    looks_right(page)
    person = page.url

    page.goto(f"{person}/visit")
    looks_right(page)
    page.fill("[name=systolic]", "186")
    page.fill("[name=diastolic]", "104")
    page.fill("[name=complaint]", "Nhức đầu, chóng mặt")
    page.fill("[name=dx_words]", "tang huyet ap")
    pick = page.locator("#found button").first
    pick.wait_for()
    pick.click()
    page.wait_for_load_state()
    page.click("button[value=save]")
    page.wait_for_url(f"{url}/visits/*")
    looks_right(page)
    assert "186" in page.content()
    page.goto(f"{url}/people?q=van+{'buoi' if width == 'phone' else 'cam'}")
    assert name.split()[-1].title() in page.content() or name in page.content()


def test_a_citizen_reaches_the_latest_result_in_three_actions(
    demo: Demo, page: Page, width: str
) -> None:
    hub = demo.hub
    citizen = demo.doors["citizens"][0]
    page.goto(f"{hub}/book")
    looks_right(page)
    page.goto(f"{hub}/book/signin/go")
    page.fill("[name=citizen_id]", citizen["citizen_id"])
    page.fill("[name=password]", citizen["password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{hub}/book")
    looks_right(page)
    for path in ("/book/results", "/book/medicines", "/book/access", "/book/sources", "/book/me"):
        page.goto(f"{hub}{path}")
        looks_right(page)


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("statistician", "/numbers"),
        ("steward", "/desk"),
        ("operator", "/sync/stations"),
    ],
)
def test_the_desks_of_the_province(
    demo: Demo, page: Page, width: str, role: str, path: str
) -> None:
    account = next(one for one in demo.doors["accounts"] if one["role"] == role)
    sign_in(page, f"{demo.hub}/signin", account["username"], account["password"])
    page.goto(f"{demo.hub}{path}")
    looks_right(page)


def test_the_control_page(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.hub}/demo")
    looks_right(page)


def test_a_page_that_is_not_there(demo: Demo, browser: Browser) -> None:
    page = browser.new_page()  # its 404 is what we want, so the console may say so
    page.goto(f"{demo.hub}/no/such/page")
    looks_right(page)
    page.close()


def test_a_visit_can_be_written_without_scripts(demo: Demo, browser: Browser) -> None:
    url, nurse = station_account(demo, "nurse")
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{url}/signin")
    page.fill("[name=username]", nurse["username"])
    page.fill("[name=password]", nurse["password"])
    page.press("[name=password]", "Enter")
    page.goto(f"{url}/people/new")
    page.fill("[name=name]", "Lê Thị Không Chữ")
    page.fill("[name=birth]", "1957")
    page.check("[name=gender][value=female]")
    page.click("button[value=save]")
    page.goto(f"{page.url}/visit")
    page.fill("[name=pulse]", "82")
    page.fill("[name=complaint]", "Ho")
    page.fill("[name=dx_words]", "viem hong")
    page.click("button[value=find]")
    page.locator("#found button").first.click()
    page.click("button[value=save]")
    assert "/visits/" in page.url, page.content()[:2000]
    context.close()

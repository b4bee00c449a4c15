"""`make screens`: the pictures of docs/screens/, taken from a running demo at phone and desk width.

Start `make demo` first; `--doors` names its doors.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "screens"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"phone": (390, 844), "desk": (1280, 860)}


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/signin")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_load_state()


def shoot(page: Page, url: str, name: str, width: str) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=OUT / f"{name}-{width}.png")
    print(f"{name}-{width}.png")


def context(browser: Browser, width: str) -> BrowserContext:
    wide, high = SIZES[width]
    return browser.new_context(viewport={"width": wide, "height": high}, locale="vi-VN")


def station(browser: Browser, width: str, doors: dict[str, Any]) -> None:
    url = doors["stations"][1]["url"]
    page = context(browser, width).new_page()
    shoot(page, f"{url}/signin", "signin", width)
    sign_in(page, url, "nurse", doors["accounts"][0]["password"])
    shoot(page, f"{url}/today", "today", width)
    shoot(page, f"{url}/people?q=nguyen", "find", width)
    link = page.locator("main a[href^='/people/']:not([href='/people/new'])").first
    person = f"{url}{link.get_attribute('href')}"
    shoot(page, person, "person", width)
    shoot(page, f"{person}/visit", "visit", width)
    shoot(page, f"{url}/people/new", "register", width)
    shoot(page, f"{url}/sync", "line", width)


def book(browser: Browser, width: str, doors: dict[str, Any]) -> None:
    hub = doors["hub"]["url"]
    citizen = doors["citizens"][0]
    page = context(browser, width).new_page()
    shoot(page, f"{hub}/book/signin", "book-signin", width)
    page.goto(f"{hub}/book/signin/go")
    page.fill("[name=citizen_id]", citizen["citizen_id"])
    page.fill("[name=password]", citizen["password"])
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{hub}/book")
    for name in ("", "results", "medicines", "access", "sources"):
        shoot(page, f"{hub}/book/{name}".rstrip("/"), f"book-{name or 'visits'}", width)


def province(browser: Browser, width: str, doors: dict[str, Any]) -> None:
    hub = doors["hub"]["url"]
    password = doors["accounts"][0]["password"]
    for role, path, name in (
        ("statistician", "/numbers", "numbers"),
        ("steward", "/desk", "desk"),
        ("operator", "/sync/stations", "stations"),
    ):
        page = context(browser, width).new_page()
        sign_in(page, hub, role, password)
        shoot(page, f"{hub}{path}", name, width)
        if name == "desk":
            case = page.locator("main a[href^='/desk/']").first.get_attribute("href")
            shoot(page, f"{hub}{case}", "desk-case", width)
    shoot(context(browser, width).new_page(), f"{hub}/demo", "demo", width)


def front(browser: Browser) -> None:
    """The picture of the README: a station's page, a phone with the Book, the numbers."""
    page = browser.new_page(viewport={"width": 1500, "height": 640})
    parts = [
        ("person-desk", 0, 30, 760),
        ("numbers-desk", 740, 30, 760),
        ("book-visits-phone", 605, 90, 250),
    ]
    pictures = "".join(
        f'<img src="{(OUT / f"{name}.png").as_uri()}" '
        f'style="left:{left}px;top:{top}px;width:{wide}px">'
        for name, left, top, wide in parts
    )
    html = OUT / "front.html"
    html.write_text(
        "<style>body{margin:0;background:#f4f7f6}img{position:absolute;border-radius:14px;"
        f"box-shadow:0 6px 24px rgb(18 33 31/25%)}}</style>{pictures}"
    )
    page.goto(html.as_uri())
    page.screenshot(path=OUT / "front.png")
    html.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doors", default="demo-data/doors.json")
    doors = json.loads(Path(parser.parse_args().doors).read_text("utf-8"))
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or "chromium"
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for width in SIZES:
            station(browser, width, doors)
            book(browser, width, doors)
            province(browser, width, doors)
        front(browser)
        browser.close()


if __name__ == "__main__":
    main()

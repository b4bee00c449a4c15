from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.demos import Demo, free_ports

CHROMIUM = os.environ.get("SOKHOE_CHROMIUM") or shutil.which("chromium") or ""
# As root Chromium cannot make its own sandbox; the pages are our own, on loopback.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# For the file, not for the session: while Playwright lives its event loop runs in this thread, and
# a later test on the same worker that calls asyncio.run would be refused.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        if os.environ.get("SOKHOE_CI"):
            pytest.fail("CI must have Chromium")
        pytest.skip("NO CHROMIUM: browser tests did not run (apt-get install chromium)")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder: Path = tmp_path_factory.mktemp("browser") / "data"
    made = Demo(folder, free_ports())
    yield made
    made.stop()

"""One library for each test, on the morning of 23 November 2026."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sokhoe import clock
from tests.book.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with clock.standing_at(datetime(2026, 11, 23, 8, 12, tzinfo=clock.zone())):
        made = Library(tmp_path)
        made.register()
        yield made
        made.close()

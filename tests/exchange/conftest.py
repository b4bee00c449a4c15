from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.testland import Pack
from tests.worlds import Hub


@pytest.fixture
def both(url: str, tmp_path: Path) -> Iterator[Hub]:
    """A hub, once on SQLite and once on PostgreSQL."""
    with Hub(tmp_path / "hub", Pack(), database=url) as made:
        yield made


@pytest.fixture
def client(both: Hub) -> TestClient:
    """Software with a token for everything, at such a hub."""
    return both.software()

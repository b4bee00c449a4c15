from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres


@pytest.fixture(scope="session")
def shared_synthea() -> list[Path]:
    """The 40 synthetic patients that lie beside the project; skips, and says so, without them."""
    folder = Path(os.environ.get("SOKHOE_SHARED", Path(__file__).parents[2] / "shared"))
    files = sorted((folder / "data" / "synthea").glob("*.json"))
    if not files:
        pytest.skip("the Synthea bundles are not here (set SOKHOE_SHARED)")
    return files


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL: what runs on both databases runs on SQLite alone here")
    server = postgres.Server(programs)
    yield server
    server.stop()


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: postgres.Server = request.getfixturevalue("server")
    return server.emptied()

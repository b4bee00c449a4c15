from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.subscriptions.receiver import Receiver
from tests.testland import Pack
from tests.worlds import Hub


@pytest.fixture
def hub(url: str, tmp_path: Path) -> Iterator[Hub]:
    """A hub that may send to this machine, once on SQLite and once on PostgreSQL."""
    with Hub(tmp_path / "hub", Pack(), database=url, subscription_hosts="127.0.0.1") as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made

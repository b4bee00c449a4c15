from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.trust import Gate
from tests.worlds import a_gate


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with a_gate(tmp_path) as made:
        yield made

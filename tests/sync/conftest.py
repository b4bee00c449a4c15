from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sync.world import HubEnd, StationEnd, a_pair

IN_MEMORY = Path("/dev/shm")  # a disk on which fsync costs nothing


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files need not survive a power cut: the chaos does some 10,000 commits."""
    if not IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        yield Path(name)


@pytest.fixture
def pair(folder: Path) -> Iterator[tuple[HubEnd, StationEnd]]:
    """A hub and an enrolled station with a good line."""
    with a_pair(folder) as both:
        yield both

"""What the tests of this room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthea() -> Path:
    """The folder of synthetic patients (`*.json`, R4 transaction bundles), if it is here."""
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(os.environ.get("SOKHOE_SHARED", beside)) / "data" / "synthea"
    if not any(folder.glob("*.json")):
        pytest.skip(f"no synthetic patients in {folder}; SOKHOE_SHARED names the folder above data")
    return folder

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_synthea() -> list[Path]:
    """The 40 synthetic patients that lie beside the project; skips, and says so, without them."""
    folder = Path(os.environ.get("SOKHOE_SHARED", Path(__file__).parents[2] / "shared"))
    files = sorted((folder / "data" / "synthea").glob("*.json"))
    if not files:
        pytest.skip("the Synthea bundles are not here (set SOKHOE_SHARED)")
    return files

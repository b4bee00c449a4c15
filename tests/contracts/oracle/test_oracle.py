"""What the index answers is what the oracle answers, on both databases, whoever asks.

SOKHOE_ORACLE=20000 python -m pytest tests/contracts/oracle -k answers    asks more
SOKHOE_ORACLE_SEED=7 …                                                    asks the same again
"""

from __future__ import annotations

import ast
import asyncio
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sokhoe.store import Delete, Store, open_store
from tests.contracts.oracle.trying import Trial, summed
from tests.contracts.test_store import an_entry

QUESTIONS = int(os.environ.get("SOKHOE_ORACLE", "700"))
ROUND = 1000  # questions to one world


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    store = open_store(url, tmp_path / "audit")
    store.record(an_entry())  # the journal is open, so the event loop may be asked
    yield store
    store.close()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def emptied(store: Store, trial: Trial) -> None:
    gone = [Delete(one.type, one.version.id) for one in trial.shelf.records.values()]
    store.commit(gone, author="world")


@pytest.mark.parametrize("seed", ["fixed", "drawn"])
def test_the_index_answers_as_the_oracle(
    store: Store, loop: asyncio.Runner, seed: str, tmp_path: Path
) -> None:
    start = 20_261_123 if seed == "fixed" else secrets.randbelow(10**9)
    start = int(os.environ.get("SOKHOE_ORACLE_SEED", start))
    rounds = []
    for n in range(0, QUESTIONS, ROUND):
        trial = Trial(store, Random(start + n), tmp_path, loop)
        trial.change(10)
        tried = trial.ask(min(ROUND, QUESTIONS - n))
        assert not tried.wrong, f"seed {start + n}: {tried.wrong[0]}"
        rounds.append(tried)
        emptied(store, trial)
    told = summed(rounds)
    print(f"seed {start}: {told}")
    assert told["hits"] > told["questions"] * 0.2
    assert min(told["sessions"], told["soon"]) > told["questions"] * 0.02


@given(random=st.randoms(use_true_random=False))
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
def test_small_worlds_too(store: Store, tmp_path: Path, random: Random) -> None:
    """Drawn by Hypothesis, so that a world that fails is made as small as it can be."""
    trial = Trial(store, random, tmp_path)
    try:
        trial.change(2, most=6)
        tried = trial.ask(6)
        assert not tried.wrong, str(tried.wrong[0])
    finally:
        emptied(store, trial)


# --- whom the oracle asks ---------------------------------------------------------------------


def imported(folder: Path) -> set[str]:
    found = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
    return found


def test_the_oracle_and_the_index_share_no_code() -> None:
    """The oracle finds values by FHIRPath, which the index does not use, and uses nothing of the
    index: it only hands its questions to `parse_query`, to be read as anybody's."""
    here = Path(__file__).parent
    root = here.parents[2] / "sokhoe"
    used = {one for one in imported(here) if one.startswith("sokhoe.fhir")}
    assert used <= {
        "sokhoe.fhir",
        "sokhoe.fhir.parse_query",
        "sokhoe.fhir.Query",
        *(f"sokhoe.fhir.path{name}" for name in ("", ".Node", ".World", ".expression")),
    }
    for folder in (root / "fhir" / "search", root / "store"):
        assert not {one for one in imported(folder) if one.startswith("sokhoe.fhir.path")}

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
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sokhoe.fhir import extract, path
from sokhoe.store import (
    Delete,
    Reindex,
    Store,
    Sums,
    bounds,
    open_store,
    ordering,
    pgasking,
    resolving,
    searching,
    sqlgen,
)
from tests.contracts.oracle.faults import WRITTEN, forget
from tests.contracts.oracle.trying import Trial, summed
from tests.contracts.oracle.world import World
from tests.contracts.test_store import an_entry

QUESTIONS = int(os.environ.get("SOKHOE_ORACLE", "120"))
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


@pytest.fixture(params=["as it is", "small sets are large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half of the planner is for sets so large that no test could fill them."""
    if request.param == "small sets are large":
        for room in (sqlgen, pgasking, searching, resolving):
            monkeypatch.setattr(room, "MANY", 3)
        monkeypatch.setattr(searching, "FEW", 2)
        monkeypatch.setattr(bounds, "MOST_ENDS", 2)
        monkeypatch.setattr(ordering, "SIDE_BY_SIDE", 2)
        monkeypatch.setattr(sqlgen, "FEW_PATIENTS", 1)


@pytest.mark.usefixtures("size")
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
    assert QUESTIONS < 500 or min(told["sessions"], told["soon"]) > 0


@pytest.mark.parametrize("way", ["reindexed", "opened anew"])
def test_an_index_made_again_answers_as_the_oracle(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The index was written with faults; whichever way it is put right, nothing of them is left."""
    store: Any = open_store(url)
    trial = Trial(store, Random(5), tmp_path)
    with monkeypatch.context() as patch:
        for fault in WRITTEN:
            fault(patch)
        forget()
        trial.change(10)
    forget()
    assert trial.ask(200, changing=False).wrong  # within the first few
    if way == "reindexed":
        sums, reach = Sums(store.head()), 0
        while reach < sums.upto:
            reach = store.reindex(Reindex(None, sums.upto), reach, sums=sums).reach
        store.strays(sums, mend=True)
    else:
        with store._transaction(durable=True):
            store._run("UPDATE node SET value='of old' WHERE key='index'")
        store.close()
        store = open_store(url)
        trial.moved_to(store, tmp_path)
    again = trial.ask(100, changing=False)
    store.close()
    assert not again.wrong, str(again.wrong[0])


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
        if file.name == "faults.py":  # what it breaks must be named
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
    return found


def test_the_oracle_and_the_index_share_no_code() -> None:
    """The oracle uses nothing of the index but `parse_query`, which reads its questions as it
    reads anybody's."""
    here = Path(__file__).parent
    used = {one for one in imported(here) if one.startswith("sokhoe.fhir")}
    used -= {"sokhoe.fhir.extract"}  # asked by a test below
    assert used <= {
        "sokhoe.fhir",
        "sokhoe.fhir.parse_query",
        "sokhoe.fhir.Query",
        *(f"sokhoe.fhir.path{name}" for name in ("", ".Node", ".World", ".expression")),
    }


def test_the_index_does_without_fhirpath(monkeypatch: pytest.MonkeyPatch) -> None:
    """What R4 defines is indexed by compiled paths; only parameters of one's own are evaluated."""

    def never(text: str) -> None:
        raise AssertionError(f"the index evaluated {text}")

    monkeypatch.setattr(path, "expression", never)
    monkeypatch.setattr(path, "Expression", never)
    world = World(Random(1))
    for _ in range(200):
        assert extract(world.a_record()).keys

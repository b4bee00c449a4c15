"""An oracle that never disagrees proves nothing: here it must, for each fault that is planted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from sokhoe.store import open_store
from tests.contracts.oracle.faults import FAULTS, Fault, forget
from tests.contracts.oracle.trying import Trial
from tests.contracts.test_store import an_entry

MOST = 2000  # questions until a fault is found; most need less than a hundred


@pytest.fixture
def compiled_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.__name__)
def test_planted_faults(fault: Fault, compiled_anew: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fault(compiled_anew)
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "audit")
    try:
        store.record(an_entry())  # so that the fast way is open
        with asyncio.Runner() as loop:
            trial = Trial(store, Random(7), tmp_path, loop)
            trial.change(10)
            tried = trial.ask(MOST, focus=FAULTS[fault])
            assert tried.wrong, f"not noticed in {tried.questions} questions"
            print(f"{tried.questions} questions: {tried.wrong[0]}")
    finally:
        store.close()

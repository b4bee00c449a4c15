"""`sokhoe reindex`, and the work of a new search parameter that is killed in its middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sokhoe.ops import run
from sokhoe.store import Put, Store, open_store
from tests.contracts.test_parameters import a_parameter, differing, index_all, refs
from tests.worlds import a_patient


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'sokhoe.db'}")
    store.commit([Put({**a_patient(), "id": f"p{n}"}) for n in range(3)], author="me")
    store.close()
    return folder


def plant(data: Path, *texts: str) -> None:
    store: Any = open_store(f"sqlite:///{data / 'sokhoe.db'}")
    with store._transaction(durable=True):
        for text in texts:
            store._run(text)
    store.close()


def test_what_was_altered_is_named_and_put_right(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--data", str(data))
    assert run(("reindex", "--check", *here)) == 0
    assert "3 records looked at, 0 wrong" in capsys.readouterr().out
    plant(data, "DELETE FROM str WHERE pk=2", "INSERT INTO eq(h, d, pk) VALUES(5, 0, 3)")
    assert run(("reindex", "--check", *here)) == 1
    told = capsys.readouterr().out
    assert "Patient/p1: " in told and "(texts)" in told
    assert "Patient/p2 version 1: 0 rows missing, 1 too many (stray)" in told
    assert run(("reindex", "--check", "Observation", *here)) == 0
    assert run(("reindex", *here)) == 0
    capsys.readouterr()
    assert run(("reindex", "--check", *here)) == 0
    assert "0 wrong" in capsys.readouterr().out


def test_how_far_a_parameter_is(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", str(data))
    assert run(("reindex", "--status", *here)) == 0
    assert "no search parameters of its own" in capsys.readouterr().out
    store = open_store(f"sqlite:///{data / 'sokhoe.db'}")
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    store.close()
    run(("reindex", "--status", *here))
    assert "sex of Patient: indexing 0 %" in capsys.readouterr().out
    assert run(("reindex", "Patients", *here)) == 1


KILLED = """
import os, sys
from sokhoe.store import mending, open_store
mending.WINDOW, mending.LEASE = 10, 0
store = open_store(sys.argv[1])
put, count = store._put_right, 0
def dying(*all_):
    global count
    count += 1
    put(*all_)
    if count == 3: os.kill(os.getpid(), 9)
store._put_right = dying
while store.index_on() is not None: pass
"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_work_that_is_killed_goes_on_where_it_stood(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'kill.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("server").emptied()
    store: Store = open_store(url)
    patients = [Put({**a_patient(), "id": f"p{n}", "gender": "male"}) for n in range(45)]
    store.commit(patients, author="me")
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", KILLED, url], check=False, cwd=root)
    assert died.returncode == -9
    (edition,) = store.editions()
    assert (edition.custom.state, edition.looked, edition.reach) == ("indexing", 20, 20)
    index_all(store)
    (edition,) = store.editions()
    assert (edition.custom.state, edition.looked, edition.changed) == ("ready", 45, 45)
    assert edition.wrong == 0
    store.commit([Put({**a_patient(), "id": "p1", "gender": "female"})], author="me")
    assert len(refs(store, "Patient", ("sex", "male"), ("_count", "100"))) == 44
    assert differing(store) == []
    store.close()

"""`sokhoe load --bulk`: whole files, bad lines set aside, and kill -9 at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe.fhir import encode
from sokhoe.ops import run
from sokhoe.store import Store, open_store
from sokhoe.trust import loading
from tests import postgres
from tests.worlds import Hub, a_patient


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [one for one in os.environ if one.startswith("SOKHOE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL on this machine")
    made = postgres.Server(programs)
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path / 'data' / 'sokhoe.db'}"
    if request.param != "sqlite":
        url = request.getfixturevalue("server").emptied()
    open_store(url).close()
    return str(url)


def opened(database: str) -> Store:
    return open_store(database)


def lines(count: int, **more: Any) -> bytes:
    return b"".join(encode({**a_patient(f"p{n}"), **more}) + b"\n" for n in range(count))


def load(database: str, *paths: str) -> int:
    return run(
        [
            *("load", "--bulk", *paths, "--processes", "0"),
            *("--data", "data", "--database", database),
        ]
    )


def test_files_are_loaded_once_however_often_they_are_sent(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_bytes(lines(7))
    (tmp_path / "in" / "b.ndjson").write_bytes(lines(9, gender="female"))
    assert load(database, "in") == 0
    assert "9 new, 7 changed, 0 same, 0 refused" in capsys.readouterr().out
    assert load(database, "in/b.ndjson") == 0
    assert "0 new, 0 changed, 9 same, 0 refused" in capsys.readouterr().out
    store = opened(database)
    assert store.totals()["Patient"] == 9
    assert store.all_kept("load") == {}
    assert list(store.verify()) == []
    note = store.entries(patient="Patient/p8", count=1)[0].entry.note
    assert note == "load b.ndjson lines 1-9"
    store.close()


def test_a_bad_line_is_set_aside_and_stops_nothing(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = b'{"resourceType":"Patient","id":"x","gender":"manly"}\n'
    (tmp_path / "a.ndjson").write_bytes(lines(3) + bad + lines(5)[len(lines(3)) :])
    assert load(database, "a.ndjson") == 1
    assert "REFUSED 1 lines of a.ndjson" in capsys.readouterr().out
    file = tmp_path / "data" / "load-errors" / "a.ndjson.errors.ndjson"
    (told,) = map(json.loads, file.read_bytes().splitlines())
    assert told["extension"][1]["valueInteger"] == 4
    assert file.stat().st_mode & 0o077 == 0
    store = opened(database)
    assert store.totals()["Patient"] == 5
    store.close()


class Killed(BaseException):
    """Nothing of the program runs after this."""


@pytest.mark.parametrize("moment", range(5))
def test_a_load_that_is_cut_off_goes_on_where_it_stood(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    monkeypatch.setattr(loading, "FIRST_LINES", 2)
    bad = b"{\n"
    (tmp_path / "a.ndjson").write_bytes(bad + lines(4) + bad + lines(9)[len(lines(4)) :] + bad)
    from sokhoe.trust import Session

    real, left = Session.load, [moment]

    def dying(self: Session, *arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            raise Killed
        return real(self, *arguments, **more)

    monkeypatch.setattr(Session, "load", dying)
    with pytest.raises(Killed):
        load(database, "a.ndjson")
    assert load(database, "a.ndjson") == 1
    store = opened(database)
    assert store.totals()["Patient"] == 9
    assert store.head() == 9, "nothing was written twice"
    store.close()
    told = (tmp_path / "data" / "load-errors" / "a.ndjson.errors.ndjson").read_bytes()
    numbers = [json.loads(one)["extension"][1]["valueInteger"] for one in told.splitlines()]
    assert numbers == [1, 6, 12]


def test_kill_9_in_the_middle_loses_nothing_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path / 'data' / 'sokhoe.db'}"
    open_store(url).close()
    (tmp_path / "a.ndjson").write_bytes(lines(12_000))
    command = [
        *(sys.executable, "-m", "sokhoe", "load", "--bulk", "a.ndjson", "--data", "data"),
        *("--processes", "1"),
    ]
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        store = open_store(url)
        until = time.monotonic() + 60
        while store.head() == 0 and time.monotonic() < until and child.poll() is None:
            time.sleep(0.005)
        makers = _children(child.pid)
        child.kill()
    finally:
        child.kill()
        child.wait()
    assert makers
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in makers) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [pid for pid in makers if Path(f"/proc/{pid}").exists()], "they outlive it"
    reached = store.head()
    store.close()
    assert reached > 0
    assert load(url, "a.ndjson") == 0
    store = open_store(url)
    assert store.totals()["Patient"] == 12_000
    assert store.head() == 12_000
    assert list(store.verify()) == []
    store.close()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ndjson").write_bytes(lines(1))
    assert run(["load", "a.ndjson"]) == 1
    assert "--bulk --data FOLDER" in capsys.readouterr().err
    assert run(["load", "--bulk", "none.ndjson", "--data", "data"]) == 1
    assert run(["load", "--bulk", "a.ndjson", "--data", "none"]) == 1
    assert "There is no memory" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(["load", "--bulk", "empty", "--data", "none"]) == 1


def test_it_may_run_beside_the_server(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub") as hub:
        (tmp_path / "a.ndjson").write_bytes(lines(5))
        arguments = ["load", "--bulk", "a.ndjson", "--data", "hub", "--processes", "0"]
        assert run(arguments) == 0
        assert hub.gate.machine("ops").read("Patient", "p4").version == 1
        hub.put(a_patient("more"))

"""The verbs of the command line: what they print, and the way out when something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sokhoe import clock
from sokhoe.ops import VERBS, run
from sokhoe.trust import Put
from tests.worlds import Hub, a_patient


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests may reach them."""
    import os

    for name in [one for one in os.environ if one.startswith("SOKHOE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "hub"
    with Hub(folder) as made:
        for number in range(3):
            made.gate.machine("ops").commit([Put(a_patient(f"p{number}"))])
            made.gate.machine("ops").read("Patient", f"p{number}")
    folder.chmod(0o750)
    yield folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    return out.out + out.err


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    text = said(capsys)
    for verb in VERBS:
        assert verb in text


def test_settings_show_value_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOKHOE_PORT", "9123")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sokhoe.toml").write_text('role = "hub"\n')
    assert run(["settings", "--data", str(tmp_path / "data"), "--host", "0.0.0.0"]) == 0
    text = said(capsys)
    assert "9123" in text and "SOKHOE_PORT" in text
    assert "sokhoe.toml" in text
    assert "command line" in text


def test_an_unknown_setting_stops_with_its_neighbour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKHOE_PROT", "9123")
    assert run(["settings"]) == 1
    assert "Did you mean port?" in said(capsys)


def test_a_setting_of_the_wrong_type_names_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKHOE_PORT", "many")
    assert run(["settings"]) == 1
    assert "SOKHOE_PORT" in said(capsys)


def test_rooms_speak_for_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rooms"]) == 0
    assert said(capsys).count("I am") == 12


def test_a_whole_audit_is_proved(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "--data", str(hub)]) == 0
    assert said(capsys).startswith("OK:")
    assert run(["audit", "tail", "-n", "2", "--data", str(hub)]) == 0
    assert "Patient/p2" in said(capsys)


def tables(hub: Path) -> list[str]:
    connection = apsw.Connection(str(hub / "sokhoe.db"))
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    names = [str(row[0]) for row in rows]
    connection.close()
    return names


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = replace(body, 'p1', 'p9') WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    ],
)
def test_a_tampered_audit_is_found_and_its_first_bad_line_named(
    hub: Path, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    assert "audit" in tables(hub)
    connection = apsw.Connection(str(hub / "sokhoe.db"))
    columns = [str(row[1]) for row in connection.execute("PRAGMA table_info(audit)")]
    if "body" not in columns:
        text = next(name for name in columns if name in {"entry", "line", "said"})
        statement = statement.replace("body", text)
    if statement.startswith("UPDATE"):
        text = statement.split(" SET ")[1].split(" ")[0]
        statement = (
            f"UPDATE audit SET {text} = CAST(replace(CAST({text} AS TEXT), 'Patient', 'Pacient') "
            "AS BLOB) WHERE seq = 3"
        )
    connection.execute(statement)
    assert connection.changes() == 1
    connection.close()
    assert run(["audit", "verify", "--data", str(hub)]) == 2
    assert "FIRST BAD ENTRY: " in said(capsys)


def test_verify_never_makes_a_memory_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify", "--data", str(tmp_path / "nowhere")]) == 1
    assert "demo-data/hub" in said(capsys)
    assert not (tmp_path / "nowhere").exists()


def test_a_backup_is_read_back_and_never_overwrites(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy.db"
    assert run(["backup", str(target), "--data", str(hub)]) == 0
    assert "read back whole" in said(capsys)
    assert run(["backup", str(target), "--data", str(hub)]) == 1
    assert run(["audit", "verify", "--database", f"sqlite:///{target}"]) == 0


def test_the_doctor_finds_health_and_a_broken_chain(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--data", str(hub)]) in {0, 1}
    assert "FAULT" not in said(capsys)
    connection = apsw.Connection(str(hub / "sokhoe.db"))
    connection.execute("DELETE FROM audit WHERE seq = 2")
    connection.close()
    assert run(["doctor", "--data", str(hub)]) == 2
    assert "FAULT    chains" in said(capsys)


def test_every_check_of_the_doctor_has_a_runbook() -> None:
    from sokhoe.ops.doctor import CHECKS

    pages = {one.stem for one in (Path(__file__).parents[2] / "docs/runbooks").glob("*.md")}
    names = {"pack": "country", "sign_ins": "accounts", "encrypted": "keys"}
    assert {names.get(one.__name__, one.__name__) for one in CHECKS} == pages


def test_serving_a_taken_port_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["serve", "--port", port, "--data", str(tmp_path / "s")]) == 1
    assert "--port" in said(capsys)


def test_jobs_are_listed_and_ended_and_the_doctor_sees_those_that_stand_still(
    capsys: pytest.CaptureFixture[str], hub: Path
) -> None:
    with Hub(hub) as running:
        api = running.software()
        api.get("/fhir/$export", headers={"Prefer": "respond-async"})
        with clock.standing_at(clock.now()) as ahead:
            ahead(3600)
            assert run(["doctor", "--data", str(hub)]) == 1
    assert "1 jobs have stood still" in said(capsys)
    assert run(["jobs", "--data", str(hub)]) == 0
    text = said(capsys)
    assert "export" in text and "accepted" in text and "Test software" in text
    assert run(["jobs", "cancel", "nothing", "--data", str(hub)]) == 1
    assert run(["jobs", "cancel", text.split()[0][:8], "--data", str(hub)]) == 0
    capsys.readouterr()
    with Hub(hub) as running:
        running.settle()
    assert run(["jobs", "--data", str(hub)]) == 0
    assert "There are no jobs." in said(capsys)

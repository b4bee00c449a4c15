"""`sokhoe keys` as an IT helper uses it: init, print, lose the key, bring it back, change it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from sokhoe.ops import run
from sokhoe.settings import load
from sokhoe.store import is_plain
from sokhoe.trust import Put, keys
from tests.worlds import Hub, a_patient


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [one for one in os.environ if one.startswith("SOKHOE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def do(*words: str, typed: str = "", key: str = "master.key") -> int:
    """`sokhoe keys …` on the data folder `data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(typed))
        file = ["--master-key-file", key] if key else []
        return run(["keys", *words, "--data", "data", *file])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    return out.out + out.err


def printed(folder: Path, number: int) -> str:
    """The groups as they stand on a page."""
    page = (folder / f"sheet-{number}.html").read_text("utf-8")
    return " ".join(re.findall(r"<li>(\w{5})</li>", page))


def opens(**given: str) -> bool:
    return keys.unlock(load({"data": "data", **given}, {})) is not None


def test_a_lost_master_key_comes_back_from_two_sheets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do("init") == 0
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert do("split", "--out", "sheets") == 0
    before = (tmp_path / "master.key").read_text()
    assert before.strip() not in "".join(
        one.read_text("utf-8") for one in (tmp_path / "sheets").iterdir()
    )
    (tmp_path / "master.key").unlink()
    assert do("status") == 1
    assert "sokhoe keys recover" in said(capsys)
    sheets = tmp_path / "sheets"
    assert do("recover", typed=f"{printed(sheets, 3)}\n{printed(sheets, 1)}\n") == 0
    assert (tmp_path / "master.key").read_text() == before
    assert do("status") == 0
    assert "opens all of them" in said(capsys)


def test_a_mistyped_group_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    do("init")
    do("split", "--out", "sheets")
    groups = printed(tmp_path / "sheets", 1).split()
    groups[6] = groups[6][:4] + ("A" if groups[6][4] != "A" else "B")
    assert do("recover", "--sheet", " ".join(groups), key="new.key") == 1
    assert f"group 7 ({groups[6]})" in said(capsys)
    assert not (tmp_path / "new.key").exists()


def test_keys_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert do("init") == 0
    raw = (tmp_path / "data" / "keys.json").read_bytes()
    assert do("init") == 1
    assert "is there already" in said(capsys)
    assert (tmp_path / "data" / "keys.json").read_bytes() == raw


def test_without_a_place_for_the_master_key_nothing_is_made(tmp_path: Path) -> None:
    assert do("init", key="") == 1
    assert do("init", key="data/master.key") == 1
    assert not (tmp_path / "data" / "keys.json").exists()


def test_a_new_data_key_seals_from_now_on(capsys: pytest.CaptureFixture[str]) -> None:
    do("init")
    assert do("rotate") == 0
    do("status")
    assert "data  key 2" in said(capsys)


def test_the_master_key_is_changed_and_old_sheets_open_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    do("init")
    do("split", "--out", "old")
    before = (tmp_path / "master.key").read_text()
    assert do("rotate", "--master") == 0
    assert (tmp_path / "master.key").read_text() != before
    assert opens(master_key_file="master.key")
    typed = f"{printed(tmp_path / 'old', 1)}\n{printed(tmp_path / 'old', 2)}\n"
    assert do("recover", typed=typed, key="again.key") == 1
    assert "do not open" in said(capsys)
    assert do("split", "--out", "new") == 0
    typed = f"{printed(tmp_path / 'new', 1)}\n{printed(tmp_path / 'new', 2)}\n"
    assert do("recover", typed=typed, key="again.key") == 0


def test_a_change_broken_off_is_finished_by_the_same_command(tmp_path: Path) -> None:
    do("init")
    folder = tmp_path / "data"
    ring, master = keys.ring, keys.master
    old = bytes.fromhex((tmp_path / "master.key").read_text())
    fresh = master.draw()
    ring.save(folder, ring.existing(folder).also_under(old, fresh))
    assert opens(master_key_file="master.key")  # before the file was replaced
    master.replace(tmp_path / "master.key", fresh)
    assert opens(master_key_file="master.key")  # and after
    assert do("rotate") == 1  # not in between
    assert do("rotate", "--master") == 0
    assert ring.existing(folder).masters and not ring.existing(folder).fits(old)
    assert opens(master_key_file="master.key")


def test_a_passphrase_is_changed(tmp_path: Path) -> None:
    first, second = "một câu dài dễ nhớ", "một câu khác cũng dài"
    assert do("init", "--passphrase", typed=f"{first}\n{first}\n", key="") == 0
    assert opens(master_passphrase=first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOKHOE_MASTER_PASSPHRASE", first)
        assert do("rotate", "--master", typed=f"{second}\n{second}\n", key="") == 0
    assert opens(master_passphrase=second)


def test_the_demo_s_passphrase_makes_no_keys(tmp_path: Path) -> None:
    assert do("init", "--passphrase", typed="sokhoe-demo\nsokhoe-demo\n", key="") == 1
    assert not (tmp_path / "data" / "keys.json").exists()


# -- the database file ----------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A server that has worked without keys so far."""
    with Hub(tmp_path / "data") as made:
        made.gate.machine("ops").commit([Put(a_patient("p1"))])
    return tmp_path / "data" / "sokhoe.db"


def other(verb: str, *words: str, key: str = "master.key") -> int:
    return run([verb, *words, "--data", "data", *(["--master-key-file", key] if key else [])])


def test_a_station_is_encrypted_backed_up_verified_and_brought_back(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    do("init")
    other("doctor")
    assert "stands in the clear" in said(capsys)
    assert do("encrypt") == 0 and not is_plain(hub)
    assert do("encrypt") == 0  # again: nothing to do
    assert other("audit", "verify") == 0
    other("doctor")
    assert "encrypted; data key 1" in said(capsys)
    assert other("audit", "verify", key="") == 1
    assert "no setting says where the master key is" in said(capsys)
    assert other("backup", "copy.db") == 0
    assert not is_plain(tmp_path / "copy.db")
    beside = tmp_path / "copy.db.keys.json"
    assert beside.read_bytes() == (tmp_path / "data" / "keys.json").read_bytes()
    assert do("encrypt", "--off") == 0 and is_plain(hub)
    assert other("audit", "verify") == 0


def test_the_key_of_the_file_is_changed(hub: Path, tmp_path: Path) -> None:
    do("init")
    assert do("rotate", "--file") == 1  # there is nothing to change yet
    do("encrypt")
    before = hub.read_bytes()[:4096]
    assert do("rotate", "--file") == 0
    assert hub.read_bytes()[:4096] != before
    assert len(keys.ring.existing(tmp_path / "data").of("file")) == 1
    assert other("audit", "verify") == 0


def test_a_change_of_the_file_s_key_broken_off_is_finished(hub: Path, tmp_path: Path) -> None:
    do("init")
    do("encrypt")
    ring = keys.ring
    opener = bytes.fromhex((tmp_path / "master.key").read_text())
    grown = ring.existing(hub.parent).grown("file", [opener])
    ring.save(hub.parent, grown)  # and here the power failed
    assert other("audit", "verify") == 0
    assert do("rotate", "--file") == 0
    assert [one.number for one in ring.existing(hub.parent).of("file")] == [2]
    assert other("audit", "verify") == 0


def test_a_server_at_work_is_not_encrypted_under_its_feet(tmp_path: Path) -> None:
    with Hub(tmp_path / "data") as made:
        made.gate.machine("ops").commit([Put(a_patient("p1"))])
        do("init")
        assert do("encrypt") == 1
        assert made.gate.machine("ops").read("Patient", "p1") is not None

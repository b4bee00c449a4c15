"""Lines of reads go through a journal; what the audit says must be the same as without one, and
no end of a process, of the disk or of the machine may lose or double a line unseen."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe import clock
from sokhoe.errors import Unavailable
from sokhoe.store import Entry, Keep, Put, Store, folding, journal, open_store, restore
from sokhoe.store.chain import entry_bytes
from tests.contracts.conftest import a_patient
from tests.contracts.test_store import an_entry, in_threads

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def journalled(url: str, folder: Path) -> Iterator[Store]:
    store = open_store(url, folder)
    yield store
    store.close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def notes(store: Store) -> list[str]:
    return [one.entry.note for one in store.entries(count=1000)]


def recorded_and_killed(url: str, folder: Path, count: int = 30, more: str = "") -> None:
    """Another process records notes 0, 1, 2 … and dies by kill -9."""
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from sokhoe.store import Entry, open_store\n"
        "store = open_store(sys.argv[1], Path(sys.argv[2]))\n"
        f"for n in range({count}):\n"
        "    store.record(Entry(n, 'a', '', '', '', '', 'R', note=str(n)))\n"
        f"{more}\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, url, str(folder)], check=False, cwd=ROOT)


# --- the same as without one ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_with_and_without_a_journal_the_audit_says_the_same(
    seed: int, folder: Path, tmp_path: Path, url: str
) -> None:
    plain, fast = open_store(f"sqlite:///{tmp_path / 'plain.db'}"), open_store(url, folder)
    told = []
    for store in (plain, fast):
        draw = random.Random(seed)
        with clock.standing_at(1_700_000_000_000_000) as ahead:
            for n in range(60):
                entry = an_entry(f"Practitioner/{draw.randrange(3)}", note=str(n))
                match draw.randrange(5):
                    case 0:
                        store.commit([Put(a_patient(str(n)))], author="me", entry=entry)
                    case 1:
                        store.keep(Keep("x", "y", n))
                    case 2 if draw.random() < 0.3:
                        store.entries(count=1)
                    case _:
                        store.record(entry)
                ahead(1)
        told.append([(one.seq, one.hash, one.entry) for one in store.entries(count=1000)])
        by = store.entries(actor="Practitioner/1", patient="Patient/1", count=1000)
        told.append([(one.seq, one.hash, one.entry) for one in by])
        assert list(store.verify()) == []
        store.close()
    assert told[:2] == told[2:]
    assert len(told[0]) > 20


def test_a_line_is_found_at_once(journalled: Store) -> None:
    for n in range(5):
        journalled.record(an_entry(patient=f"Patient/{n}"))
        assert len(journalled.entries(patient=f"Patient/{n}")) == 1
        found = journalled.entry(n + 1)
        assert found is not None
        assert found.entry.patients == (f"Patient/{n}",)


def test_a_neighbour_sees_the_lines_of_a_living_process(
    journalled: Store, url: str, folder: Path
) -> None:
    journalled.record(an_entry(note="first"))
    neighbour = open_store(url, folder)
    assert notes(neighbour) == ["first"]
    neighbour.record(an_entry(note="second"))
    journalled.record(an_entry(note="third"))
    assert notes(neighbour) == ["third", "second", "first"]
    assert list(neighbour.verify()) == []
    neighbour.close()
    assert notes(journalled) == ["third", "second", "first"]
    assert list(journalled.verify()) == []


def test_folded_by_many_at_once_each_line_comes_once(
    journalled: Store, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_LINES", 7)
    stores = [journalled, *(open_store(url, folder) for _ in range(2))]

    def work(number: int) -> None:
        store = stores[number % 3]
        for n in range(25):
            store.record(an_entry(note=f"{number} {n}"))
            if n % 8 == number:
                store.entries(count=1)

    in_threads(6, work)
    said = sorted(notes(journalled))
    assert said == sorted(f"{number} {n}" for number in range(6) for n in range(25))
    assert list(journalled.verify()) == []
    for store in stores[1:]:
        store.close()


def test_closing_leaves_no_journal(url: str, folder: Path) -> None:
    store = open_store(url, folder)
    store.record(an_entry())
    assert len(files(folder)) == 1
    store.close()
    assert files(folder) == []
    again = open_store(url, folder)
    assert len(again.entries()) == 1
    assert again.all_kept("journal") == {}
    again.close()


def test_a_long_journal_is_followed_by_a_new_one(
    journalled: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "ROTATE", 2_000)
    monkeypatch.setattr(folding, "TICK", 0.01)
    seen = set()
    for n in range(200):
        journalled.record(an_entry(note=str(n)))
        seen |= set(files(folder))
        time.sleep(0.002)
    assert len(seen) > 1
    assert sorted(map(int, notes(journalled))) == list(range(200))
    assert list(journalled.verify()) == []


# --- ends of all kinds ----------------------------------------------------------------------------


def test_lines_survive_the_end_of_the_process(url: str, folder: Path) -> None:
    for _ in range(2):
        recorded_and_killed(url, folder)
        assert len(files(folder)) == 1
    store = open_store(url, folder)
    assert sorted(map(int, notes(store))) == sorted([*range(30), *range(30)])
    assert list(store.verify()) == []
    assert files(folder) == []
    store.close()


def test_a_kill_in_the_middle_of_folding_doubles_nothing(url: str, folder: Path) -> None:
    for _ in range(3):
        recorded_and_killed(url, folder, 300, more="store.commit([], author='x'); time.sleep(0.45)")
    store = open_store(url, folder)
    assert sorted(map(int, notes(store))) == sorted([*range(300)] * 3)
    assert list(store.verify()) == []
    store.close()


def test_a_line_is_on_disk_within_a_second(
    journalled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    sync = os.fdatasync

    def noted(handle: int) -> None:
        sync(handle)
        synced.set()

    monkeypatch.setattr(os, "fdatasync", noted)
    journalled.record(an_entry())
    assert synced.wait(1.0)


def test_a_full_disk_shows_nothing_and_leaves_no_half_line(
    journalled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journalled.record(an_entry(note="before"))
    write = os.write

    def half(handle: int, data: bytes) -> int:
        """The disk takes 20 bytes, then no more."""
        if data.endswith(b"}") and len(data) > 20 and b"{" in data[:20]:
            return write(handle, data[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(Unavailable):
            journalled.record(an_entry(note="lost"))
    journalled.record(an_entry(note="after"))
    assert notes(journalled) == ["after", "before"]
    assert list(journalled.verify()) == []


def test_a_torn_end_is_cut_and_the_audit_says_so(url: str, folder: Path) -> None:
    recorded_and_killed(url, folder)
    with files(folder)[0].open("ab") as file:
        file.write(journal.frame(b'{"at":1}', 7)[0][:-3])
    store = open_store(url, folder)
    torn, *lines = notes(store)
    assert "a torn end of 13 bytes cut" in torn
    assert len(lines) == 30
    assert list(store.verify()) == []
    store.close()


def test_after_a_power_cut_the_audit_says_what_may_be_missing(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_and_killed(url, folder)
    monkeypatch.setattr(folding, "boot", lambda: "another start of the machine")
    store = open_store(url, folder)
    said, *lines = notes(store)
    assert "the machine stopped" in said
    assert len(lines) == 30
    assert list(store.verify()) == []
    store.close()


@pytest.mark.parametrize("how", ["edited", "removed"])
def test_a_journal_that_somebody_changed_is_named(url: str, folder: Path, how: str) -> None:
    recorded_and_killed(url, folder)
    [file] = files(folder)
    data = file.read_bytes()
    place = data.index(b'"note":"17"')
    if how == "edited":
        data = data.replace(b'"note":"17"', b'"note":"71"')
    else:
        start = data.rindex(b'{"at"', 0, place) - 8
        data = data[:start] + data[start + 8 + int.from_bytes(data[start : start + 4], "big") :]
    file.write_bytes(data)
    store = open_store(url, folder)
    assert "was changed or cut" in notes(store)[0]
    assert sorted(map(int, notes(store)[1:])) == list(range(17))
    store.close()
    again = open_store(url, folder)
    [fault] = again.verify()
    assert "was changed or cut" in fault.message
    assert [one.suffix for one in folder.iterdir()] == [".damaged"]
    again.close()


def test_a_journal_that_somebody_took_away_is_named(
    journalled: Store, url: str, folder: Path
) -> None:
    recorded_and_killed(url, folder)
    files(folder)[0].unlink()
    [fault] = journalled.verify()
    assert "was taken away" in fault.message
    again = open_store(url, folder)
    assert "was taken away" in notes(again)[0]
    assert [fault.message for fault in again.verify()] == [fault.message]
    again.close()


def test_a_living_journal_that_is_shortened_is_named(journalled: Store, folder: Path) -> None:
    for n in range(5):
        journalled.record(an_entry(note=str(n)))
    assert len(notes(journalled)) == 5
    os.truncate(files(folder)[0], 60)
    [fault] = journalled.verify()
    assert "was changed or cut" in fault.message


def test_a_line_that_is_none_does_not_stop_the_writer(url: str, folder: Path) -> None:
    recorded_and_killed(url, folder, 3)
    [file] = files(folder)
    lines, place, _ = journal.read(file, journal.start(file.stem), 10)
    assert len(lines) == 3
    with file.open("ab") as end:
        end.write(journal.frame(b"no line at all", place.check)[0])
    store = open_store(url, folder)
    store.commit([Put(a_patient("1"))], author="me")
    assert len(notes(store)) == 4
    assert len(list(store.verify())) == 1
    store.close()


# --- backup ---------------------------------------------------------------------------------------


def test_a_backup_holds_every_line_and_a_restored_one_misses_no_journal(
    journalled: Store, url: str, folder: Path, tmp_path: Path
) -> None:
    journalled.record(an_entry(note="before"))
    journalled.backup(str(tmp_path / "copy.db"))
    journalled.record(an_entry(note="after"))
    restore(str(tmp_path / "copy.db"), f"sqlite:///{tmp_path / 'elsewhere.db'}")
    elsewhere = open_store(f"sqlite:///{tmp_path / 'elsewhere.db'}", tmp_path / "other")
    assert notes(elsewhere) == ["before"]
    assert list(elsewhere.verify()) == []
    elsewhere.close()


def test_a_store_restored_in_its_place_gets_what_the_journal_still_has(
    folder: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    recorded_and_killed(url, folder, 20, more=f"store.backup({str(tmp_path / 'copy.db')!r})")
    code = Path(files(folder)[0])
    lines, place, _ = journal.read(code, journal.start(code.stem), 100)
    assert len(lines) == 20
    with code.open("ab") as end:
        late = Entry(9, "a", "", "", "", "", "R", note="late")
        end.write(journal.frame(entry_bytes(late), place.check)[0])
    for one in tmp_path.glob("store.db*"):
        one.unlink()
    restore(str(tmp_path / "copy.db"), url)
    store = open_store(url, folder)
    assert notes(store)[0] == "late"
    assert len(notes(store)) == 21
    store.close()

"""A SQLite store with keys: nothing of it can be read from the disk, and it works as before."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sokhoe.errors import Conflict, Unavailable
from sokhoe.store import Entry, Held, Keys, Put, Store, open_store, opening, restore, schema
from tests.contracts.conftest import a_patient

ROOT = Path(__file__).parents[2]
NAME = "Trần Thị Lộ Liễu"
NUMBER = "001199887766"
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def keys(file: bytes = KEY, *older: bytes) -> Keys:
    return Keys(Held((file, *older), KEY[::-1], {1: KEY[::-1]}, 1))


def fill(store: Store, count: int = 5) -> None:
    for number in range(count):
        told = [{"system": "urn:id", "value": NUMBER}]
        store.commit([Put(a_patient(f"p{number}", NAME, identifier=told))], author="a")
    store.record(Entry(1, "a", NAME, "", "", "", "R", query=f"identifier={NUMBER}"))


def leaks(folder: Path) -> list[str]:
    """The files in which one of the secrets stands in the clear."""
    found = []
    for path in sorted(folder.rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        if any(secret.encode() in raw for secret in (NAME, NUMBER, "tran thi lo lieu")):
            found.append(path.name)
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    made = open_store(url, tmp_path / "audit", keys=keys())
    fill(made)
    yield made
    made.close()


def test_no_file_shows_what_is_in_it_while_it_works(store: Store, tmp_path: Path) -> None:
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"store.db", "store.db-wal"} < names and len(names) >= 4  # -shm and a journal too
    assert leaks(tmp_path) == []
    found = store.read("Patient", "p1")
    assert found is not None and NAME.encode() in found.body


def test_the_same_store_without_keys_shows_everything(tmp_path: Path) -> None:
    """The scan above would notice."""
    plain = open_store(f"sqlite:///{tmp_path / 'plain.db'}", tmp_path / "audit")
    fill(plain)
    assert len(leaks(tmp_path)) >= 2
    plain.close()


def test_without_its_key_it_does_not_open(store: Store, url: str) -> None:
    store.close()
    for wrong in (None, keys(OTHER)):
        with pytest.raises(Unavailable) as refused:
            open_store(url, keys=wrong)
        assert "keys" in refused.value.hint
    with pytest.raises(Unavailable):
        open_store(url, keys=None)
    open_store(url, keys=keys(OTHER, KEY)).close()  # an older key of the ring


def test_a_backup_is_encrypted_and_restored(store: Store, tmp_path: Path) -> None:
    store.backup(str(tmp_path / "backup"))
    assert leaks(tmp_path) == []
    with pytest.raises(Unavailable):
        restore(str(tmp_path / "backup"), f"sqlite:///{tmp_path / 'no.db'}")
    restore(str(tmp_path / "backup"), f"sqlite:///{tmp_path / 'new.db'}", keys())
    again = open_store(f"sqlite:///{tmp_path / 'new.db'}", keys=keys())
    assert again.head() == store.head() and not list(again.verify())
    again.close()
    assert leaks(tmp_path) == []


def test_a_journal_left_by_a_killed_process_is_sealed_and_carried_over(
    url: str, tmp_path: Path
) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tests.store.test_encrypted import fill, keys\nfrom sokhoe.store import open_store\n"
        "fill(open_store(sys.argv[1], Path(sys.argv[2]), keys=keys()), 1)\n"
        "os.kill(os.getpid(), 9)"
    )
    folder = tmp_path / "audit"
    subprocess.run([sys.executable, "-c", code, url, str(folder)], check=False, cwd=ROOT)
    assert list(folder.glob("*.journal")) and leaks(tmp_path) == []
    store = open_store(url, folder, keys=keys())
    assert [one.entry.query for one in store.entries()] == [f"identifier={NUMBER}"]
    assert not list(store.verify()) and not list(folder.glob("*.journal"))
    store.close()


def test_a_journal_waits_for_its_key(store: Store, url: str, tmp_path: Path) -> None:
    store.close()
    other = Keys(Held((KEY,), OTHER, {7: OTHER}, 7))
    second = open_store(url, tmp_path / "audit", keys=other)
    journal = tmp_path / "kept"
    second.record(Entry(2, "a", NAME, "", "", "", "R", note="sealed with key 7"))
    (path,) = (tmp_path / "audit").glob("*.journal")
    journal.write_bytes(path.read_bytes())
    second.close()
    path.write_bytes(journal.read_bytes())  # as if nobody had carried it over
    with pytest.raises(Unavailable, match="a key that is not here"):
        open_store(url, tmp_path / "audit", keys=keys())
    assert path.exists()


def test_an_upgrade_keeps_an_encrypted_copy(url: str, tmp_path: Path) -> None:
    old = opening.connect(str(tmp_path / "store.db"), KEY)
    old.execute("CREATE TABLE migrations(n INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    old.execute(schema.SQLITE[0][1])
    old.execute("INSERT INTO migrations VALUES(1, 'first')")
    old.execute("INSERT INTO keep VALUES('x', 'y', ?)", (f'"{NUMBER}"'.encode(),))
    for kind in ("commit", "version", "audit"):
        old.execute("INSERT INTO head VALUES(?, 0, ?, 0)", (kind, bytes(32)))
    old.execute("INSERT INTO node VALUES('node', 'a'), ('epoch', 'b')")
    old.close()
    store = open_store(url, keys=keys())
    assert store.kept("x", "y") == NUMBER
    store.close()
    assert (tmp_path / "store.db.before-2").exists() and leaks(tmp_path) == []
    copy = opening.connect(str(tmp_path / "store.db.before-2"), KEY)
    assert copy.execute("SELECT count(*) FROM keep").fetchall() == [(1,)]
    copy.close()


# -- switched on, off, and over to another key ----------------------------------------------------


@pytest.fixture
def plain(url: str, tmp_path: Path) -> str:
    store = open_store(url)
    fill(store, 40)
    store.close()
    return str(tmp_path / "store.db")


def test_encryption_is_switched_on_changed_and_off(plain: str, url: str, tmp_path: Path) -> None:
    for old, new in ((None, KEY), (KEY, OTHER), (OTHER, None), (None, KEY)):
        opening.swap(plain, old, new)
        assert opening.is_plain(plain) is (new is None)
        assert bool(leaks(tmp_path)) is (new is None)
        store = open_store(url, keys=keys(new) if new else None)
        assert store.head() == 40 and not list(store.verify())
        store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.db"]


def test_a_store_in_use_is_left_as_it_is(plain: str, url: str) -> None:
    store = open_store(url)
    with pytest.raises(Conflict, match="in use"):
        opening.swap(plain, None, KEY)
    assert store.read("Patient", "p1") is not None
    store.close()
    assert opening.is_plain(plain)


def test_a_copy_that_differs_never_takes_the_place(
    plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(half: Path, old: bytes | None, new: bytes | None) -> None:
        kept(half, old, new)
        file = opening.connect(str(half), new)
        file.execute("DELETE FROM res WHERE seq=7")
        file.close()

    kept = opening._rekey
    monkeypatch.setattr(opening, "_rekey", lossy)
    with pytest.raises(Unavailable, match="differs"):
        opening.swap(plain, None, KEY)
    assert opening.is_plain(plain) and not Path(f"{plain}.rekeyed").exists()


def test_killed_at_any_moment_the_store_is_whole(plain: str, url: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom sokhoe.store import opening\nfrom tests.store.test_encrypted import KEY\n"
        "print('go', flush=True)\nopening.swap(sys.argv[1], None, KEY)\nprint('done', flush=True)"
    )
    luck = random.Random(7)
    for _ in range(int(os.environ.get("SOKHOE_KILLS", "6"))):
        process = subprocess.Popen(
            [sys.executable, "-c", code, plain], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(luck.random() * 0.12)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = open_store(url, keys=keys())
        assert store.head() == 40 and not list(store.verify())
        store.close()
        opening.swap(plain, opening.key_for(plain, keys()), None)
    opening.swap(plain, None, KEY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.db"]


def test_a_sqlite_without_ciphers_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take no notice of a key and write everything in the clear."""

    class Deaf(apsw.Connection):
        def pragma(self, name: str, *_: object, **__: object) -> None:
            return None

    monkeypatch.setattr(apsw, "Connection", Deaf)
    with pytest.raises(Unavailable, match="cannot encrypt"):
        opening.connect(str(tmp_path / "x.db"), KEY)

"""Whoever rewrites the audit, with the server's own keys too, is convicted by what others keep.

The attacker here has the whole database and the signing key: he changes lines, seals the chain
anew, grows the tree anew and signs. What he cannot change is a checkpoint that lies elsewhere.
Verified twice: by the server, and by scripts/verify_log.py in a Python that has none of our code.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import apsw
import pytest

from sokhoe.ops import audit
from sokhoe.store import Entry, Keep, Store, chain, open_store
from sokhoe.trust import AuditLog

VERIFIER = Path(__file__).parents[2] / "scripts/verify_log.py"
ATTACKS = int(os.environ.get("SOKHOE_ATTACKS", "30"))
LINES = 700


def a_line(number: int) -> Entry:
    return Entry(
        at=1_790_000_000_000_000 + number,
        actor=f"Practitioner/{number % 7}",
        name="Bác sĩ Lê Văn Bình",
        role="doctor",
        place="Organization/1",
        purpose="TREAT",
        action="R",
        what=(f"Patient/{number % 50}",),
        patients=(f"Patient/{number % 50}",),
    )


def filled(path: Path, lines: int = LINES) -> Store:
    store = open_store(f"sqlite:///{path}")
    for number in range(lines):
        store.record(a_line(number))
        if number in (300, 511, 512, 650):
            AuditLog(store).grow()
    return store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A database, a checkpoint of it that somebody keeps, and an export of it."""
    folder = tmp_path_factory.mktemp("audit")
    store = filled(folder / "sokhoe.db")
    note = AuditLog(store).grow()
    audit.export(AuditLog(store), store, folder / "before")
    store.close()
    return folder / "sokhoe.db", note, folder / "before"


def verifier(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(VERIFIER), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def rewrite(path: Path, attack: str, chance: random.Random) -> int:
    """Change the audit, then seal chain and tree anew with the server's own keys. The first line
    that differs (from 1)."""
    base = apsw.Connection(str(path))
    lines = [row[0] for row in base.execute("SELECT body FROM audit ORDER BY seq")]
    at = chance.randrange(len(lines) - 1)
    match attack:
        case "edit":
            lines[at] = lines[at].replace(b"Practitioner", b"Pr4ctitioner")
        case "delete":
            del lines[at]
        case "insert":
            lines.insert(at, chain.entry_bytes(a_line(9_999)))
        case "swap":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        case "truncate":
            del lines[at:]
    with base:
        base.execute("DELETE FROM audit")
        prev = chain.START
        for number, line in enumerate(lines, 1):
            prev = chain.audit_hash(number, prev, line)
            row = (number, 1_790_000_000_000_000 + number, prev, line)
            base.execute("INSERT INTO audit(seq, at, hash, body) VALUES(?, ?, ?, ?)", row)
        base.execute("UPDATE head SET seq=?, hash=? WHERE kind='audit'", (len(lines), prev))
        base.execute("DELETE FROM keep WHERE kind LIKE 'audit-%'")
    base.close()
    store = open_store(f"sqlite:///{path}")
    AuditLog(store).grow()
    store.close()
    return at + 1


@pytest.mark.parametrize("seed", range(ATTACKS))
def test_a_rewritten_past_is_found_by_a_kept_checkpoint(
    world: tuple[Path, str, Path], tmp_path: Path, seed: int
) -> None:
    source, note, before = world
    path = tmp_path / "sokhoe.db"
    shutil.copy(source, path)
    attack = ("edit", "delete", "insert", "swap", "truncate")[seed % 5]
    first = rewrite(path, attack, random.Random(seed))
    store = open_store(f"sqlite:///{path}")
    assert list(store.verify()) == []  # the chain alone was fooled
    log = AuditLog(store)
    assert list(log.faults()) == []
    assert list(log.faults([note])) != []
    audit.export(log, store, tmp_path / "after")
    store.close()
    witness = tmp_path / "witness"
    witness.write_text(note)
    assert verifier(str(tmp_path / "after"))[0] == 0
    assert verifier(str(tmp_path / "after"), "--witness", str(witness))[0] == 1
    code, said = verifier(str(tmp_path / "after"), "--earlier", str(before))
    assert code == 1
    assert f"line {first} " in said


def test_an_untouched_log_holds_and_names_its_size(
    world: tuple[Path, str, Path], tmp_path: Path
) -> None:
    _, note, before = world
    witness = tmp_path / "witness"
    witness.write_text(note)
    code, said = verifier(str(before), "--witness", str(witness), "--earlier", str(before))
    assert (code, said.split(",")[0]) == (0, f"OK: {LINES} lines")


def test_an_edit_without_the_keys_is_found_by_the_log_itself(
    world: tuple[Path, str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "sokhoe.db"
    shutil.copy(world[0], path)
    base = apsw.Connection(str(path))
    base.execute("UPDATE audit SET body=replace(body, 'TREAT', 'ETREAT') WHERE seq=420")
    base.close()
    store = open_store(f"sqlite:///{path}")
    wheres = [fault.where for fault in AuditLog(store).faults()]
    assert "audit lines 257 to 512" in wheres
    assert "audit line 420" in [fault.where for fault in store.verify()]
    store.close()


def test_a_checkpoint_of_another_key_is_no_witness(
    world: tuple[Path, str, Path], tmp_path: Path
) -> None:
    other = filled(tmp_path / "other.db", 3)
    note = AuditLog(other).grow()
    other.close()
    store = open_store(f"sqlite:///{world[0]}")
    assert [one.where for one in AuditLog(store).faults([note])] == ["checkpoint"]
    store.close()
    witness = tmp_path / "witness"
    witness.write_text(note)
    assert verifier(str(world[2]), "--witness", str(witness))[0] == 1
    flipped = (world[2] / "checkpoint").read_text().replace("\n700\n", "\n699\n")
    witness.write_text(flipped)
    assert "signed by another key" in verifier(str(world[2]), "--witness", str(witness))[1]


@pytest.mark.parametrize("seq", [1, 256, 257, 512, 513, 700])
def test_a_receipt_proves_its_line_to_anybody(
    world: tuple[Path, str, Path], tmp_path: Path, seq: int
) -> None:
    store = open_store(f"sqlite:///{world[0]}")
    log = AuditLog(store)
    held = audit.receipt(log, seq)
    key = log.verifier
    store.close()
    file = tmp_path / "receipt"
    file.write_text(json.dumps(held))
    assert verifier("--receipt", str(file), "--key", key)[0] == 0
    for change in (
        {"line": held["line"].replace("doctor", "nurse")},
        {"index": held["index"] ^ 1},
        {"path": [b64encode(bytes(32)).decode(), *held["path"][1:]]},
    ):
        file.write_text(json.dumps(held | change))
        assert verifier("--receipt", str(file), "--key", key)[0] == 1


def test_a_log_grown_in_steps_is_the_log_grown_at_once(tmp_path: Path) -> None:
    """Also over tiles: blocks of 256 lines at every odd boundary."""
    chance = random.Random(4)
    store = open_store(f"sqlite:///{tmp_path / 'one.db'}")
    log = AuditLog(store)
    number = 0
    while number < 1_500:
        for _ in range(chance.choice((1, 100, 255, 256, 257, 300))):
            store.record(a_line(number))
            number += 1
        log.grow()
    steps = log.grow().split("\n")[1:3]
    tiles = store.all_kept("audit-tile")
    for kind in ("audit-tile", "audit-checkpoint", "audit-log"):
        for key in store.all_kept(kind):
            store.keep(Keep(kind, key, None))
    assert log.grow().split("\n")[1:3] == steps
    assert store.all_kept("audit-tile") == tiles
    assert list(log.faults()) == []
    for old in (1, 255, 256, 257, 1_024, 1_400):
        assert log.consistency(old) is not None
    store.close()

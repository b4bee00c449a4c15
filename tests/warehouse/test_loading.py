"""From the feed to tables: once, whatever happens in between, and without a name."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from sokhoe.errors import Unavailable
from sokhoe.trust import Gate
from sokhoe.warehouse import follower, tables
from sokhoe.warehouse.engine import connection
from sokhoe.warehouse.follower import Loader, open_tables
from sokhoe.warehouse.pseudonyms import Pseudonyms, open_key
from sokhoe.warehouse.shelf import Part, Shelf, tail_to_merge
from tests.warehouse.conftest import Hub, a_diagnosis, a_patient, a_person, a_visit, patients


def fingerprints(hub: Hub) -> dict[str, tuple[int, int]]:
    shelf = Shelf(hub.warehouse)
    with connection(hub.warehouse / "spill") as duck:
        open_tables(duck, shelf, shelf.read())
        return {table.name: tables.fingerprint(duck, table.name) for table in tables.TABLES}


def some_days(hub: Hub) -> None:
    """Twelve people, visits, a merge, a correction, a deletion: in several commits."""
    hub.put(*patients("a", 6), *patients("b", 6, area="Ba", house="h2"))
    hub.put(*[a_visit(f"v{n}", f"a{n}", "2026-11-18T08:00:00+07:00") for n in range(6)])
    hub.put(*[a_diagnosis(f"d{n}", f"a{n}", "I10") for n in range(6)])
    hub.put(a_person("p1", "a0", "b0"), a_person("p2", "a1"))
    hub.put(a_patient("a2", area="Cu"), a_visit("v0", "a0", "2026-11-19T08:00:00+07:00"))
    hub.delete("Encounter", "v5")


def small_steps(monkeypatch: pytest.MonkeyPatch, batch: int = 3, parts: int = 2) -> None:
    monkeypatch.setattr(follower, "BATCH", batch)
    monkeypatch.setattr(follower, "PARTS", parts)


def test_a_correction_replaces_and_a_deletion_removes(hub: Hub) -> None:
    some_days(hub)
    hub.load()
    counts = {name: rows for name, (rows, _) in fingerprints(hub).items()}
    assert counts == {"patients": 12, "persons": 2, "visits": 5, "diagnoses": 6}


def test_small_and_large_steps_give_the_same_tables(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_days(hub)
    hub.load()
    at_once = fingerprints(hub)
    key = (hub.warehouse / "key").read_bytes()
    (hub.warehouse / "manifest.json").unlink()
    small_steps(monkeypatch)
    hub.loader = hub.new_loader()
    hub.load()
    assert (hub.warehouse / "key").read_bytes() == key
    assert fingerprints(hub) == at_once
    manifest = Shelf(hub.warehouse).read()
    assert len(manifest.of("visits")) <= 3
    assert len(manifest.of("bronze")) <= 3


def test_tables_made_again_from_bronze_are_the_same(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch)
    some_days(hub)
    hub.load()
    before, answers = fingerprints(hub), {k: a.rows for k, a in hub.numbers.all().items()}
    for file in hub.warehouse.glob("*/*.parquet"):
        file.unlink()
    hub.loader.rebuild()
    assert fingerprints(hub) == before
    assert {k: a.rows for k, a in hub.numbers.all().items()} == answers


def test_a_lost_table_part_is_made_again_by_the_next_step(hub: Hub) -> None:
    some_days(hub)
    hub.load()
    before = fingerprints(hub)
    next(hub.warehouse.glob("visits/*.parquet")).unlink()
    hub.load()
    assert fingerprints(hub) == before


def test_a_lost_bronze_part_means_loading_everything_again(hub: Hub) -> None:
    some_days(hub)
    hub.load()
    before = fingerprints(hub)
    next(hub.warehouse.glob("bronze/*.zst")).write_bytes(b"")
    hub.load()
    assert fingerprints(hub) == before


class Crash(Exception):
    pass


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Shelf, "settle", False),  # a part was written beside, not named
        (Shelf, "settle", True),  # named, in no list
        (Shelf, "publish", False),  # all parts there, the old list stands
        (Shelf, "publish", True),  # the new list stands, the mark has not moved
        (Shelf, "sweep", False),
    ],
)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_crash_anywhere_leaves_the_same_tables(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: bool, nth: int
) -> None:
    small_steps(monkeypatch, batch=9)
    some_days(hub)
    real, calls = getattr(owner, name), []

    def failing(self: Any, *given: Any) -> Any:
        calls.append(name)
        if len(calls) == nth and not after:
            raise Crash
        value = real(self, *given)
        if len(calls) == nth:
            raise Crash
        return value

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(Crash):
            hub.load()
    hub.loader = hub.new_loader()
    hub.load()
    shelf = Shelf(hub.warehouse)
    assert shelf.damaged(shelf.read()) == []
    crashed = fingerprints(hub)
    (hub.warehouse / "manifest.json").unlink()  # everything once more, undisturbed
    hub.loader = hub.new_loader()
    hub.load()
    assert fingerprints(hub) == crashed


def test_the_mark_moves_only_after_the_list(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(*patients("a", 3))

    def no_disk(*given: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "publish", no_disk)
    with pytest.raises(OSError, match="No space"):
        hub.loader.step()
    assert hub.loader.session.mark_of("warehouse") == 0


def test_a_mark_ahead_of_the_folder_is_set_back(hub: Hub) -> None:
    hub.put(*patients("a", 7))
    hub.load()
    hub.put(*patients("b", 7, area="Ba"))
    hub.loader.session.done("warehouse", hub.loader.session.head())  # the folder is an older copy
    assert {row["area"]: row["people"] for row in hub.rows("coverage")}["ba"] == 7


def test_a_memory_put_back_from_a_backup_is_noticed(hub: Hub, tmp_path: Path) -> None:
    hub.put(*patients("a", 7))
    hub.load()
    other = tmp_path / "other"
    other.mkdir()
    from sokhoe import settings
    from sokhoe.store import open_store

    store = open_store(f"sqlite:///{other / 'sokhoe.db'}")
    try:
        hub.gate = Gate(store, settings.load({"data": str(tmp_path), "country": "none"}))
        hub.put(*patients("c", 9, area="Ga"))
        hub.loader = hub.new_loader()
        by_area = {row["area"]: row["people"] for row in hub.rows("coverage")}
        assert (by_area["an"], by_area["ga"]) == (0, 9)
    finally:
        store.close()


def test_another_key_means_loading_everything_again(hub: Hub) -> None:
    some_days(hub)
    hub.load()
    before = fingerprints(hub)
    (hub.warehouse / "key").write_bytes(b"k" * 32)
    hub.load()
    after = fingerprints(hub)
    assert {k: rows for k, (rows, _) in after.items()} == {
        k: rows for k, (rows, _) in before.items()
    }
    assert after != before


def test_the_key_is_for_the_server_alone(hub: Hub) -> None:
    hub.load()
    assert stat.S_IMODE((hub.warehouse / "key").stat().st_mode) == 0o600


def test_a_damaged_key_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(Unavailable, match="5 bytes instead of 32"):
        open_key(tmp_path)


def test_a_damaged_list_says_what_to_do(hub: Hub) -> None:
    hub.load()
    (hub.warehouse / "manifest.json").write_text('{"reach": "x"}')
    with pytest.raises(Unavailable, match=r"manifest\.json"):
        hub.loader.step()


def test_a_file_changed_on_disk_is_found(hub: Hub) -> None:
    some_days(hub)
    hub.load()
    shelf = Shelf(hub.warehouse)
    assert shelf.damaged(shelf.read()) == []
    part = next(hub.warehouse.glob("visits/*.parquet"))
    part.write_bytes(part.read_bytes()[:-9] + b"x" * 9)
    assert shelf.damaged(shelf.read()) == [part.relative_to(hub.warehouse).as_posix()]


def test_the_loader_rests_between_loads(hub: Hub) -> None:
    hub.loader.minutes = 1
    hub.put(*patients("a", 6))
    hub.load()
    hub.put(*patients("b", 6))
    assert hub.loader.step() is False
    assert hub.loader.session.mark_of("warehouse") == 6


def parts(*sizes: int) -> list[Part]:
    return [Part("t", str(n), 1, size, "", n, n) for n, size in enumerate(sizes)]


def test_small_new_parts_are_merged_and_old_large_ones_left_alone() -> None:
    assert tail_to_merge(parts(100, 1, 1), most=3) == []
    assert [p.bytes for p in tail_to_merge(parts(100, 20, 3, 2, 1), most=3)] == [3, 2, 1]
    assert [p.bytes for p in tail_to_merge(parts(1000, 100, 10, 1), most=3)] == [10, 1]


# -- no names ------------------------------------------------------------------------------------

SECRETS = (
    "Nguyễn",
    "Bí Mật",
    "bi-mat",
    "079161000123",
    "0901234567",
    "12 Đường Hoa Sen",
    "hoasen",
    "GB4010012345678",
    "Kể với bác sĩ",
    "1961-03-02",
    "03-02",
)


LOINC = {"system": "http://loinc.org", "code": "8480-6"}


def planted() -> list[dict[str, Any]]:
    """A person with a secret in every place where a system may put one."""
    patient = a_patient("bi-mat-1") | {
        "name": [{"text": "Nguyễn Bí Mật", "family": "Nguyễn", "given": ["Bí", "Mật"]}],
        "identifier": [{"system": "urn:citizen", "value": "079161000123"}],
        "telecom": [{"system": "phone", "value": "0901234567"}],
        "address": [{"district": "An", "line": ["12 Đường Hoa Sen"], "text": "hoasen"}],
        "contact": [{"name": {"text": "Nguyễn Bí Mật"}}],
        "text": {
            "status": "generated",
            "div": "<div xmlns='http://www.w3.org/1999/xhtml'>Nguyễn</div>",
        },
        "extension": [{"url": "urn:x", "valueString": "GB4010012345678"}],
    }
    subject = {
        "reference": "Patient/bi-mat-1",
        "display": "Nguyễn Bí Mật",
        "identifier": {"value": "079161000123"},
    }
    visit = a_visit("bi-mat-2", "bi-mat-1", "2026-11-20T08:00:00+07:00") | {
        "subject": subject,
        "participant": [{"individual": {"display": "Nguyễn Bí Mật"}}],
        "reasonCode": [{"text": "Kể với bác sĩ", "coding": [{"code": "0901234567"}]}],
    }
    observation = {
        "resourceType": "Observation",
        "id": "bi-mat-3",
        "status": "final",
        "code": {"text": "Kể với bác sĩ", "coding": [LOINC | {"display": "Nguyễn"}]},
        "subject": subject,
        "performer": [{"reference": "Practitioner/bi-mat-4", "display": "Nguyễn"}],
        "note": [{"text": "Kể với bác sĩ"}],
        "component": [
            {"code": {"text": "Kể với bác sĩ"}, "valueString": "Nguyễn Bí Mật"},
            {"code": {"coding": [{"code": "x"}]}, "valueQuantity": {"value": 1, "unit": "Nguyễn"}},
        ],
        "contained": [{"resourceType": "Patient", "id": "c", "name": [{"text": "Nguyễn"}]}],
        "focus": [{"reference": "#c"}],
    }  # fmt: skip
    diagnosis = a_diagnosis("bi-mat-5", "bi-mat-1", "I10") | {
        "subject": subject,
        "encounter": {"reference": "Encounter/bi-mat-2"},
    }
    person = a_person("bi-mat-6", "bi-mat-1") | {
        "name": [{"text": "Nguyễn Bí Mật"}],
        "telecom": [{"system": "phone", "value": "0901234567"}],
        "birthDate": "1961-03-02",
    }
    practitioner = {"resourceType": "Practitioner", "id": "bi-mat-4", "name": [{"text": "Nguyễn"}]}
    return [practitioner, patient, visit, observation, diagnosis, person]


def everything_written(folder: Path) -> str:
    """All bytes of all files, as they are and unpacked."""
    seen = []
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw = file.read_bytes()
        seen.append(f"{file.name} {raw.decode('utf-8', 'ignore')}")
        if file.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
                seen.append(stream.read().decode("utf-8"))
        if file.suffix == ".parquet":
            seen.append(str(duckdb.execute(f"SELECT * FROM '{file}'").fetchall()))
    return "\n".join(seen)


def test_no_name_number_or_address_is_in_any_file(hub: Hub) -> None:
    hub.put(*planted())
    hub.load()
    written = everything_written(hub.warehouse)
    assert [secret for secret in SECRETS if secret in written] == []
    for kept in ("8480-6", "I10", "2026-11-20", "1961", "Organization/h1"):
        assert kept in written, f"{kept} should have been kept"


def test_a_planted_leak_is_seen(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from sokhoe.warehouse import stripping

    monkeypatch.setattr(
        stripping, "KEPT_ELEMENTS", stripping.KEPT_ELEMENTS | {"display", "valueString", "note"}
    )
    monkeypatch.setattr(stripping, "_harmless", lambda text, has_system: True)
    hub.put(*planted())
    hub.load()
    assert "Bí Mật" in everything_written(hub.warehouse)


def test_a_pseudonym_is_stable_keyed_and_tells_nothing() -> None:
    one, other = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)
    assert one.of("Patient/3") == Pseudonyms(b"a" * 32).of("Patient/3") != other.of("Patient/3")
    assert one.reference("http://hub/fhir/Patient/3/_history/2") == f"Patient/{one.of('Patient/3')}"
    assert one.reference("Organization/h1") == "Organization/h1"
    assert one.reference("#p") is one.reference("urn:uuid:1") is None
    assert one.of("Patient/3")[:6] != one.of("Patient/4")[:6]


def test_loaders_satisfy_what_the_app_runs(hub: Hub) -> None:
    assert isinstance(hub.loader, Loader)
    assert hub.loader.name == "warehouse"

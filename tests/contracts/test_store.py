"""What every store must do with what it is given: keep it, number it, seal it, hand it on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound, Unavailable
from sokhoe.fhir import parse_query
from sokhoe.store import (
    Delete,
    Entry,
    Keep,
    Keys,
    Put,
    Still,
    Store,
    Version,
    open_store,
    restore,
    seal,
)
from tests.contracts.conftest import a_patient, an_observation


def an_entry(actor: str = "Practitioner/1", patient: str = "Patient/1", **more: Any) -> Entry:
    given: dict[str, Any] = {
        "at": clock.now(),
        "actor": actor,
        "name": "Lê Thị Bình",
        "role": "doctor",
        "place": "Organization/1",
        "purpose": "TREAT",
        "action": "R",
        "patients": (patient,),
    }
    return Entry(**(given | more))


def current(store: Store, type: str, id: str) -> Version:
    found = store.read(type, id)
    assert found is not None
    return found


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run it side by side; an error in any of them is an error here."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


# --- versions -----------------------------------------------------------------------------------


def test_what_is_committed_can_be_read(store: Store) -> None:
    receipt = store.commit([Put(a_patient("1", birthDate="1980-05"))], author="me")
    found = current(store, "Patient", "1")
    assert receipt.versions == (found,)
    assert receipt.changed == (True,)
    resource = found.resource
    assert resource.pop("meta") == {"versionId": "1", "lastUpdated": clock.iso(found.at)}
    assert resource == a_patient("1", birthDate="1980-05")


def test_the_server_alone_says_which_version_and_when(store: Store) -> None:
    meta = {"versionId": "99", "tag": [{"code": "x"}], "lastUpdated": "1999-01-01T00:00:00Z"}
    store.commit([Put(a_patient("1", meta=meta))], author="me")
    found = current(store, "Patient", "1")
    assert found.resource["meta"] == {
        "versionId": "1",
        "lastUpdated": clock.iso(found.at),
        "tag": [{"code": "x"}],
    }


def test_a_decimal_comes_back_as_it_was_written(store: Store) -> None:
    quantity = {"value": Decimal("72.50"), "unit": "kg"}
    store.commit([Put(an_observation("1", valueQuantity=quantity))], author="me")
    assert b'"value":72.50' in current(store, "Observation", "1").body


def test_every_version_is_kept(store: Store) -> None:
    for text in ("An", "Bình", "Chi"):
        store.commit([Put(a_patient("1", text))], author="me")
    assert [v.version for v in store.history("Patient", "1").versions] == [3, 2, 1]
    first = store.read("Patient", "1", 1)
    assert first is not None
    assert first.resource["name"] == [{"text": "An"}]
    assert store.read("Patient", "1", 4) is None
    assert store.read("Patient", "2") is None
    assert store.read("Nonsense", "1") is None


def test_an_update_that_changes_nothing_writes_nothing(store: Store) -> None:
    first = store.commit([Put(a_patient("1"))], author="me").versions[0]
    again = store.commit([Put(first.resource), Put(a_patient("2"))], author="me")
    assert again.changed == (False, True)
    assert again.versions[0] == first
    assert store.head() == 2
    nothing = store.commit([Put(first.resource)], author="me", entry=an_entry())
    assert (nothing.commit, nothing.changed) == (0, (False,))
    assert len(store.entries()) == 1


def test_what_is_deleted_is_gone_but_its_history_stays(store: Store) -> None:
    store.commit([Put(a_patient("1"))], author="me")
    store.commit([Delete("Patient", "1")], author="me")
    gone = current(store, "Patient", "1")
    assert (gone.deleted, gone.version, gone.body) == (True, 2, b"")
    assert store.read_many(["Patient/1"]) == {}
    assert store.totals() == {}
    again = store.commit([Delete("Patient", "1"), Delete("Patient", "never")], author="me")
    assert again.changed == (False, False)
    store.commit([Put(a_patient("1"))], author="me")
    assert [v.deleted for v in store.history("Patient", "1").versions] == [False, True, False]


def test_one_commit_may_change_a_record_twice(store: Store) -> None:
    receipt = store.commit(
        [Put(a_patient("1", "An")), Delete("Patient", "1"), Put(a_patient("1", "Bình"))],
        author="me",
    )
    assert [v.version for v in receipt.versions] == [1, 2, 3]
    assert store.totals() == {"Patient": 1}
    assert [v.seq for v in store.search(parse_query("Patient", [])).versions] == [3]
    assert store.search(parse_query("Patient", [("name", "an")])).versions == ()
    assert list(store.verify()) == []


def test_the_newest_of_some_types_is_known(store: Store) -> None:
    assert store.newest(["Patient", "Observation"]) == 0
    store.commit([Put(a_patient("1")), Put(an_observation("1")), Put(a_patient("2"))], author="a")
    assert store.newest(["Observation"]) == 2
    assert store.newest(["Patient", "Observation", "ValueSet"]) == 3
    store.commit([Delete("Observation", "1")], author="a")
    assert store.newest(["Observation"]) == store.head() == 4


def test_many_are_read_at_once(store: Store) -> None:
    store.commit([Put(a_patient(str(n))) for n in range(300)], author="me")
    refs = [f"Patient/{n}" for n in range(300)]
    found = store.read_many([*refs, "Patient/x", "nonsense", "Patient/1"])
    assert sorted(found) == sorted(refs)
    assert all(version.ref == ref for ref, version in found.items())


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "id": "has space"},
        {"resourceType": "Patient", "id": 7},
        {"resourceType": "Patience", "id": "1"},
        {"id": "1"},
        {"resourceType": "Patient", "id": "1", "name": "An"},
        {"resourceType": "Patient", "id": "1", "birthDate": "soon"},
        {"resourceType": "Patient", "id": "1", "meta": []},
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_no_trace(
    store: Store, resource: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        store.commit([Put(a_patient("2")), Put(resource)], author="me", entry=an_entry())
    assert store.head() == 0
    assert store.entries() == []


# --- conflicts ----------------------------------------------------------------------------------


def test_whoever_comes_second_is_told(store: Store) -> None:
    store.commit([Put(a_patient("1", "An"))], author="me")
    store.commit([Put(a_patient("1", "Bình"), if_version=1)], author="me")
    for late in (Put(a_patient("1", "Chi"), if_version=1), Delete("Patient", "1", if_version=1)):
        with pytest.raises(Conflict) as caught:
            store.commit([late], author="me")
        assert caught.value.status == 412
        assert "version 2" in caught.value.message
    assert current(store, "Patient", "1").version == 2


def test_a_record_can_be_demanded_to_be_new(store: Store) -> None:
    store.commit([Put(a_patient("1"), if_version=0)], author="me")
    with pytest.raises(Conflict):
        store.commit([Put(a_patient("1", "Bình"), if_version=0)], author="me")
    store.commit([Delete("Patient", "1")], author="me")
    store.commit([Put(a_patient("1"), if_version=0)], author="me")
    with pytest.raises(Conflict):
        store.commit([Put(a_patient("2"), if_version=3)], author="me")


def test_a_commit_is_all_or_nothing(store: Store) -> None:
    store.commit([Put(a_patient("1"))], author="me")
    with pytest.raises(Conflict):
        store.commit(
            [Put(a_patient("2")), Put(a_patient("1", "Bình"), if_version=7)],
            author="me",
            entry=an_entry(),
            keeps=[Keep("cursor", "a", 1)],
        )
    assert store.read("Patient", "2") is None
    assert store.kept("cursor", "a") is None
    assert store.entries() == []
    assert store.head() == 1


def test_a_refused_commit_does_not_spoil_its_neighbours(store: Store) -> None:
    store.commit([Put(a_patient("shared"))], author="me")
    refused = []

    def work(number: int) -> None:
        for turn in range(5):
            changes = [Put(a_patient(f"{number}-{turn}"))]
            if number % 2:
                changes.append(Put(a_patient("shared", f"{number}"), if_version=99))
            try:
                store.commit(changes, author="me")
            except Conflict:
                refused.append(f"{number}-{turn}")

    in_threads(16, work)
    assert len(refused) == 40
    assert store.totals() == {"Patient": 41}
    assert all(store.read("Patient", id) is None for id in refused)
    assert list(store.verify()) == []


def test_of_two_that_want_the_same_version_exactly_one_wins(store: Store) -> None:
    store.commit([Put(a_patient("1", "0"))], author="me")
    wins: list[int] = []

    def work(number: int) -> None:
        for version in range(1, 6):
            try:
                store.commit([Put(a_patient("1", f"{number} {version}"), version)], author="me")
                wins.append(version)
            except Conflict:
                pass

    in_threads(8, work)
    assert sorted(wins) == [1, 2, 3, 4, 5]


# --- one fsync for many -------------------------------------------------------------------------


def test_of_many_that_all_found_nothing_exactly_one_creates(store: Store) -> None:
    """Conditional create: each thread has seen that there is none, then all write at once."""
    query = parse_query("Patient", [("identifier", "urn:x|1")])
    assert not store.search(query).versions
    gate = threading.Barrier(12)
    refused: list[str] = []

    def create(number: int) -> None:
        gate.wait()
        change = Put(a_patient(f"p{number}", identifier=[{"system": "urn:x", "value": "1"}]), 0)
        try:
            store.commit([change], author="x", stills=[Still(query, frozenset())])
        except Conflict as error:
            refused.append(error.slug)

    in_threads(12, create)
    assert refused == ["condition-changed"] * 11
    assert len(store.search(query).versions) == 1


def test_a_condition_sees_what_others_of_its_group_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lie in the tray together, so one transaction writes them: the second must see the
    first, a deletion too."""
    nobody = parse_query("Patient", [("identifier", "urn:x|1")])
    men = parse_query("Patient", [("gender", "male")])
    store.commit([Put(a_patient("man", gender="male"))], author="x")
    held = threading.Event()
    write = store._tray._write  # type: ignore[attr-defined]

    def slowly(group: Any) -> None:
        held.wait(5)
        write(group)

    monkeypatch.setattr(store._tray, "_write", slowly)  # type: ignore[attr-defined]
    outcomes: list[str] = []

    def work(number: int) -> None:
        person = a_patient(f"p{number}", identifier=[{"system": "urn:x", "value": "1"}])
        try:
            if number == 0:
                store.commit([Delete("Patient", "man")], author="x")
            elif number < 3:
                store.commit([Put(person)], author="x", stills=[Still(nobody, frozenset())])
            else:
                still = Still(men, frozenset({"Patient/man"}))
                store.commit([Put(person)], author="x", stills=[still])
            outcomes.append(f"{number} done")
        except Conflict as error:
            outcomes.append(f"{number} {error.slug}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    held.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [
        "0 done",
        "1 done",
        "2 condition-changed",
        "3 condition-changed",
    ]


def test_many_callers_share_a_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    inner: Callable[[Any], None] = store._write_group  # type: ignore[attr-defined]

    def counting(works: Any) -> None:
        groups.append(len(works))
        inner(works)

    monkeypatch.setattr(store, "_write_group", counting)

    def work(number: int) -> None:
        for turn in range(4):
            store.commit([Put(a_patient(f"{number}-{turn}"))], author="me")

    in_threads(64, work)
    assert sum(groups) == 256
    assert len(groups) < 128
    assert store.head() == 256


def test_what_the_database_refuses_takes_no_neighbour_along(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: Callable[..., None] = store._write  # type: ignore[attr-defined]

    def choking(plan: Any) -> None:
        if any(new.version.id == "poison" for new in plan.versions):
            raise RuntimeError("cannot swallow this")
        inner(plan)

    monkeypatch.setattr(store, "_write", choking)
    failed: list[str] = []

    def work(number: int) -> None:
        id = "poison" if number == 7 else str(number)
        try:
            store.commit([Put(a_patient(id))], author="me")
        except RuntimeError:
            failed.append(id)

    in_threads(24, work)
    assert failed == ["poison"]
    assert store.totals() == {"Patient": 23}
    assert list(store.verify()) == []


KILLED = """
import sys
from sokhoe.store import Put, open_store
store = open_store(sys.argv[1])
number = 0
while True:
    number += 1
    name = [{"text": f"An {number}"}]
    store.commit(
        [Put({"resourceType": "Patient", "id": f"{number}-{part}", "name": name})
         for part in range(3)],
        author="me",
    )
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_acknowledged(url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 20:
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    store = open_store(url)
    try:
        count = store.totals()["Patient"]
        assert count >= acknowledged * 3
        assert count % 3 == 0
        assert len(store.feed(0, 10_000)) == store.head() == count
        assert list(store.verify()) == []
        store.commit([Put(a_patient("after"))], author="me")
    finally:
        store.close()


# --- the feed -----------------------------------------------------------------------------------


def test_the_feed_never_shows_a_later_version_before_an_earlier_one(store: Store) -> None:
    done = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        while not done.is_set() or (seen[-1] if seen else 0) < store.head():
            seen.extend(v.seq for v in store.feed(seen[-1] if seen else 0, 50))

    follower = threading.Thread(target=follow)
    follower.start()

    def work(number: int) -> None:
        for turn in range(10):
            changes = [Put(a_patient(f"{number}-{turn}-{part}")) for part in range(3)]
            store.commit(changes, author="me")

    in_threads(8, work)
    done.set()
    follower.join()
    assert seen == list(range(1, 241))


def test_a_follower_sleeps_until_there_is_news(store: Store) -> None:
    assert store.wait(0, 0.01) == 0
    heads: list[int] = []
    follower = threading.Thread(target=lambda: heads.append(store.wait(0, 10)))
    follower.start()
    time.sleep(0.05)
    started = time.monotonic()
    store.commit([Put(a_patient("1"))], author="me")
    follower.join()
    assert heads == [1]
    assert time.monotonic() - started < 5


def test_a_commit_of_another_process_is_news_too(url: str, keys: Keys | None, store: Store) -> None:
    other = open_store(url, keys=keys)
    heads: list[int] = []
    follower = threading.Thread(target=lambda: heads.append(store.wait(0, 10)))
    follower.start()
    other.commit([Put(a_patient("1"))], author="other")
    follower.join()
    assert heads == [1]
    store.commit([Put(a_patient("1", "Bình"), if_version=1)], author="me")
    assert [c.author for c in other.commits(0)] == ["other", "me"]
    assert list(other.verify()) == []
    other.close()


def test_two_processes_take_turns_to_write(url: str, keys: Keys | None, store: Store) -> None:
    other = open_store(url, keys=keys)

    def work(number: int) -> None:
        writer = (store, other)[number % 2]
        for turn in range(8):
            shared = Put(a_patient("shared", f"{number} {turn}"))
            entry = an_entry(actor=f"Practitioner/{number}")
            writer.commit([Put(a_patient(f"{number}-{turn}")), shared], author="me", entry=entry)

    in_threads(8, work)
    assert [version.seq for version in other.feed(0, 1000)] == list(range(1, 129))
    assert current(store, "Patient", "shared").version == 64
    assert len(store.entries(count=1000)) == 64
    assert other.totals() == {"Patient": 65}
    assert list(store.verify()) == []
    other.close()


def test_commits_come_in_mouthfuls_and_sealed(store: Store) -> None:
    for n in range(10):
        store.commit([Put(a_patient(f"{n}-{p}")) for p in range(5)], author=f"author {n}")
    store.commit([Delete("Patient", "0-0")], author="me")
    commits = store.commits(0)
    assert [c.seq for c in commits] == list(range(1, 12))
    assert [len(c.versions) for c in commits] == [5] * 10 + [1]
    assert all(seal(commit) == commit.hash for commit in commits)
    assert [c.prev for c in commits[1:]] == [c.hash for c in commits[:-1]]
    assert {(c.node, c.epoch) for c in commits} == {(store.node, store.epoch)}
    assert [c.seq for c in store.commits(3, limit=2)] == [4, 5]
    assert [c.seq for c in store.commits(0, max_bytes=1)] == [1]
    size = sum(len(v.body) for v in commits[0].versions)
    assert [c.seq for c in store.commits(0, max_bytes=2 * size + 2)] == [1, 2]
    assert store.commits(11) == []


def test_time_never_runs_backwards_in_the_feed(store: Store) -> None:
    with clock.standing_at(1_000_000_000_000_000) as ahead:
        store.commit([Put(a_patient("1"))], author="me")
        ahead(-3600)
        store.commit([Put(a_patient("2"))], author="me")
        first, second = store.feed(0)
    assert second.at >= first.at


def test_the_history_goes_back_page_by_page(store: Store) -> None:
    for n in range(7):
        store.commit([Put(a_patient("1", f"An {n}")), Put(an_observation(f"{n}"))], author="me")
    page = store.history("Patient", count=3)
    assert [v.seq for v in page.versions] == [13, 11, 9]
    assert page.next == "9"
    page = store.history("Patient", count=4, before=9)
    assert [v.seq for v in page.versions] == [7, 5, 3, 1]
    assert page.next is None
    assert [v.seq for v in store.history(count=2).versions] == [14, 13]
    third = store.feed(4, 1)[0]
    assert len(store.history(since=third.at).versions) >= 10
    assert [v.version for v in store.history("Patient", "1", count=2, before=9).versions] == [4, 3]


# --- drawers ------------------------------------------------------------------------------------


def test_a_drawer_keeps_what_is_put_into_it(store: Store) -> None:
    value = {"name": "Bình", "list": [1, None, True], "much": Decimal("1.50")}
    store.keep(Keep("account", "binh", value), Keep("account", "an", 1), Keep("other", "binh", 2))
    assert store.kept("account", "binh") == value
    assert store.all_kept("account") == {"an": 1, "binh": value}
    store.keep(Keep("account", "binh", None))
    assert store.kept("account", "binh") is None
    assert store.all_kept("account") == {"an": 1}
    with pytest.raises(Invalid):
        store.keep(Keep("account", "x", object()))


def test_a_drawer_is_changed_only_from_what_was_expected(store: Store) -> None:
    store.keep(Keep("key", "a", {"n": 1}, expected=None))
    with pytest.raises(Conflict):
        store.keep(Keep("key", "a", {"n": 2}, expected=None))
    with pytest.raises(Conflict):
        store.keep(Keep("key", "b", 1), Keep("key", "a", {"n": 3}, expected={"n": 2}))
    assert store.kept("key", "b") is None
    store.keep(Keep("key", "a", {"n": 2}, expected={"n": 1}))
    store.keep(Keep("key", "a", None, expected={"n": 2}))
    assert store.kept("key", "a") is None


def test_compare_and_set_counts_right_under_a_crowd(store: Store) -> None:
    def work(_: int) -> None:
        for _ in range(5):
            while True:
                now = store.kept("counter", "a")
                try:
                    store.keep(Keep("counter", "a", (now or 0) + 1, expected=now))
                    break
                except Conflict:
                    pass

    in_threads(6, work)
    assert store.kept("counter", "a") == 30


# --- audit --------------------------------------------------------------------------------------


def test_an_audit_line_comes_back_as_it_was(store: Store) -> None:
    entry = an_entry(
        what=("Observation/7", "Observation/8"),
        patients=("Patient/1", "Patient/2"),
        outcome="4",
        query="name=bình",
        address="10.0.0.7",
        note="x",
    )
    store.record(entry)
    store.record(an_entry())
    newest, first = store.entries()
    assert first.entry == entry
    assert (first.seq, newest.seq) == (1, 2)
    assert newest.prev == first.hash
    assert store.entry(1) == first
    assert store.entry(3) is None


def test_the_audit_answers_who_looked_at_whom(store: Store) -> None:
    with clock.standing_at(1_000_000_000_000_000) as ahead:
        for n in range(12):
            store.record(an_entry(actor=f"Practitioner/{n % 3}", patient=f"Patient/{n % 2}"))
            ahead(60)
        half = clock.now() - 6 * 60_000_000

    def seqs(**given: Any) -> list[int]:
        return [one.seq for one in store.entries(**given)]

    assert seqs(patient="Patient/0") == [11, 9, 7, 5, 3, 1]
    assert seqs(actor="Practitioner/0") == [10, 7, 4, 1]
    assert seqs(patient="Patient/0", actor="Practitioner/0") == [7, 1]
    assert seqs(patient="Patient/0", since=half) == [11, 9, 7]
    assert seqs(patient="Patient/0", count=2, before=7) == [5, 3]
    assert seqs(count=3) == [12, 11, 10]
    assert seqs(patient="Patient/9") == []


def test_a_write_and_its_audit_line_are_one(store: Store) -> None:
    store.commit([Put(a_patient("1"))], author="me", entry=an_entry(action="C"))
    with pytest.raises(Conflict):
        store.commit([Put(a_patient("1", "B"), if_version=9)], author="me", entry=an_entry())
    assert [one.entry.action for one in store.entries()] == ["C"]


def test_audit_lines_survive_the_end_of_the_process(url: str) -> None:
    code = (
        "import sys, os; from sokhoe.store import Entry, open_store\n"
        "store = open_store(sys.argv[1])\n"
        "for n in range(30): store.record(Entry(n, 'a', '', '', '', '', 'R'))\n"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, url], check=False, cwd=root)
    store = open_store(url)
    assert len(store.entries(count=100)) == 30
    assert list(store.verify()) == []
    store.close()


# --- tampering ----------------------------------------------------------------------------------


def tamper(url: str, *statements: str) -> None:
    """What somebody with the disk in hand could do."""
    if url.startswith("sqlite:///"):
        import apsw

        file = apsw.Connection(url.removeprefix("sqlite:///"))
        for statement in statements:
            file.execute(statement)
        file.close()
    else:
        import psycopg

        with psycopg.connect(url) as connection:
            for statement in statements:
                connection.execute(statement)


SWAP = [
    "UPDATE {0} SET seq=1003 WHERE seq=3",
    "UPDATE {0} SET seq=3 WHERE seq=4",
    "UPDATE {0} SET seq=4 WHERE seq=1003",
]


@pytest.mark.parametrize(
    ("statements", "where"),
    [
        (["UPDATE res SET body=(SELECT body FROM res WHERE seq=1) WHERE seq=3"], "version 3"),
        (["UPDATE res SET dict=0, body='nonsense' WHERE seq=3"], "version 3"),
        (["UPDATE res SET content=(SELECT content FROM res WHERE seq=1) WHERE seq=3"], "version 3"),
        (["UPDATE res SET at=at+1 WHERE seq=3"], "version 3"),
        (["UPDATE res SET id='other' WHERE seq=3"], "version 3"),
        (["UPDATE res SET deleted=1 WHERE seq=3"], "version 3"),
        (["UPDATE commits SET author='somebody else' WHERE seq=3"], "commit 3"),
        (["UPDATE commits SET at=at+1 WHERE seq=3"], "version 3"),
        (["UPDATE commits SET hash=prev WHERE seq=3"], "commit 3"),
        (["DELETE FROM res WHERE seq=3"], "commit 3"),
        (["DELETE FROM commits WHERE seq=3"], "commit 3"),
        (["DELETE FROM commits WHERE seq=3", "DELETE FROM res WHERE seq=3"], "commit 3"),
        (["DELETE FROM commits WHERE seq=6", "DELETE FROM res WHERE seq=6"], "commit 6"),
        (["DELETE FROM commits", "DELETE FROM res"], "commit 1"),
        ([one.format("res") for one in SWAP], "version 3"),
        ([one.format("commits") for one in SWAP], "commit 3"),
        (["UPDATE audit SET body='{{}}' WHERE seq=3"], "audit line 3"),
        (
            ["UPDATE audit SET hash=(SELECT hash FROM audit WHERE seq=1) WHERE seq=3"],
            "audit line 3",
        ),
        (["DELETE FROM audit WHERE seq=3"], "audit line 3"),
        (["DELETE FROM audit WHERE seq=6"], "audit line 6"),
        (["DELETE FROM audit"], "audit line 1"),
        ([one.format("audit") for one in SWAP], "audit line 3"),
    ],
)
def test_whoever_changes_the_past_is_found(url: str, statements: list[str], where: str) -> None:
    store = open_store(url)
    for n in range(6):
        put = Put(a_patient(f"{n}", f"An {n}"))
        store.commit([put], author="me", entry=an_entry(action="C"))
    assert list(store.verify()) == []
    store.close()
    tamper(url, *statements)
    store = open_store(url)
    faults = list(store.verify())
    store.close()
    assert faults
    assert faults[0].where.split(" (")[0] == where


# --- the whole ----------------------------------------------------------------------------------


def test_a_store_is_the_same_after_it_was_closed(url: str) -> None:
    store = open_store(url)
    node, epoch = store.node, store.epoch
    store.commit([Put(a_patient("1"))], author="me")
    store.close()
    with pytest.raises(Exception):  # noqa: B017
        store.commit([Put(a_patient("2"))], author="me")
    again = open_store(url)
    assert (again.node, again.epoch, again.head()) == (node, epoch, 1)
    again.close()


def test_a_backup_is_a_whole_store(keys: Keys | None, store: Store, tmp_path: Path) -> None:
    store.commit([Put(a_patient("1", "Trần Đức"))], author="me", entry=an_entry())
    store.commit([Put(an_observation("1"))], author="me", keeps=[Keep("a", "b", 1)])
    path = tmp_path / "copy.db"
    store.backup(str(path))
    store.commit([Put(a_patient("2"))], author="me")
    copy = open_store(f"sqlite:///{path}", keys=keys)
    assert (copy.node, copy.head(), copy.kept("a", "b")) == (store.node, 2, 1)
    assert copy.commits(0) == store.commits(0)[:2]
    assert copy.entries() == store.entries()
    found = copy.search(parse_query("Observation", [("patient.name", "duc")]))
    assert [version.ref for version in found.versions] == ["Observation/1"]
    assert list(copy.verify()) == []
    copy.commit([Put(a_patient("3"))], author="me")
    assert list(copy.verify()) == []
    copy.close()


def test_a_backup_becomes_a_store_again(url: str, tmp_path: Path) -> None:
    first = open_store(f"sqlite:///{tmp_path / 'first.db'}")
    first.commit([Put(a_patient("1", "Trần Đức"))], author="me", entry=an_entry())
    first.backup(str(tmp_path / "copy.db"))
    restore(str(tmp_path / "copy.db"), url)
    second = open_store(url)
    assert second.node == first.node
    assert second.epoch != first.epoch
    second.commit([Put(a_patient("2"))], author="me", entry=an_entry())
    assert [one.epoch for one in second.commits(0)] == [first.epoch, second.epoch]
    found = second.search(parse_query("Patient", [("name", "duc")]))
    assert [version.ref for version in found.versions] == ["Patient/1"]
    assert list(second.verify()) == []
    with pytest.raises(Conflict):
        restore(str(tmp_path / "copy.db"), url)
    with pytest.raises(NotFound):
        restore(str(tmp_path / "none.db"), url)
    first.close()
    second.close()


def test_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_store(f"sqlite:///{tmp_path}/no/such/folder/store.db")
    with pytest.raises(Unavailable):
        open_store("postgresql://nobody@/nothing?host=/nonexistent")
    with pytest.raises(Invalid):
        open_store("mysql://localhost/x")
    wrong = tmp_path / "letter.txt"
    wrong.write_text("Dear store, " * 1000)
    with pytest.raises(Unavailable):
        open_store(f"sqlite:///{wrong}")

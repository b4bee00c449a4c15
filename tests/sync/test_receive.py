from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, SignIn
from sokhoe.store import Commit, Put, seal
from sokhoe.sync import (
    PUSH,
    Head,
    NodeKey,
    NodeState,
    Request,
    enrol_directly,
    head_of,
    load_key,
    pack,
    revoke,
)
from sokhoe.sync.receive import Result, Taken, ranges
from sokhoe.sync.wire import START
from sokhoe.trust import Session
from tests.sync.world import (
    FACILITY,
    OTHER,
    HubEnd,
    StationEnd,
    a_pair,
    a_patient,
    a_reading,
    contents,
)

Pair = tuple[HubEnd, StationEnd]


def signed(
    station: StationEnd, body: bytes, *, key: NodeKey | None = None, at: int | None = None
) -> Request:
    """A push as this station would sign it."""
    mine = key or load_key(station.folder)
    assert mine is not None
    when = clock.now() if at is None else at
    headers = mine.headers(station.store.node, "POST", PUSH, body, when)
    return Request("POST", PUSH, {name.lower(): one for name, one in headers.items()}, body)


def a_push(station: StationEnd, commits: Sequence[Commit], **how: Any) -> Request:
    page = pack(station.store.node, station.store.epoch, commits, Head(0, START))
    return signed(station, page.body, **how)


def rewritten(commit: Commit, **other: Any) -> Commit:
    """The same number with another content, and a hash that fits it."""
    changed = replace(commit, **other)
    return replace(changed, hash=seal(changed))


def results(answer: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [(one["from"], one["to"], one["result"]) for one in answer.get("results", [])]


def test_the_answer_says_what_became_of_each_commit_and_how_far_it_is(pair: Pair) -> None:
    hub, station = pair
    for _ in range(5):
        station.save(a_patient())
    commits = station.commits()
    answer = hub.box.push(a_push(station, commits[:3]))
    assert results(answer) == [(1, 3, "accepted")]
    assert answer["ack"] == {"seq": 3, "hash": commits[2].hash.hex()}
    assert answer["expected"] == 4
    assert answer["hub_epoch"] == hub.store.epoch
    assert answer["protocol"] == [1, 1]
    assert answer["backed_up_seq"] == 0
    answer = hub.box.push(a_push(station, commits))
    assert results(answer) == [(1, 3, "duplicate"), (4, 5, "accepted")]


def test_an_acknowledged_commit_is_on_disk(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient("p1"))
    answer = hub.box.push(a_push(station, station.commits()))
    hub.restart()
    assert answer["ack"]["seq"] == 1
    assert hub.store.read("Patient", "p1") is not None
    assert head_of(hub.store, station.node(hub)).seq == 1


def test_what_arrives_is_kept_as_it_was_in_its_authors_name(pair: Pair) -> None:
    hub, station = pair
    patient = a_patient("p1")
    station.save(patient, a_reading("p1", "72.50"), author="Practitioner/hoa")
    station.send()
    here, there = station.store.read("Patient", "p1"), hub.store.read("Patient", "p1")
    assert here is not None
    assert there is not None
    assert there.resource["meta"]["source"] == "urn:test:card-reader"
    assert there.resource["name"] == here.resource["name"]
    assert hub.store.commits(1)[0].author == "Practitioner/hoa"


def test_the_audit_of_the_hub_names_the_facility(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient("p1"))
    station.send()
    line = next(one.entry for one in hub.store.entries(patient="Patient/p1"))
    assert line.name == "Trạm Y tế Ba Càng"
    assert line.place == "Organization/86001"
    assert line.actor == f"Device/{station.store.node}"
    assert line.note == f"from {station.store.node} epoch {station.store.epoch} number 1"


def test_sending_again_what_changed_nothing_changes_nothing(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient("p1"))
    station.send()
    before = hub.store.head()
    hub.box.push(a_push(station, station.commits()))
    assert hub.store.head() == before


def test_a_gap_is_answered_with_the_number_that_is_expected(pair: Pair) -> None:
    hub, station = pair
    for _ in range(4):
        station.save(a_patient())
    commits = station.commits()
    hub.box.push(a_push(station, commits[:1]))
    answer = hub.box.push(a_push(station, commits[2:]))
    assert answer["expected"] == 2
    assert results(answer) == []
    assert hub.store.head() == 2 + 1  # the hub's two facilities, and the first patient


def test_eight_pushes_of_one_page_at_once_store_it_once(pair: Pair) -> None:
    hub, station = pair
    for number in range(12):
        station.save(a_patient("p1", f"tên {number}"))
    push = a_push(station, station.commits())
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: hub.box.push(push), range(8)))
    assert {one["ack"]["seq"] for one in answers} == {12}
    accepted = sum(
        one["to"] - one["from"] + 1
        for answer in answers
        for one in answer["results"]
        if one["result"] == "accepted"
    )
    assert accepted == 12
    assert contents(hub.store) == contents(station.store)


def test_two_stations_at_once_do_not_disturb_each_other(folder: Path) -> None:
    with a_pair(folder) as (hub, one):
        other = StationEnd(folder / "other", hub)
        enrol_directly(hub.store, other.store, other.folder, "Organization/86002")
        for _ in range(10):
            one.save(a_patient())
            other.save(a_patient())
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda station: station.send(), (one, other)))
        assert contents(hub.store) == contents(one.store) | contents(other.store)
        other.store.close()


# -- who may send ---------------------------------------------------------------------------------


def test_a_wrong_signature_is_refused(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    with pytest.raises(SignIn) as caught:
        hub.box.push(a_push(station, station.commits(), key=NodeKey.draw()))
    assert caught.value.slug == "node-unknown"


def test_a_body_changed_on_the_way_is_refused(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    push = a_push(station, station.commits())
    with pytest.raises(SignIn):
        hub.box.push(replace(push, body=push.body + b" "))


def test_an_unsigned_or_unknown_station_is_refused(pair: Pair) -> None:
    hub, station = pair
    with pytest.raises(SignIn):
        hub.box.push(Request("POST", PUSH, {}, b""))
    headers = NodeKey.draw().headers("nobody", "POST", PUSH, b"", clock.now())
    with pytest.raises(SignIn):
        hub.box.push(Request("POST", PUSH, {k.lower(): v for k, v in headers.items()}, b""))
    assert hub.store.head() == 2
    assert station.commits() == []


def test_a_closed_station_is_refused(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    revoke(hub.store, station.store.node, "stolen", "Practitioner/op")
    with pytest.raises(Forbidden) as caught:
        hub.box.push(a_push(station, station.commits()))
    assert caught.value.slug == "node-revoked"


def test_a_station_cannot_send_in_the_name_of_another(folder: Path) -> None:
    with a_pair(folder) as (hub, one):
        other = StationEnd(folder / "other", hub)
        enrol_directly(hub.store, other.store, other.folder, "Organization/86002")
        one.save(a_patient())
        page = pack(one.store.node, one.store.epoch, one.commits(), Head(0, START))
        with pytest.raises(Forbidden) as caught:
            hub.box.push(signed(other, page.body))
        assert caught.value.slug == "other-node"
        other.store.close()


def test_a_station_does_not_change_what_is_known_of_another_facility(pair: Pair) -> None:
    hub, station = pair
    station.save(OTHER)  # it holds the same: no trouble
    station.save({**OTHER, "name": "Tên khác"})
    station.save({**FACILITY, "name": "Trạm Y tế Ba Càng mới"})  # its own
    station.save({**OTHER, "id": "new"})  # unknown so far
    station.send()
    assert head_of(hub.store, station.node(hub)).quarantined == 1
    names = {
        id: one.resource["name"]
        for id in ("86001", "86002", "new")
        if (one := hub.store.read("Organization", id))
    }
    assert names == {
        "86001": "Trạm Y tế Ba Càng mới",
        "86002": "Trạm Y tế Loan Mỹ",
        "new": "Trạm Y tế Loan Mỹ",
    }


def test_a_history_that_began_anew_needs_a_new_code(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    page = pack(station.store.node, "another epoch", station.commits(), Head(0, START))
    with pytest.raises(Conflict) as caught:
        hub.box.push(signed(station, page.body))
    assert caught.value.slug == "epoch"


def test_a_clock_that_is_far_off_is_no_reason_to_refuse_but_is_marked(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    future = clock.now() + 3 * 24 * 3600 * 1_000_000
    answer = hub.box.push(a_push(station, station.commits(), at=future))
    assert answer["ack"]["seq"] == 1
    assert answer["may_sign"] is False
    seen = hub.store.kept("node-seen", station.store.node)
    assert seen["skew"] // 3_600_000_000 in {71, 72}


def test_a_clock_that_is_right_enough_is_not_marked(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    answer = hub.box.push(a_push(station, station.commits()))
    assert "may_sign" not in answer


# -- what is not believed -------------------------------------------------------------------------


def test_a_tampered_commit_is_refused_with_its_whole_page(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient("p1"))
    station.save(a_patient("p2"))
    first, second = station.commits()
    forged = second.versions[0]
    forged = replace(forged, body=forged.body.replace(b"Sen", "Sơn".encode()))
    with pytest.raises(Invalid) as caught:
        hub.box.push(a_push(station, [first, replace(second, versions=(forged,))]))
    assert caught.value.slug == "tampered"
    assert "Commit 2" in caught.value.message
    assert head_of(hub.store, station.node(hub)).seq == 0


def test_a_known_number_with_another_content_is_a_fork(pair: Pair) -> None:
    hub, station = pair
    for _ in range(3):
        station.save(a_patient())
    commits = station.commits()
    hub.box.push(a_push(station, commits))
    before = hub.store.head()
    other = rewritten(commits[1], author="Practitioner/other")
    with pytest.raises(Conflict) as caught:
        hub.box.push(a_push(station, [other]))
    assert caught.value.slug == "fork"
    node = station.node(hub)
    assert node.state is NodeState.FENCED
    assert "number 2" in node.why
    assert hub.store.head() == before


def test_a_commit_that_does_not_follow_the_head_is_a_fork(pair: Pair) -> None:
    hub, station = pair
    for _ in range(3):
        station.save(a_patient())
    commits = station.commits()
    hub.box.push(a_push(station, commits[:2]))
    stranger = rewritten(commits[2], prev=b"\7" * 32)
    with pytest.raises(Conflict):
        hub.box.push(a_push(station, [stranger]))
    assert station.node(hub).state is NodeState.FENCED


def test_a_fenced_station_is_stopped_and_the_alarm_stands_in_the_audit(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    commits = station.commits()
    hub.box.push(a_push(station, commits))
    with pytest.raises(Conflict):
        hub.box.push(a_push(station, [rewritten(commits[0], author="x")]))
    with pytest.raises(Forbidden) as caught:
        hub.box.push(a_push(station, commits))
    assert caught.value.slug == "node-fenced"
    assert "two different histories" in hub.store.entries()[0].entry.note
    station.save(a_patient())
    station.sender.send_now()
    station.sender.step()
    assert "another history" in station.line.status().note


def test_a_disk_that_was_copied_is_found_out(folder: Path) -> None:
    with a_pair(folder) as (hub, station):
        station.save(a_patient())
        (folder / "twin").mkdir()
        station.store.backup(str(folder / "twin" / "station.db"))
        (folder / "twin" / "node.key").write_bytes((station.folder / "node.key").read_bytes())
        twin = StationEnd(folder / "twin", hub)
        station.save(a_patient("only-here"))
        station.send()
        twin.save(a_patient("only-there"))
        twin.sender.send_now()
        twin.sender.step()
        assert "another history" in twin.line.status().note
        assert hub.store.read("Patient", "only-there") is None
        twin.store.close()


# -- when the hub itself is in trouble ------------------------------------------------------------


def test_a_hub_that_cannot_write_takes_nothing_and_promises_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    station.save(a_patient("p1"))

    def full(self: Session, *args: Any, **how: Any) -> None:
        raise Busy("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", full)
        with pytest.raises(Busy):
            hub.box.push(a_push(station, station.commits()))
        assert head_of(hub.store, station.node(hub)).seq == 0
    assert hub.box.push(a_push(station, station.commits()))["ack"]["seq"] == 1


def test_one_commit_that_the_store_never_swallows_is_put_aside_in_the_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    station.save(a_patient("poison"))
    station.save(a_patient("p2"))
    original = Session.commit

    def picky(self: Session, changes: Any, **how: Any) -> Any:
        if any(isinstance(one, Put) and one.resource["id"] == "poison" for one in changes):
            raise Busy("The store could not write: too big an integer.")
        return original(self, changes, **how)

    monkeypatch.setattr(Session, "commit", picky)
    push = a_push(station, station.commits())
    for _ in range(4):
        with pytest.raises(Busy):
            hub.box.push(push)
    answer = hub.box.push(push)
    assert results(answer) == [(1, 1, "quarantined"), (2, 2, "accepted")]


def test_a_station_is_noted_at_most_once_a_minute(pair: Pair) -> None:
    hub, station = pair
    station.save(a_patient())
    with clock.standing_at(datetime(2026, 11, 23, 7, tzinfo=UTC)) as ahead:
        push = a_push(station, station.commits())
        hub.box.push(push)
        first = hub.store.kept("node-seen", station.store.node)
        ahead(30)
        hub.box.push(a_push(station, station.commits()))
        assert hub.store.kept("node-seen", station.store.node) == first
        ahead(31)
        hub.box.push(a_push(station, station.commits()))
        assert hub.store.kept("node-seen", station.store.node) != first


def test_neighbours_with_the_same_fate_share_a_line() -> None:
    taken = [Taken(n, Result.ACCEPTED) for n in range(1, 1001)]
    taken += [Taken(1001, Result.QUARANTINED, "invalid: no"), Taken(1002, Result.ACCEPTED)]
    assert ranges(taken) == [
        {"from": 1, "to": 1000, "result": "accepted"},
        {"from": 1001, "to": 1001, "result": "quarantined", "reason": "invalid: no"},
        {"from": 1002, "to": 1002, "result": "accepted"},
    ]

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sokhoe import clock
from sokhoe.store import Keep
from sokhoe.sync import LineMemory, enrol_directly, file_cut, head_of, revoke
from sokhoe.sync.pace import PageSize
from tests.sync.world import (
    Answering,
    HubEnd,
    StationEnd,
    a_pair,
    a_patient,
    contents,
    straight,
)

START = datetime(2026, 11, 23, 7, tzinfo=UTC)
Pair = tuple[HubEnd, StationEnd]


@contextmanager
def timed(folder: Path, **given: Any) -> Iterator[tuple[HubEnd, StationEnd, Any]]:
    """A pair for which time stands still until the test moves it."""
    with clock.standing_at(START) as ahead, a_pair(folder, **given) as (hub, station):
        yield hub, station, ahead


def dead(request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
    raise httpx.ConnectError("no line", request=request)


def settle(station: StationEnd) -> None:
    while station.sender.step():
        pass


def test_what_is_saved_leaves_by_itself(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):
        settle(station)
        station.save(a_patient("p1"))
        assert station.line.status().waiting == 1
        ahead(5)
        settle(station)
        assert hub.store.read("Patient", "p1") is not None
        status = station.line.status()
        assert (status.up, status.waiting, status.oldest, status.note) == (True, 0, None, "")


def test_a_record_knows_whether_it_is_at_the_province(folder: Path) -> None:
    with timed(folder) as (_, station, ahead):
        station.save(a_patient("p1"))
        version = station.store.read("Patient", "p1")
        assert version is not None
        assert not station.line.arrived(version)
        station.send()
        assert station.line.arrived(version)
        ahead(1)
        station.save(a_patient("p1", "đổi tên"))
        changed = station.store.read("Patient", "p1")
        assert changed is not None
        assert not station.line.arrived(changed)
        assert station.line.arrived(version)


def test_the_oldest_that_waits_is_told(folder: Path) -> None:
    with timed(folder) as (_, station, ahead):
        station.send()
        first = clock.now()
        station.save(a_patient())
        ahead(60)
        station.save(a_patient(), a_patient())
        status = station.line.status()
        assert (status.waiting, status.oldest) == (3, first)


def test_on_a_dead_line_it_tries_less_and_less_often(folder: Path) -> None:
    with timed(folder, every=60.0) as (_, station, ahead):
        settle(station)
        station.wire.passing = dead
        station.save(a_patient())
        times = []
        started = clock.now()
        before = len(station.wire.sent)
        for _ in range(1000):
            ahead(1)
            station.sender.step()
            if len(station.wire.sent) > before:
                before = len(station.wire.sent)
                times.append((clock.now() - started) // 1_000_000)
        assert times[:5] == [60, 120, 240, 420, 600]
        assert "cannot be reached" in station.line.status().note


def test_when_the_line_is_back_everything_goes(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):
        settle(station)
        station.wire.passing = dead
        ahead(5)
        down_at = clock.now()
        for _ in range(3):
            station.save(a_patient())
            ahead(60)
            settle(station)
        status = station.line.status()
        assert (status.up, status.waiting) == (False, 3)
        assert status.since == down_at + 60_000_000
        station.wire.passing = straight
        ahead(60)
        settle(station)
        assert station.line.status().up
        assert contents(hub.store) == contents(station.store)


def test_send_now_does_not_wait(folder: Path) -> None:
    with timed(folder, every=60.0) as (_, station, ahead):
        station.wire.passing = dead
        station.save(a_patient())
        station.sender.step()
        station.wire.passing = straight
        ahead(1)
        assert not station.sender.step()
        assert station.line.status().waiting == 1
        station.line.send_now()
        settle(station)
        assert station.line.status().waiting == 0


def test_a_clock_set_back_by_years_does_not_stop_the_mail(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):
        station.wire.passing = dead
        station.save(a_patient())
        station.sender.step()
        station.wire.passing = straight
        ahead(-10 * 365 * 24 * 3600)
        settle(station)
        assert contents(hub.store) == contents(station.store)


def test_an_idle_line_costs_one_small_question_in_five_minutes(folder: Path) -> None:
    with timed(folder) as (_, station, ahead):
        settle(station)
        before = len(station.wire.sent)
        for _ in range(3600):
            ahead(1)
            station.sender.step()
        assert len(station.wire.sent) - before == 12
        assert {path for path, _ in station.wire.sent[before:]} == {"/sync/v1/state"}


def test_the_answer_to_an_idle_question_is_small(pair: Pair) -> None:
    _, station = pair
    answers: list[httpx.Response] = []

    def listening(request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        answers.append(hub(request, body))
        return answers[-1]

    station.wire.passing = listening
    station.sender.step()
    assert len(answers[0].content) < 260


def test_what_does_not_fit_one_page_goes_in_several_and_no_commit_is_split(folder: Path) -> None:
    with timed(folder, pages=PageSize(400, 3.0, floor=400, cap=800)) as (hub, station, _):
        for number in range(20):
            station.save(*(a_patient(name=f"{number}") for _ in range(5)))
        settle(station)
        pages = [body for path, body in station.wire.sent if path.endswith("push")]
        assert len(pages) > 5
        assert [len(one.versions) for one in hub.store.commits(1)] == [5] * 20
        assert contents(hub.store) == contents(station.store)


def test_a_commit_larger_than_any_page_still_goes(folder: Path) -> None:
    with timed(folder, pages=PageSize(400, 1.0, floor=400, cap=400)) as (hub, station, _):
        station.save(*(a_patient() for _ in range(300)))
        settle(station)
        assert len(hub.store.commits(1, max_bytes=1 << 30)[0].versions) == 300


# -- restarts on both sides -----------------------------------------------------------------------


def test_after_a_restart_it_goes_on_where_the_hub_is(folder: Path) -> None:
    with timed(folder, pages=PageSize(400, 3.0, floor=400, cap=400)) as (hub, station, _):
        for _ in range(20):
            station.save(a_patient())
        for _ in range(3):
            station.sender.step()
        part = head_of(hub.store, station.node(hub)).seq
        assert 0 < part < 20
        station.restart()
        assert station.line.state().acked == part
        settle(station)
        assert contents(hub.store) == contents(station.store)


def test_a_station_that_forgot_everything_but_its_records_asks_the_hub(folder: Path) -> None:
    with timed(folder) as (hub, station, _):
        station.save(a_patient())
        station.save(a_patient())
        settle(station)
        station.store.keep(Keep("mail", "state", None))
        station.restart()
        before = hub.store.head()
        station.send()
        assert station.line.state().acked == 2
        assert hub.store.head() == before
        assert [path for path, _ in station.wire.sent][-1] == "/sync/v1/state"


def test_a_hub_that_fell_back_to_a_backup_gets_again_what_it_lacks(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):
        station.save(a_patient("p1"))
        station.send()
        hub.store.backup(str(folder / "hub.copy"))
        station.save(a_patient("p2"))
        station.send()
        hub.store.close()
        for file in (folder / "hub").glob("hub.db*"):
            file.unlink()
        (folder / "hub.copy").rename(folder / "hub" / "hub.db")
        hub.start()
        assert hub.store.read("Patient", "p2") is None
        station.save(a_patient("p3"))
        ahead(600)
        station.send()
        assert contents(hub.store) == contents(station.store)


def test_a_station_that_lost_its_newest_records_does_not_write_over_the_hubs(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):
        station.save(a_patient("p1"))
        station.send()
        station.store.backup(str(folder / "station.copy"))
        station.save(a_patient("p2"))
        station.send()
        station.store.close()
        for file in station.folder.glob("station.db*"):
            file.unlink()
        (folder / "station.copy").rename(station.folder / "station.db")
        station.start()
        ahead(600)
        station.sender.step()
        status = station.line.status()
        assert not status.up
        assert "holds more" in status.note
        assert hub.store.read("Patient", "p2") is not None


# -- what answers in the hub's place --------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>Please sign in to the Wi-Fi</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"{}"),
        httpx.Response(302, headers={"Location": "http://portal/"}),
        httpx.Response(404, content=b"not here"),
        httpx.Response(200, content=b'{"protocol":[1,1],"hub_epoch":"x","at":1,"ack":{"seq":1,'
                       b'"hash":"' + b"0" * 64 + b'"}}'),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_hubs_promises_nothing(pair: Pair, answer: Any) -> None:
    hub, station = pair
    station.sender.step()
    station.save(a_patient())
    station.wire.passing = lambda request, body, go: httpx.Response(
        answer.status_code, content=answer.content, headers=answer.headers, request=request
    )
    station.sender.send_now()
    assert not station.sender.step()
    assert (station.line.status().up, station.line.status().waiting) == (False, 1)
    assert station.line.status().note
    station.wire.passing = straight
    station.send()
    assert contents(hub.store) == contents(station.store)


@pytest.mark.parametrize("seq", [-1, 0, 2])
def test_a_hash_of_ours_under_another_number_promises_nothing(pair: Pair, seq: int) -> None:
    _, station = pair
    station.sender.step()
    station.save(a_patient())
    ack = {"seq": seq, "hash": station.commits()[0].hash.hex()}
    station.wire.passing = lambda request, body, go: httpx.Response(
        200,
        json={"protocol": [1, 1], "hub_epoch": "x", "at": clock.now(), "ack": ack},
        request=request,
    )
    station.sender.send_now()
    station.sender.step()
    assert (station.line.status().up, station.line.status().waiting) == (False, 1)


def test_an_answer_that_goes_no_step_is_no_reason_to_ask_without_rest(pair: Pair) -> None:
    _, station = pair
    station.sender.step()
    station.save(a_patient())
    stale = {"seq": 0, "hash": "0" * 64}
    station.wire.passing = lambda request, body, go: httpx.Response(
        200,
        json={"protocol": [1, 1], "hub_epoch": "x", "at": clock.now(), "ack": stale},
        request=request,
    )
    station.sender.send_now()
    assert station.sender.step() is False
    assert not station.line.status().up


def test_a_hub_of_another_protocol_is_named_as_such(pair: Pair) -> None:
    _, station = pair
    station.wire.passing = lambda request, body, go: httpx.Response(
        200,
        json={
            "protocol": [3, 5],
            "hub_epoch": "x",
            "at": 1,
            "ack": {"seq": 0, "hash": "0" * 64},
        },
        request=request,
    )
    station.sender.step()
    assert "upgrade" in station.line.status().note


def test_each_refusal_has_its_own_sentence(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (hub, station):
        station.sender.step()
        assert "not been enrolled" in station.line.status().note
        assert station.wire.sent == []
    with a_pair(folder / "2") as (hub, station):
        (station.folder / "node.key").unlink()
        station.sender.step()
        assert "does not know" in station.line.status().note
    with a_pair(folder / "3") as (hub, station):
        revoke(hub.store, station.store.node, "replaced", "Practitioner/op")
        station.sender.step()
        assert "closed" in station.line.status().note


def test_enrolling_anew_with_another_key_works_without_a_restart(folder: Path) -> None:
    with a_pair(folder) as (hub, station):
        station.send()
        (station.folder / "node.key").write_text("damaged")
        station.sender._key = None  # as after a restart
        station.sender.send_now()
        station.sender.step()
        assert "does not know" in station.line.status().note
        (station.folder / "node.key").unlink()
        enrol_directly(hub.store, station.store, station.folder, "Organization/86001")
        station.save(a_patient())
        station.send()
        (station.folder / "node.key").unlink()  # lost while running, and enrolled again
        enrol_directly(hub.store, station.store, station.folder, "Organization/86001")
        station.save(a_patient())
        station.send()
        assert contents(hub.store) == contents(station.store)


# -- the cut line, and one at a time --------------------------------------------------------------


def test_on_a_cut_line_no_packet_leaves_and_it_goes_on_at_once_afterwards(folder: Path) -> None:
    file = folder / "line.cut"
    with timed(folder, is_cut=file_cut(file)) as (hub, station, ahead):
        settle(station)
        file.touch()
        station.save(a_patient())
        before = len(station.wire.sent)
        for _ in range(100):
            ahead(1)
            station.sender.step()
        station.line.send_now()
        station.sender.step()
        assert len(station.wire.sent) == before
        assert (station.line.status().up, station.line.status().waiting) == (False, 1)
        file.unlink()
        settle(station)
        assert station.line.status().up
        assert contents(hub.store) == contents(station.store)


def test_a_page_on_its_way_is_not_sent_a_second_time(pair: Pair) -> None:
    _, station = pair
    station.sender.step()
    station.save(a_patient())
    on_its_way, go_on = threading.Event(), threading.Event()

    def slow(request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        on_its_way.set()
        assert go_on.wait(10)
        return hub(request, body)

    station.wire.passing = slow
    station.sender.send_now()
    thread = threading.Thread(target=station.sender.step)
    thread.start()
    assert on_its_way.wait(10)
    station.sender.send_now()
    assert station.sender.step() is False
    go_on.set()
    thread.join()
    assert [path for path, _ in station.wire.sent].count("/sync/v1/push") == 1


# -- what the pages see ---------------------------------------------------------------------------


def test_the_state_of_the_line_outlives_a_restart(folder: Path) -> None:
    with timed(folder) as (_, station, ahead):
        station.save(a_patient())
        station.send()
        ahead(100)
        station.wire.passing = dead
        station.save(a_patient())
        station.sender.send_now()
        station.sender.step()
        before = station.line.state()
        assert LineMemory(station.store).state == before
        assert (before.up, before.since, before.last) == (False, clock.now(), clock.now() - 10**8)


def test_a_quiet_line_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with timed(folder) as (_, station, ahead):
        station.save(a_patient())
        station.send()
        kept: list[Any] = []
        monkeypatch.setattr(station.store, "keep", lambda *keeps: kept.append(keeps))
        for _ in range(2000):
            ahead(1)
            station.sender.step()
        assert kept == []


def test_the_last_that_was_sent_is_listed_without_any_name(folder: Path) -> None:
    with timed(folder) as (_, station, ahead):
        for _ in range(25):
            station.save(a_patient(), a_patient())
        saved = clock.now()
        ahead(60)
        station.send()
        station.save(a_patient())
        sent = station.line.sent()
        assert [one.seq for one in sent] == list(range(25, 5, -1))
        assert {one.records for one in sent} == {2}
        assert {one.saved for one in sent} == {saved}
        assert {one.arrived for one in sent} == {clock.now()}


def test_the_line_state_is_cheap(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page asks for it; the first record that waits is read once, not each time."""
    _, station = pair
    station.save(a_patient())
    station.line.status()
    read: list[Any] = []
    monkeypatch.setattr(station.store, "feed", lambda *given: read.append(given))
    for _ in range(100):
        station.line.status()
    assert read == []


def test_how_far_our_clock_is_off_is_known(folder: Path) -> None:
    with timed(folder) as (hub, station, ahead):

        def slow_hub(request: httpx.Request, body: bytes, go: Answering) -> httpx.Response:
            ahead(-3600)
            answer = go(request, body)
            ahead(3600)
            return answer

        station.wire.passing = slow_hub
        station.sender.step()
        assert station.line.state().skew == 3600
        assert hub.store.kept("node-seen", station.store.node)["skew"] == 3_600_000_000

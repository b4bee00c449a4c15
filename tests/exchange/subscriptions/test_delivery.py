"""What was asked for arrives: just that, in order, at least once; nobody waits for another."""

from __future__ import annotations

from datetime import datetime

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.exchange.subscriptions import Subscriptions, overview, posting, send_again
from sokhoe.fhir import encode
from sokhoe.trust import Delete, Keep
from tests.exchange.subscriptions.asking import (
    an_observation,
    by_topic,
    followers,
    now,
    plain,
    settle,
    subscribe,
    until,
)
from tests.exchange.subscriptions.receiver import Receiver
from tests.worlds import Hub, a_patient


@pytest.fixture
def client(hub: Hub) -> TestClient:
    return hub.software()


def test_a_search_is_watched_and_matches_arrive_whole(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    criteria = "Observation?code=http://loinc.org|8480-6&value-quantity=gt139"
    header = ["Authorization: Bearer abc"]
    id = subscribe(hub, client, plain(receiver, criteria, header=header))
    assert now(client, id)["status"] == "active"
    hub.put(a_patient("p1"), an_observation("low", 120), an_observation("high", 180))
    settle(hub)
    assert [(one.method, one.path) for one in receiver.got] == [("PUT", "/in/Observation/high")]
    got = receiver.got[0]
    assert got.body == client.get("/fhir/Observation/high").json()
    assert got.headers["authorization"] == "Bearer abc"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    hub.put(an_observation("low", 140), an_observation("high", 100))
    settle(hub)
    assert receiver.refs == ["Observation/high", "Observation/low"]


def test_without_a_payload_only_the_fact_arrives(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    subscribe(hub, client, plain(receiver, payload=None))
    hub.put(an_observation("a"))
    settle(hub)
    assert [(one.method, one.path, one.body) for one in receiver.got] == [("POST", "/in", None)]


def test_each_version_is_judged_as_it_was_not_as_it_is_now(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    subscribe(hub, client, plain(receiver, "Observation?status=preliminary"))
    hub.put(an_observation("a", status="preliminary"))
    hub.put(an_observation("a", status="final"))
    settle(hub)
    assert receiver.refs == ["Observation/a"]
    assert receiver.got[0].body["status"] == "preliminary"


def test_a_chain_looks_at_other_records(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    hub.put(a_patient("p1", name="Nguyễn Văn An"), a_patient("p2", name="Trần Thị Chi"))
    subscribe(hub, client, plain(receiver, "Observation?subject:Patient.name=tran"))
    hub.put(an_observation("a", patient="p1"), an_observation("b", patient="p2"))
    settle(hub)
    assert receiver.refs == ["Observation/b"]


def test_what_lies_before_the_subscription_is_not_told(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    hub.put(an_observation("before"))
    subscribe(hub, client, plain(receiver))
    hub.put(an_observation("after"))
    settle(hub)
    assert receiver.refs == ["Observation/after"]


def test_a_server_that_starts_empty_tells_all_the_same(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    settle(hub)
    hub.put(a_patient("p1"))
    settle(hub)
    subscribe(hub, client, plain(receiver))
    hub.put(an_observation("a"))
    settle(hub)
    assert receiver.refs == ["Observation/a"]


def test_a_watcher_that_is_late_tells_the_newcomer_nothing_older(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with Receiver() as other:
        subscribe(hub, client, plain(receiver))
        hub.put(an_observation("before"))
        client.post("/fhir/Subscription", content=encode(plain(other)))
        late = Subscriptions(hub.site)
        until(lambda: not late._postman.step())  # active before the watcher has come so far
        hub.put(an_observation("after"))
        until(lambda: not late.step())
        assert receiver.refs == ["Observation/before", "Observation/after"]
        assert other.refs == ["Observation/after"]


def test_many_changes_arrive_in_order(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    subscribe(hub, client, plain(receiver))
    names = [f"o{number:03d}" for number in range(130)]
    hub.put(*(an_observation(name) for name in names))
    settle(hub)
    assert receiver.refs == [f"Observation/{name}" for name in names]


def test_a_topic_begins_with_a_handshake_and_numbers_its_events(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_topic(receiver, most=2))
    assert [one.kind for one in receiver.got] == ["handshake"]
    assert now(client, id)["status"] == "active"
    hub.put(*(an_observation(f"o{n}") for n in range(3)))
    settle(hub)
    hub.gate.machine("ops").commit([Delete("Observation", "o1")])
    settle(hub)
    assert [one.numbers for one in receiver.got] == [[], [1, 2], [3], [4]]
    first, last = receiver.got[1].body, receiver.got[3].body
    assert first["type"] == "history"
    assert receiver.got[3].status("events-since-subscription-start") == "4"
    entries = first["entry"][1:]
    assert [one["resource"]["id"] for one in entries] == ["o0", "o1"]
    assert [one["request"]["method"] for one in entries] == ["POST", "POST"]
    assert last["entry"][1]["request"]["method"] == "DELETE"
    assert "resource" not in last["entry"][1]


@pytest.mark.parametrize(("content", "shown"), [("empty", 0), ("id-only", 1)])
def test_a_topic_shows_no_more_than_was_asked_for(
    hub: Hub, client: TestClient, receiver: Receiver, content: str, shown: int
) -> None:
    subscribe(hub, client, by_topic(receiver, content=content))
    hub.put(an_observation("o1"))
    settle(hub)
    body = receiver.got[-1].body
    assert len(body["entry"]) == 1 + shown
    assert all("resource" not in one for one in body["entry"][1:])
    assert ("focus" in str(body)) == bool(shown)
    assert receiver.got[-1].numbers == [1]


def test_filters_of_a_topic_are_alternatives_and_also_bind_deletions(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    filters = ("Observation?value-quantity=gt200", "Observation?patient=p2&status=final")
    subscribe(hub, client, by_topic(receiver, "Observation", *filters))
    hub.put(
        an_observation("no"),
        an_observation("high", 210),
        an_observation("two", patient="p2"),
        an_observation("other", patient="p2", status="preliminary"),
    )
    hub.gate.machine("ops").commit([Delete("Observation", "no"), Delete("Observation", "high")])
    settle(hub)
    refs = [
        (one["request"]["method"], one["fullUrl"].rpartition("/")[2])
        for got in receiver.got[1:]
        for one in got.body["entry"][1:]
    ]
    assert refs == [("POST", "high"), ("POST", "two"), ("DELETE", "high")]


def test_a_heartbeat_comes_when_nothing_else_did(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")) as ahead:
        subscribe(hub, client, by_topic(receiver, heartbeat=60))
        ahead(59)
        settle(hub)
        assert [one.kind for one in receiver.got] == ["handshake"]
        ahead(2)
        settle(hub)
        ahead(30)
        settle(hub)
        assert [one.kind for one in receiver.got] == ["handshake", "heartbeat"]


# -- permits -------------------------------------------------------------------------------------


def test_a_client_is_told_only_what_it_may_read(hub: Hub, receiver: Receiver) -> None:
    narrow = hub.software("system/Subscription.crus", "system/Observation.rs", "system/Patient.rs")
    id = subscribe(hub, narrow, plain(receiver, "Condition"))
    assert now(narrow, id)["status"] == "off"
    assert "may not read Condition" in now(narrow, id)["error"]
    subscribe(hub, narrow, plain(receiver, "Observation?subject:Patient.name=an"))
    hub.put(a_patient("p1"), an_observation("a"))
    settle(hub)
    assert receiver.refs == ["Observation/a"]  # as its own search would find it


def test_who_loses_a_scope_is_told_nothing_more(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, plain(receiver))
    hub.put(an_observation("a"))
    settle(hub)
    hub.put(an_observation("b"))  # noted before the scope is lost, not sent after
    followers(hub)._watcher.step()
    (name,) = hub.store.all_kept("client")
    granted = hub.store.kept("client", name)
    hub.store.keep(Keep("client", name, {**granted, "scopes": ["system/Patient.rs"]}))
    hub.put(an_observation("c"))
    followers(hub)._watcher.step()
    assert overview(hub.gate)[0].events == 2  # what it may not know of is not even counted
    settle(hub)
    assert receiver.refs == ["Observation/a"]
    assert hub.gate.machine("ops").read("Subscription", id).resource["status"] == "off"
    hub.store.keep(Keep("client", name, None))
    hub.put(an_observation("d"))
    settle(hub)
    assert receiver.refs == ["Observation/a"]


def test_what_is_sent_stands_in_the_audit_as_told_to_the_client(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, plain(receiver))
    hub.put(a_patient("p1"), an_observation("a"))
    settle(hub)
    lines = [line.entry for line in hub.store.entries(patient="Patient/p1", count=50)]
    told = [one for one in lines if one.note == f"Subscription/{id}"]
    assert [(one.name, one.what) for one in told] == [("Test software", ("Observation/a",))]


def test_a_status_written_by_the_client_is_only_a_request(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [500]
    wanted = {**by_topic(receiver), "status": "active"}
    id = subscribe(hub, client, wanted)
    hub.put(an_observation("a"))
    settle(hub)
    assert {one.kind for one in receiver.got} == {"handshake"}
    assert overview(hub.gate)[0].events == 0
    assert id


# -- receivers that are slow, rude or dead -------------------------------------------------------


def test_a_slow_receiver_holds_up_nobody(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    with Receiver(seconds=1.0) as slow:
        subscribe(hub, client, plain(slow))
        subscribe(hub, client, plain(receiver))
        hub.put(*(an_observation(f"o{n}") for n in range(20)))
        follower = followers(hub)
        until(lambda: follower.step() and len(receiver.got) == 20, 15)
        assert len(slow.got) < 20
        slow.seconds = 0
        settle(hub)
        assert slow.refs == receiver.refs


def test_a_receiver_that_fails_is_tried_again_and_then_gets_everything_in_order(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")) as ahead:
        id = subscribe(hub, client, plain(receiver))
        receiver.answers = [503]
        hub.put(*(an_observation(f"o{n}") for n in range(3)))
        settle(hub)
        assert len(receiver.got) == 1
        settle(hub)
        assert len(receiver.got) == 1, "not before its time"
        for tries in (2, 3):
            ahead(5)
            settle(hub)
            assert len(receiver.got) == tries
        assert now(client, id)["status"] == "error"
        assert "503" in now(client, id)["error"]
        receiver.answers = [200]
        receiver.got.clear()
        ahead(6)
        hub.put(an_observation("o3"))
        settle(hub)
        assert receiver.refs == [f"Observation/o{n}" for n in range(4)]
        assert now(client, id)["status"] == "active"
        assert "error" not in now(client, id)


def test_a_turn_that_was_started_too_late_sends_nothing(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")):
        id = subscribe(hub, client, plain(receiver))
        receiver.answers = [503]
        hub.put(an_observation("a"))
        settle(hub)
        followers(hub)._postman._start(id)  # as by a look that is older than the last turn
        until(lambda: not followers(hub)._postman._busy)
        assert len(receiver.got) == 1


def test_pauses_grow_to_a_quarter_of_an_hour_and_are_not_all_alike() -> None:
    pauses = [posting.pause_before(attempt, lambda: 0.5) for attempt in range(2, 40)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 900
    assert len({posting.pause_before(5) for _ in range(20)}) > 10


def test_after_three_days_it_is_off_and_what_waits_is_kept_and_can_be_sent_again(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")) as ahead:
        id = subscribe(hub, client, plain(receiver))
        receiver.answers = [500]
        hub.put(an_observation("a"), an_observation("b"))
        settle(hub)
        ahead(73 * 3600)
        settle(hub)
        assert now(client, id)["status"] == "off"
        (stands,) = overview(hub.gate)
        assert (stands.events, stands.waiting) == (2, 2)
        receiver.answers = [200]
        receiver.got.clear()
        assert send_again(hub.gate, id) is not None
        settle(hub)
        assert receiver.refs == ["Observation/a", "Observation/b"]
        assert now(client, id)["status"] == "active"


def test_what_a_receiver_will_not_take_is_put_aside_and_the_next_follows(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")) as ahead:
        id = subscribe(hub, client, plain(receiver))
        receiver.answers = [422, 422, 422, 200]
        hub.put(an_observation("bad"), an_observation("good"))
        for _ in range(3):
            settle(hub)
            ahead(10)
        assert receiver.refs == ["Observation/bad"] * 3 + ["Observation/good"]
        (stands,) = overview(hub.gate)
        assert [letter.event.ref for letter in stands.dead] == ["Observation/bad"]
        assert "422" in stands.dead[0].error
        assert now(client, id)["status"] == "active"
        send_again(hub.gate, id)
        settle(hub)
        assert receiver.refs[-1] == "Observation/bad"
        assert overview(hub.gate)[0].dead == ()


def test_a_receiver_that_is_gone_is_left_alone(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, plain(receiver))
    receiver.answers = [410]
    hub.put(an_observation("a"), an_observation("b"))
    settle(hub)
    assert len(receiver.got) == 1
    assert now(client, id)["status"] == "off"


def test_a_redirect_is_not_followed(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    with Receiver() as trap:
        subscribe(hub, client, plain(receiver))
        receiver.answers, receiver.headers = [307], {"location": trap.url}
        hub.put(an_observation("a"))
        settle(hub)
        assert len(receiver.got) == 1
        assert trap.got == []


def test_a_subscription_ends_at_its_end_and_leaves_nothing_when_deleted(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    with clock.standing_at(datetime.fromisoformat("2026-11-20T08:00:00+07:00")) as ahead:
        wanted = {**plain(receiver), "end": "2026-11-20T09:00:00+07:00"}
        id = subscribe(hub, client, wanted)
        hub.put(an_observation("a"))
        settle(hub)
        ahead(3601)
        settle(hub)
        assert now(client, id)["status"] == "off"
        hub.put(an_observation("b"))
        settle(hub)
        assert receiver.refs == ["Observation/a"]
        client.delete(f"/fhir/Subscription/{id}")
        settle(hub)
        for kind in ("granted", "numbered", "sent", "dead", f"events.{id}"):
            assert hub.store.all_kept(f"exchange.{kind}") == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"criteria": "Nothing?x=1"}, "no resource type"),
        ({"criteria": "Observation?colour=red"}, "colour"),
        ({"criteria": "Observation?_include=Observation:subject"}, "_include"),
        ({"criteria": "AuditEvent?agent=x"}, "cannot be watched"),
        ({"criteria": "http://example.org/topic"}, "no topic"),
    ],
)
def test_what_cannot_be_served_is_off_with_the_reason(
    hub: Hub, client: TestClient, receiver: Receiver, change: dict[str, str], words: str
) -> None:
    id = subscribe(hub, client, {**plain(receiver), **change})
    assert now(client, id)["status"] == "off"
    assert words in now(client, id)["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoint": "https://example.org/x"}, "does not go to example.org"),
        ({"endpoint": "ftp://127.0.0.1/x"}, "must be https"),
        ({"endpoint": None}, "needs an endpoint"),
        ({"type": "email"}, "not served"),
        ({"payload": "text/csv"}, "text/csv"),
        ({"header": ["Host: elsewhere"]}, "'Host' cannot be sent"),
        ({"header": ["X: a\r\nY: b"]}, "cannot be sent"),
    ],
)
def test_a_channel_that_cannot_be_served_is_off_with_the_reason(
    hub: Hub, client: TestClient, receiver: Receiver, change: dict[str, str], words: str
) -> None:
    id = subscribe(hub, client, plain(receiver, **change))
    hub.put(an_observation("a"))
    settle(hub)
    assert now(client, id)["status"] == "off"
    assert words in now(client, id)["error"]


def test_a_restart_goes_on_where_it_stood(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    subscribe(hub, client, plain(receiver))
    hub.put(an_observation("a"))
    settle(hub)
    hub.put(an_observation("b"))
    again = Subscriptions(hub.site)
    until(lambda: not again.step())
    assert receiver.refs == ["Observation/a", "Observation/b"]

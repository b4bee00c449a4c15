"""What a subscriber may ask about its Subscription, and listening by websocket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from sokhoe.exchange.subscriptions import listening
from sokhoe.fhir import validate
from sokhoe.trust import Keep
from tests.exchange.subscriptions.asking import (
    an_observation,
    by_topic,
    followers,
    now,
    plain,
    settle,
    subscribe,
)
from tests.exchange.subscriptions.receiver import Receiver
from tests.worlds import Hub, a_patient


@pytest.fixture
def client(hub: Hub) -> TestClient:
    return hub.software()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "LOOK", 0.02)


def parameters(resource: dict[str, Any]) -> dict[str, str]:
    validate(resource)
    return {
        row["name"]: str(next(value for key, value in row.items() if key.startswith("value")))
        for row in resource["parameter"]
        if any(key.startswith("value") for key in row)
    }


def test_a_subscription_says_where_it_stands(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_topic(receiver))
    hub.put(an_observation("a"), an_observation("b"))
    settle(hub)
    bundle = client.get(f"/fhir/Subscription/{id}/$status").json()
    said = parameters(bundle["entry"][0]["resource"])
    assert said["status"] == "active"
    assert said["type"] == "query-status"
    assert said["events-since-subscription-start"] == "2"
    assert said["topic"] == "urn:sokhoe:topic:Observation"
    subscribe(hub, client, plain(receiver, "Nothing"))
    assert client.get("/fhir/Subscription/$status").json()["total"] == 1
    assert client.get("/fhir/Subscription/$status?status=off").json()["total"] == 0
    assert client.get(f"/fhir/Subscription/$status?id={id}&status=active").json()["total"] == 1
    assert client.get("/fhir/Subscription/$status?status=on").status_code == 400
    assert client.get("/fhir/Subscription/none/$status").status_code == 404


def test_events_are_given_once_more(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    id = subscribe(hub, client, by_topic(receiver, content="id-only"))
    hub.put(a_patient("p1"), *(an_observation(f"o{n}") for n in range(5)))
    settle(hub)
    url = f"/fhir/Subscription/{id}/$events"
    bundle = client.get(f"{url}?eventsSinceNumber=2&eventsUntilNumber=3").json()
    validate(bundle)
    assert [one["fullUrl"].rpartition("/")[2] for one in bundle["entry"][1:]] == ["o1", "o2"]
    assert all("resource" not in one for one in bundle["entry"][1:])
    whole = client.get(f"{url}?content=full-resource").json()
    assert [one["resource"]["id"] for one in whole["entry"][1:]] == [f"o{n}" for n in range(5)]
    assert len(client.get(f"{url}?eventsSinceNumber=6").json()["entry"]) == 1
    assert client.get(f"{url}?eventsSinceNumber=six").status_code == 400
    assert client.get(f"{url}?content=all").status_code == 400
    lines = [line.entry for line in hub.store.entries(patient="Patient/p1", count=50)]
    assert len([one for one in lines if one.note == f"Subscription/{id}"]) == 3


def test_another_client_gets_neither_events_nor_a_token(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_topic(receiver))
    other = hub.software()
    assert other.get(f"/fhir/Subscription/{id}/$events").status_code == 403
    assert other.get(f"/fhir/Subscription/{id}/$get-ws-binding-token").status_code == 403
    assert other.get(f"/fhir/Subscription/$get-ws-binding-token?id={id}").status_code == 403


# -- websocket -----------------------------------------------------------------------------------


def by_socket(subscription: dict[str, Any]) -> dict[str, Any]:
    channel = {**subscription["channel"], "type": "websocket"}
    del channel["endpoint"]
    return {**subscription, "channel": channel}


def opened(hub: Hub, client: TestClient) -> WebSocketTestSession:
    return hub.client().websocket_connect(
        "/fhir/websocket", headers={"authorization": client.headers["authorization"]}
    )


def test_a_plain_socket_is_bound_and_pinged(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_socket(plain(receiver, "Observation?status=final")))
    assert now(client, id)["status"] == "active"
    with opened(hub, client) as socket:
        socket.send_text(f"bind {id}")
        assert socket.receive_text() == f"bound {id}"
        hub.put(an_observation("no", status="preliminary"))
        hub.put(an_observation("yes"))
        settle(hub)
        assert socket.receive_text() == f"ping {id}"


def test_a_topic_s_notifications_come_by_socket(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_socket(by_topic(receiver)))
    hub.put(an_observation("before"))
    settle(hub)
    token = parameters(client.get(f"/fhir/Subscription/{id}/$get-ws-binding-token").json())
    assert token["websocket-url"].startswith("ws")
    with hub.client().websocket_connect("/fhir/websocket") as socket:
        socket.send_text(f"bind-with-token {token['token']}")
        handshake = json.loads(socket.receive_text())
        said = parameters(handshake["entry"][0]["resource"])
        assert (said["type"], said["events-since-subscription-start"]) == ("handshake", "1")
        hub.put(an_observation("after"))
        settle(hub)
        bundle = json.loads(socket.receive_text())
        validate(bundle)
        assert parameters(bundle["entry"][0]["resource"])["type"] == "event-notification"
        assert [one["resource"]["id"] for one in bundle["entry"][1:]] == ["after"]


def test_who_loses_a_scope_is_unbound(hub: Hub, client: TestClient, receiver: Receiver) -> None:
    id = subscribe(hub, client, by_socket(by_topic(receiver)))
    token = parameters(client.get(f"/fhir/Subscription/{id}/$get-ws-binding-token").json())
    listener = listening.Listener(hub.site, None)
    listener.heard(f"bind-with-token {token['token']}")
    hub.put(an_observation("secret"))
    followers(hub)._watcher.step()
    (name,) = hub.store.all_kept("client")
    granted = hub.store.kept("client", name)
    hub.store.keep(Keep("client", name, {**granted, "scopes": ["system/Patient.rs"]}))
    assert listener.news() == [f"unbound {id}"]
    assert listener.news() == []


@pytest.mark.parametrize("words", ["hello", "bind", "bind none", "bind-with-token abc", "x" * 5000])
def test_a_socket_is_closed_on_what_it_may_not_say(
    hub: Hub, client: TestClient, words: str
) -> None:
    with opened(hub, client) as socket:
        socket.send_text(words)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1008


def test_a_socket_without_a_token_binds_nothing(
    hub: Hub, client: TestClient, receiver: Receiver
) -> None:
    id = subscribe(hub, client, by_socket(plain(receiver)))
    with hub.client().websocket_connect("/fhir/websocket") as socket:
        socket.send_text(f"bind {id}")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    bad = {"authorization": "Bearer wrong"}
    with (
        pytest.raises(WebSocketDisconnect),
        hub.client().websocket_connect("/fhir/websocket", headers=bad),
    ):
        pass
    other = hub.software()
    with opened(hub, other) as socket:
        socket.send_text(f"bind {id}")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def test_a_socket_on_which_nothing_is_bound_is_closed(
    hub: Hub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "PATIENCE", 0.1)
    with opened(hub, client) as socket, pytest.raises(WebSocketDisconnect):
        socket.receive_text()

"""Subscriptions in few words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from sokhoe.exchange.subscriptions import Subscriptions
from sokhoe.fhir import encode
from tests.exchange.subscriptions.receiver import Receiver
from tests.worlds import Hub

GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def plain(receiver: Receiver, criteria: str = "Observation", **channel: Any) -> dict[str, Any]:
    given = {
        "type": "rest-hook",
        "endpoint": receiver.url,
        "payload": "application/fhir+json",
        **channel,
    }
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": criteria,
        "channel": {name: value for name, value in given.items() if value is not None},
    }


def by_topic(
    receiver: Receiver,
    type: str = "Observation",
    *filters: str,
    content: str = "full-resource",
    heartbeat: int = 0,
    most: int = 0,
) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": receiver.url,
        "payload": "application/fhir+json",
        "_payload": {
            "extension": [{"url": GUIDE + "backport-payload-content", "valueCode": content}]
        },
    }
    more = []
    if heartbeat:
        more.append({"url": GUIDE + "backport-heartbeat-period", "valueUnsignedInt": heartbeat})
    if most:
        more.append({"url": GUIDE + "backport-max-count", "valuePositiveInt": most})
    if more:
        channel["extension"] = more
    made = {
        **plain(receiver),
        "meta": {"profile": [GUIDE + "backport-subscription"]},
        "criteria": f"urn:sokhoe:topic:{type}",
        "channel": channel,
    }
    if filters:
        made["_criteria"] = {
            "extension": [
                {"url": GUIDE + "backport-filter-criteria", "valueString": one} for one in filters
            ]
        }
    return made


def subscribe(hub: Hub, client: TestClient, subscription: dict[str, Any]) -> str:
    """Ask, and let the server answer; the id."""
    answer = client.post("/fhir/Subscription", content=encode(subscription))
    assert answer.status_code == 201, answer.text
    settle(hub)
    return str(answer.json()["id"])


def now(client: TestClient, id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/fhir/Subscription/{id}").json()
    return found


def followers(hub: Hub) -> Subscriptions:
    found = next(one for one in hub.app.state.followers if isinstance(one, Subscriptions))
    assert isinstance(found, Subscriptions)
    return found


def settle(hub: Hub, seconds: float = 20.0) -> None:
    """Let the follower run until nothing is under way."""
    until(lambda: not followers(hub).step(), seconds)


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.002)
    raise AssertionError("it did not happen in time")


def an_observation(id: str, value: int = 120, patient: str = "p1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": value, "unit": "mmHg"},
        **more,
    }

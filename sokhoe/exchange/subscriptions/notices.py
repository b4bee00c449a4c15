"""What is sent: requests made of events, nothing else; pure.

    plain, no payload    POST endpoint, no body
    plain, payload       PUT endpoint/Observation/7 with the resource
    topics               POST endpoint with a Bundle whose first entry says where things stand

hl7.org/fhir/R4/subscription.html, hl7.org/fhir/uv/subscriptions-backport/notifications.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sokhoe import clock
from sokhoe.exchange.subscriptions.board import Subscribed
from sokhoe.exchange.subscriptions.ledger import Event
from sokhoe.exchange.subscriptions.wishes import (
    NOTIFICATION_PROFILE,
    STATUS_PROFILE,
    Content,
    Wish,
)
from sokhoe.fhir import encode
from sokhoe.trust import Version

JSON = "application/fhir+json; charset=utf-8"


class Kind(StrEnum):
    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENTS = "event-notification"
    QUERY_STATUS = "query-status"
    QUERY_EVENTS = "query-event"


@dataclass(frozen=True, slots=True)
class Notice:
    """A request to the endpoint; `path` is added to its address."""

    method: str
    path: str
    body: bytes


def plain(wish: Wish, version: Version) -> Notice:
    """Of one event, to the subscriber of a search."""
    if wish.content is Content.EMPTY:
        return Notice("POST", "", b"")
    return Notice("PUT", f"/{version.ref}", version.body)


def of_topic(bundle: dict[str, Any]) -> Notice:
    return Notice("POST", "", encode(bundle))


def notification(
    base: str,
    one: Subscribed,
    wish: Wish,
    kind: Kind,
    total: int,
    events: Sequence[Event] = (),
    versions: Mapping[tuple[str, str, int], Version] | None = None,
    content: Content | None = None,
    error: str = "",
) -> dict[str, Any]:
    """A notification Bundle. `total`: events since the Subscription began; `versions`: the
    resources, by type, id and number, where they are to be shown."""
    shown = wish.content if content is None else content
    status = status_parameters(base, one, wish, kind, total, events, shown, error)
    entries = [
        {
            "fullUrl": f"urn:uuid:{status['id']}",
            "resource": status,
            "request": {"method": "GET", "url": f"Subscription/{one.id}/$status"},
            "response": {"status": "200"},
        }
    ]
    if shown is not Content.EMPTY:
        entries += [_entry(base, event, shown, versions or {}) for event in events]
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"profile": [NOTIFICATION_PROFILE]},
        "type": "history",
        "timestamp": clock.iso(clock.now()),
        "entry": entries,
    }


def status_parameters(
    base: str,
    one: Subscribed,
    wish: Wish,
    kind: Kind,
    total: int,
    events: Sequence[Event] = (),
    content: Content = Content.EMPTY,
    error: str = "",
) -> dict[str, Any]:
    """Where a Subscription stands, as the guide's Parameters for R4."""
    rows: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{one.id}"}},
        {"name": "topic", "valueCanonical": wish.topic or f"urn:sokhoe:topic:{wish.type}"},
        {"name": "status", "valueCode": str(one.state)},
        {"name": "type", "valueCode": str(kind)},
        {"name": "events-since-subscription-start", "valueString": str(total)},
    ]
    for event in events:
        parts: list[dict[str, Any]] = [
            {"name": "event-number", "valueString": str(event.number)},
            {"name": "timestamp", "valueInstant": clock.iso(event.at)},
        ]
        if content is not Content.EMPTY:
            focus = {"reference": f"{base}/{event.ref}"}
            parts.append({"name": "focus", "valueReference": focus})
        rows.append({"name": "notification-event", "part": parts})
    if error:
        rows.append({"name": "error", "valueCodeableConcept": {"text": error}})
    return {
        "resourceType": "Parameters",
        "id": str(uuid4()),
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": rows,
    }


_STATUS = {"POST": "201", "PUT": "200", "DELETE": "204"}


def _entry(
    base: str,
    event: Event,
    content: Content,
    versions: Mapping[tuple[str, str, int], Version],
) -> dict[str, Any]:
    entry: dict[str, Any] = {"fullUrl": f"{base}/{event.ref}"}
    version = versions.get(event.name)
    if content is Content.FULL and version is not None and not version.deleted:
        entry["resource"] = version.resource
    url = event.type if event.method == "POST" else event.ref
    entry["request"] = {"method": event.method, "url": url}
    entry["response"] = {"status": _STATUS[event.method]}
    return entry

"""What a Subscription asks for, understood: what to watch, and where and how to tell of it.

Two kinds, both R4:
    plain    criteria is a search ("Observation?code=…"); hl7.org/fhir/R4/subscription.html
    topics   criteria is the canonical address of a topic, with filters in extensions; the R4 part
             of the Subscriptions Backport guide, hl7.org/fhir/uv/subscriptions-backport

One topic exists for each resource type: `urn:sokhoe:topic:Encounter` tells of every Encounter that
is created, updated or deleted; filters narrow it by any search parameter of the type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from sokhoe.errors import Invalid, SokhoeError
from sokhoe.fhir import TYPES, Query, parse_query, search

TOPIC = "urn:sokhoe:topic:"
_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
PROFILE = _GUIDE + "backport-subscription"
STATUS_PROFILE = _GUIDE + "backport-subscription-status-r4"
NOTIFICATION_PROFILE = _GUIDE + "backport-subscription-notification-r4"
_FILTER = _GUIDE + "backport-filter-criteria"
_CONTENT = _GUIDE + "backport-payload-content"
_HEARTBEAT = _GUIDE + "backport-heartbeat-period"
_TIMEOUT = _GUIDE + "backport-timeout"
_MOST = _GUIDE + "backport-max-count"

# Not in the feed (AuditEvent), about the sending itself, or for machines alone.
UNWATCHED = frozenset({"AuditEvent", "Subscription", "Binary"})
LONGEST_TIMEOUT, USUAL_TIMEOUT = 30, 10  # seconds
MOST_EVENTS, USUAL_EVENTS = 100, 20  # in one notification
LEAST_HEARTBEAT = 10  # seconds
MOST_FILTERS, MOST_HEADERS = 20, 20
_ABOUT_ANSWERS = ("_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total")
_HEADER = re.compile(r"^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\x20-\x7e]{0,4000})$")
# What belongs to the connection and not to the subscriber.
_OURS = frozenset(
    "host content-length content-type content-encoding transfer-encoding connection te trailer "
    "upgrade expect keep-alive proxy-authorization proxy-connection".split()
)


class Channel(StrEnum):
    REST = "rest-hook"
    WEBSOCKET = "websocket"


class Content(StrEnum):
    EMPTY = "empty"
    ID_ONLY = "id-only"
    FULL = "full-resource"


@dataclass(frozen=True, slots=True)
class Filter:
    """One search; `pairs` as they were written, `query` as the index understands them."""

    pairs: tuple[tuple[str, str], ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Wish:
    """A Subscription in plain values. `filters`: one of them must fit (none: all of the type
    does); `topic` "" for a plain one; `heartbeat` 0 for none; `end` in microseconds."""

    type: str
    filters: tuple[Filter, ...]
    topic: str
    channel: Channel
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    content: Content
    heartbeat: int
    timeout: int
    most: int
    end: int | None


def read_wish(resource: dict[str, Any]) -> Wish:
    """Raises Invalid or Unsupported, saying why the Subscription cannot be served."""
    channel = resource["channel"]
    try:
        kind = Channel(channel["type"])
    except ValueError:
        raise Invalid(
            f"The channel {channel['type']!r} is not served.",
            hint="Known: rest-hook, websocket.",
            location="Subscription.channel.type",
        ) from None
    topic = _topic(resource["criteria"])
    type, filters = (
        (topic, _topic_filters(resource, topic)) if topic else _criteria(resource["criteria"])
    )
    if type in UNWATCHED:
        raise Invalid(f"{type} cannot be watched.", location="Subscription.criteria")
    mime = channel.get("payload", "")
    if mime.split(";")[0] not in {"", "application/fhir+json", "application/json"}:
        raise Invalid(
            f"A payload as {mime!r} is not sent; it is application/fhir+json or left out.",
            location="Subscription.channel.payload",
        )
    end = resource.get("end")
    return Wish(
        type=type,
        filters=filters,
        topic=resource["criteria"] if topic else "",
        channel=kind,
        endpoint=_endpoint(channel, kind),
        headers=_headers(channel.get("header", [])),
        content=_content(channel, mime, bool(topic)),
        heartbeat=_seconds(channel, _HEARTBEAT, 0, LEAST_HEARTBEAT, 86_400),
        timeout=_seconds(channel, _TIMEOUT, USUAL_TIMEOUT, 1, LONGEST_TIMEOUT),
        most=_seconds(channel, _MOST, USUAL_EVENTS, 1, MOST_EVENTS) if topic else 1,
        end=search.stretch(end)[0] if end else None,
    )


def _topic(criteria: str) -> str:
    """The type a topic watches, "" for criteria that are a search."""
    if not criteria.startswith(("urn:", "http:", "https:")):
        return ""
    type = criteria.removeprefix(TOPIC)
    if type == criteria or type not in TYPES:
        raise Invalid(
            f"There is no topic {criteria}.",
            hint=f"Known: {TOPIC}Observation and so on, one for each resource type.",
            location="Subscription.criteria",
        )
    return type


def _criteria(criteria: str) -> tuple[str, tuple[Filter, ...]]:
    type, _, text = criteria.partition("?")
    if type not in TYPES:
        raise Invalid(
            f"The criteria begin with {type!r}, which is no resource type.",
            location="Subscription.criteria",
        )
    return type, (_filter(type, text),)


def _topic_filters(resource: dict[str, Any], topic: str) -> tuple[Filter, ...]:
    texts = [
        one.get("valueString", "")
        for one in resource.get("_criteria", {}).get("extension", [])
        if one.get("url") == _FILTER
    ]
    if len(texts) > MOST_FILTERS:
        raise Invalid(f"More than {MOST_FILTERS} filters.", location="Subscription.criteria")
    found = []
    for text in texts:
        type, mark, query = text.partition("?")
        if not mark or type != topic:
            raise Invalid(
                f"The filter {text!r} must begin with '{topic}?'.",
                location="Subscription.criteria",
            )
        found.append(_filter(topic, query))
    return tuple(found)


def _filter(type: str, text: str) -> Filter:
    pairs = tuple(parse_qsl(text, keep_blank_values=True))
    for name, _ in pairs:
        if name.partition(":")[0] in _ABOUT_ANSWERS:
            raise Invalid(
                f"{name} says how to answer a search, not what to watch for.",
                location="Subscription.criteria",
            )
    try:
        return Filter(pairs, parse_query(type, pairs))
    except SokhoeError as error:
        raise Invalid(error.message, hint=error.hint, location="Subscription.criteria") from error


def _endpoint(channel: dict[str, Any], kind: Channel) -> str:
    endpoint = str(channel.get("endpoint", ""))
    if kind is Channel.REST and not endpoint:
        raise Invalid("A rest-hook needs an endpoint.", location="Subscription.channel.endpoint")
    return endpoint


def _headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    if len(lines) > MOST_HEADERS:
        raise Invalid(f"More than {MOST_HEADERS} headers.", location="Subscription.channel.header")
    found = []
    for line in lines:
        match = _HEADER.match(line)
        if match is None or match[1].lower() in _OURS:
            name = line.partition(":")[0][:40]
            raise Invalid(
                f"The header {name!r} cannot be sent.",
                hint="Write 'Name: value'; what belongs to the connection is set by us.",
                location="Subscription.channel.header",
            )
        found.append((match[1], match[2].strip()))
    return tuple(found)


def _content(channel: dict[str, Any], mime: str, topic: bool) -> Content:
    if not topic:
        return Content.FULL if mime else Content.EMPTY
    for one in channel.get("_payload", {}).get("extension", []):
        if one.get("url") == _CONTENT:
            try:
                return Content(one.get("valueCode"))
            except ValueError:
                raise Invalid(
                    f"The payload content {one.get('valueCode')!r} is not known.",
                    hint="Known: " + ", ".join(Content),
                    location="Subscription.channel.payload",
                ) from None
    return Content.EMPTY


def _seconds(channel: dict[str, Any], url: str, usual: int, least: int, most: int) -> int:
    """A number from an extension of the channel, pulled into its bounds."""
    for one in channel.get("extension", []):
        if one.get("url") == url:
            given = one.get("valueUnsignedInt", one.get("valuePositiveInt"))
            if isinstance(given, int):
                return max(least, min(given, most))
    return usual

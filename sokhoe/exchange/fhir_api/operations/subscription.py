"""`Subscription/$status`, `$events`, `$get-ws-binding-token`: where a Subscription stands, its
events once more, and a key for the websocket.

hl7.org/fhir/uv/subscriptions-backport, OperationDefinitions of these names. Only the client that
wrote a Subscription may ask for its events or listen to it.
"""

from __future__ import annotations

from typing import Any

from sokhoe import clock
from sokhoe.errors import Forbidden, Invalid, Unsupported
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.exchange.subscriptions import Board, Kind, State, Subscribed, events_again, status_of
from sokhoe.exchange.subscriptions.wishes import Content

TOKEN_SECONDS = 60
MOST = 500  # events in one answer, Subscriptions in one status


def status(call: OperationCall) -> dict[str, Any]:
    given = call.arguments
    ids = [call.id] if call.id is not None else given.texts("id")
    wanted = set(given.texts("status"))
    unknown = wanted - set(State)
    if unknown:
        raise Invalid(f"There is no status {sorted(unknown)[0]!r}.", location="status")
    if ids:
        found = [call.session.read("Subscription", id).id for id in ids[:MOST]]
    else:
        page = call.session.search("Subscription", [("_count", str(MOST))])
        found = [one.id for one in page.versions]
    board = Board(call.call.site.gate)
    entries = []
    for one in map(board.look, found):
        if one is None or one.wish is None or (wanted and one.state not in wanted):
            continue
        parameters = status_of(board, call.call.base, one, Kind.QUERY_STATUS)
        entries.append({"fullUrl": f"urn:uuid:{parameters['id']}", "resource": parameters})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def events(call: OperationCall) -> dict[str, Any]:
    """Events by number, as far as they are kept, and as far as the client may see them now."""
    board, one = _own(call)
    given = call.arguments
    first = _number(given.text("eventsSinceNumber"), "eventsSinceNumber") or 1
    last = _number(given.text("eventsUntilNumber"), "eventsUntilNumber")
    content = given.text("content")
    if content and content not in set(Content):
        raise Invalid(f"There is no content {content!r}.", location="content", code="value")
    last = min(last, first + MOST - 1) if last is not None else first + MOST - 1
    shown = Content(content) if content else None
    return events_again(board, call.session, call.call.base, one, first, last, shown)


def binding_token(call: OperationCall) -> dict[str, Any]:
    """A token for `bind-with-token`, good for a minute."""
    ids = [call.id] if call.id is not None else call.arguments.texts("id")
    if not ids:
        raise Invalid("Which Subscriptions?", location="id", code="required")
    for id in ids[:MOST]:
        _own(call, id)
    gate = call.call.site.gate
    token = gate.seal({"bind": ids, "client": call.session.actor.id}, TOKEN_SECONDS)
    address = call.call.base.replace("http", "ws", 1) + "/websocket"
    until = clock.iso(clock.now() + TOKEN_SECONDS * 1_000_000)
    rows: list[dict[str, Any]] = [
        {"name": "token", "valueString": token},
        {"name": "expiration", "valueDateTime": until},
        *({"name": "subscription", "valueString": id} for id in ids),
        {"name": "websocket-url", "valueUrl": address},
    ]
    return {"resourceType": "Parameters", "parameter": rows}


def _own(call: OperationCall, id: str | None = None) -> tuple[Board, Subscribed]:
    """The Subscription, if this client wrote it. Raises NotFound, Forbidden, Unsupported."""
    version = call.session.read("Subscription", id or call.id or "")
    board = Board(call.call.site.gate)
    one = board.look(version.id)
    if one is None or one.owner != call.session.actor.id:
        raise Forbidden("Another client's Subscription.", slug="not-yours")
    if one.wish is None:
        raise Unsupported(one.fault, slug="subscription")
    return board, one


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(f"{name} is a whole number, not {text[:40]!r}.", location=name, code="value")
    return int(text)


_URL = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
_TYPES = frozenset({"Subscription"})
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "status",
        _URL + "status",
        status,
        (Parameter("id", "id", many=True), Parameter("status", "code", many=True)),
        type=True,
        instance=True,
        types=_TYPES,
        summary="Where Subscriptions stand.",
    ),
    Operation(
        "events",
        _URL + "events",
        events,
        (
            Parameter("eventsSinceNumber", "string", types=("integer",)),
            Parameter("eventsUntilNumber", "string", types=("integer",)),
            Parameter("content", "code"),
        ),
        instance=True,
        types=_TYPES,
        summary="Events of a Subscription once more, by number.",
    ),
    Operation(
        "get-ws-binding-token",
        _URL + "get-ws-binding-token",
        binding_token,
        (Parameter("id", "id", many=True),),
        type=True,
        instance=True,
        types=_TYPES,
        summary="A token with which a websocket is bound to Subscriptions.",
    ),
)

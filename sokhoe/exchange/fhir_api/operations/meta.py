"""`$meta`, `$meta-add`, `$meta-delete`: the profiles, tags and security labels of a resource.

R4 leaves open whether a change of labels makes a new version. Here it does, since a label may
decide who sees the record: the history must show who put it on or took it off, and when; stations
and the change feed must learn of it. What changes nothing makes no version.

Not offered at the level of a type or of the system: the labels in use are not counted anywhere.
hl7.org/fhir/R4/resource-operation-meta.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sokhoe.errors import Conflict
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.trust import Put

Meta = dict[str, Any]
TRIES = 5
_LABELS = ("profile", "security", "tag")


def meta(call: OperationCall) -> dict[str, Any]:
    assert call.type is not None and call.id is not None
    version = call.session.read(call.type, call.id)
    return _answer(version.resource.get("meta", {}))


def meta_add(call: OperationCall) -> dict[str, Any]:
    return _change(call, added)


def meta_delete(call: OperationCall) -> dict[str, Any]:
    return _change(call, taken)


def added(old: Meta, given: Meta) -> Meta:
    """The labels of both; one that is there already stays as it is."""
    new = dict(old)
    for name in _LABELS:
        known = {_name(one) for one in old.get(name, [])}
        more = [one for one in given.get(name, []) if _name(one) not in known]
        if more:
            new[name] = [*old.get(name, []), *more]
    return new


def taken(old: Meta, given: Meta) -> Meta:
    """Without the labels given; one that is not there is no error."""
    new = dict(old)
    for name in _LABELS:
        gone = {_name(one) for one in given.get(name, [])}
        rest = [one for one in old.get(name, []) if _name(one) not in gone]
        new.pop(name, None)
        if rest:
            new[name] = rest
    return new


def _change(call: OperationCall, change: Callable[[Meta, Meta], Meta]) -> dict[str, Any]:
    assert call.type is not None and call.id is not None
    given = call.arguments.object("meta") or {}
    for attempt in range(TRIES):
        version = call.session.read(call.type, call.id)
        resource = version.resource
        old = resource.get("meta", {})
        new = change(old, given)
        if new == old:
            return _answer(old)
        try:
            receipt = call.session.commit(
                [Put({**resource, "meta": new}, if_version=version.version)],
                note=call.operation.name,
            )
        except Conflict:  # somebody wrote it meanwhile: his version is labelled
            if attempt == TRIES - 1:
                raise
            continue
        return _answer(receipt.versions[0].resource["meta"])
    raise AssertionError("unreachable")


def _name(label: Any) -> Any:
    """What makes a label the same: a profile's address, a coding's system and code."""
    return (label.get("system"), label.get("code")) if isinstance(label, dict) else label


def _answer(meta: Meta) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}


_GIVEN = (Parameter("meta", "Meta", needed=True),)
_URL = "http://hl7.org/fhir/OperationDefinition/Resource-"
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "meta",
        _URL + "meta",
        meta,
        instance=True,
        summary="Profiles, tags and security labels of a resource.",
    ),
    Operation(
        "meta-add",
        _URL + "meta-add",
        meta_add,
        _GIVEN,
        instance=True,
        affects_state=True,
        summary="Put labels on a resource; makes a new version.",
    ),
    Operation(
        "meta-delete",
        _URL + "meta-delete",
        meta_delete,
        _GIVEN,
        instance=True,
        affects_state=True,
        summary="Take labels off a resource; makes a new version.",
    ),
)

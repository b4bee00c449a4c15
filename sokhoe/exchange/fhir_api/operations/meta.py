"""`$meta`: the profiles, tags and labels of a resource, without the resource."""

from __future__ import annotations

from typing import Any

from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall


def meta(call: OperationCall) -> dict[str, Any]:
    assert call.type is not None and call.id is not None
    version = call.session.read(call.type, call.id)
    return _answer(version.resource.get("meta", {}))


def _answer(meta: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "meta",
        "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        meta,
        instance=True,
        summary="Profiles, tags and security labels of a resource.",
    ),
)

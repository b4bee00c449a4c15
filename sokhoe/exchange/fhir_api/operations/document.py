"""`Composition/$document`: a Composition and all it speaks of, as one Bundle that can be sent.

First the Composition, then what it names (subject, authors, sections' entries), then what those
refer to of places, staff, medicines and devices. A record that the Composition names and that is
not there, or that the asker may not see, is an error: half a document must not look whole.
hl7.org/fhir/R4/composition-operation-document.html, …/documents.html
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from sokhoe import clock
from sokhoe.errors import Invalid, Issue, NotFound, Unsupported
from sokhoe.exchange.fhir_api.calls import new_id
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.everything import (
    Read,
    patient_compartment,
    read,
    referred_to,
)
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import TYPES, search
from sokhoe.trust import Put

MOST = 2000  # records a Composition may name
_SPACE = UUID("0a3c1d0c-7a5e-5b8c-9a44-5f6c0e5d3b11")


def document(call: OperationCall) -> dict[str, Any]:
    composition = Read(version := call.session.read("Composition", _id(call)), version.resource)
    named = sorted(search.all_references(composition.resource))
    if len(named) > MOST:
        raise Unsupported(
            f"The Composition names {len(named)} records, more than {MOST}.",
            slug="too-costly",
            code="too-costly",
        )
    found = read(call.session.read_many(named))
    missing = sorted(set(named) - {one.version.ref for one in found})
    if missing:
        raise Invalid(
            f"The document would lack {', '.join(missing[:5])}.",
            hint="Those are not here, or this client may not read them.",
            slug="document-incomplete",
            status=422,
            issues=tuple(
                Issue(f"{ref} cannot be read.", "Composition", "not-found") for ref in missing
            ),
        )
    friends = TYPES - patient_compartment().keys() - {"AuditEvent", "Binary"}
    known = {one.version.ref for one in found}
    more = [
        one
        for one in referred_to(call.session, [composition, *found], frozenset(friends))
        if one.version.ref not in known
    ]
    bundle = _bundle(call.call.base, [composition, *found, *more])
    if call.arguments.flag("persist"):
        if call.call.request.method != "POST":
            raise Unsupported(
                "A document is kept (persist) by POST only.", slug="method", status=405
            )
        call.session.commit([Put(bundle, if_version=0)], note="document")
    return bundle


def _id(call: OperationCall) -> str:
    if call.id is not None:
        return call.id
    text = call.arguments.text("id")
    if not text:
        raise Invalid(
            "Which Composition?",
            hint="Composition/{id}/$document or Composition/$document?id=…",
            slug="parameter",
            location="id",
            code="required",
        )
    own = text.removeprefix(call.call.base + "/").removeprefix("Composition/")
    if "/" in own:
        raise NotFound(f"{text} is not a Composition of this server.")
    return own


def _bundle(base: str, found: list[Read]) -> dict[str, Any]:
    """The document; its identifier follows from the Composition's version, so that asking twice
    gives the same document twice."""
    first = found[0].version
    own = uuid5(_SPACE, f"{base}/{first.ref}/_history/{first.version}")
    return {
        "resourceType": "Bundle",
        "id": new_id(),
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{own}"},
        "type": "document",
        "timestamp": clock.iso(clock.now()),
        "entry": [
            {"fullUrl": f"{base}/{one.version.ref}", "resource": one.resource} for one in found
        ],
    }


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "document",
        "http://hl7.org/fhir/OperationDefinition/Composition-document",
        document,
        (Parameter("id", "uri"), Parameter("persist", "boolean")),
        type=True,
        instance=True,
        types=frozenset({"Composition"}),
        summary="A Composition and all it speaks of, as a document Bundle.",
    ),
)

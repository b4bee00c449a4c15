"""`$reindex`: records are compared with the index, and what is missing or too much is put right.

    POST /fhir/$reindex                 all records, or those of `type`
    POST /fhir/{type}/$reindex          those of a type
    POST /fhir/{type}/{id}/$reindex     one

Always a job: 202 with Content-Location; there, when it is done, Parameters with what was found.
`dryRun`: only look. There is no such operation in R4; other servers have one of this name.
"""

from __future__ import annotations

from starlette.responses import Response

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.exchange.fhir_api.taking import accepted, jobs_of
from sokhoe.fhir import TYPES
from sokhoe.trust import check_reindex

DRY = Parameter("dryRun", "boolean")
PARAMETERS = (DRY, Parameter("type", "code", many=True))


def reindex(call: OperationCall) -> Response:
    session, given = call.session, call.arguments
    types = [call.type] if call.type else sorted(set(given.texts("type"))) or None
    unknown = sorted(set(types or ()) - TYPES)
    if unknown:
        raise Invalid(
            f"There is no resource type {unknown[0]!r}.", slug="unknown-type", location="type"
        )
    check_reindex(session, types)
    if call.type and call.id:
        session.read(call.type, call.id)
    ask = {"types": types, "id": call.id or "", "mend": not given.flag("dryRun")}
    job = jobs_of(call.call).open(session, "reindex", str(call.call.request.url), ask)
    session.note(
        "E", "", f"reindex {job.id} asked for: {', '.join(types or ['all'])} {call.id or ''}"
    )
    return accepted(call.call, job)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "reindex",
        "urn:sokhoe:operation:reindex",
        reindex,
        PARAMETERS,
        system=True,
        affects_state=True,
        long=True,
        summary="Compare all records with the search index and put it right; asynchronous.",
    ),
    Operation(
        "reindex",
        "urn:sokhoe:operation:reindex",
        reindex,
        (DRY,),
        type=True,
        instance=True,
        affects_state=True,
        long=True,
        summary="Compare these records with the search index and put it right; asynchronous.",
    ),
)

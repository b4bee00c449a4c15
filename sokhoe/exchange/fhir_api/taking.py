"""Taking on long work: the drawer of jobs, and the answer that says where to look."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sokhoe.exchange.fhir_api.calls import Call, answer
from sokhoe.exchange.jobs import Folder, Job, Jobs, drawer, root

NDJSON = "application/fhir+ndjson"
NDJSON_TYPES = frozenset({NDJSON, "application/ndjson", "application/x-ndjson"})


def jobs_of(call: Call) -> Jobs:
    return drawer(call.site.gate, call.site.settings)


def address(call: Call, job: Job) -> str:
    return f"{call.base}/$job/{job.id}"


def accepted(call: Call, job: Job) -> Response:
    """The answer to who asked for long work: where he may look how far it is."""
    return answer(
        information("The work is accepted; look at Content-Location how far it is."),
        status=202,
        headers={"Content-Location": address(call, job)},
    )


def folder_of(call: Call, job: Job) -> Folder:
    return Folder(root(call.site.settings), job.id)


def information(text: str) -> dict[str, Any]:
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}

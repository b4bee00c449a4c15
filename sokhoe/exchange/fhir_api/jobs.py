"""Jobs over HTTP: how far, what came of it, end it, take its files.

    GET    /fhir/$job/{id}          202 while it runs, 200 with what came of it, or why it failed
    DELETE /fhir/$job/{id}          end it, remove its files
    GET    /fhir/$job/{id}/{file}   NDJSON, by its owner only

Rules: hl7.org/fhir/uv/bulkdata/export.html and hl7.org/fhir/R4/async.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import FileResponse, Response, StreamingResponse

from sokhoe.errors import NotFound
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, answer, endpoint, http_date
from sokhoe.exchange.fhir_api.later import result
from sokhoe.exchange.fhir_api.taking import (
    NDJSON,
    NDJSON_TYPES,
    address,
    folder_of,
    information,
    jobs_of,
)
from sokhoe.exchange.jobs import Job, State, account, manifest, plain_bytes, report
from sokhoe.web import takes_gzip

RETRY_SECONDS = 2


def status(call: Call) -> Response:
    job = jobs_of(call).find(call.session, call.path["job"])
    if job.open:
        headers = {"X-Progress": progress(job), "Retry-After": str(RETRY_SECONDS)}
        return answer(information(progress(job)), status=202, headers=headers)
    if job.state is State.FAILED:
        return answer(dict(job.failure), status=job.status)
    headers = {"Expires": http_date(job.until)}
    return answer(RESULTS[job.kind](call, job), headers=headers)


def progress(job: Job) -> str:
    share = f"{100 * job.done // job.total} %" if job.total else "0 %"
    return f"{job.state}, {share}"


def cancel(call: Call) -> Response:
    jobs = jobs_of(call)
    job = jobs.find(call.session, call.path["job"])
    jobs.cancel(job)
    folder_of(call, job).remove()
    call.session.note("D", "", f"{job.kind} {job.id} ended by its owner")
    return answer(information("The job is ended and its files are removed."), status=202)


def file(call: Call) -> Response:
    """A file as it lies there, compressed; opened on the way for who does not take gzip."""
    job = jobs_of(call).find(call.session, call.path["job"])
    listed = {one["name"]: one for one in job.result.get("files", [])}
    name = call.path["file"]
    path = folder_of(call, job).whole(name)
    if name not in listed or not path.is_file():
        raise NotFound(f"This job has no file {name}.", slug="no-file")
    call.session.note("R", "", f"{job.kind} {job.id} file {name} fetched")
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Expires": http_date(job.until),
        "Vary": "Accept-Encoding",
    }
    if takes_gzip(call.request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return FileResponse(path, media_type=NDJSON, headers=headers)
    headers["Content-Length"] = str(listed[name]["plain"])
    return StreamingResponse(plain_bytes(path), media_type=NDJSON, headers=headers)


def _answer_of(call: Call, job: Job) -> dict[str, Any]:
    return result(job, folder_of(call, job))


def _manifest_of(call: Call, job: Job) -> dict[str, Any]:
    return manifest(job, address(call, job))


def _report_of(call: Call, job: Job) -> dict[str, Any]:
    return dict(report(job, address(call, job)))


def _account_of(call: Call, job: Job) -> dict[str, Any]:
    return account(job)


RESULTS: Mapping[str, Callable[[Call, Job], dict[str, Any]]] = {
    "export": _manifest_of,
    "import": _report_of,
    "reindex": _account_of,
    "request": _answer_of,
}


def routes() -> list[Endpoint]:
    return [
        endpoint("/fhir/$job/{job}", {"GET": status, "DELETE": cancel}),
        endpoint("/fhir/$job/{job}/{file}", {"GET": file}, accepts=NDJSON_TYPES),
    ]

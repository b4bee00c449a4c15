"""`Prefer: respond-async`: a search, an operation or a batch answered later, as a job.

The request is kept as it came and carried out by the worker through the same handlers, with the
rights that its sender has then. What comes of it is the job's result: a Bundle `batch-response`
with one entry, or, for a batch, the batch's own. Pattern: hl7.org/fhir/R4/async.html, result as in
hl7.org/fhir/R5/async-bundle.html

A batch is carried out once, whatever happens to the process: with each entry's commit goes, in the
same transaction, a note (`job-step`) of what it wrote; an entry that has one is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from sokhoe.errors import NotFound, SokhoeError
from sokhoe.exchange.fhir_api import bundles
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, Handler
from sokhoe.exchange.fhir_api.taking import accepted, jobs_of
from sokhoe.exchange.jobs import Folder, Job, Jobs, State, root
from sokhoe.fhir import decode, encode
from sokhoe.trust import Session
from sokhoe.web import BASE, Site

KIND = "request"
HERE = "/fhir"
NOTE_EVERY = 1.0  # seconds between notes of progress in a batch
_KEPT_HEADERS = ("content-type", "prefer", "if-none-match", "if-modified-since")


def wanted(call: Call) -> bool:
    return "respond-async" in call.prefer


def later(handler: Handler) -> Handler:
    """A handler that answers at once, or later if its caller prefers that."""

    def answered(call: Call) -> Response:
        return take(call) if wanted(call) and not call.replayed else handler(call)

    return answered


def take(call: Call) -> Response:
    """Keep the request, say where its answer will be."""
    jobs, request = jobs_of(call), call.request
    session = call.session
    id = jobs.draw()
    folder = Folder(root(call.site.settings), id)
    folder.make()
    try:
        folder.keep("body", call.body)
        ask = {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "base": request.scope.get(BASE, ""),
            "headers": {
                name: _without_async(request.headers[name])
                for name in _KEPT_HEADERS
                if name in request.headers
            },
        }
        job = jobs.open(session, KIND, str(request.url), ask, id=id)
    except SokhoeError:
        folder.remove()
        raise
    return accepted(call, job)


def _without_async(header: str) -> str:
    parts = (part.strip() for chunk in header.split(",") for part in chunk.split(";"))
    return ", ".join(part for part in parts if part.lower() != "respond-async")


@dataclass(frozen=True, slots=True)
class Later:
    """The kind of job. `routes`: those of the FHIR API; `ask` is what `take` kept."""

    jobs: Jobs
    site: Site
    routes: Sequence[Endpoint]

    def step(self, job: Job, session: Session, folder: Folder) -> Job:
        call, handler = self._call(job, session, folder.kept("body") or b"")
        is_batch = job.ask["path"].rstrip("/") == HERE
        if is_batch:
            job, body = self._batch(job, call)
            status, headers = 200, {}
        else:
            response = handler(call)
            body, status = bytes(response.body), response.status_code
            headers = dict(response.headers)
        folder.keep("answer.json", body)
        result = {"status": status, "headers": headers, "batch": is_batch}
        return self.jobs.save(job, state=State.COMPLETED, result=result, done=1, total=1)

    def drop(self, job: Job) -> None:
        pass

    def _call(self, job: Job, session: Session, body: bytes) -> tuple[Call, Handler]:
        ask = job.ask
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": ask["method"],
            "path": ask["path"],
            "root_path": "",
            "query_string": ask["query"].encode(),
            "headers": [(name.encode(), text.encode()) for name, text in ask["headers"].items()],
            BASE: ask.get("base", ""),
            "app": SimpleNamespace(state=SimpleNamespace(site=self.site)),
        }
        for route in self.routes:
            match, more = route.matches(scope)
            if match is Match.FULL and ask["method"] in route.handlers:
                scope.update(more)
                call = Call(Request(scope), body, session=session)
                return call, route.handlers[ask["method"]]
        raise NotFound(f"There is nothing at {ask['path']}.", slug="no-page")

    # -- a batch ---------------------------------------------------------------------------

    def _batch(self, job: Job, call: Call) -> tuple[Job, bytes]:
        entries = bundles.entries_of(call.resource())
        answers: dict[int, dict[str, Any]] = {}
        noted = time.monotonic()
        for index in bundles.order(entries):
            answers[index] = self._entry(job, call, entries[index], index)
            if time.monotonic() - noted > NOTE_EVERY:
                job = self.jobs.save(job, done=len(answers), total=len(entries))
                noted = time.monotonic()
        listed = [answers[index] for index in range(len(entries))]
        value = {"resourceType": "Bundle", "type": "batch-response", "entry": listed}
        self.jobs.forget_steps(job)
        return job, encode(value)

    def _entry(self, job: Job, call: Call, entry: dict[str, Any], index: int) -> dict[str, Any]:
        before = self.jobs.written(job, index)
        if before:
            return bundles.told_again(call, before)
        with self.jobs.noting(job, index, call.session):
            return bundles.carry_out(call, entry, index)


def result(job: Job, folder: Folder) -> dict[str, Any]:
    """What a finished job of this kind answers with."""
    body = folder.kept("answer.json")
    if body is None:
        raise NotFound("The answer is no longer there.", slug="no-job")
    value: dict[str, Any] | None = decode(body) if body else None
    if job.result["batch"] and value is not None:
        return value
    headers = job.result["headers"]
    response = {"status": str(job.result["status"])}
    for name, header in (("location", "location"), ("etag", "etag")):
        if header in headers:
            response[name] = headers[header]
    entry: dict[str, Any] = {"response": response}
    if value is not None:
        entry["resource"] = value
    return {"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}

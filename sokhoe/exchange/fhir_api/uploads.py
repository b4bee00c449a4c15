"""`POST /fhir/$import` with the records in it: NDJSON as the body, or files of a form.

The body goes to disk as it comes, never into memory whole; it may be compressed
(`Content-Encoding: gzip`). Any other body of `$import` is Parameters and takes the usual way
(operations/importing.py).
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from sokhoe.errors import Invalid, SokhoeError, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, Endpoint, failure
from sokhoe.exchange.fhir_api.taking import NDJSON_TYPES, accepted, jobs_of
from sokhoe.exchange.jobs import Folder, Source, root

log = logging.getLogger("sokhoe.exchange")
FORM = "multipart/form-data"
MOST_FILES = 100
_NAME = re.compile(r"[^A-Za-z0-9._-]")


class Upload(Endpoint):
    """A route that only answers requests that carry records."""

    def matches(self, scope: Any) -> Any:
        match, more = super().matches(scope)
        if match is Match.FULL and scope["method"] == "POST" and _kind(scope) in _KINDS:
            return match, more
        return Match.NONE, {}


_KINDS = NDJSON_TYPES | {FORM}


def _kind(scope: Any) -> str:
    headers = dict(scope["headers"])
    return str(headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower())


def routes() -> list[Endpoint]:
    route = Upload("/fhir/$import", upload, methods=["POST"])
    route.handlers = {}
    return [route]


async def upload(request: Request) -> Response:
    """Keep what comes, take on the job."""
    call = Call(request, b"")
    id = ""
    folder: Folder | None = None
    try:
        # before a byte is kept: who is it, and may he write anything at all?
        await run_in_threadpool(_check, call)
        jobs = jobs_of(call)
        id = jobs.draw()
        folder = Folder(root(call.site.settings), id)
        await run_in_threadpool(folder.make)
        most = call.site.settings.import_megabytes * 1_000_000
        if _kind(request.scope) == FORM:
            sources = await _from_form(request, folder, most)
        else:
            sources = [await _from_body(request, folder, most)]
        return await run_in_threadpool(take, call, sources, id)
    except SokhoeError as error:
        if folder is not None:
            folder.remove()
        return failure(error)
    except ClientDisconnect:
        if folder is not None:
            folder.remove()
        return failure(Invalid("The body ended too early."))
    except Exception:
        log.exception("$import failed")
        if folder is not None:
            folder.remove()
        return failure(SokhoeError("Something went wrong on our side.", slug="failure"))


def _check(call: Call) -> None:
    call.session.writable()


def take(call: Call, sources: Sequence[Source], id: str) -> Response:
    """Take on the job of loading these."""
    files = [{"name": one.name, "kept": one.kept, "inbox": one.inbox} for one in sources]
    session = call.session
    job = jobs_of(call).open(session, "import", str(call.request.url), {"files": files}, id=id)
    session.note("E", "", f"import {job.id} asked for: {', '.join(one.name for one in sources)}")
    return accepted(call, job)


async def _from_body(request: Request, folder: Folder, most: int) -> Source:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise Unsupported(
            f"Content-Encoding {encoding} is not understood.", hint="Use gzip or none.", status=415
        )
    name = "upload.ndjson" + (".gz" if encoding == "gzip" else "")
    size = 0
    with _private(folder.path / name) as file:
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, most)
            await run_in_threadpool(file.write, chunk)
        await run_in_threadpool(_sync, file)
    if not size:
        raise Invalid("The body is empty.", code="required")
    return Source(name, name)


async def _from_form(request: Request, folder: Folder, most: int) -> list[Source]:
    declared = request.headers.get("content-length", "")
    if not declared.isdigit():
        raise Invalid("A form needs a Content-Length.", status=411, slug="length")
    _check_size(int(declared), most)
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=MOST_FILES)
    except HTTPException as error:
        raise Invalid("The form could not be read.", slug="form") from error
    try:
        files = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
        if not files:
            raise Invalid("The form holds no file.", slug="form", code="required")
        return [
            await run_in_threadpool(_kept, one, number, folder) for number, one in enumerate(files)
        ]
    finally:
        await form.close()


def _kept(upload: UploadFile, number: int, folder: Folder) -> Source:
    name = _NAME.sub("_", upload.filename or "upload.ndjson")[-80:]
    compressed = upload.file.read(2) == b"\x1f\x8b"
    upload.file.seek(0)
    kept = f"upload-{number}.ndjson" + (".gz" if compressed else "")
    with _private(folder.path / kept) as file:
        shutil.copyfileobj(upload.file, file)
        _sync(file)
    return Source(name, kept)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise Invalid(
            f"More than {most // 1_000_000} MB at once.",
            hint="Send it compressed or in parts, or let the operator load it "
            "(sokhoe load --bulk).",
            slug="too-large",
            status=413,
            code="too-long",
        )


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())

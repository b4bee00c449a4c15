"""`$import` as a job: NDJSON that was uploaded, or lies in the operator's inbox, written in blocks.

The blocks, their checks and their order are those of `trust/loading.py`. The job's mark is written
in the same transaction as each block, so a crash repeats nothing and leaves nothing out. What is
refused is kept line by line, as a file of the job that its owner can fetch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from sokhoe import clock
from sokhoe.errors import NotFound, Unsupported
from sokhoe.exchange.jobs.files import Folder, Piece, as_mark
from sokhoe.settings import Settings
from sokhoe.trust import Batch, Job, Jobs, Makers, Place, Session, State, open_lines, refusals

SLICE = 0.4
SUFFIXES = (".ndjson", ".ndjson.gz")
OUTCOMES = "OperationOutcome"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to load: its `name` as the client knows it, and where it lies: under this name in the
    job's folder, or in the inbox."""

    name: str
    kept: str
    inbox: bool = False


def in_inbox(settings: Settings, name: str) -> Source:
    """A file of the inbox, by its name there. Raises Unsupported where there is no inbox, NotFound
    for whatever is not a file in it."""
    if not settings.import_inbox:
        raise Unsupported(
            "This server takes no files from a folder.",
            hint="Upload them, or ask its operator to set import_inbox.",
            slug="no-inbox",
        )
    inbox = Path(settings.import_inbox).resolve()
    path = (inbox / name).resolve()
    if not (path.is_relative_to(inbox) and path.is_file() and path.name.endswith(SUFFIXES)):
        raise NotFound(
            f"There is no file {name!r} in the inbox.",
            hint=f"Files there end in {' or '.join(SUFFIXES)}.",
            slug="no-file",
        )
    return Source(name, str(path.relative_to(inbox)), inbox=True)


@dataclass(slots=True)
class Running:
    """A file that is being read; it can be opened anew at any time from the mark."""

    at: int
    file: IO[bytes]
    batches: Iterator[tuple[Batch, Place]]


class Import:
    """The kind of job. `ask` of a job: `files`, a list of sources. Its mark:

    at               which file
    offset, line     the place in it
    loaded           records of all files so far; `refused` lines
    errors           the file of refusals as far as it is finished
    """

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        self._jobs = jobs
        self._settings = settings
        self._running: dict[str, Running] = {}
        self._makers: Makers | None = None

    def step(self, job: Job, session: Session, folder: Folder) -> Job:
        until = time.monotonic() + SLICE
        if not job.mark:
            job = self._begin(job, folder)
        while job.mark["at"] < len(job.ask["files"]):
            job = self._block(job, session, folder)
            if time.monotonic() > until:
                return job
        session.settle()
        return self._finish(job, folder)

    def drop(self, job: Job) -> None:
        running = self._running.pop(job.id, None)
        if running is not None:
            running.file.close()
        if not self._running and self._makers is not None:
            self._makers.close()
            self._makers = None

    def _begin(self, job: Job, folder: Folder) -> Job:
        size = sum(self._path(Source(**one), folder).stat().st_size for one in job.ask["files"])
        errors = Piece("errors.ndjson", OUTCOMES)
        mark = {
            "at": 0,
            "offset": 0,
            "line": 0,
            "loaded": 0,
            "refused": 0,
            "errors": asdict(errors),
        }
        return self._jobs.save(job, mark=mark, total=max(1, size))

    def _block(self, job: Job, session: Session, folder: Folder) -> Job:
        mark = dict(job.mark)
        source = Source(**job.ask["files"][mark["at"]])
        running = self._open(job, session, folder)
        found = next(running.batches, None)
        if found is None:
            self.drop(job)
            mark |= {"at": mark["at"] + 1, "offset": 0, "line": 0}
            return self._jobs.save(job, mark=mark)
        batch, behind = found
        errors = Piece(**mark["errors"])
        if batch.bad:
            errors = folder.add(errors, refusals(batch, source.name).splitlines())
        note = f"import {job.id} {source.name} lines {mark['line'] + 1}-{behind.line}"
        step = behind.offset - mark["offset"]
        mark |= {
            "offset": behind.offset,
            "line": behind.line,
            "loaded": mark["loaded"] + batch.count,
            "refused": mark["refused"] + len(batch.bad),
            "errors": asdict(errors),
        }
        new, keep = self._jobs.changed(job, mark=mark, done=min(job.total, job.done + step))
        session.load(batch, note=note, keeps=[keep])
        return new

    def _open(self, job: Job, session: Session, folder: Folder) -> Running:
        mark = job.mark
        running = self._running.get(job.id)
        if running is None or running.at != mark["at"]:
            source = Source(**job.ask["files"][mark["at"]])
            file = open_lines(self._path(source, folder))
            if self._makers is None:
                self._makers = Makers(self._settings.job_processes)
            place = Place(mark["offset"], mark["line"])
            may = session.writable()
            batches = self._makers.batches(file, place, session.dictionary, may)
            running = self._running[job.id] = Running(mark["at"], file, batches)
        return running

    def _path(self, source: Source, folder: Folder) -> Path:
        if not source.inbox:
            return folder.path / source.kept
        return Path(self._settings.import_inbox) / in_inbox(self._settings, source.kept).kept

    def _finish(self, job: Job, folder: Folder) -> Job:
        self.drop(job)
        mark = job.mark
        errors = Piece(**mark["errors"])
        finished = [folder.finish(errors)] if errors.lines else []
        for one in job.ask["files"]:
            if not one["inbox"]:
                (folder.path / one["kept"]).unlink(missing_ok=True)
        counts = {name: mark[name] for name in ("loaded", "refused")}
        result = {"at": clock.now(), "files": as_mark(finished), "counts": counts}
        return self._jobs.save(job, state=State.COMPLETED, result=result, mark={}, done=job.total)


def report(job: Job, address: str) -> Mapping[str, Any]:
    """What a finished import answers with, in the shape of an export's manifest."""
    counts = job.result["counts"]
    names = ", ".join(one["name"] for one in job.ask["files"])
    return {
        "transactionTime": clock.iso(job.result["at"]),
        "request": job.request,
        "requiresAccessToken": True,
        "output": [{"inputUrl": names, "count": counts["loaded"]}],
        "error": [
            {"type": OUTCOMES, "url": f"{address}/{one['name']}", "count": one["lines"]}
            for one in job.result["files"]
        ],
    }

"""The worker: a follower that does one piece of one job at each step, the longest waiting first.

It holds nothing that it could not find again: after a crash, or in another process, the next step
goes on from the job's mark.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, NotFound, SokhoeError, Unavailable
from sokhoe.exchange.jobs.files import Folder, used
from sokhoe.settings import Settings
from sokhoe.trust import Gate, Job, Jobs, Session, State

log = logging.getLogger("sokhoe.exchange")


class Kind(Protocol):
    """What can be done as a job."""

    def step(self, job: Job, session: Session, folder: Folder) -> Job:
        """Do a piece of about half a second, write down how far it came, return it so."""

    def drop(self, job: Job) -> None:
        """Let go of what is held in memory for a job that goes no further here."""


def drawer(gate: Gate, settings: Settings) -> Jobs:
    return Jobs(gate, hours=settings.job_hours, most=settings.jobs_per_client)


def root(settings: Settings) -> Path:
    return settings.folder / "jobs"


class Worker:
    name = "exchange.jobs"
    follows = False  # its list is the jobs, not the feed

    def __init__(self, jobs: Jobs, settings: Settings, kinds: Mapping[str, Kind]) -> None:
        self._jobs = jobs
        self._kinds = kinds
        self._root = root(settings)
        self._most_bytes = settings.job_gigabytes * 1_000_000_000
        self._me = secrets.token_hex(8)

    def step(self) -> bool:
        """A piece of one job; True when there may be more at once."""
        for job in sorted(self._jobs.all(), key=lambda one: one.changed):
            if self._is_over(job):
                continue
            held = self._jobs.claim(job, self._me)
            if held is not None:
                return self._work(held)
        return False

    def _work(self, job: Job) -> bool:
        folder = Folder(self._root, job.id)
        try:
            session = self._jobs.session(job)
            folder.make()
            self._check_room()
            self._kinds[job.kind].step(job, session, folder)
        except (Busy, Unavailable) as error:
            # Not the job's fault, and it may be better in a moment; it does not wait for ever.
            if error.slug == "job-file":
                self._fail(job, error)
                return True
            log.warning("job %s waits: %s", job.id, error.message)
            return False
        except Conflict as error:
            if error.slug != "kept-changed":  # else: cancelled meanwhile, the next step sees it
                self._fail(job, error)
        except SokhoeError as error:
            self._fail(job, error)
        except Exception:
            log.exception("job %s failed", job.id)
            failure = SokhoeError("Something went wrong on our side.", slug="failure")
            self._fail(job, failure)
        return True

    def _fail(self, job: Job, error: SokhoeError) -> None:
        with contextlib.suppress(Conflict, NotFound):
            self._jobs.fail(self._jobs.again(job), error)

    def _check_room(self) -> None:
        if used(self._root) > self._most_bytes:
            raise Unavailable(
                "The files of all jobs together have reached the limit of this server.",
                hint="Download what is finished and delete it, then ask again.",
                slug="job-file",
            )

    def _is_over(self, job: Job) -> bool:
        """Clear up what has ended: files of cancelled and failed jobs, jobs whose time is over."""
        folder = Folder(self._root, job.id)
        if job.until < clock.now():
            folder.remove()
            self._jobs.forget(job)
            return True
        if job.state in {State.CANCELLED, State.FAILED}:
            self._kinds[job.kind].drop(job)
            if folder.path.exists():
                folder.remove()
            if job.state is State.CANCELLED:
                self._jobs.forget(job)
        return not job.open

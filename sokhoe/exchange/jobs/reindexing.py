"""`$reindex` as a job: records are compared with the index and put right, a piece at each step.

The mark is written in the same transaction as what was put right, so after a crash the next step
goes on behind it; records written meanwhile are indexed as they are written.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sokhoe.exchange.jobs.files import Folder
from sokhoe.trust import Job, Jobs, Keep, Mended, Session, State

SLICE = 0.4
NAMED = 100  # of so many records that differ the account tells the names


class Reindexing:
    """The kind of job. `ask`: `types` (None: all), `id` of one record, `mend`. Its mark: `upto`
    where in the log it ends, `reach` how far it is, and what it found so far."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def step(self, job: Job, session: Session, folder: Folder) -> Job:
        until = time.monotonic() + SLICE
        if not job.mark:
            job = self._begin(job, session)
        while job.mark["reach"] < job.mark["upto"]:
            job = self._look(job, session)
            if time.monotonic() > until:
                return job
        session.note("E", "", f"reindex {job.id}: {job.mark['looked']} records looked at")
        return self._jobs.save(
            job, state=State.COMPLETED, result=dict(job.mark), mark={}, done=job.total
        )

    def drop(self, job: Job) -> None:
        pass

    def _begin(self, job: Job, session: Session) -> Job:
        upto = session.head()
        mark = {"upto": upto, "reach": 0, "looked": 0, "differing": 0, "missing": 0, "extra": 0}
        return self._jobs.save(job, mark={**mark, "named": []}, total=max(1, upto))

    def _look(self, job: Job, session: Session) -> Job:
        made: list[Job] = []

        def noting(done: Mended) -> Sequence[Keep]:
            mark = _after(dict(job.mark), done)
            new, keep = self._jobs.changed(job, mark=mark, done=mark["reach"])
            made[:] = [new]
            return (keep,)

        ask, mark = job.ask, job.mark
        session.reindex(
            ask["types"],
            ask["id"],
            upto=mark["upto"],
            after=mark["reach"],
            mend=ask["mend"],
            noting=noting,
        )
        return made[0]


def _after(mark: dict[str, Any], done: Mended) -> dict[str, Any]:
    named = [
        {"ref": one.ref, "missing": one.missing, "extra": one.extra, "kinds": list(one.kinds)}
        for one in done.differences
    ]
    return mark | {
        "reach": done.reach,
        "looked": mark["looked"] + done.looked,
        "differing": mark["differing"] + len(named),
        "missing": mark["missing"] + sum(one.missing for one in done.differences),
        "extra": mark["extra"] + sum(one.extra for one in done.differences),
        "named": [*mark["named"], *named][:NAMED],
    }


def account(job: Job) -> dict[str, Any]:
    """What a finished one found, as Parameters."""
    found = job.result
    parameter: list[dict[str, Any]] = [
        {"name": name, "valueInteger": found[name]}
        for name in ("looked", "differing", "missing", "extra")
    ]
    parameter.append({"name": "mended", "valueBoolean": job.ask["mend"]})
    for one in found["named"]:
        parts = [
            {"name": "reference", "valueString": one["ref"]},
            {"name": "missing", "valueInteger": one["missing"]},
            {"name": "extra", "valueInteger": one["extra"]},
            *({"name": "kind", "valueCode": kind} for kind in one["kinds"]),
        ]
        parameter.append({"name": "difference", "part": parts})
    return {"resourceType": "Parameters", "parameter": parameter}

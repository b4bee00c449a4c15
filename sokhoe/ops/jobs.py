"""`sokhoe jobs`: exports, imports and requests that are answered later: how far, whose; end one.

It shows no personal data: who asked, what kind of work, how far it is. Works beside the server.
"""

from __future__ import annotations

import argparse

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import NotFound
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import add_settings, settings_from
from sokhoe.trust import Gate, Job, Jobs


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", nargs="?", choices=("list", "cancel"), default="list")
    parser.add_argument("job", nargs="?", help="with cancel: its id, or the beginning of it")
    add_settings(parser, ["data", "database"])


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    store = open_existing(settings)
    try:
        gate = Gate(store, settings)
        jobs = Jobs(gate, hours=settings.job_hours, most=settings.jobs_per_client)
        if arguments.deed == "list":
            show(sorted(jobs.all(), key=lambda one: one.created))
        else:
            job = the_one(jobs.all(), arguments.job or "")
            jobs.cancel(job)
            gate.machine("ops").note("D", "", f"{job.kind} {job.id} ended by the operator")
            print(f"{job.id} is ended; the server removes its files.")
    finally:
        store.close()
    return 0


def the_one(jobs: list[Job], start: str) -> Job:
    """The job whose id begins so. Raises NotFound for none or several."""
    found = [one for one in jobs if start and one.id.startswith(start)]
    if len(found) != 1:
        raise NotFound(
            f"{len(found) or 'No'} jobs begin with {start!r}.",
            hint="Their ids: sokhoe jobs list",
            slug="no-job",
        )
    return found[0]


def show(jobs: list[Job]) -> None:
    if not jobs:
        print("There are no jobs.")
    for one in jobs:
        share = f"{100 * one.done // one.total:3} %" if one.total else "    -"
        print(
            f"{one.id}  {one.kind:<8} {one.state:<9} {share}  {clock.iso_local(one.created)}  "
            f"{one.owner.name}"
        )
        if one.failure:
            print(f"    {one.failure['issue'][0]['diagnostics']}")


def stuck(jobs: list[Job], now: Instant, after: Instant) -> list[Job]:
    """Open jobs at which nobody has worked for so long."""
    return [one for one in jobs if one.open and now - one.changed > after]

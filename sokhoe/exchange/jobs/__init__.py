"""Long work of the FHIR API: the worker, what kinds of jobs it does, and the files they make."""

from sokhoe.exchange.jobs.exporting import Export, manifest
from sokhoe.exchange.jobs.files import Folder, plain_bytes
from sokhoe.exchange.jobs.working import Worker, drawer, root
from sokhoe.settings import Settings
from sokhoe.trust import Gate, Job, Jobs, State

__all__ = [
    "Export",
    "Folder",
    "Job",
    "Jobs",
    "State",
    "Worker",
    "drawer",
    "manifest",
    "plain_bytes",
    "root",
    "worker",
]


def worker(gate: Gate, settings: Settings) -> Worker:
    """The follower that does all kinds of jobs."""
    jobs = drawer(gate, settings)
    return Worker(jobs, settings, {"export": Export(jobs)})

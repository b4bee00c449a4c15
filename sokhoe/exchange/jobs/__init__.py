"""Long work of the FHIR API: the worker, what kinds of jobs it does, and the files they make."""

from collections.abc import Mapping

from sokhoe.exchange.jobs.exporting import Export, manifest
from sokhoe.exchange.jobs.files import Folder, plain_bytes
from sokhoe.exchange.jobs.working import Kind, Worker, drawer, root
from sokhoe.settings import Settings
from sokhoe.trust import Gate, Job, Jobs, State

__all__ = [
    "Export",
    "Folder",
    "Job",
    "Jobs",
    "Kind",
    "State",
    "Worker",
    "drawer",
    "manifest",
    "plain_bytes",
    "root",
    "worker",
]


def worker(gate: Gate, settings: Settings, more: Mapping[str, Kind] | None = None) -> Worker:
    """The follower that does all kinds of jobs; `more`: kinds that need more than a gate."""
    jobs = drawer(gate, settings)
    return Worker(jobs, settings, {"export": Export(jobs), **(more or {})})

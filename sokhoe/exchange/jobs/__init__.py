"""Long work of the FHIR API: the worker, what kinds of jobs it does, and the files they make."""

from collections.abc import Mapping

from sokhoe.exchange.jobs.exporting import Export, manifest
from sokhoe.exchange.jobs.files import Folder, plain_bytes
from sokhoe.exchange.jobs.importing import Import, Source, in_inbox, report
from sokhoe.exchange.jobs.indexing import Indexer
from sokhoe.exchange.jobs.reindexing import Reindexing, account
from sokhoe.exchange.jobs.working import Kind, Worker, drawer, root
from sokhoe.settings import Settings
from sokhoe.trust import Gate, Job, Jobs, State

__all__ = [
    "Export",
    "Folder",
    "Import",
    "Indexer",
    "Job",
    "Jobs",
    "Kind",
    "Reindexing",
    "Source",
    "State",
    "Worker",
    "account",
    "drawer",
    "in_inbox",
    "manifest",
    "plain_bytes",
    "report",
    "root",
    "worker",
]


def worker(gate: Gate, settings: Settings, more: Mapping[str, Kind] | None = None) -> Worker:
    """The follower that does all kinds of jobs; `more`: kinds that need more than a gate."""
    jobs = drawer(gate, settings)
    kinds: dict[str, Kind] = {
        "export": Export(jobs),
        "import": Import(jobs, settings),
        "reindex": Reindexing(jobs),
        **(more or {}),
    }
    return Worker(jobs, settings, kinds)

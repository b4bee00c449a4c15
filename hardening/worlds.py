"""Servers to be attacked: a hub with a few records, on SQLite and on PostgreSQL if it is here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import postgres
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit


@contextmanager
def hubs(**settings: Any) -> Iterator[list[Hub]]:
    """A hub on each database that is here; they end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-hardening-"))
    programs = postgres.programs()
    server = postgres.Server(programs) if programs is not None else None
    made = []
    try:
        for number, url in enumerate(
            [f"sqlite:///{folder}/store.db", *([server.new()] if server else [])]
        ):
            made.append(Hub(folder / str(number), Pack(), database=url, **settings))
        for one in made:
            fill(one)
        yield made
    finally:
        for one in made:
            one.close()
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def fill(hub: Hub) -> None:
    """Two patients, each with a visit; ids as in `IDS`."""
    for number in (1, 2):
        patient = a_patient(f"p{number}", citizen_id=f"00{number}")
        visit = a_visit(patient)
        for one in visit:
            one["id"] = f"v{number}"
        for one in visit[1:]:
            one["encounter"] = {"reference": f"Encounter/v{number}"}
        hub.put(patient, *visit)


IDS = {
    "Patient": ("p1", "p2"),
    "Encounter": ("v1", "v2"),
    "Observation": ("v1", "v2"),
    "Condition": ("v1",),
}

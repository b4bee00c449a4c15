"""`sokhoe load --bulk PATH… --data FOLDER`: NDJSON straight into a server's memory, many at once.

For a back-fill: no HTTP, several processes that read and check, one that writes, 5,000 lines to a
commit. It may run beside the server. Ctrl-C or a power cut is no harm: the same command goes on
where it stood, and what was loaded already is not written twice. A line that is wrong is put into
`load-errors/` of the data folder with its number and the reason; the others are loaded.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sokhoe.errors import NotFound
from sokhoe.ops.audit import open_existing
from sokhoe.ops.cli import settings_from
from sokhoe.settings import Settings
from sokhoe.store import Keep, Loaded, Store
from sokhoe.trust import Batch, Gate, Makers, Place, Session, open_lines, refusals

DRAWER = "load"
SUFFIXES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
ERRORS = "load-errors"
LOOK_AFTER = 50  # batches between two looks for garbage


@dataclass(frozen=True, slots=True)
class Tally:
    """How far one file, or all of them together, is. `errors`: bytes of the file of refusals."""

    offset: int = 0
    line: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    refused: int = 0
    errors: int = 0

    @property
    def records(self) -> int:
        return self.new + self.changed + self.same + self.refused

    def after(self, behind: Place, batch: Batch, errors: int) -> Tally:
        """With a batch done, all but what the writing itself tells."""
        refused = self.refused + len(batch.bad)
        return replace(self, offset=behind.offset, line=behind.line, refused=refused, errors=errors)

    def told(self, loaded: Loaded) -> Tally:
        return replace(
            self,
            new=self.new + loaded.new,
            changed=self.changed + loaded.written - loaded.new,
            same=self.same + loaded.same,
        )


def files_of(paths: list[str]) -> list[Path]:
    """Every NDJSON file meant, in a stable order. Raises NotFound."""
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.name.endswith(SUFFIXES))
        elif path.is_file():
            found.append(path)
        else:
            raise NotFound(f"There is no file or folder {name}.", slug="no-file")
    if not found:
        raise NotFound(f"No file ends in {', '.join(SUFFIXES)}.", slug="no-file")
    return found


def run(arguments: argparse.Namespace) -> int:
    files = files_of(arguments.paths)
    settings = settings_from(arguments)
    store = open_existing(settings)
    begun = time.monotonic()
    done: list[tuple[Path, Tally]] = []
    try:
        with Makers(arguments.processes) as makers, _unburdened(), _progress() as progress:
            loading = Loading(store, settings, makers)
            for path in files:
                size = None if path.suffix == ".gz" else path.stat().st_size
                bar = progress.add_task(path.name, total=size, rate="")
                for tally in loading.load(path):
                    _show(progress, bar, tally)
                done.append((path, tally))
            store.tidy()
    except KeyboardInterrupt:
        print("Stopped. What is loaded stays; the same command goes on where it stood.")
        return 130
    finally:
        store.close()
    _report(done, time.monotonic() - begun, settings)
    return 1 if any(tally.refused for _, tally in done) else 0


class Loading:
    """Loads one file after another, as the room `ops`."""

    def __init__(self, store: Store, settings: Settings, makers: Makers) -> None:
        self._store = store
        self._makers = makers
        self._session: Session = Gate(store, settings).machine("ops")
        self._errors = settings.folder / ERRORS
        self._may = self._session.writable()

    def load(self, path: Path) -> Iterator[Tally]:
        """Load a file from where an earlier run stopped; yields how far it is, at least once."""
        key = _key(path)
        tally = Tally(**(self._store.kept(DRAWER, key) or {}))
        yield tally
        with open_lines(path) as file, self._refusals(path, tally.errors) as errors:
            start = Place(tally.offset, tally.line)
            found = self._makers.batches(file, start, self._session.dictionary, self._may)
            for number, (batch, behind) in enumerate(found, 1):
                if batch.bad:
                    errors.write(refusals(batch, path.name))
                    errors.flush()
                    os.fsync(errors.fileno())
                note = f"load {path.name} lines {tally.line + 1}-{behind.line}"
                tally = tally.after(behind, batch, errors.tell())
                loaded = self._session.load(batch, note=note, keeps=[_mark(key, tally)])
                tally = tally.told(loaded)
                yield tally
                if number % LOOK_AFTER == 0:
                    gc.collect()
        self._store.keep(Keep(DRAWER, key, None))

    @contextmanager
    def _refusals(self, path: Path, size: int) -> Iterator[IO[bytes]]:
        """The file of refusals as it was at the last mark; none is left when nothing is refused."""
        self._errors.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self._errors / f"{path.name}.errors.ndjson"
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+b") as file:
            file.truncate(size)
            file.seek(size)
            yield file
            empty = file.tell() == 0
        if empty:
            name.unlink()


def _mark(key: str, tally: Tally) -> Keep:
    # new, changed and same of the block itself are known only when it is written: a run that was
    # cut off tells them of the blocks before it
    return Keep(DRAWER, key, asdict(tally))


def _key(path: Path) -> str:
    """The same file again: its place, size and time."""
    found = path.resolve().stat()
    text = f"{path.resolve()}|{found.st_size}|{found.st_mtime_ns}"
    return sha256(text.encode()).hexdigest()[:32]


@contextmanager
def _unburdened() -> Iterator[None]:
    """Without the collector of cycles: a load makes millions of values and hardly a cycle."""
    was_on = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _show(progress: Progress, bar: TaskID, tally: Tally) -> None:
    task = progress.tasks[bar]
    seconds = task.elapsed or 0
    first = task.fields.get("first", tally.line)
    rate = f"{(tally.line - first) / seconds:,.0f} lines/s" if seconds > 1 else ""
    progress.update(bar, completed=tally.offset, rate=rate, first=first)


def _report(done: list[tuple[Path, Tally]], seconds: float, settings: Settings) -> None:
    total: dict[str, Any] = {"new": 0, "changed": 0, "same": 0, "refused": 0}
    for path, tally in done:
        for name in total:
            total[name] += getattr(tally, name)
        if tally.refused:
            where = settings.folder / ERRORS / f"{path.name}.errors.ndjson"
            print(f"REFUSED {tally.refused} lines of {path}: see {where}")
    records = sum(total.values())
    rate = f", {records / seconds:,.0f} per second" if seconds else ""
    print(f"{records} records in {seconds:.1f} s{rate}")
    print(", ".join(f"{count} {name}" for name, count in total.items()))

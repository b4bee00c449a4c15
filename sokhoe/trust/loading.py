"""Many records in: NDJSON read, checked and made ready by processes of their own, written by one.

    file ── blocks of whole lines ──▶ worker 1 ─┐
                                      worker 2 ─┴▶ in order ─▶ one commit for each block
                                        └ bad lines: an OperationOutcome each, never a stop

Every block is one durable commit, with its audit line and its mark in the same transaction: after a
crash the load goes on behind the last block that was written, and a block that is sent again
changes nothing, since the same content makes no new version. The blocks come in the order of the
file, so where a record stands twice, the later line counts.
"""

from __future__ import annotations

import gc
import gzip
import os
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sokhoe.errors import Invalid, NotFound, SokhoeError, Unavailable
from sokhoe.fhir import decode, encode, validate
from sokhoe.store import Carrier, Dictionary, pack

BLOCK = 6_000_000  # bytes of a block; with the mean record some 4,500 lines
MOST_LINES = 5_000
LONGEST = 50_000_000  # bytes of one line
FIRST_LINES = 2_000  # until there is a dictionary: what is written before takes more room
FILE_EXTENSION = "urn:sokhoe:file"
LINE_EXTENSION = "urn:sokhoe:line"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a load stands in a file: the next byte (of what is in it, if it is compressed) and
    the number of the line before it."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A block made ready. `bad`: (line, OperationOutcome) of what was refused; `types`: the kinds
    of record in `carried`, `patients` whose they are, `refs` the records."""

    carried: bytes
    count: int
    types: tuple[str, ...]
    patients: tuple[str, ...]
    refs: tuple[str, ...]
    bad: tuple[tuple[int, dict[str, Any]], ...]


def make_ready(block: bytes, first: int, dictionary: Dictionary, may: frozenset[str]) -> Batch:
    """The lines of a block, the first of which has the number `first`, as changes that a store
    writes. `may`: types that may be written. Pure, but for a carrier that is kept."""
    carrier = _carrier(dictionary)
    ready, bad = [], []
    types: set[str] = set()
    patients: set[str] = set()
    refs: list[str] = []
    gc_was_on = gc.isenabled()
    gc.disable()  # what is made here has no cycles, and looking for them takes a third of the time
    try:
        for number, line in enumerate(block.split(b"\n"), first):
            if not line.strip():
                continue
            try:
                resource = _checked(line, may)
                change, of = carrier.ready(resource)
            except SokhoeError as error:
                bad.append((number, error.outcome()))
                continue
            ready.append(change)
            types.add(change.name[0])
            patients.update(of)
            refs.append("/".join(change.name))
    finally:
        if gc_was_on:
            gc.enable()
    return Batch(
        pack(ready),
        len(ready),
        tuple(sorted(types)),
        tuple(sorted(patients)),
        tuple(refs),
        tuple(bad),
    )


_carriers: dict[tuple[int, int], Carrier] = {}


def _carrier(dictionary: Dictionary) -> Carrier:
    name = (dictionary.number, dictionary.parameters.edition)
    if name not in _carriers:
        _carriers.clear()
        _carriers[name] = Carrier(dictionary)
    return _carriers[name]


def _checked(line: bytes, may: frozenset[str]) -> dict[str, Any]:
    resource = decode(line)
    if not isinstance(resource, dict):
        raise Invalid("A line must be one resource (a JSON object).", code="structure")
    validate(resource)
    type = resource["resourceType"]
    if type not in may:
        raise Invalid(f"{type} may not be loaded by this client.", code="forbidden", status=403)
    if "id" not in resource:
        raise Invalid(
            f"The {type} has no id.",
            hint="A record without an id could not be known again when it is sent twice.",
            location=f"{type}.id",
            code="required",
        )
    return resource


# -- files -------------------------------------------------------------------------------------


def open_lines(path: Path) -> IO[bytes]:
    """An NDJSON file, compressed (.gz) or not. Raises NotFound."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", slug="no-file")
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a file, the first of which has the number `first`; `behind` is the place after
    them. `too_long`: it was one line that is longer than any may be, and was not kept."""

    content: bytes
    first: int
    behind: Place
    too_long: bool = False


def blocks(file: IO[bytes], place: Place, lines: Callable[[], int]) -> Iterator[Block]:
    """The file from `place` on; `lines`: how many the next block may have. No more than a block
    and a line is held in memory. Raises Invalid where a compressed file is damaged."""
    try:
        yield from _blocks(file, place, lines)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Invalid(
            f"The file cannot be decompressed: {error}.",
            hint="Was it copied whole? Look with gzip -t.",
            slug="damaged-file",
        ) from error


def _blocks(file: IO[bytes], place: Place, lines: Callable[[], int]) -> Iterator[Block]:
    file.seek(place.offset)
    rest, at = b"", place
    while True:
        read = file.read(BLOCK - len(rest)) if len(rest) < BLOCK else b""
        data = rest + read
        if not data:
            return
        cut = _cut(data, lines(), end=not read)
        if cut:
            content, rest = data[:cut], data[cut:]
            count = content.count(b"\n") + (not content.endswith(b"\n"))
            block = Block(content, at.line + 1, Place(at.offset + cut, at.line + count))
        else:
            block, rest = _long_line(file, data, at), b""
        yield block
        at = block.behind


def _cut(data: bytes, lines: int, *, end: bool) -> int:
    """Behind which byte a block ends: so many lines, or as many as there are whole; 0: none is."""
    if data.count(b"\n") < lines:
        return len(data) if end else data.rfind(b"\n") + 1
    at = -1
    for _ in range(lines):
        at = data.index(b"\n", at + 1)
    return at + 1


def _long_line(file: IO[bytes], begun: bytes, at: Place) -> Block:
    """A line longer than a block, or none of it when it is longer than any may be."""
    parts, size = [begun], len(begun)
    while chunk := file.readline(BLOCK):
        size += len(chunk)
        parts = [*parts, chunk] if size <= LONGEST else []
        if chunk.endswith(b"\n"):
            break
    behind = Place(at.offset + size, at.line + 1)
    return Block(b"".join(parts), behind.line, behind, too_long=size > LONGEST)


# -- processes ---------------------------------------------------------------------------------


class Makers:
    """The processes that make blocks ready; `count` 0: no process but our own."""

    def __init__(self, count: int | None = None) -> None:
        self.count = (os.cpu_count() or 1) if count is None else count
        self._pool = (
            ProcessPoolExecutor(self.count, get_context("spawn"), initializer=_begin)
            if self.count
            else None
        )

    def batches(
        self,
        file: IO[bytes],
        place: Place,
        dictionary: Callable[[], Dictionary],
        may: frozenset[str],
    ) -> Iterator[tuple[Batch, Place]]:
        """The blocks of a file made ready, in order, each with the place behind it. Raises
        Unavailable when a process died (no memory, killed)."""
        waiting: deque[tuple[Future[Batch], Place]] = deque()
        todo = blocks(file, place, lambda: MOST_LINES if dictionary().number else FIRST_LINES)
        more = True
        while more or waiting:
            # without a dictionary one at a time: the next may be written with one
            while more and len(waiting) < (self.count + 2 if dictionary().number else 1):
                block = next(todo, None)
                if block is None:
                    more = False
                    break
                waiting.append((self._make(block, dictionary(), may), block.behind))
            if waiting:
                made, behind = waiting.popleft()
                try:
                    yield made.result(), behind
                except BrokenProcessPool as error:
                    raise Unavailable(
                        "A process that reads the file was ended from outside.",
                        hint="Is there enough memory? Start again: it goes on where it stood.",
                        slug="load-process",
                    ) from error

    def _make(self, block: Block, dictionary: Dictionary, may: frozenset[str]) -> Future[Batch]:
        if self._pool is not None and not block.too_long:
            return self._pool.submit(make_ready, block.content, block.first, dictionary, may)
        done: Future[Batch] = Future()
        if block.too_long:
            refused = Invalid(f"The line is longer than {LONGEST:,} bytes.", code="too-long")
            done.set_result(Batch(pack([]), 0, (), (), (), ((block.first, refused.outcome()),)))
        else:
            done.set_result(make_ready(block.content, block.first, dictionary, may))
        return done

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _begin() -> None:
    """Ctrl-C is for the process that writes, which ends the others; and nobody outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def refusals(batch: Batch, name: str) -> bytes:
    """The lines that were refused, as NDJSON of OperationOutcomes that name file and line."""
    lines = []
    for number, outcome in batch.bad:
        where = [
            {"url": FILE_EXTENSION, "valueString": name},
            {"url": LINE_EXTENSION, "valueInteger": number},
        ]
        kind, *rest = outcome.items()
        lines.append(encode(dict([kind, ("extension", where), *rest])) + b"\n")
    return b"".join(lines)

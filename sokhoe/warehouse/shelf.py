"""The folder of the warehouse and its list of contents: what is not in the list is not there.

    warehouse/
      key                                     see pseudonyms
      manifest.json                           the list; replaced whole, never changed in place
      bronze/000000000001-000000002000.ndjson.zst   lines without names, by sequence range
      visits/000000000001-000000002000.parquet      a table's part: the rows of the same range
      results/coverage-17.parquet             an indicator's result, of generation 17

A part is written beside, flushed to disk, renamed; then the list the same way. A power cut leaves
the old list or the new one, and files that no list names, which the next load removes. A table is
the union of its parts, the newest row of each id (highest `seq`); parts are merged as they grow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

import msgspec

from sokhoe.errors import Unavailable

# The shape of bronze lines; a new one means: load again from the feed.
BRONZE_SHAPE = 1
# The shape of tables; a new one means: make them again from bronze.
TABLE_SHAPE = 1
MANIFEST = "manifest.json"
BRONZE = "bronze"


@dataclass(frozen=True, slots=True)
class Part:
    """One file: rows of one table for the versions `first`..`last` of the feed, both included."""

    table: str
    file: str
    rows: int
    bytes: int
    hash: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Result:
    """One indicator's computed rows."""

    indicator: str
    file: str
    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list. `reach`: the feed is loaded up to here; `loaded_at`: when (microseconds);
    `tip_seq`, `tip`: number and hash of the newest version loaded;
    `results_reach`, `results_at`: the same for the results; `key`: fingerprint of the pseudonyms'
    key; `generation` grows by one with each list."""

    bronze_shape: int = BRONZE_SHAPE
    table_shape: int = TABLE_SHAPE
    key: str = ""
    generation: int = 0
    reach: int = 0
    loaded_at: int = 0
    tip_seq: int = 0
    tip: str = ""
    parts: tuple[Part, ...] = ()
    results: tuple[Result, ...] = ()
    results_reach: int = 0
    results_at: int = 0

    def of(self, table: str) -> list[Part]:
        """A table's parts, oldest first."""
        return sorted((part for part in self.parts if part.table == table), key=lambda p: p.first)

    def files(self) -> set[str]:
        return {part.file for part in self.parts} | {result.file for result in self.results}


@dataclass(slots=True)
class Shelf:
    """The folder. One process writes (the loader); any number read."""

    folder: Path

    def read(self) -> Manifest:
        """The list as it stands on disk; an empty one before the first load."""
        try:
            raw = (self.folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            return Manifest()
        try:
            return msgspec.json.decode(raw, type=Manifest)
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"The list of the warehouse {self.folder / MANIFEST} cannot be read: {error}",
                hint="Delete the folder: it is loaded again from the feed.",
                slug="warehouse-manifest",
            ) from None

    def path(self, file: str) -> Path:
        return self.folder / file

    def place(self, table: str, first: int, last: int) -> str:
        """Where a part goes, relative to the folder."""
        suffix = "ndjson.zst" if table == BRONZE else "parquet"
        return f"{table}/{first:012d}-{last:012d}.{suffix}"

    def beside(self, file: str) -> Path:
        """The path to write to before the file gets its name."""
        path = self.folder / f"{file}.part"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def settle(self, file: str) -> tuple[int, str]:
        """Flush what was written beside and give it its name; its size and hash."""
        beside, path = self.beside(file), self.folder / file
        digest = _flush(beside)
        size = beside.stat().st_size
        beside.replace(path)
        return size, digest

    def publish(self, manifest: Manifest) -> Manifest:
        """Make a new list the standing one, when everything it names is on disk."""
        manifest = replace(manifest, generation=manifest.generation + 1)
        for folder in {self.path(file).parent for file in manifest.files()}:
            _flush_folder(folder)
        beside = self.beside(MANIFEST)
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        _flush(beside)
        beside.replace(self.folder / MANIFEST)
        _flush_folder(self.folder)
        return manifest

    def sweep(self, *keep: Manifest) -> int:
        """Remove files that none of these lists names; returns how many."""
        named = {file for manifest in keep for file in manifest.files()}
        gone = 0
        for path in sorted(self.folder.glob("*/*")):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in named:
                path.unlink()
                gone += 1
        return gone

    def missing(self, manifest: Manifest, table: str | None = None) -> list[str]:
        """Parts that are gone or have not the size that the list says."""
        return [
            part.file
            for part in manifest.parts
            if (table is None or part.table == table)
            and (not self.path(part.file).is_file() or _size(self.path(part.file)) != part.bytes)
        ]

    def damaged(self, manifest: Manifest) -> list[str]:
        """Files whose content is not what was written (reads everything)."""
        listed: Iterable[Part | Result] = (*manifest.parts, *manifest.results)
        return [
            one.file
            for one in listed
            if not self.path(one.file).is_file() or _hash(self.path(one.file)) != one.hash
        ]


def tail_to_merge(parts: list[Part], most: int) -> list[Part]:
    """Which newest parts to melt into one when there are more than `most`: as far back as the next
    older part is at most twice as large as what is already taken, so that each row is rewritten
    only about log(n) times and few parts remain."""
    if len(parts) <= most:
        return []
    taken = [parts[-1]]
    size = parts[-1].bytes
    for part in reversed(parts[:-1]):
        if part.bytes > 2 * size:
            break
        taken.insert(0, part)
        size += part.bytes
    return taken if len(taken) > 1 else parts[-2:]


def _size(path: Path) -> int:
    return path.stat().st_size


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> str:
    with path.open("rb+") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    return digest


def _flush_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is (Linux: fsync of the directory)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

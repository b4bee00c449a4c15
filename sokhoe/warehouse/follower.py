"""The loader: follows the feed of changes and keeps the warehouse folder true to it.

One step is one batch of the feed: lines without names to a bronze part, from it each table's part,
everything flushed to disk, then the new list, and only then the mark in the memory moves. The list
is what counts: on each step the mark is first set to what the list says, so a crash in between, a
folder put back from an older backup, or a folder deleted all end in the same tables. When the feed
is caught up the results are computed anew.

Everything can be made again: tables from bronze (`rebuild`), bronze from the feed (delete the
folder).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from hashlib import sha256

import duckdb
import zstandard

from sokhoe import clock
from sokhoe.trust import Session, Version
from sokhoe.warehouse import tables
from sokhoe.warehouse.engine import connection
from sokhoe.warehouse.indicators import catalogue, compute, prepare
from sokhoe.warehouse.pseudonyms import Pseudonyms, open_key
from sokhoe.warehouse.seams import Places
from sokhoe.warehouse.shelf import (
    BRONZE,
    BRONZE_SHAPE,
    TABLE_SHAPE,
    Manifest,
    Part,
    Result,
    Shelf,
    tail_to_merge,
)
from sokhoe.warehouse.stripping import KEPT_TYPES, line

log = logging.getLogger("sokhoe.warehouse")
MINUTE = 60_000_000
# Versions per step: some of them may be whole files, so their number bounds the memory.
BATCH = 8000
# More parts of a table than this are merged.
PARTS = 12
# Results are computed anew at least so often: "the last 7 days" move on although nothing arrives.
STALE = 15 * MINUTE


@dataclass(slots=True)
class Loader:
    """The follower `warehouse`. `minutes`: the shortest time between two loads once the feed was
    caught up (setting warehouse_minutes)."""

    session: Session
    places: Places
    shelf: Shelf
    minutes: int = 1
    name: str = field(default="warehouse", init=False)
    _rest_until: int = field(default=0, init=False)
    _started: bool = field(default=False, init=False)

    def step(self) -> bool:
        """Load one batch, or compute the results; True when there is more to load at once."""
        if clock.now() < self._rest_until:
            return False
        pseudonyms = open_key(self.shelf.folder)
        manifest = self._standing(pseudonyms)
        if self.session.mark_of(self.name) != manifest.reach:
            self.session.done(self.name, manifest.reach)
        versions, reach = self.session.follow(self.name, BATCH, types=KEPT_TYPES)
        if reach > manifest.reach:
            manifest = self._load(manifest, versions, reach, pseudonyms)
            self.session.done(self.name, reach)
        more = reach < self.session.head()
        due = manifest.results_reach < manifest.reach or not manifest.results
        late = clock.now() - manifest.results_at > STALE
        if (due and not more) or late:
            self._compute(manifest)
        if not more:
            self._rest_until = clock.now() + self.minutes * MINUTE
        return more

    def rebuild(self) -> Manifest:
        """Make every table again from bronze, then the results."""
        manifest = self._retable(self.shelf.read())
        return self._compute(manifest)

    # -- which list counts -----------------------------------------------------------------

    def _standing(self, pseudonyms: Pseudonyms) -> Manifest:
        """The list to go on from, after putting right what is not as it should be."""
        manifest = self.shelf.read()
        if manifest.generation == 0:
            return Manifest(key=pseudonyms.fingerprint)
        reason = ""
        if manifest.key != pseudonyms.fingerprint:
            reason = "its key is another one"
        elif manifest.bronze_shape != BRONZE_SHAPE:
            reason = "its lines have an older shape"
        elif not self._same_past(manifest):
            reason = "the memory has another past than the one loaded (put back from a backup?)"
        elif self.shelf.missing(manifest, BRONZE):
            reason = "parts of it are missing"
        if reason:
            log.warning("warehouse: loading everything again, since %s", reason)
            return self._empty(manifest, pseudonyms)
        if manifest.table_shape != TABLE_SHAPE or self.shelf.missing(manifest):
            log.warning("warehouse: making the tables again from bronze")
            return self._retable(manifest)
        return manifest

    def _same_past(self, manifest: Manifest) -> bool:
        """Is the newest version we loaded still that one in the memory? Asked once per start: a
        memory put back from a backup gives the same numbers to other versions."""
        if manifest.reach > self.session.head():
            return False
        if self._started or manifest.tip_seq == 0:
            return True
        self._started = True
        self.session.done(self.name, manifest.tip_seq - 1)
        versions, _ = self.session.follow(self.name, 1, types=KEPT_TYPES)
        return [_tip(one) for one in versions] == [manifest.tip]

    def _empty(self, manifest: Manifest, pseudonyms: Pseudonyms) -> Manifest:
        fresh = Manifest(key=pseudonyms.fingerprint, generation=manifest.generation)
        fresh = self.shelf.publish(fresh)
        self.shelf.sweep(fresh)
        return fresh

    # -- loading ---------------------------------------------------------------------------

    def _load(
        self,
        manifest: Manifest,
        versions: Sequence[Version],
        reach: int,
        pseudonyms: Pseudonyms,
    ) -> Manifest:
        made = (line(version, pseudonyms, self.places.area_of) for version in versions)
        lines = [one for one in made if one is not None]
        parts = list(manifest.parts)
        if lines:
            bronze = self._write_bronze(lines, manifest.reach + 1, reach)
            parts.append(bronze)
            with self._duck() as duck:
                parts += self._write_tables(duck, bronze)
                parts = self._merged(duck, parts)
        before = manifest
        manifest = self.shelf.publish(
            replace(
                manifest,
                parts=tuple(parts),
                reach=reach,
                loaded_at=clock.now(),
                tip_seq=versions[-1].seq if versions else manifest.tip_seq,
                tip=_tip(versions[-1]) if versions else manifest.tip,
            )
        )
        # What the list before names is left for whoever is reading just now.
        self.shelf.sweep(before, manifest)
        return manifest

    def _write_bronze(self, lines: Sequence[bytes], first: int, last: int) -> Part:
        file = self.shelf.place(BRONZE, first, last)
        packed = zstandard.ZstdCompressor(level=3).compress(b"".join(lines))
        self.shelf.beside(file).write_bytes(packed)
        return self._settled(BRONZE, file, len(lines), first, last)

    def _write_tables(self, duck: duckdb.DuckDBPyConnection, bronze: Part) -> list[Part]:
        tables.read_lines(duck, self.shelf.path(bronze.file))
        made = []
        for table in tables.TABLES:
            file = self.shelf.place(table.name, bronze.first, bronze.last)
            rows = tables.write_part(duck, table, self.shelf.beside(file))
            if rows:
                made.append(self._settled(table.name, file, rows, bronze.first, bronze.last))
            else:
                self.shelf.beside(file).unlink()
        return made

    def _merged(self, duck: duckdb.DuckDBPyConnection, parts: list[Part]) -> list[Part]:
        """The parts, the newest of each table melted into one where they have become many."""
        for name in (BRONZE, *tables.BY_NAME):
            own = sorted((part for part in parts if part.table == name), key=lambda p: p.first)
            melt = tail_to_merge(own, PARTS)
            if melt:
                parts = [part for part in parts if part not in melt] + [self._melt(duck, melt)]
        return parts

    def _melt(self, duck: duckdb.DuckDBPyConnection, melt: Sequence[Part]) -> Part:
        name, first, last = melt[0].table, melt[0].first, melt[-1].last
        file = self.shelf.place(name, first, last)
        paths = [self.shelf.path(part.file) for part in melt]
        if name == BRONZE:  # zstd frames may stand one after the other (RFC 8878 §3)
            with self.shelf.beside(file).open("wb") as stream:
                for path in paths:
                    with path.open("rb") as source:
                        shutil.copyfileobj(source, stream)
            rows = sum(part.rows for part in melt)
        else:
            rows = tables.merge_parts(duck, tables.BY_NAME[name], paths, self.shelf.beside(file))
        return self._settled(name, file, rows, first, last)

    def _retable(self, manifest: Manifest) -> Manifest:
        bronze = manifest.of(BRONZE)
        parts = list(bronze)
        for one in bronze:
            with self._duck() as duck:
                parts += self._write_tables(duck, one)
                parts = [p for p in parts if p.table == BRONZE] + self._merged(
                    duck, [p for p in parts if p.table != BRONZE]
                )
        made = self.shelf.publish(
            replace(manifest, table_shape=TABLE_SHAPE, parts=tuple(parts), results_reach=0)
        )
        self.shelf.sweep(made)
        return made

    # -- results ---------------------------------------------------------------------------

    def _compute(self, manifest: Manifest) -> Manifest:
        now = clock.now()
        results = []
        with self._duck() as duck:
            open_tables(duck, self.shelf, manifest)
            prepare(duck, self.places, now)
            for indicator in catalogue().values():
                file = f"results/{indicator.key}-{manifest.generation + 1}.parquet"
                rows = compute(duck, indicator, self.shelf.beside(file))
                _, digest = self.shelf.settle(file)
                results.append(Result(indicator.key, file, rows, digest))
        made = self.shelf.publish(
            replace(manifest, results=tuple(results), results_reach=manifest.reach, results_at=now)
        )
        self.shelf.sweep(manifest, made)
        return made

    # -- inside ----------------------------------------------------------------------------

    def _settled(self, table: str, file: str, rows: int, first: int, last: int) -> Part:
        size, digest = self.shelf.settle(file)
        return Part(table, file, rows, size, digest, first, last)

    def _duck(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return connection(self.shelf.folder / "spill")


def _tip(version: Version) -> str:
    """What tells a version from another one with the same number (a hash: ids stay outside)."""
    said = f"{version.ref} {version.version} {version.at}"
    return sha256(said.encode()).hexdigest()[:16]


def open_tables(duck: duckdb.DuckDBPyConnection, shelf: Shelf, manifest: Manifest) -> None:
    """Every table of the list as a view of its name."""
    for table in tables.TABLES:
        paths = [shelf.path(part.file) for part in manifest.of(table.name)]
        tables.open_table(duck, table, paths)

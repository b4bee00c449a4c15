"""The memory on SQLite: one file, readers that never wait, one writer at a time.

WAL with `synchronous=FULL`: a commit is on disk when `commit` returns. Audit lines of reads alone
are written with NORMAL (they survive the end of the process, not a power cut) and are synced
within a second.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import apsw

from sokhoe.errors import Busy, Unavailable
from sokhoe.store import opening, planning, rows, schema, sqlite_index, upgrading
from sokhoe.store.blinding import Blind
from sokhoe.store.copying import Fill, copy
from sokhoe.store.indexing import Link
from sokhoe.store.keying import Keys
from sokhoe.store.layout import dated
from sokhoe.store.leading import FileLead, Lead
from sokhoe.store.mending import Actual, Expected, Wrong
from sokhoe.store.pieces import Sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES, Plan, Standing
from sokhoe.store.rows import Indexed
from sokhoe.store.searching import COLUMNS, Reader, Rows
from sokhoe.store.shapes import Scope
from sokhoe.store.sqlgen import Asking
from sokhoe.store.sqlite_soon import SqliteSoon, limited
from sokhoe.store.sqlstore import PACKED_AGAIN, Names, SqlStore
from sokhoe.store.straying import STEP, Row

log = logging.getLogger("sokhoe.store")

BUSY_MS = 10_000
SYNC_WITHIN = 0.8  # seconds until audit lines written without fsync are synced
WRITER_CACHE_KB = 65_536
READER_CACHE_KB = 8_192
MOST_IDLE = 16
CHECKPOINT_PAGES = 4_000  # 16 MiB of changes before they are carried into the main file
MIGRATIONS = "migrations(n INTEGER PRIMARY KEY, name TEXT NOT NULL)"
INLINE = 200  # so many values stand in the statement itself, more in a JSON list


# kind of row, its table, how it is written
_RANGES: tuple[tuple[str, str, str, Callable[[Indexed], list[Any]]], ...] = (
    ("dates", "dte", "INSERT INTO dte(p, lo, hi, d, pk) VALUES(?, ?, ?, ?, ?)", rows.date_rows),
    ("texts", "str", "INSERT INTO str(p, v, d, pk) VALUES(?, ?, ?, ?)", rows.text_rows),
    ("numbers", "num", "INSERT INTO num(p, v, d, pk) VALUES(?, ?, ?, ?)", rows.number_rows),
)
_LINK = "INSERT INTO link(pk, t, own) VALUES(?, ?, ?)"
_PLACE = "UPDATE res SET d=?, span=? WHERE seq=?"


@lru_cache(maxsize=64)
def _listed(values: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, values)) + "]"


class SqliteDialect:
    blind: Blind | None = None  # the whole file is encrypted where anything is
    owners: ClassVar = "SELECT pk, t FROM link WHERE pk>? AND pk<=? AND own=1 ORDER BY pk"

    def xor(self, constant: int, column: str) -> str:
        # SQLite has no xor; this is one, and cannot leave 64 bits
        return f"(({constant} | {column}) - ({constant} & {column}))"

    def contains(self, column: str) -> str:
        return f"instr({column}, ?)>0"

    def by_pk(self, table: str) -> str:
        return f"INDEXED BY {table}_pk"

    def one_of(self, column: str, values: Sequence[int]) -> Sql:
        if len(values) == 1:
            return Sql(f"{column}=?", tuple(values))
        if len(values) <= INLINE:
            return Sql(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))
        return Sql(f"{column} IN (SELECT value FROM json_each(?))", (_listed(tuple(values)),))

    def asking(self, scope: Scope) -> Asking:
        return Asking(self, scope)


class SqliteStore(SqlStore, SqliteSoon):
    dialect = SqliteDialect()
    by_pk = ("dte", "str", "num")

    def __init__(self, path: str, journals: Path | None = None, keys: Keys | None = None) -> None:
        super().__init__(keys)
        self.path = path
        self._key = opening.key_for(path, keys)
        if keys and self._key is None:
            log.warning("%s stands in the clear. Encrypt it: sokhoe keys encrypt", path)
        self._idle: list[apsw.Connection] = []
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._unsynced = threading.Event()
        self._syncer: threading.Thread | None = None
        try:
            self._writer = self._connect(WRITER_CACHE_KB)
            # A commit of 50 records touches some 700 pages of the hash index, wherever they lie;
            # with pages of 4 KiB instead of 8 half as much goes to disk (445 -> 385 us/record).
            self._writer.pragma("page_size", 4096)
            self._writer.pragma("journal_mode", "wal")
            self._writer.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            self._migrate()
        except (apsw.CantOpenError, apsw.NotADBError, apsw.IOError) as error:
            raise Unavailable(
                f"{path} cannot be opened as a store: {error}.",
                hint="Is the folder there and writable, and the file a store of sokhoe?",
            ) from error
        self._full = True
        self._open_journals(journals, local=True)

    def _connect(self, cache_kb: int) -> apsw.Connection:
        connection = opening.connect(self.path, self._key, statements=300)
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("synchronous", "FULL")
        connection.pragma("cache_size", -cache_kb)
        connection.pragma("temp_store", "MEMORY")
        # Else SQLite plans a statement anew whenever a value is bound that its statistics can use:
        # with the hashes we bind that is at each call (52 us for a read by id, 7 without).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        return connection

    def _migrate(self) -> None:
        with self._locked():
            run = self._writer.execute
            run(f"CREATE TABLE IF NOT EXISTS {MIGRATIONS}")
            done = {row[0] for row in run("SELECT n FROM migrations")}
            steps = list(upgrading.pending(schema.SQLITE, done, self.path))
            if done and steps:
                self._keep_copy(steps[0][0])
            for number, name, text in steps:
                run(text)
                run("INSERT INTO migrations VALUES(?, ?)", (number, name))
            self._settle(_reader(self._writer))

    def _keep_copy(self, number: int) -> None:
        path = Path(self.path)
        upgrading.check_room(path)
        source = self._connect(READER_CACHE_KB)
        try:
            kept = upgrading.keep_copy(source, path, number, self._key)
        finally:
            source.close()
        log.warning("%s is being upgraded; as it was it lies in %s", path, kept)

    # --- reading -------------------------------------------------------------------------------

    @contextmanager
    def _borrowed(self) -> Iterator[apsw.Connection]:
        """A reading connection. Threads come and go, so they are not tied to threads."""
        with self._guard:
            if self._closed.is_set():
                raise Unavailable("The store is closed.")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect(READER_CACHE_KB)
            connection.pragma("query_only", True)
        try:
            yield connection
        finally:
            with self._guard:
                keep = len(self._idle) < MOST_IDLE and not self._closed.is_set()
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _read(self, text: str, args: tuple[Any, ...] = ()) -> Rows:
        with self._borrowed() as connection:
            return connection.execute(text, args).fetchall()

    @contextmanager
    def _snapshot(self, seconds: float | None = None) -> Iterator[Reader]:
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            try:
                with limited(connection, seconds) as read:
                    yield read
            finally:
                connection.execute("COMMIT")

    # --- writing -------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        run = self._writer.execute
        run("BEGIN IMMEDIATE")
        try:
            yield
            run("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                run("ROLLBACK")
            raise

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[Reader]:
        if durable != self._full:
            self._writer.pragma("synchronous", "FULL" if durable else "NORMAL")
            self._full = durable
        with self._locked():
            yield _reader(self._writer)
        if durable:
            self._unsynced.clear()
        else:
            self._sync_soon()

    def _patient(self, read: Reader, seconds: float) -> AbstractContextManager[Reader]:
        return limited(self._writer, seconds)

    def _standing(self, read: Reader, names: Names) -> dict[planning.Name, Standing]:
        keys = list(names.values())
        found = {}
        for at in range(0, len(keys), INLINE):
            some = keys[at : at + INLINE]
            marks = ", ".join("?" * len(some))
            rows = read(
                f"SELECT {COLUMNS}, r.content FROM res r WHERE r.self IN ({marks}) AND r.version="
                "(SELECT max(n.version) FROM res n WHERE n.self=r.self)",
                tuple(some),
            )
            for row in rows:
                name = (TYPE_NAMES[row[2]], row[3])
                if name in names:
                    found[name] = self._stands(row)
        return found

    def _write(self, plan: Plan) -> None:
        many = self._writer.executemany
        many("UPDATE head SET seq=?, hash=?, at=? WHERE kind=?", rows.head_rows(plan.heads))
        if plan.versions:
            self._write_versions(plan)
        many("INSERT INTO audit(seq, at, hash, body) VALUES(?, ?, ?, ?)", rows.audit_rows(plan))
        many("INSERT INTO audit_of(h, seq) VALUES(?, ?)", rows.audit_keys(plan))
        gone, full = rows.keep_rows(plan)
        many("DELETE FROM keep WHERE kind=? AND key=?", gone)
        many("INSERT INTO keep(kind, key, value) VALUES(?, ?, ?)", full)

    def _write_versions(self, plan: Plan) -> None:
        many = self._writer.executemany
        many(
            "INSERT INTO res(seq, type, id, version, txn, at, deleted, self, d, span, content, "
            "dict, body) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows.version_rows(plan.versions),
        )
        many("INSERT INTO commits VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", plan.commits)
        many(
            "INSERT INTO totals(type, n) VALUES(?, ?) "
            "ON CONFLICT(type) DO UPDATE SET n=n+excluded.n",
            [(TYPE_CODES[type], n) for type, n in plan.totals.items()],
        )
        stale = [(one.version.seq, self._rows_of(one, plan.parameters)) for one in plan.stale]
        self._write_index(list(plan.indexed.items()), plan.links, stale)

    def _empty_index(self) -> None:
        for table in ("eq", "dte", "str", "num", "link"):
            self._run(f"DELETE FROM {table}")

    def _pack_again(self, read: Reader) -> None:
        # taken out and put back, not changed in place: that would leave their pages half empty
        old = read("SELECT * FROM res WHERE dict=0 ORDER BY seq LIMIT ?", (PACKED_AGAIN,))
        self._writer.executemany("DELETE FROM res WHERE seq=?", [row[:1] for row in old])
        self._writer.executemany(
            f"INSERT INTO res VALUES({', '.join('?' * 13)})",
            [row if row[6] else (*row[:11], *self._packed_again(row[12])) for row in old],
        )

    def _index_again(self, indexed: Indexed, links: Sequence[Link]) -> None:
        self._write_index(indexed, links)
        self._writer.executemany(
            _PLACE,
            [(rows.order, dated(rows)[0], pk) for pk, rows in indexed],
        )

    def _actual(self, read: Reader, expected: Sequence[Expected]) -> dict[int, Actual]:
        return sqlite_index.actual(read, expected)

    def _all_hashes(self) -> Iterator[tuple[Reader, list[Row]]]:
        place = (-(2**63), 0, 0)
        while True:
            with self._snapshot() as read:
                rows = read(
                    "SELECT h, d, pk FROM eq WHERE (h, d, pk)>(?, ?, ?) ORDER BY h, d, pk "
                    f"LIMIT {STEP}",
                    place,
                )
                listed: list[Row] = [(h, d, pk) for h, d, pk in rows]
                yield read, listed
            if len(listed) < STEP:
                return
            place = listed[-1]

    def _put_right(self, wrong: Sequence[Wrong]) -> None:
        many = self._writer.executemany
        gone = [(key, one.rows.order, one.pk) for one in wrong for key in one.extra]
        new = [(key, one.rows.order, one.pk) for one in wrong for key in one.missing]
        many("DELETE FROM eq WHERE h=? AND d=? AND pk=?", sorted(gone))
        many("INSERT OR IGNORE INTO eq(h, d, pk) VALUES(?, ?, ?)", sorted(new))
        for kind, table, insert, made in _RANGES:
            some = [(one.pk, one.rows) for one in wrong if one.concerns(kind)]
            many(f"DELETE FROM {table} WHERE pk=?", [(pk,) for pk, _ in some])
            many(insert, made(some))
        linked = [one for one in wrong if one.concerns("references")]
        many("DELETE FROM link WHERE pk=?", [(one.pk,) for one in linked])
        many(_LINK, [link for one in linked for link in planning.all_links(one.pk, one.rows)])
        placed = [one for one in wrong if one.concerns("order")]
        many(_PLACE, [(one.rows.order, dated(one.rows)[0], one.pk) for one in placed])

    def _write_index(self, new: Indexed, links: Sequence[Link], stale: Indexed = ()) -> None:
        many = self._writer.executemany
        many(_LINK, links)
        if stale:
            many("DELETE FROM eq WHERE h=? AND d=? AND pk=?", rows.eq_rows(stale))
            pks = [(pk,) for pk, _ in stale]
            for table in ("dte", "str", "num"):
                many(f"DELETE FROM {table} WHERE pk=?", pks)
        many("INSERT INTO eq(h, d, pk) VALUES(?, ?, ?)", rows.eq_rows(new))
        for _, _, insert, made in _RANGES:
            many(insert, made(new))

    def _run(self, text: str, args: tuple[Any, ...] = ()) -> None:
        self._writer.execute(text, args)

    def _sync_soon(self) -> None:
        """Have the write-ahead file synced within a second, by a thread of our own."""
        self._unsynced.set()
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._sync, name="store-sync", daemon=True)
            self._syncer.start()

    def _sync(self) -> None:
        while not self._closed.is_set():
            self._unsynced.wait()
            self._closed.wait(SYNC_WITHIN)
            if self._unsynced.is_set():
                self._unsynced.clear()
                self._fsync()

    def _fsync(self) -> None:
        # Locks lie on the main file and -shm, so opening -wal once more loses none of them.
        for suffix in ("-wal", ""):
            path = Path(self.path + suffix)
            if suffix and path.exists():
                handle = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, apsw.FullError):
            return Unavailable(
                "The disk is full, nothing was written.", hint="Free space, then try again."
            )
        if isinstance(error, apsw.BusyError):
            return Busy("Another process is writing to the store.", hint="Try again in a moment.")
        if isinstance(error, apsw.Error):
            return Unavailable(
                f"The store could not write: {error}.",
                hint="Nothing was written. Look at the disk with `sokhoe doctor`.",
            )
        return super()._translated(error)

    # --- the whole -----------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        self._settled()
        source = self._connect(READER_CACHE_KB)
        target = opening.connect(path, self._key)
        try:
            with target.backup("main", source, "main") as copy:
                copy.step()
        finally:
            target.close()
            source.close()

    def pour(self, fill: Fill) -> None:
        """Give every row of this store to a database that is empty (see `copying`)."""
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            copy(connection.execute, fill)
            connection.execute("COMMIT")

    def tidy(self) -> None:
        """Look after the file: statistics for the planner, and an empty write-ahead file."""
        with self._tray.alone():
            self._writer.pragma("optimize", 0x10002)
            self._writer.pragma("wal_checkpoint", "TRUNCATE")

    def lead(self) -> Lead:
        return FileLead(Path(self.path + "-lead"))

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._close_journals()
        self._closed.set()
        if self._unsynced.is_set():
            self._fsync()
        self._unsynced.set()
        if self._syncer is not None:
            self._syncer.join()
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._writer.close()


def _reader(connection: apsw.Connection) -> Reader:
    def read(text: str, args: tuple[Any, ...] = ()) -> Rows:
        return connection.execute(text, args).fetchall()

    return read

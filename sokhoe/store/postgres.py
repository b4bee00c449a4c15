"""The memory on PostgreSQL, for a hub: several processes may write.

They take turns by an advisory lock held to the end of each transaction, so that `seq` has no gaps
and rises in the order in which commits become visible. Rows go in by COPY. Statements are planned
anew each time: with hashes as values a plan made without them is up to 140 times slower.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import apsw
import psycopg
from psycopg.conninfo import conninfo_to_dict

from sokhoe.errors import Conflict, Unavailable
from sokhoe.store import planning, rows, schema
from sokhoe.store.copying import TABLES, Fill, copy
from sokhoe.store.indexing import Link
from sokhoe.store.pieces import Sql
from sokhoe.store.planning import TYPE_CODES, Plan, Standing
from sokhoe.store.rows import Indexed
from sokhoe.store.searching import COLUMNS, Reader, Rows
from sokhoe.store.sqlite import MIGRATIONS, SqliteStore
from sokhoe.store.sqlstore import SqlStore

Connection = psycopg.Connection[tuple[Any, ...]]

TURN = 7_355_608_001  # the lock by which writers take turns; any number that nobody else uses
MOST_IDLE = 16
# Our statements are written as index probes on few candidates; a planner that guesses wrongly how
# many rows a hash has would read whole tables instead (60 ms for a `_has`, 2 ms with these).
PLANNER = (
    "plan_cache_mode=force_custom_plan",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
    "jit=off",
)


_STANDING = (
    f"SELECT {COLUMNS}, r.content FROM unnest(?::bigint[], ?::text[]) AS u(type, id) "
    "CROSS JOIN LATERAL (SELECT * FROM res WHERE res.type=u.type AND res.id=u.id "
    "ORDER BY res.version DESC LIMIT 1) r"
)
_NO_LONGER = (
    "DELETE FROM eq USING unnest(?::bigint[], ?::bigint[], ?::bigint[]) AS u(h, d, pk) "
    "WHERE eq.h=u.h AND eq.d=u.d AND eq.pk=u.pk"
)


class PostgresDialect:
    def xor(self, constant: int, column: str) -> str:
        return f"('{constant}'::bigint # {column})"

    def contains(self, column: str) -> str:
        return f"strpos({column}, ?)>0"

    def by_pk(self, table: str) -> str:
        return ""

    def one_of(self, column: str, values: Sequence[int]) -> Sql:
        if len(values) == 1:
            return Sql(f"{column}=?::bigint", tuple(values))
        return Sql(f"{column}=ANY(?::bigint[])", (list(values),))


class PostgresStore(SqlStore):
    dialect = PostgresDialect()

    def __init__(self, url: str, journals: Path | None = None) -> None:
        super().__init__()
        self.url = url
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._writer = self._connect()
        self._migrate()
        self._open_journals(journals, local=False)

    def _connect(self) -> Connection:
        if self._closed:
            raise Unavailable("The store is closed.")
        try:
            options = str(conninfo_to_dict(self.url).get("options") or "")
            return psycopg.connect(
                self.url,
                autocommit=True,
                application_name="sokhoe",
                options=" ".join([options, *(f"-c {one}" for one in PLANNER)]),
            )
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"PostgreSQL does not answer: {str(error).strip()}",
                hint="Is it running, and are user, host and name in the URL right?",
            ) from error

    def _migrate(self) -> None:
        with self._locked():
            run = _reader(self._writer)
            self._run(f"CREATE TABLE IF NOT EXISTS {MIGRATIONS}")
            done = {row[0] for row in run("SELECT n FROM migrations", ())}
            for number, (name, text) in enumerate(schema.POSTGRES, 1):
                if number not in done:
                    self._writer.execute(text)
                    _run(self._writer, "INSERT INTO migrations VALUES(?, ?)", (number, name))
            if done - set(range(1, len(schema.POSTGRES) + 1)):
                raise Unavailable(
                    "This database was written by a newer version of sokhoe.",
                    hint="Install that version or a newer one.",
                )
            self._settle(run)

    # --- reading -------------------------------------------------------------------------------

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except psycopg.OperationalError as error:
            connection.close()
            raise Unavailable(
                f"PostgreSQL does not answer: {str(error).strip()}", hint="Try again in a moment."
            ) from error
        finally:
            with self._guard:
                keep = not (connection.closed or self._closed or len(self._idle) >= MOST_IDLE)
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _read(self, text: str, args: tuple[Any, ...] = ()) -> Rows:
        with self._borrowed() as connection:
            return _run(connection, text, args).fetchall()

    @contextmanager
    def _snapshot(self) -> Iterator[Reader]:
        with self._borrowed() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield _reader(connection)
            finally:
                if not connection.closed:
                    connection.execute("COMMIT")

    # --- writing -------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._writer.closed:
            self._writer = self._connect()
        run = self._writer.execute
        run("BEGIN")
        try:
            _run(self._writer, "SELECT pg_advisory_xact_lock(?)", (TURN,))
            yield
            run("COMMIT")
        except BaseException:
            if not self._writer.closed:
                run("ROLLBACK")
            raise

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[Reader]:
        with self._locked():
            if not durable:  # PostgreSQL itself writes it out within three wal_writer_delay: 0.6 s
                self._writer.execute("SET LOCAL synchronous_commit=off")
            yield _reader(self._writer)

    def _standing(self, read: Reader, names: set[planning.Name]) -> dict[planning.Name, Standing]:
        if not names:
            return {}
        listed = sorted(names)
        codes, ids = [TYPE_CODES[type] for type, _ in listed], [id for _, id in listed]
        stands = [self._stands(row) for row in read(_STANDING, (codes, ids))]
        return {(one.version.type, one.version.id): one for one in stands}

    def _write(self, plan: Plan, stale: Indexed) -> None:
        self._many("UPDATE head SET seq=?, hash=?, at=? WHERE kind=?", rows.head_rows(plan.heads))
        if plan.versions:
            self._write_versions(plan, stale)
        self._copy("audit(seq, at, hash, body)", rows.audit_rows(plan))
        self._copy("audit_of(h, seq)", rows.audit_keys(plan))
        gone, full = rows.keep_rows(plan)
        self._many("DELETE FROM keep WHERE kind=? AND key=?", gone)
        self._copy("keep(kind, key, value)", full)

    def _write_versions(self, plan: Plan, stale: Indexed) -> None:
        self._copy(
            "res(seq, type, id, version, txn, at, deleted, self, d, content, dict, body)",
            rows.version_rows(plan.versions),
        )
        self._copy("commits(seq, node, epoch, prev, hash, author, at, first, last)", plan.commits)
        self._many(
            "INSERT INTO totals(type, n) VALUES(?, ?) "
            "ON CONFLICT(type) DO UPDATE SET n=totals.n+excluded.n",
            [(TYPE_CODES[type], n) for type, n in plan.totals.items()],
        )
        self._write_index(list(plan.indexed.items()), plan.links, stale)

    def _write_index(self, new: Indexed, links: Sequence[Link], stale: Indexed = ()) -> None:
        self._copy("link(pk, t, own)", links)
        if stale:
            columns = zip(*rows.eq_rows(stale), strict=True)
            _run(self._writer, _NO_LONGER, tuple(list(column) for column in columns))
            pks = [pk for pk, _ in stale]
            for table in ("dte", "str", "num"):
                _run(self._writer, f"DELETE FROM {table} WHERE pk=ANY(?::bigint[])", (pks,))
        self._copy("eq(h, d, pk)", rows.eq_rows(new))
        self._copy("dte(p, lo, hi, d, pk)", rows.date_rows(new))
        self._copy("str(p, v, d, pk)", rows.text_rows(new))
        self._copy("num(p, v, d, pk)", rows.number_rows(new))

    def _run(self, text: str, args: tuple[Any, ...] = ()) -> None:
        _run(self._writer, text, args)

    def _copy(self, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
        listed = list(rows)
        if not listed:
            return
        with (
            self._writer.cursor() as cursor,
            cursor.copy(f"COPY {into} FROM STDIN") as copy,
        ):
            for row in listed:
                copy.write_row(row)

    def _many(self, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            with self._writer.cursor() as cursor:
                cursor.executemany(_percent(text), rows)

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, psycopg.OperationalError):
            self._writer.close()
            return Unavailable(
                f"PostgreSQL does not answer: {str(error).strip()}", hint="Try again in a moment."
            )
        if isinstance(error, psycopg.Error):
            return Unavailable(f"The store could not write: {error}", hint="Nothing was written.")
        return super()._translated(error)

    # --- the whole -----------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        """Into a SQLite file, which can be opened as a store itself."""
        self._settled()
        target = apsw.Connection(path)
        try:
            target.pragma("journal_mode", "off")
            target.pragma("synchronous", "OFF")
            with target, self._borrowed() as connection:
                target.execute(f"CREATE TABLE {MIGRATIONS}")
                for number, (name, text) in enumerate(schema.SQLITE, 1):
                    target.execute(text)
                    target.execute("INSERT INTO migrations VALUES(?, ?)", (number, name))
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                copy(lambda text: _stream(connection, text), _filler(target))
                connection.execute("COMMIT")
        finally:
            target.close()
        with Path(path).open("rb+") as file:
            os.fsync(file.fileno())

    def fill_from(self, source: SqliteStore) -> None:
        """Take over every row of a SQLite store, into this empty one."""
        with self._locked():
            if _run(self._writer, "SELECT 1 FROM res LIMIT 1").fetchone():
                raise Conflict("This database is not empty, so nothing can be restored into it.")
            for table, _, _ in TABLES:
                self._run(f"DELETE FROM {table}")
            source.pour(lambda table, columns, rows: self._copy(f"{table}({columns})", rows))
            self._settle(_reader(self._writer))
        self.tidy()

    def tidy(self) -> None:
        """Statistics for the planner, which a bulk load leaves stale."""
        with self._borrowed() as connection:
            connection.execute("ANALYZE")

    def close(self) -> None:
        if self._closed:
            return
        self._close_journals()
        self._closed = True
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in [*idle, self._writer]:
            connection.close()


def fill(url: str, backup: str) -> None:
    """Pour a backup into an empty database."""
    store, source = PostgresStore(url), SqliteStore(backup)
    try:
        store.fill_from(source)
    finally:
        source.close()
        store.close()


def _stream(connection: Connection, text: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(name="copying") as cursor:
        cursor.itersize = 5_000
        yield from cursor.execute(text)


def _filler(target: apsw.Connection) -> Fill:
    def fill(table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * (columns.count(",") + 1))
        target.executemany(f"INSERT INTO {table}({columns}) VALUES({marks})", rows)

    return fill


@lru_cache(maxsize=4096)
def _percent(text: str) -> str:
    """Question marks as psycopg writes them; our SQL has no other of either."""
    return text.replace("%", "%%").replace("?", "%s")


def _run(
    connection: Connection, text: str, args: tuple[Any, ...] = ()
) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(_percent(text), args)


def _reader(connection: Connection) -> Reader:
    def read(text: str, args: tuple[Any, ...] = ()) -> Rows:
        return _run(connection, text, args).fetchall()

    return read

"""The memory on PostgreSQL, for a hub: several processes may write.

They take turns by an advisory lock held to the end of each transaction, so that `seq` has no gaps
and rises in the order in which commits become visible. Rows go in by COPY. Statements are planned
anew each time: with hashes as values a plan made without them is up to 140 times slower.
"""

from __future__ import annotations

import os
import threading
import time
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import apsw
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict

from sokhoe.errors import Conflict, Unavailable
from sokhoe.fhir import IndexRows
from sokhoe.store import binary, bounds, opening, planning, postgres_index, rows, schema, upgrading
from sokhoe.store.blinding import Blind
from sokhoe.store.copying import TABLES, Fill, copy
from sokhoe.store.indexing import Link
from sokhoe.store.keying import Keys, is_sealed
from sokhoe.store.layout import dated, type_codes
from sokhoe.store.leading import Lead
from sokhoe.store.mending import Actual, Expected, Wrong
from sokhoe.store.pgasking import Common, PostgresAsking
from sokhoe.store.pgleading import DatabaseLead
from sokhoe.store.pieces import Sql
from sokhoe.store.planning import TYPE_CODES, Plan, Standing
from sokhoe.store.postgres_soon import PostgresSoon
from sokhoe.store.rows import Indexed
from sokhoe.store.searching import COLUMNS, Reader, Rows
from sokhoe.store.shapes import Scope
from sokhoe.store.sqlgen import Asking
from sokhoe.store.sqlite import MIGRATIONS, SqliteStore
from sokhoe.store.sqlstore import PACKED_AGAIN, Names, SqlStore

Connection = psycopg.Connection[tuple[Any, ...]]

TURN = 7_355_608_001  # the lock by which writers take turns; any number that nobody else uses
MOST_IDLE = 16
# What is sealed with a data key: all that may hold something personal, but for the index.
SEALED = ("res.body", "audit.body", "keep.value", "dicts.data")
INDEX = ("cur", "dte", "str", "num")
# Our statements are written as index probes on few candidates; a planner that guesses wrongly how
# many rows a hash has would read whole tables instead (60 ms for a `_has`, 2 ms with these).
PLANNER = (
    "plan_cache_mode=force_custom_plan",
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
    "jit=off",
)


_STANDING = (
    f"SELECT {COLUMNS}, r.content FROM unnest(?::bigint[], ?::smallint[], ?::text[]) "
    "AS u(self, type, id) CROSS JOIN LATERAL (SELECT * FROM res WHERE res.self=u.self "
    "ORDER BY res.version DESC LIMIT 1) r WHERE r.type=u.type AND r.id=u.id"
)
_HEADS = (
    "UPDATE head SET seq=u.seq, hash=u.hash, at=u.at "
    "FROM unnest(?::bigint[], ?::bytea[], ?::bigint[], ?::text[]) AS u(seq, hash, at, kind) "
    "WHERE head.kind=u.kind"
)
# The hashes that many records have, and in which part of them they are.
_COMMON = (
    "SELECT c.reltuples::bigint, s.most_common_elems::text::bigint[], s.most_common_elem_freqs "
    "FROM pg_class c LEFT JOIN pg_stats s ON s.schemaname=current_schema() "
    "AND s.tablename='cur' AND s.attname='keys' WHERE c.oid='cur'::regclass"
)
COMMON_FOR = 300.0  # seconds after which the statistics are looked at anew


class PostgresDialect:
    """`look` reads what the planner's statistics know of the hashes."""

    owners: ClassVar = "SELECT seq, unnest(own) FROM res WHERE seq>? AND seq<=? ORDER BY seq"

    def __init__(self, look: Callable[[], Common], blind: Blind | None = None) -> None:
        self._look = look
        self.blind = blind
        self._known: Common | None = None
        self._until = 0.0

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

    def asking(self, scope: Scope) -> Asking:
        return PostgresAsking(self, scope, common=self._now())

    def _now(self) -> Common:
        if self._known is None or time.monotonic() > self._until:
            self._until = time.monotonic() + COMMON_FOR
            self._known = self._look()
        return self._known

    def forget(self) -> None:
        """The statistics were made anew."""
        self._known = None


class PostgresStore(SqlStore, PostgresSoon):
    dialect: PostgresDialect
    by_pk = INDEX

    def __init__(
        self,
        url: str,
        journals: Path | None = None,
        *,
        upgrade: bool = False,
        keys: Keys | None = None,
        carries: bool = True,
    ) -> None:
        super().__init__(keys)
        self.dialect = PostgresDialect(self._common, Blind(keys.held.blind) if keys else None)
        self.url = url
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._writer = self._connect()
        try:
            self._migrate(upgrade)
        except BaseException:
            self._writer.close()
            raise
        self._open_journals(journals, local=False, carries=carries)

    def _connect(self) -> Connection:
        if self._closed:
            raise Unavailable("The store is closed.")
        try:
            options = str(conninfo_to_dict(self.url).get("options") or "")
            made = psycopg.connect(
                self.url,
                autocommit=True,
                application_name="sokhoe",
                options=" ".join([options, *(f"-c {one}" for one in PLANNER)]),
            )
            if self.keys is not None:
                made.adapters.register_loader("bytea", opening_with(self.keys))
            return made
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"PostgreSQL does not answer: {str(error).strip()}",
                hint="Is it running, and are user, host and name in the URL right?",
            ) from error

    def _migrate(self, upgrade: bool) -> None:
        with self._locked():
            run = _reader(self._writer)
            self._run(f"CREATE TABLE IF NOT EXISTS {MIGRATIONS}")
            done = {row[0] for row in run("SELECT n FROM migrations", ())}
            steps = list(upgrading.pending(schema.POSTGRES, done, "This database"))
            if done and steps and not upgrade and run("SELECT 1 FROM res LIMIT 1", ()):
                raise upgrading.refuse("This database", steps[0][0])
            for number, name, text in steps:
                self._writer.execute(text)
                _run(self._writer, "INSERT INTO migrations VALUES(?, ?)", (number, name))
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

    def _common(self) -> Common:
        for count, keys, parts in self._read(_COMMON):
            if keys:  # the last four of the parts are no parts of keys
                sizes = {key: int(part * count) for key, part in zip(keys, parts, strict=False)}
                return Common(count, sizes)
            return Common(max(0, count))
        return Common()

    @contextmanager
    def _snapshot(self, seconds: float | None = None) -> Iterator[Reader]:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        with self._borrowed() as connection:
            if seconds is None:
                connection.execute(begin)
            else:  # together, as one question to the server
                connection.execute(f"{begin}; SET LOCAL {_timeout(seconds)}".encode())
            try:
                yield _reader(connection, seconds)
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

    @contextmanager
    def _patient(self, read: Reader, seconds: float) -> Iterator[Reader]:
        # a statement that is ended would spoil the work of everybody in this transaction
        run = self._writer.execute
        run(f"SAVEPOINT asking; SET LOCAL {_timeout(seconds)}".encode())
        try:
            yield _reader(self._writer, seconds)
        except BaseException:
            if not self._writer.closed:
                run("ROLLBACK TO SAVEPOINT asking; RELEASE SAVEPOINT asking")
            raise
        run("SET LOCAL statement_timeout TO DEFAULT; RELEASE SAVEPOINT asking")

    def _standing(self, read: Reader, names: Names) -> dict[planning.Name, Standing]:
        if not names:
            return {}
        codes, ids = [TYPE_CODES[type] for type, _ in names], [id for _, id in names]
        stands = [self._stands(row) for row in read(_STANDING, (list(names.values()), codes, ids))]
        return {(one.version.type, one.version.id): one for one in stands}

    def _write(self, plan: Plan) -> None:
        columns = zip(*rows.head_rows(plan.heads), strict=True)
        _run(self._writer, _HEADS, tuple(list(column) for column in columns))
        if plan.versions:
            self._write_versions(plan)
        lines = [(*row[:3], self._sealed(row[3])) for row in rows.audit_rows(plan)]
        self._copy("audit(seq, at, hash, body)", map(binary.line, lines))
        self._copy("audit_of(h, seq)", map(binary.two, rows.audit_keys(plan)))
        gone, full = rows.keep_rows(plan)
        self._many("DELETE FROM keep WHERE kind=? AND key=?", gone)
        sealed = [(kind, key, self._sealed(value)) for kind, key, value in full]
        self._many("INSERT INTO keep(kind, key, value) VALUES(?, ?, ?)", sealed)

    def _write_versions(self, plan: Plan) -> None:
        links = _by_pk(plan.links)
        self._copy(
            "res(seq, txn, at, self, version, type, deleted, dict, id, content, own, body)",
            (
                binary.version(
                    one, _own(links.get(one.version.seq, ())), self._sealed(one.packed.data)
                )
                for one in plan.versions
            ),
        )
        self._many("INSERT INTO commits VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", plan.commits)
        self._many(
            "INSERT INTO totals(type, n) VALUES(?, ?) "
            "ON CONFLICT(type) DO UPDATE SET n=totals.n+excluded.n",
            [(TYPE_CODES[type], n) for type, n in plan.totals.items()],
        )
        if plan.stale:
            gone = ([one.version.seq for one in plan.stale],)
            for table in INDEX:
                _run(self._writer, f"DELETE FROM {table} WHERE pk=ANY(?::bigint[])", gone)
        self._write_index(list(plan.indexed.items()), links)

    def _write_index(self, new: Indexed, links: Mapping[int, Sequence[Link]]) -> None:
        blind = self.dialect.blind
        if blind is not None:
            new = [(pk, blind.rows(one)) for pk, one in new]
        self._write_current(new, links)
        self._write_dates(new)
        self._write_texts(new)
        self._write_numbers(new)

    # rows as they stand in the index, blind if it is
    def _write_current(self, new: Indexed, links: Mapping[int, Sequence[Link]]) -> None:
        codes, current = type_codes(), []
        for pk, one in new:
            type = next(codes[key] for key in one.keys if key in codes)
            keys = [key for key in one.keys if key not in codes]
            points = [link[1] for link in links.get(pk, ())]
            current.append(binary.current(pk, one.order, dated(one)[0], type, keys, points))
        self._copy("cur(pk, d, span, type, keys, links)", current)

    def _write_dates(self, new: Indexed) -> None:
        dates = sorted((*date, pk) for pk, one in new for date in dated(one)[1])
        self._copy("dte(p, lo, hi, pk)", map(binary.date, dates))

    def _write_texts(self, new: Indexed) -> None:
        self._copy("str(p, pk, v)", map(binary.text, rows.text_rows(new)))

    def _write_numbers(self, new: Indexed) -> None:
        self._copy("num(p, v, pk)", map(binary.number, rows.number_rows(new)))

    def _pack_again(self, read: Reader) -> None:
        old = read("SELECT body, seq FROM res WHERE dict=0 AND deleted=0 LIMIT ?", (PACKED_AGAIN,))
        self._many(
            "UPDATE res SET dict=?, body=? WHERE seq=?",
            [
                (number, self._sealed(body), seq)
                for number, body, seq in ((*self._packed_again(body), seq) for body, seq in old)
            ],
        )

    def _empty_index(self) -> None:
        for table in INDEX:
            self._run(f"DELETE FROM {table}")

    def _index_again(self, indexed: Indexed, links: Sequence[Link]) -> None:
        by_pk = _by_pk(links)
        self._write_index(indexed, by_pk)
        self._many(
            "UPDATE res SET own=?::bigint[] WHERE seq=?",
            [(_own(found) or None, pk) for pk, found in by_pk.items()],
        )

    def _actual(self, read: Reader, expected: Sequence[Expected]) -> dict[int, Actual]:
        return postgres_index.actual(read, expected)

    def _put_right(self, wrong: Sequence[Wrong]) -> None:
        def taken_out(table: str, *kinds: str) -> list[tuple[int, IndexRows]]:
            some = [one for one in wrong if any(one.concerns(kind) for kind in kinds)]
            if some:
                pks = ([one.pk for one in some],)
                _run(self._writer, f"DELETE FROM {table} WHERE pk=ANY(?::bigint[])", pks)
            return [(one.pk, one.expected.standing) for one in some]

        links = {one.pk: planning.all_links(one.pk, one.rows) for one in wrong}
        self._write_current(taken_out("cur", "codes", "references"), links)
        self._write_dates(taken_out("dte", "dates"))
        self._write_texts(taken_out("str", "texts"))
        self._write_numbers(taken_out("num", "numbers"))
        self._many(
            "UPDATE res SET own=?::bigint[] WHERE seq=?",
            [(_own(links[one.pk]) or None, one.pk) for one in wrong if one.concerns("references")],
        )

    def _sealed(self, data: bytes) -> bytes:
        return data if self.keys is None or not data else self.keys.seal(bytes(data))

    @property
    def _index_name(self) -> str:
        blind = self.dialect.blind
        return super()._index_name + (f" blind {blind.name}" if blind else "")

    def _run(self, text: str, args: tuple[Any, ...] = ()) -> None:
        _run(self._writer, text, args)

    def _copy(self, into: str, rows: Iterable[bytes]) -> None:
        """Rows as `binary` makes them."""
        listed = list(rows)
        if not listed:
            return
        with (
            self._writer.cursor() as cursor,
            cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.write(binary.copied(listed))

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
        target = opening.connect(path, self.keys.held.files[0] if self.keys else None)
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
                target.execute("DELETE FROM node WHERE key='index'")
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
            source.pour(self._poured)
            self._run("DELETE FROM node WHERE key='index'")
            self._settle(_reader(self._writer))
        self.tidy()

    def _poured(self, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with (
            self._writer.cursor() as cursor,
            cursor.copy(f"COPY {table}({columns}) FROM STDIN") as copy,
        ):
            secret = [f"{table}.{column}" in SEALED for column in columns.split(", ")]
            for row in rows:
                copy.write_row(
                    [self._sealed(x) if hide else x for x, hide in zip(row, secret, strict=True)]
                    if any(secret)
                    else row
                )

    def tidy(self) -> None:
        """Statistics for the planner, which a bulk load leaves stale."""
        with self._borrowed() as connection:
            connection.execute("ANALYZE")
        self.dialect.forget()

    def lead(self) -> Lead:
        return DatabaseLead(self._connect)

    def close(self) -> None:
        if self._closed:
            return
        self._close_journals()
        self.close_pipes()
        self._closed = True
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in [*idle, self._writer]:
            connection.close()


def opening_with(keys: Keys) -> type[Loader]:
    """Reads a bytea, and opens it if it is sealed: so no reader of rows need know."""

    class Opened(Loader):
        def load(self, data: Buffer) -> bytes:
            raw = unhexlify(bytes(data)[2:])
            return keys.open(raw) if is_sealed(raw) else raw

    return Opened


def fill(url: str, backup: str, keys: Keys | None = None) -> None:
    """Pour a backup into an empty database."""
    store, source = PostgresStore(url, keys=keys), SqliteStore(backup, keys=keys)
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


def _by_pk(links: Sequence[Link]) -> dict[int, list[Link]]:
    found: dict[int, list[Link]] = {}
    for link in links:
        found.setdefault(link[0], []).append(link)
    return found


def _own(links: Sequence[Link]) -> list[int]:
    return [key for _, key, own in links if own]


@lru_cache(maxsize=4096)
def _percent(text: str) -> str:
    """Question marks as psycopg writes them; our SQL has no other of either."""
    return text.replace("%", "%%").replace("?", "%s")


def _run(
    connection: Connection, text: str, args: tuple[Any, ...] = ()
) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(_percent(text), args)


def _timeout(seconds: float) -> str:
    return f"statement_timeout={int(seconds * 1000)}"


def _reader(connection: Connection, seconds: float | None = None) -> Reader:
    """`seconds`: as the statements of the transaction are limited."""
    over = None if seconds is None else bounds.Deadline(seconds)

    def read(text: str, args: tuple[Any, ...] = ()) -> Rows:
        if over is not None:
            over.check()
        try:
            return _run(connection, text, args).fetchall()
        except psycopg.errors.QueryCanceled:
            if over is None:
                raise
            raise over.over() from None

    return read

"""The fast way (`soon`) on PostgreSQL: questions from the event loop through two pipes.

Reads have a pipe of their own, so that none waits behind a search. Statements are planned once:
each is a seek by hash, or one look into the index of arrays for all values at once (a generic plan
is right for both, whatever the values). The pipes are opened in a thread when they are first
wanted; until then, and after a connection was lost, the plain way answers.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import threading
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import OperationalError

from sokhoe.errors import SokhoeError
from sokhoe.fhir import search
from sokhoe.store import bounds, soon
from sokhoe.store.keying import Keys
from sokhoe.store.pipe import Pipe, Row, TooSlow
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.searching import COLUMNS
from sokhoe.store.shapes import Page, Version
from sokhoe.store.sqlgen import Dialect

log = logging.getLogger("sokhoe.store")

_READ = (
    f"SELECT {COLUMNS}, r.own FROM res r "
    "WHERE r.self=$1::bigint AND r.type=$2::smallint AND r.id=$3::text "
)
READS = {
    "current": _READ + "ORDER BY r.version DESC LIMIT 1",
    "numbered": _READ + "AND r.version=$4::integer",
}
# At most so many that have all values, then the page of them; the first column counts them.
_FOUND = (
    "WITH a AS MATERIALIZED (SELECT c.d, c.pk FROM cur c WHERE c.keys @> $1::bigint[] "
    "LIMIT $3::integer) "
    "SELECT n.n, s.d, s.pk, (SELECT h.seq FROM head h WHERE h.kind='version'), "
    f"{COLUMNS}, r.own FROM (SELECT count(*) AS n FROM a) n "
    "LEFT JOIN (SELECT a.d, a.pk FROM a ORDER BY {order} LIMIT $2::integer) s ON true "
    "LEFT JOIN res r ON r.seq=s.pk"
)
SEARCHES = {
    "by_date": _FOUND.replace("{order}", "a.d, a.pk"),
    "by_writing": _FOUND.replace("{order}", "a.pk DESC"),
}
AGAIN_AFTER = 1.0  # seconds after a lost connection


class PostgresSoon:
    _pipes: tuple[Pipe, Pipe] | None = None
    _opening = False
    _not_before = 0.0
    keys: Keys | None
    dialect: Dialect

    @property
    @abstractmethod
    def records_soon(self) -> bool:
        """Whether an audit line can be written without waiting for the disk."""

    @abstractmethod
    def _version(self, row: tuple[Any, ...]) -> Version: ...

    @abstractmethod
    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]: ...

    async def read_soon(self, type: str, id: str, version: int | None = None) -> Version | None:
        pipe = self._pipe(0)
        if pipe is None:
            return None
        ref = f"{type}/{id}"
        values = [b"%d" % search.key(ref), b"%d" % TYPE_CODES.get(type, 0), id.encode()]
        try:
            if version is None:
                rows = await pipe.ask("current", values)
            else:
                rows = await pipe.ask("numbered", [*values, b"%d" % version])
        except TooSlow:
            return None
        except OperationalError as error:
            self._lost(error)
            return None
        return self._read_from(rows[0]) if rows else None

    async def search_soon(self, query: search.Query) -> Page | None:
        asked = soon.cheap(query, self.dialect.blind)
        pipe = self._pipe(1) if asked is not None and asked.led else None
        if asked is None or pipe is None:
            return None
        keys = ",".join(map(str, (asked.lead, *asked.rest)))
        values = [b"{%b}" % keys.encode(), b"%d" % asked.limit, b"%d" % (soon.WALKED + 1)]
        try:
            rows = await pipe.ask("by_date" if asked.by_date else "by_writing", values)
        except TooSlow:
            return None
        except OperationalError as error:
            self._lost(error)
            return None
        if _int(rows[0][0]) > soon.WALKED:
            return None
        found = [
            (_int(row[1]), _int(row[2]), _int(row[3]), self._read_from(row[4:]))
            for row in rows
            if row[2] is not None
        ]
        return soon.page(asked, query, found)

    def _read_from(self, row: Row) -> Version:
        seq, number, type, id, version, at, deleted, dictionary, body, own = row
        found = self._version(
            (
                *(_int(seq), _int(number), _int(type), (id or b"").decode()),
                *(_int(version), _int(at), _int(deleted), _int(dictionary)),
                body if body is None or self.keys is None else self.keys.open(body),
            )
        )
        if found.deleted:
            return found
        concerned = soon.people(found.type, found.id, found.body, _ints(own))
        return replace(found, people=concerned)

    # --- pipes ---------------------------------------------------------------------------------

    def _pipe(self, which: int) -> Pipe | None:
        """A pipe of this event loop; None while there is none."""
        if not self.records_soon:
            return None
        loop = asyncio.get_running_loop()
        pipes = self._pipes
        if pipes is not None and pipes[which].loop is loop and not pipes[which].broken:
            return None if pipes[which].full else pipes[which]
        if not self._opening and loop.time() >= self._not_before:
            self._opening = True
            loop.create_task(self._open(loop))  # noqa: RUF006 - kept by the loop until it is done
        return None

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        made: list[psycopg.Connection[tuple[Any, ...]]] = []
        over = threading.Event()

        def connect() -> None:
            for _ in range(2):
                made.append(self._planned_once())
            if over.is_set():  # the loop ended meanwhile, so nobody else will close them
                _close(made)

        try:
            await loop.run_in_executor(None, connect)
            self.close_pipes()
            self._pipes = (Pipe(made[0], READS, loop), Pipe(made[1], SEARCHES, loop))
        except (SokhoeError, psycopg.Error) as error:
            _close(made)
            self._lost(error)
        except BaseException:
            over.set()
            _close(made)
            raise
        finally:
            self._opening = False

    def _planned_once(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection = self._connect()
        connection.execute("SET plan_cache_mode=force_generic_plan")
        limit = int(bounds.MOST_SECONDS_SOON * 1000)
        connection.execute(f"SET statement_timeout={limit}".encode())
        return connection

    def _lost(self, error: Exception) -> None:
        log.warning("The event loop lost PostgreSQL (%s); threads answer meanwhile.", error)
        with suppress(RuntimeError):
            self._not_before = asyncio.get_running_loop().time() + AGAIN_AFTER

    def close_pipes(self) -> None:
        pipes, self._pipes = self._pipes, None
        for pipe in pipes or ():
            pipe.close()


def _close(connections: Sequence[psycopg.Connection[tuple[Any, ...]]]) -> None:
    for connection in list(connections):
        connection.close()


def _int(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big", signed=True)


def _ints(value: bytes | None) -> tuple[int, ...]:
    """A bigint[] of one dimension (see `binary`)."""
    if value is None or len(value) < 20:
        return ()
    count = (len(value) - 20) // 12
    return struct.unpack(">" + "iq" * count, value[20:])[1::2]

"""One PostgreSQL connection that the event loop asks without waiting: libpq's pipeline mode.

    request A ── send ─┐                       the loop goes on with other work;
    request B ── send ─┤  PostgreSQL answers   each answer wakes who asked for it
    request C ── send ─┘  in the same order

Statements are prepared once, values go as text and rows come in binary. A thread for each question
costs some 300 us, an async driver half of that; this costs about 50.
Pipeline mode: postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection, OperationalError, pq

Row = list[bytes | None]
Answer = asyncio.Future[list[Row]]
MOST_WAITING = 256  # more than so many questions are not laid on one connection


_CANCELLED = b"57014"  # query_canceled, by statement_timeout


class TooSlow(Exception):
    """PostgreSQL ended a question that took longer than it may; the connection is as it was."""


class Pipe:
    """Belongs to one event loop; `close` from there, or when the loop has ended."""

    def __init__(
        self, owner: Connection[Any], statements: Mapping[str, str], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.loop = loop
        self.broken = False
        self._owner = owner
        self._connection = connection = owner.pgconn
        self._waiting: deque[Answer] = deque()
        self._rows: list[Row] | None = None
        self._error = ""
        self._slow = False
        for name, text in statements.items():
            made = connection.prepare(name.encode(), text.encode())
            if made.status != pq.ExecStatus.COMMAND_OK:
                raise OperationalError(made.error_message.decode(errors="replace"))
        connection.nonblocking = 1
        connection.enter_pipeline_mode()
        self._socket = connection.socket  # cannot be asked for any more when it is lost
        loop.add_reader(self._socket, self._readable)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING

    def ask(self, statement: str, values: Sequence[bytes]) -> Answer:
        """The rows of a prepared statement. OperationalError when the connection is lost, TooSlow
        when it took longer than `statement_timeout`."""
        answer: Answer = self.loop.create_future()
        self._waiting.append(answer)
        try:
            self._connection.send_query_prepared(statement.encode(), values, None, 1)
            self._connection.pipeline_sync()  # each question is a transaction of its own
            if self._connection.flush():
                self.loop.add_writer(self._socket, self._writable)
        except OperationalError as error:
            self._lose(error)
        return answer

    def _writable(self) -> None:
        try:
            if not self._connection.flush():
                self.loop.remove_writer(self._socket)
        except OperationalError as error:
            self._lose(error)

    def _readable(self) -> None:
        try:
            self._connection.consume_input()
            while self._waiting and not self._connection.is_busy():
                self._take()
        except OperationalError as error:
            self._lose(error)

    def _take(self) -> None:
        """The next piece: rows, the end of an answer (None), or the end of a question (sync)."""
        found = self._connection.get_result()
        if found is None:
            return
        if found.status == pq.ExecStatus.TUPLES_OK:
            width = range(found.nfields)
            self._rows = [[found.get_value(at, of) for of in width] for at in range(found.ntuples)]
        elif found.status == pq.ExecStatus.PIPELINE_SYNC:
            answer, rows = self._waiting.popleft(), self._rows
            self._rows = None
            slow, self._slow = self._slow, False
            if answer.done():  # who asked has gone away
                return
            if slow:
                answer.set_exception(TooSlow())
            elif rows is None:
                answer.set_exception(OperationalError(self._error))
            else:
                answer.set_result(rows)
        else:
            self._error = found.error_message.decode(errors="replace")
            self._slow = found.error_field(pq.DiagnosticField.SQLSTATE) == _CANCELLED

    def _lose(self, error: OperationalError) -> None:
        waiting, self._waiting = self._waiting, deque()
        self.close()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(OperationalError(str(error)))

    def close(self) -> None:
        if self.broken:
            return
        self.broken = True
        if not self.loop.is_closed():
            self.loop.remove_reader(self._socket)
            self.loop.remove_writer(self._socket)
        self._owner.close()

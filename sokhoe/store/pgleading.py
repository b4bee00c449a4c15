"""`Lead` on PostgreSQL: an advisory lock that lives as long as a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from sokhoe.store.leading import Lead

LEADERS = 7_305_114  # the advisory lock; any number that nobody else in this database uses


class DatabaseLead(Lead):
    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        super().__init__()
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None

    def _look(self) -> bool:
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self._let_go()
            else:
                return True
        connection = self._connect()
        try:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LEADERS,)).fetchone()
        except psycopg.Error:
            connection.close()
            return False
        if row is None or not row[0]:
            connection.close()
            return False
        self._connection = connection
        return True

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        with self._turn:
            self._let_go()
            self._looked = 0.0

"""The fast way (`soon`) on SQLite: the event loop asks the file itself.

A reader of a write-ahead log waits for nobody, and what is asked here touches a few pages, so a
thread would cost several times what the answer does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import apsw

from sokhoe.errors import Unsupported
from sokhoe.fhir import search
from sokhoe.store import bounds, soon
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.searching import COLUMNS, Reader, Rows
from sokhoe.store.shapes import Page, Version

_OWN = "(SELECT group_concat(k.t) FROM link k WHERE k.pk=r.seq AND k.own=1)"
_READ = f"SELECT {COLUMNS}, {_OWN} FROM res r WHERE r.self=? AND r.type=? AND r.id=? "
_CURRENT = _READ + "ORDER BY r.version DESC LIMIT 1"
_NUMBERED = _READ + "AND r.version=?"
_TOO_MANY = "SELECT 1 FROM eq WHERE h=? LIMIT 1 OFFSET ?"


@contextmanager
def limited(connection: apsw.Connection, seconds: float | None) -> Iterator[Reader]:
    """A reader that is ended after so many seconds: Unsupported (`too-costly`)."""
    over = None if seconds is None else bounds.Deadline(seconds)

    def read(text: str, args: tuple[Any, ...] = ()) -> Rows:
        if over is not None:
            over.check()
        try:
            return connection.execute(text, args).fetchall()
        except apsw.InterruptError:
            if over is None:
                raise
            raise over.over() from None

    if over is not None:
        connection.set_progress_handler(over, bounds.EVERY)
    try:
        yield read
    finally:
        if over is not None:
            connection.set_progress_handler(None)


class SqliteSoon:
    @property
    @abstractmethod
    def records_soon(self) -> bool:
        """Whether an audit line can be written without waiting for the disk."""

    @abstractmethod
    def _borrowed(self) -> AbstractContextManager[apsw.Connection]: ...

    @abstractmethod
    def _version(self, row: tuple[Any, ...]) -> Version: ...

    async def read_soon(self, type: str, id: str, version: int | None = None) -> Version | None:
        if not self.records_soon:
            return None
        name = (search.key(f"{type}/{id}"), TYPE_CODES.get(type, 0), id)
        with self._borrowed() as connection:
            if version is None:
                row = connection.execute(_CURRENT, name).fetchone()
            else:
                row = connection.execute(_NUMBERED, (*name, version)).fetchone()
        return None if row is None else self._with_people(row)

    async def search_soon(self, query: search.Query) -> Page | None:
        asked = soon.cheap(query)
        if asked is None or not self.records_soon:
            return None
        text = soon.statement(f"{COLUMNS}, {_OWN}", len(asked.rest), asked.by_date)
        values = (asked.lead, *asked.rest, asked.limit)
        with self._borrowed() as connection, suppress(Unsupported):
            with limited(connection, bounds.MOST_SECONDS_SOON) as read:
                if read(_TOO_MANY, (asked.lead, soon.WALKED)):
                    return None
                rows = read(text, values)
            return self._page(asked, query, rows)
        return None

    def _page(self, asked: soon.Cheap, query: search.Query, rows: Rows) -> Page:
        found = [(*row[:3], self._with_people(row[3:])) for row in rows]
        return soon.page(asked, query, found)

    def _with_people(self, row: tuple[Any, ...]) -> Version:
        found = self._version(row[:-1])
        if found.deleted:
            return found
        own = map(int, row[-1].split(",")) if row[-1] else ()
        return replace(found, people=soon.people(found.type, found.id, found.body, own))

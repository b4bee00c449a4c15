"""The fast way (`soon`) on SQLite: the event loop asks the file itself.

A reader of a write-ahead log waits for nobody, and what is asked here touches a few pages, so a
thread would cost several times what the answer does.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import apsw

from sokhoe.fhir import search
from sokhoe.store import soon
from sokhoe.store.planning import TYPE_CODES
from sokhoe.store.searching import COLUMNS
from sokhoe.store.shapes import Page, Version

_OWN = "(SELECT group_concat(k.t) FROM link k WHERE k.pk=r.seq AND k.own=1)"
_READ = f"SELECT {COLUMNS}, {_OWN} FROM res r WHERE r.self=? AND r.type=? AND r.id=? "
_CURRENT = _READ + "ORDER BY r.version DESC LIMIT 1"
_NUMBERED = _READ + "AND r.version=?"
_TOO_MANY = "SELECT 1 FROM eq WHERE h=? LIMIT 1 OFFSET ?"


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
        with self._borrowed() as connection:
            if connection.execute(_TOO_MANY, (asked.lead, soon.WALKED)).fetchone():
                return None
            rows: list[Any] = connection.execute(
                text, (asked.lead, *asked.rest, asked.limit)
            ).fetchall()
        found = [(*row[:3], self._with_people(row[3:])) for row in rows]
        return soon.page(asked, query, found)

    def _with_people(self, row: tuple[Any, ...]) -> Version:
        found = self._version(row[:-1])
        if found.deleted:
            return found
        own = map(int, row[-1].split(",")) if row[-1] else ()
        return replace(found, people=soon.people(found.type, found.id, found.body, own))

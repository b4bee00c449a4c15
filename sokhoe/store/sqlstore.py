"""The verbs of the memory, written once for both databases.

A database gives rows for SQL (`_read`, `_snapshot`), and writes a plan (`_transaction`, `_write`);
all else is here.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Busy, SokhoeError
from sokhoe.fhir import IndexRows, Query, decode, encode, extract, search
from sokhoe.store import bodies, chain, indexing, planning, verifying
from sokhoe.store.bodies import Packer
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES, Heads, Indexed, Plan, Standing, Work
from sokhoe.store.searching import COLUMNS, Reader, Rows, Search, in_scope
from sokhoe.store.shapes import (
    EVERYTHING,
    Change,
    Commit,
    Entry,
    Fault,
    Keep,
    Page,
    Receipt,
    Recorded,
    Scope,
    Version,
)
from sokhoe.store.sqlgen import Asking, Dialect, joined, sql
from sokhoe.store.writer import Tray

log = logging.getLogger("sokhoe.store")

SAMPLES = 2_000  # from so many versions on there is enough to make a dictionary from
POLL = 0.2  # seconds until a commit of another process is noticed


class SqlStore(ABC):
    """What SQLite and PostgreSQL have in common; see `shapes.Store` for the verbs."""

    node: str
    epoch: str
    dialect: Dialect

    def __init__(self) -> None:
        self.packer = Packer(self._dictionary)
        self._tray = Tray(self._group)
        self._news = threading.Condition()

    # --- what a database must be able to do ----------------------------------------------------

    @abstractmethod
    def _read(self, text: str, args: tuple[Any, ...] = ()) -> Rows: ...

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[Reader]:
        """A reader for which the store stands still."""

    @abstractmethod
    def _transaction(self, *, durable: bool) -> AbstractContextManager[Reader]:
        """The one writing transaction: nobody else writes until it ends. Not durable: a power
        cut may take it back, and a durable one follows within a second."""

    @abstractmethod
    def _write(self, plan: Plan, stale: Indexed) -> None:
        """Write a plan within the transaction. `stale`: pk and rows that leave the index."""

    @abstractmethod
    def _write_index(
        self, new: Indexed, links: Sequence[indexing.Link], stale: Indexed = ()
    ) -> None:
        """Put rows into the search index and take stale ones out."""

    @abstractmethod
    def _run(self, text: str, args: tuple[Any, ...] = ()) -> None:
        """Execute something within the writing transaction."""

    @abstractmethod
    def backup(self, path: str) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    # --- reading -------------------------------------------------------------------------------

    def read(self, type: str, id: str, version: int | None = None) -> Version | None:
        code = TYPE_CODES.get(type, 0)
        text = f"SELECT {COLUMNS} FROM res r WHERE r.type=? AND r.id=? "
        if version is None:
            rows = self._read(text + "ORDER BY r.version DESC LIMIT 1", (code, id))
        else:
            rows = self._read(text + "AND r.version=?", (code, id, version))
        return self._version(rows[0]) if rows else None

    def read_many(self, refs: Sequence[str]) -> dict[str, Version]:
        keys = []
        for ref in dict.fromkeys(refs):
            type, _, id = ref.partition("/")
            if type in TYPE_CODES and id:
                keys.append(search.type_keys(type).id ^ search.key(ref))
        if not keys:
            return {}
        wanted = sql(
            f"SELECT {COLUMNS} FROM res r WHERE r.seq IN (SELECT e.pk FROM eq e WHERE {{}})",
            self.dialect.one_of("e.h", keys),
        )
        found = [self._version(row) for row in self._read(wanted.text, wanted.args)]
        return {version.ref: version for version in found}

    def search(self, query: Query, scope: Scope = EVERYTHING) -> Page:
        with self._snapshot() as read:
            return Search.on(read, self.dialect, scope, self._version).page(query)

    def history(
        self,
        type: str | None = None,
        id: str | None = None,
        *,
        since: Instant | None = None,
        count: int = 50,
        before: int | None = None,
        scope: Scope = EVERYTHING,
    ) -> Page:
        tests = [in_scope(Asking(self.dialect, scope), scope)]
        if type is not None:
            tests.append(sql("r.type={}", TYPE_CODES.get(type, 0)))
        if id is not None:
            tests.append(sql("r.id={}", id))
        if since is not None:
            tests.append(sql("r.at>={}", since))
        if before is not None:
            tests.append(sql("r.seq<{}", before))
        # within one record seq and version rise together, and an index has the versions in order
        order = "r.seq" if id is None else "r.version"
        wanted = sql(
            f"SELECT {COLUMNS} FROM res r WHERE {{}} ORDER BY {order} DESC LIMIT {{}}",
            joined(" AND ", tests),
            count + 1,
        )
        rows = self._read(wanted.text, wanted.args)
        versions = tuple(self._version(row) for row in rows[:count])
        more = len(rows) > count and count > 0
        return Page(versions, next=str(versions[-1].seq) if more else None)

    def _version(self, row: tuple[Any, ...]) -> Version:
        seq, number, code, id, version, at, deleted, dictionary, body = row
        type = TYPE_NAMES[code]
        if deleted:
            return Version(seq, number, type, id, version, at, True, b"")
        stored = self.packer.open(dictionary, body)
        whole = bodies.whole(type, id, version, at, stored)
        return Version(seq, number, type, id, version, at, False, whole)

    def _dictionary(self, number: int) -> bytes:
        return bytes(self._read("SELECT data FROM dicts WHERE id=?", (number,))[0][0])

    # --- the feed ------------------------------------------------------------------------------

    def head(self) -> int:
        rows = self._read("SELECT seq FROM head WHERE kind='version'")
        return int(rows[0][0])

    def feed(self, after: int, limit: int = 500) -> list[Version]:
        rows = self._read(
            f"SELECT {COLUMNS} FROM res r WHERE r.seq>? ORDER BY r.seq LIMIT ?", (after, limit)
        )
        return [self._version(row) for row in rows]

    def commits(self, after: int, *, limit: int = 100, max_bytes: int = 262_144) -> list[Commit]:
        found: list[Commit] = []
        size = 0
        rows = self._read(
            "SELECT seq, node, epoch, prev, hash, author, at, first, last FROM commits "
            "WHERE seq>? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        for seq, node, epoch, prev, sealed, author, at, first, last in rows:
            versions = self._read(
                f"SELECT {COLUMNS} FROM res r WHERE r.seq BETWEEN ? AND ? ORDER BY r.seq",
                (first, last),
            )
            listed = tuple(self._version(row) for row in versions)
            size += sum(len(version.body) for version in listed)
            if found and size > max_bytes:
                break
            found.append(Commit(node, epoch, seq, bytes(prev), bytes(sealed), author, at, listed))
        return found

    def wait(self, after: int, timeout: float) -> int:
        until = time.monotonic() + timeout
        while True:
            with self._news:
                head = self.head()
                left = until - time.monotonic()
                if head > after or left <= 0:
                    return head
                self._news.wait(min(POLL, left))

    def totals(self) -> Mapping[str, int]:
        rows = self._read("SELECT type, n FROM totals WHERE n<>0")
        return {TYPE_NAMES[code]: n for code, n in sorted(rows)}

    # --- writing -------------------------------------------------------------------------------

    def commit(
        self,
        changes: Sequence[Change],
        *,
        author: str,
        entry: Entry | None = None,
        keeps: Sequence[Keep] = (),
    ) -> Receipt:
        work = Work(
            tuple(planning.prepare(change, self.packer) for change in changes),
            author,
            entry,
            b"" if entry is None else chain.entry_bytes(entry),
            tuple(keeps),
        )
        planning.check_keeps(work.keeps)
        self._tray.put(work)
        assert work.receipt is not None
        return work.receipt

    def record(self, entry: Entry) -> None:
        self._tray.put(Work(entry=entry, entry_body=chain.entry_bytes(entry)))

    def keep(self, *keeps: Keep) -> None:
        planning.check_keeps(keeps)
        self._tray.put(Work(keeps=keeps))

    def _group(self, works: Sequence[Work]) -> None:
        """Write a group as one transaction. If the database refuses it, each on its own, so that
        a commit it cannot swallow does not take others with it."""
        try:
            self._write_group(works)
        except SokhoeError as error:
            self._refuse(works, error)
        except Exception as error:
            if len(works) == 1:
                self._refuse(works, self._translated(error))
            else:
                for work in works:
                    self._group([work])
        with self._news:
            self._news.notify_all()

    def _refuse(self, works: Sequence[Work], error: Exception) -> None:
        for work in works:
            work.error, work.done = error, True

    def _translated(self, error: Exception) -> Exception:
        return Busy(
            f"The store could not write: {error}.",
            hint="Try again; if it goes on, look at the disk with `sokhoe doctor`.",
        )

    def _write_group(self, works: Sequence[Work]) -> None:
        durable = not all(work.only_audit for work in works)
        outcomes: list[Receipt | SokhoeError] = []
        with self._transaction(durable=durable) as read:
            plan = self._started(read, works)
            for work in works:
                try:
                    outcomes.append(planning.plan_work(plan, work, self.node, self.epoch))
                except SokhoeError as error:
                    outcomes.append(error)
            stale = [(one.version.seq, self._rows_of(one)) for one in plan.stale]
            for seq, old in plan.orphans:
                plan.links += planning.own_links(seq, old.rows or self._rows_of(old))
            self._write(plan, stale)
            if not self.packer.current and plan.heads.seq >= SAMPLES:
                self._train(read)
        for work, outcome in zip(works, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                work.receipt = outcome
            else:
                work.error = outcome
            work.done = True

    def _started(self, read: Reader, works: Sequence[Work]) -> Plan:
        """A plan with all that the group has to know of what stands."""
        heads = _heads(read)
        names = {change.name for work in works for change in work.changes}
        drawers = {(keep.kind, keep.key) for work in works for keep in work.keeps}
        kept = {drawer: _kept(read, *drawer) for drawer in drawers}
        return Plan(heads, self._standing(read, names), kept)

    def _standing(self, read: Reader, names: set[planning.Name]) -> dict[planning.Name, Standing]:
        found = {}
        for type, id in names:
            rows = read(
                f"SELECT {COLUMNS}, r.content FROM res r WHERE r.type=? AND r.id=? "
                "ORDER BY r.version DESC LIMIT 1",
                (TYPE_CODES[type], id),
            )
            for row in rows:
                found[type, id] = self._stands(row)
        return found

    def _stands(self, row: tuple[Any, ...]) -> Standing:
        packed = bodies.Packed(row[7], bytes(row[8]))
        return Standing(self._version(row[:9]), bytes(row[9]), packed)

    def _rows_of(self, old: Standing) -> IndexRows:
        return extract(decode(old.version.body))

    # --- audit and drawers ---------------------------------------------------------------------

    def entries(
        self,
        *,
        patient: str | None = None,
        actor: str | None = None,
        since: Instant | None = None,
        before: int | None = None,
        count: int = 50,
    ) -> list[Recorded]:
        keys = [search.key(patient)] if patient is not None else []
        keys += [planning.actor_key(actor)] if actor is not None else []
        column = "o.seq" if keys else "a.seq"
        tests = [sql("o.h={}", keys[0])] if keys else []
        tests += [
            sql("EXISTS(SELECT 1 FROM audit_of p WHERE p.h={} AND p.seq=o.seq)", key)
            for key in keys[1:]
        ]
        if since is not None:
            tests.append(sql("a.at>={}", since))
        if before is not None:
            tests.append(sql(f"{column}<{{}}", before))
        source = "audit_of o JOIN audit a ON a.seq=o.seq" if keys else "audit a"
        wanted = sql(
            f"SELECT a.seq, a.hash, a.body, (SELECT b.hash FROM audit b WHERE b.seq=a.seq-1) "
            f"FROM {source} WHERE {{}} ORDER BY {column} DESC LIMIT {{}}",
            joined(" AND ", [sql("1=1"), *tests]),
            count,
        )
        return [_recorded(row) for row in self._read(wanted.text, wanted.args)]

    def entry(self, seq: int) -> Recorded | None:
        rows = self._read(
            "SELECT a.seq, a.hash, a.body, (SELECT b.hash FROM audit b WHERE b.seq=a.seq-1) "
            "FROM audit a WHERE a.seq=?",
            (seq,),
        )
        return _recorded(rows[0]) if rows else None

    def kept(self, kind: str, key: str) -> Any:
        return _kept(self._read, kind, key)

    def all_kept(self, kind: str) -> dict[str, Any]:
        rows = self._read("SELECT key, value FROM keep WHERE kind=? ORDER BY key", (kind,))
        return {key: decode(bytes(value)) for key, value in rows}

    def verify(self) -> Iterator[Fault]:
        with self._snapshot() as read:
            yield from verifying.faults(read, self.packer)

    # --- first start ---------------------------------------------------------------------------

    def _settle(self, read: Reader) -> None:
        """Within a transaction: give a new store its name and its empty heads, know an old one."""
        known: dict[str, str] = dict(read("SELECT key, value FROM node", ()))
        if not known:
            known = {"node": uuid.uuid4().hex, "epoch": uuid.uuid4().hex}
            known["index"] = search.fingerprint()
            for key, value in known.items():
                self._run("INSERT INTO node(key, value) VALUES(?, ?)", (key, value))
            for kind in ("commit", "version", "audit"):
                new = (kind, chain.START)
                self._run("INSERT INTO head(kind, seq, hash, at) VALUES(?, 0, ?, 0)", new)
            for name, code in TYPE_CODES.items():
                self._run("INSERT INTO types(code, name) VALUES(?, ?)", (code, name))
        self.node, self.epoch = known["node"], known["epoch"]
        newest = read("SELECT coalesce(max(id), 0) FROM dicts", ())
        self.packer.current = int(newest[0][0])
        if known.get("index") != search.fingerprint():
            self._index_again(read)

    def _index_again(self, read: Reader) -> None:
        """The index was made under other rules: empty it and fill it from the bodies."""
        log.warning("The search index is made anew; with many records this takes minutes.")
        for table in ("eq", "dte", "str", "num", "link"):
            self._run(f"DELETE FROM {table}")
        for indexed, links in indexing.again(read, self.packer):
            self._write_index(indexed, links)
            for pk, rows in indexed:
                self._run("UPDATE res SET d=? WHERE seq=? AND d<>?", (rows.order, pk, rows.order))
        self._run("DELETE FROM node WHERE key='index'")
        self._run("INSERT INTO node(key, value) VALUES('index', ?)", (search.fingerprint(),))

    def renew_epoch(self) -> str:
        """After a restore: whoever has read commits of this node beyond the backup must notice."""
        with self._transaction(durable=True):
            self.epoch = uuid.uuid4().hex
            self._run("UPDATE node SET value=? WHERE key='epoch'", (self.epoch,))
        return self.epoch

    def train(self) -> int:
        """Make a new dictionary from the records that are there and compress with it from now on;
        its number. What is already written stays as it is."""
        with self._transaction(durable=True) as read:
            return self._train(read)

    def _train(self, read: Reader) -> int:
        end = _heads(read).seq
        step = max(1, end // SAMPLES)
        rows = read(
            "SELECT dict, body FROM res WHERE deleted=0 AND MOD(seq, ?)=0 LIMIT ?", (step, SAMPLES)
        )
        made = bodies.trained([self.packer.open(row[0], bytes(row[1])) for row in rows])
        number = self.packer.current + 1
        self._run("INSERT INTO dicts(id, data) VALUES(?, ?)", (number, made))
        self.packer.add(number, made)
        return number


def _heads(read: Reader) -> Heads:
    rows = {row[0]: row[1:] for row in read("SELECT kind, seq, hash, at FROM head", ())}
    commit, version, audit = rows["commit"], rows["version"], rows["audit"]
    return Heads(commit[0], bytes(commit[1]), version[0], version[2], audit[0], bytes(audit[1]))


def head_rows(heads: Heads) -> list[tuple[int, bytes, Instant, str]]:
    """The new values of the three rows of `head`: seq, hash, at, kind."""
    return [
        (heads.commit, heads.commit_hash, heads.at, "commit"),
        (heads.seq, heads.commit_hash, heads.at, "version"),
        (heads.audit, heads.audit_hash, clock.now(), "audit"),
    ]


def _kept(read: Reader, kind: str, key: str) -> Any:
    rows = read("SELECT value FROM keep WHERE kind=? AND key=?", (kind, key))
    return decode(bytes(rows[0][0])) if rows else None


def _recorded(row: tuple[Any, ...]) -> Recorded:
    seq, sealed, body, prev = row
    before = chain.START if seq == 1 else bytes(prev or b"")
    return Recorded(seq, before, bytes(sealed), chain.entry_from(bytes(body)))


def keep_rows(plan: Plan) -> tuple[list[tuple[str, str]], list[tuple[str, str, bytes]]]:
    """The drawers to empty, and those to fill."""
    gone = list(plan.drawers)
    full = [(*drawer, encode(value)) for drawer, value in plan.drawers.items() if value is not None]
    return gone, full

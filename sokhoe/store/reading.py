"""The verbs that read, written once for both databases, which only give rows for SQL."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sokhoe.clock import Instant
from sokhoe.fhir import Query, SearchParameters, compartments, decode, search
from sokhoe.store import around, bodies, bounds, chain, planning, registering, sweeping, verifying
from sokhoe.store.bodies import Packer
from sokhoe.store.hiding import hides
from sokhoe.store.pieces import joined, sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES
from sokhoe.store.searching import COLUMNS, Reader, Rows, Search, in_scope
from sokhoe.store.shapes import (
    EVERYTHING,
    Choice,
    Commit,
    Fault,
    Page,
    Point,
    Recorded,
    Scope,
    Sweep,
    Swept,
    Version,
)
from sokhoe.store.sqlgen import Dialect

# So often at most a page of history is filled up where a scope hides records.
STEPS = 20
KNOWN_FOR = 1.0  # seconds in which another process may not have noticed a new search parameter
POLL = 0.2  # seconds until a commit of another process is noticed


class Reading(ABC):
    """All that asks and changes nothing; see `shapes.Store` for the verbs."""

    dialect: Dialect

    def __init__(self) -> None:
        self.packer = Packer(self._dictionary)
        self._names = sweeping.Names()
        self._news = threading.Condition()
        self._known = search.STANDARD
        self._known_until = 0.0

    @abstractmethod
    def _read(self, text: str, args: tuple[Any, ...] = ()) -> Rows: ...

    @abstractmethod
    def _settled(self) -> None:
        """Make sure that every audit line written so far can be found."""

    @abstractmethod
    def _snapshot(self, seconds: float | None = None) -> AbstractContextManager[Reader]:
        """A reader for which the store stands still. `seconds`: so long it may be asked; then it
        raises Unsupported (`too-costly`)."""

    # --- reading -------------------------------------------------------------------------------

    def read(self, type: str, id: str, version: int | None = None) -> Version | None:
        code = TYPE_CODES.get(type, 0)
        name = (search.key(f"{type}/{id}"), code, id)
        # + 0 hides the type from a planner that would read all of its index as well
        text = f"SELECT {COLUMNS} FROM res r WHERE r.self=? AND r.type+0=? AND r.id=? "
        if version is None:
            rows = self._read(text + "ORDER BY r.version DESC LIMIT 1", name)
        else:
            rows = self._read(text + "AND r.version=?", (*name, version))
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
            f"SELECT {COLUMNS} FROM res r WHERE r.seq IN (SELECT e.pk FROM ({{}}) e)",
            self.dialect.asking(EVERYTHING).rows(search.Keys("_id", tuple(keys))),
        )
        found = [self._version(row) for row in self._read(wanted.text, wanted.args)]
        return {version.ref: version for version in found}

    def search(self, query: Query, scope: Scope = EVERYTHING) -> Page:
        known = self.parameters()
        with self._snapshot(bounds.MOST_SECONDS) as read:
            return Search.on(read, self.dialect, scope, self._version, known).page(query)

    def around(
        self,
        roots: Sequence[str],
        by: Mapping[str, Sequence[str]],
        *,
        since: Instant | None = None,
        after: int = 0,
        count: int = 50,
        scope: Scope = EVERYTHING,
    ) -> Page:
        asking = self.dialect.asking(scope)

        def step(after: int) -> list[Version]:
            wanted = around.wanted(
                asking, roots, by, COLUMNS, since=since, after=after, count=count + 1
            )
            with self._snapshot(bounds.MOST_SECONDS) as read:
                return [self._version(row) for row in read(wanted.text, wanted.args)]

        return self._filled(step, after, count, scope)

    def history(
        self,
        type: str | None = None,
        id: str | None = None,
        *,
        since: Instant | None = None,
        during: tuple[Instant, Instant] | None = None,
        count: int = 50,
        before: int | None = None,
        scope: Scope = EVERYTHING,
    ) -> Page:
        tests = [in_scope(self.dialect.asking(scope), scope)]
        if type is not None:
            column = "r.type" if id is None else "r.type+0"
            tests.append(sql(f"{column}={{}}", TYPE_CODES.get(type, 0)))
        if id is not None:
            tests += [sql("r.self={}", search.key(f"{type}/{id}")), sql("r.id={}", id)]
        if since is not None:
            tests.append(sql("r.at>={}", since))
        if during is not None:
            low, high = during
            # a deletion stands from the moment on at which it was made, and shows nothing later
            tests.append(sql("r.at<{} AND (r.deleted=0 OR r.at>={})", high, low))
            tests.append(
                sql(
                    "NOT EXISTS (SELECT 1 FROM res n WHERE n.self=r.self AND n.version=r.version+1"
                    " AND n.at<={})",
                    low,
                )
            )
        # within one record seq and version rise together, and an index has the versions in order
        order = "r.seq" if id is None else "r.version"

        def step(before: int) -> list[Version]:
            below = [sql("r.seq<{}", before)] if before else []
            wanted = sql(
                f"SELECT {COLUMNS} FROM res r WHERE {{}} ORDER BY {order} DESC LIMIT {{}}",
                joined(" AND ", [*tests, *below]),
                count + 1,
            )
            with self._snapshot(bounds.MOST_SECONDS) as read:
                return [self._version(row) for row in read(wanted.text, wanted.args)]

        return self._filled(step, before or 0, count, scope)

    def _filled(
        self, step: Callable[[int], list[Version]], place: int, count: int, scope: Scope
    ) -> Page:
        """A page of what `step` gives from a place on (one more than a page at a time), without
        what the scope hides for what stands in it. Where much is hidden a page may be short."""
        found: list[Version] = []
        for _ in range(STEPS):
            batch = step(place)
            shown = [one for one in batch if not scope.looks or not self._hides(scope, one)]
            found += shown
            if len(batch) <= count or count == 0:
                place = 0
                break
            place = batch[-1].seq
            if len(found) > count:
                break
        if len(found) > count > 0:
            return Page(tuple(found[:count]), next=str(found[count - 1].seq))
        return Page(tuple(found[:count]), next=str(place) if place else None)

    def _hides(self, scope: Scope, version: Version) -> bool:
        """Whether the scope hides a version for what stands in it, or for what stood in the one
        that a deletion ended, or for what stands in the record now."""
        seen: Version | None = version
        if version.deleted:
            seen = self.read(version.type, version.id, version.version - 1)
        if seen is None or seen.deleted:
            return False
        now = self.read(version.type, version.id)
        for one in [seen] if now is None or now.deleted or now.seq == seen.seq else [seen, now]:
            resource = one.resource
            if hides(scope, compartments(resource), resource):
                return True
        return False

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

    def parameters(self) -> SearchParameters:
        if time.monotonic() >= self._known_until:
            with self._snapshot() as read:
                if registering.count(read) != self._known.edition:
                    self._known = registering.known(read)
            self._known_until = time.monotonic() + KNOWN_FOR
        return self._known

    # --- the feed ------------------------------------------------------------------------------

    def head(self) -> int:
        rows = self._read("SELECT seq FROM head WHERE kind='version'")
        return int(rows[0][0])

    def newest(self, types: Sequence[str]) -> int:
        # seq+0: the few rows of a type by its index, not all of the log backwards until one comes
        every = "SELECT coalesce(max(seq+0), 0) FROM res WHERE type=?"
        return max(int(self._read(every, (TYPE_CODES[one],))[0][0]) for one in types)

    def feed(self, after: int, limit: int = 500, types: Sequence[str] = ()) -> list[Version]:
        tests = [sql("r.seq>{}", after)]
        if types:
            tests.append(self.dialect.one_of("r.type", [TYPE_CODES[one] for one in types]))
        wanted = sql(
            f"SELECT {COLUMNS} FROM res r WHERE {{}} ORDER BY r.seq LIMIT {{}}",
            joined(" AND ", tests),
            limit,
        )
        return [self._version(row) for row in self._read(wanted.text, wanted.args)]

    # --- sweeping ------------------------------------------------------------------------------

    def point(self, since: Instant = 0) -> Point:
        with self._snapshot() as read:
            return sweeping.point(read, since)

    def sweep(self, wanted: Sweep, after: int) -> Swept:
        with self._snapshot() as read:
            return sweeping.sweep(read, self.dialect, self.packer, self._names, wanted, after)

    def choose(self, queries: Sequence[Query], scope: Scope = EVERYTHING) -> tuple[Point, Choice]:
        known = self.parameters()
        with self._snapshot(bounds.MOST_SECONDS_CHOOSING) as read:
            searching = Search.on(read, self.dialect, scope, self._version, known)
            return sweeping.point(read, 0), sweeping.choose(searching, queries)

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
        self._settled()
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
        self._settled()
        rows = self._read(
            "SELECT a.seq, a.hash, a.body, (SELECT b.hash FROM audit b WHERE b.seq=a.seq-1) "
            "FROM audit a WHERE a.seq=?",
            (seq,),
        )
        return _recorded(rows[0]) if rows else None

    def lines(self, after: int, limit: int) -> list[bytes]:
        rows = self._read("SELECT body FROM audit WHERE seq>? ORDER BY seq LIMIT ?", (after, limit))
        # who changes a line by hand may leave a text there: it is hashed, and found, as it is
        return [one if isinstance(one, bytes) else str(one).encode() for (one,) in rows]

    def kept(self, kind: str, key: str) -> Any:
        return kept_in(self._read, kind, key)

    def all_kept(self, kind: str) -> dict[str, Any]:
        rows = self._read("SELECT key, value FROM keep WHERE kind=? ORDER BY key", (kind,))
        return {key: decode(bytes(value)) for key, value in rows}

    def verify(self) -> Iterator[Fault]:
        with self._snapshot() as read:
            yield from verifying.faults(read, self.packer)


def kept_in(read: Reader, kind: str, key: str) -> Any:
    rows = read("SELECT value FROM keep WHERE kind=? AND key=?", (kind, key))
    return decode(bytes(rows[0][0])) if rows else None


def _recorded(row: tuple[Any, ...]) -> Recorded:
    seq, sealed, body, prev = row
    before = chain.START if seq == 1 else bytes(prev or b"")
    return Recorded(seq, before, bytes(sealed), chain.entry_from(bytes(body)))

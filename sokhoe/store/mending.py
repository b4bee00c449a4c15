"""Is every current record in the index as it should be? What is not is named, and put right.

    look     in a snapshot, while others write: what should be there is made from the bodies and
             compared with what is; the costly part
    mend     in the turn of the writer, for those records alone that differ and are still current

The same two steps index what stood before a new search parameter, take the rows of a retired one
away, answer `$reindex`, and check the whole (`sokhoe reindex --check`). Each step writes how far it
came together with its work, so whoever was killed goes on behind the last one, here or in another
process; to do a step twice changes nothing.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from sokhoe import clock
from sokhoe.errors import Busy, Conflict
from sokhoe.fhir import IndexRows, SearchParameters, decode, extract, search
from sokhoe.store import bodies, planning, registering
from sokhoe.store.bodies import Packer
from sokhoe.store.layout import dated
from sokhoe.store.pieces import Sql, joined, sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES, Plan, Work
from sokhoe.store.searching import Reader, Rows
from sokhoe.store.shapes import Difference, Edition, Keep, Mended, Noting, Reindex
from sokhoe.store.sqlgen import Dialect
from sokhoe.store.sums import Sums
from sokhoe.store.writer import Tray

WINDOW = 250  # records of a step: some 50 ms of looking, a few of writing
LEASE = 10_000_000  # how long who works at a parameter is taken for alive, in microseconds
TRIES = 3  # while others change the parameters
# Another process may search by a retired parameter for as long as `KNOWN_FOR`.
GRACE = 5_000_000

CURRENT = "NOT EXISTS(SELECT 1 FROM res n WHERE n.self=r.self AND n.version>r.version)"


@dataclass(slots=True)
class Actual:
    """What the index has of one record. `missing` of the hashes that should be there, and `extra`
    ones that should not; the others as they are."""

    missing: set[int] = field(default_factory=set)
    extra: set[int] = field(default_factory=set)
    dates: set[tuple[int, int, int]] = field(default_factory=set)
    texts: set[tuple[int, str]] = field(default_factory=set)
    numbers: set[tuple[int, float]] = field(default_factory=set)
    links: set[tuple[int, int]] = field(default_factory=set)
    order: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the index should have of one current record. `leaving`: hashes that it may have had
    under a parameter that was retired."""

    pk: int
    ref: str
    rows: IndexRows
    dates: frozenset[tuple[int, int, int]]
    span: int | None
    leaving: frozenset[int] = frozenset()
    shown: IndexRows | None = None  # as they stand in a blind index

    @property
    def standing(self) -> IndexRows:
        return self.shown or self.rows

    @property
    def links(self) -> set[tuple[int, int]]:
        return {(key, own) for _, key, own in planning.all_links(self.pk, self.rows)}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A record that is not indexed as it should be; the hashes that it misses, and those that it
    should not have."""

    expected: Expected
    difference: Difference
    missing: frozenset[int] = frozenset()
    extra: frozenset[int] = frozenset()

    @property
    def pk(self) -> int:
        return self.expected.pk

    @property
    def rows(self) -> IndexRows:
        return self.expected.rows

    def concerns(self, kind: str) -> bool:
        """Whether rows of this kind must be written; all of them carry the order."""
        return kind in self.difference.kinds or "order" in self.difference.kinds


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found, under which parameters, and how far in the log it reaches."""

    expected: list[Expected]
    wrong: list[Wrong]
    parameters: SearchParameters
    reach: int

    @property
    def done(self) -> Mended:
        told = tuple(one.difference for one in self.wrong)
        return Mended(len(self.expected), told, self.reach)


class Mending:
    """What a store can do about its index. Written once for both databases, which only read and
    write the rows."""

    packer: Packer
    dialect: Dialect
    node: str
    epoch: str
    _tray: Tray
    _shapes: set[tuple[str, int]]
    _known_until: float

    def __init__(self) -> None:
        super().__init__()
        self._me = secrets.token_hex(8)

    # --- what a database must be able to do ----------------------------------------------------

    @abstractmethod
    def _actual(self, read: Reader, expected: Sequence[Expected]) -> dict[int, Actual]:
        """What the index has of these records."""

    @abstractmethod
    def _put_right(self, wrong: Sequence[Wrong]) -> None:
        """Write what is wrong, and no more: all others wait for it."""

    @abstractmethod
    def _snapshot(self, seconds: float | None = None) -> AbstractContextManager[Reader]: ...

    @abstractmethod
    def _transaction(self, *, durable: bool) -> AbstractContextManager[Reader]: ...

    @abstractmethod
    def _started(self, read: Reader, works: Sequence[Work]) -> Plan: ...

    @abstractmethod
    def _write(self, plan: Plan) -> None: ...

    @abstractmethod
    def _learn(self, indexed: Iterable[IndexRows]) -> set[tuple[str, int]]: ...

    # --- any records ----------------------------------------------------------------------------

    def reindex(
        self,
        wanted: Reindex,
        after: int = 0,
        noting: Noting = lambda done: (),
        sums: Sums | None = None,
    ) -> Mended:
        for _ in range(TRIES):
            looked = self._look(wanted, after)
            wrong = looked.wrong if wanted.mend else []
            if self._down(wrong, looked.parameters, noting(looked.done)):
                if sums is not None:
                    for one in looked.expected:
                        sums.expect(one.pk, one.rows.order, one.standing.keys)
                return looked.done
        raise Busy("The search parameters of this server are being changed.")

    def _look(self, wanted: Reindex, after: int) -> Looked:
        with self._snapshot() as read:
            parameters = registering.known(read)
            rows = self._current(read, wanted, after)
            expected = [self._expected(row, parameters) for row in rows]
            actual = self._actual(read, expected) if expected else {}
        compared = (_compared(one, actual[one.pk]) for one in expected)
        wrong = [one for one in compared if one is not None]
        reach = rows[-1][0] if len(rows) == WINDOW else wanted.upto
        return Looked(expected, wrong, parameters, reach)

    def _current(self, read: Reader, wanted: Reindex, after: int) -> Rows:
        tests = [sql("r.seq>{} AND r.seq<={} AND r.deleted=0", after, wanted.upto), Sql(CURRENT)]
        if wanted.types is not None:
            codes = sorted(TYPE_CODES[type] for type in wanted.types if type in TYPE_CODES)
            tests.append(self.dialect.one_of("r.type", codes))
        if wanted.refs:
            tests.append(self.dialect.one_of("r.self", [*map(search.key, sorted(wanted.refs))]))
        found = sql(
            "SELECT r.seq, r.type, r.id, r.version, r.at, r.dict, r.body FROM res r WHERE {} "
            f"ORDER BY r.seq LIMIT {WINDOW}",
            joined(" AND ", tests),
        )
        return read(found.text, found.args)

    def _expected(self, row: tuple[Any, ...], parameters: SearchParameters) -> Expected:
        pk, code, id, version, at, dictionary, body = row
        type = TYPE_NAMES[code]
        stored = self.packer.open(dictionary, bytes(body))
        resource = decode(bodies.whole(type, id, version, at, stored))
        rows = extract(resource, parameters)
        leaving = frozenset[int]()
        if len(parameters.written(type)) < len(parameters.written(type, leaving=True)):
            leaving = frozenset(extract(resource, parameters, leaving=True).keys)
        span, dates = dated(rows)
        left = leaving.difference(rows.keys)
        blind = self.dialect.blind
        shown = blind.rows(rows) if blind else None
        return Expected(pk, f"{type}/{id}", rows, frozenset(dates), span, left, shown)

    def _down(
        self,
        found: Sequence[Wrong],
        parameters: SearchParameters,
        keeps: Sequence[Keep],
        *,
        counted: bool = False,
    ) -> bool:
        """Write what was found wrong as it should be, together with the drawers. `counted`: the
        parameters change by it. False when they were changed by others since they were looked at:
        nothing is written then. Raises Conflict (`keeps`)."""
        if not (found or keeps or counted):
            return True
        work = Work(keeps=tuple(keeps))
        with self._tray.alone(), self._transaction(durable=True) as read:
            plan = self._started(read, [work])
            if plan.heads.index != parameters.edition:
                return False
            planning.plan_work(plan, work, self.node, self.epoch)
            plan.heads = replace(plan.heads, index=plan.heads.index + counted)
            self._write(plan)
            still = self._still(read, [one.pk for one in found])
            right = [one for one in found if one.pk in still]
            if right:
                self._put_right(right)
            shapes = self._learn(one.rows for one in right)
        self._shapes |= shapes
        if counted:
            self._known_until = 0.0
        return True

    def _still(self, read: Reader, pks: Sequence[int]) -> set[int]:
        """Those that are the current version of their record."""
        if not pks:
            return set()
        wanted = sql(
            f"SELECT r.seq FROM res r WHERE {{}} AND r.deleted=0 AND {CURRENT}",
            self.dialect.one_of("r.seq", pks),
        )
        return {row[0] for row in read(wanted.text, wanted.args)}

    # --- search parameters ----------------------------------------------------------------------

    def editions(self) -> list[Edition]:
        with self._snapshot() as read:
            return registering.editions(read)

    def index_on(self) -> Edition | None:
        """A step of the work that a new or retired search parameter makes. None: there is none,
        or another process is at it."""
        now = clock.now()
        for one in self.editions():
            if not one.pending or (one.worker not in ("", self._me) and one.lease > now):
                continue
            if one.custom.state == "retiring" and one.since + GRACE > now:
                continue
            return self._index(one)
        return None

    def _index(self, edition: Edition) -> Edition | None:
        types = frozenset(edition.custom.base)
        wanted = Reindex(types=types, upto=edition.upto)
        looked = self._look(wanted, edition.reach)
        customs = looked.parameters.customs
        if all(edition.custom.edition != one.edition for one in customs):
            return None  # another process has finished it meanwhile
        new = _advanced(edition, looked.done, self._me)
        value = None if new is None else registering.as_kept(new)
        keep = Keep(registering.DRAWER, edition.key, value, registering.as_kept(edition))
        settled = new is None or new.custom.state == "ready"
        try:
            self._down(looked.wrong, looked.parameters, [keep], counted=settled)
        except Conflict:  # another process was faster
            return None
        return new or edition


def _advanced(edition: Edition, done: Mended, worker: str) -> Edition | None:
    """How far an edition is after a step; None when nothing of it is left."""
    first = edition.custom.state != "checking"
    new = replace(
        edition,
        reach=done.reach,
        looked=edition.looked + (done.looked if first else 0),
        changed=edition.changed + (len(done.differences) if first else 0),
        added=edition.added + sum(one.missing for one in done.differences),
        removed=edition.removed + sum(one.extra for one in done.differences),
        wrong=edition.wrong + (0 if first else len(done.differences)),
        worker=worker,
        lease=clock.now() + LEASE,
    )
    if done.reach < edition.upto:
        return new
    match edition.custom.state:
        case "indexing":
            return new.to("checking")
        case "checking":
            return replace(new.to("ready"), reach=edition.upto, worker="", lease=0)
    return None


def _compared(expected: Expected, actual: Actual) -> Wrong | None:
    rows = expected.rows
    pairs: dict[str, tuple[set[Any], set[Any]]] = {
        "dates": (set(expected.dates), actual.dates),
        "texts": (set(expected.standing.texts), actual.texts),
        "numbers": (set(rows.numbers), actual.numbers),
        "references": (expected.links, actual.links),
        "order": ({(rows.order, expected.span)}, {actual.order}),
    }
    missing = {"codes": len(actual.missing)}
    extra = {"codes": len(actual.extra)}
    for name, (wanted, found) in pairs.items():
        missing[name], extra[name] = len(wanted - found), len(found - wanted)
    kinds = tuple(name for name in missing if missing[name] or extra[name])
    if not kinds:
        return None
    told = Difference(expected.ref, sum(missing.values()), sum(extra.values()), kinds)
    return Wrong(expected, told, frozenset(actual.missing), frozenset(actual.extra))

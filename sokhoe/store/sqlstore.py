"""The verbs that write, once for both databases.

A database gives rows for SQL (`_read`, `_snapshot`), and writes a plan (`_transaction`, `_write`);
all else is here.
"""

from __future__ import annotations

import logging
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sokhoe.errors import Conflict, SokhoeError
from sokhoe.fhir import IndexRows, decode, extract, search
from sokhoe.store import bodies, bounds, carrying, chain, indexing, planning, registering
from sokhoe.store.folding import Folding, restored
from sokhoe.store.keying import Keys
from sokhoe.store.leading import Lead
from sokhoe.store.planning import TYPE_CODES, Heads, Plan, Standing, Work
from sokhoe.store.reading import Reading, kept_in
from sokhoe.store.rows import Indexed
from sokhoe.store.searching import Reader, Search
from sokhoe.store.shapes import (
    Change,
    Dictionary,
    Entry,
    Fault,
    Keep,
    Loaded,
    Receipt,
    Still,
)
from sokhoe.store.straying import Straying
from sokhoe.store.writer import Tray

log = logging.getLogger("sokhoe.store")

PACKED_AGAIN = 20_000  # at most so many; there are hardly more, since SAMPLES come first
SAMPLES = 2_000  # from so many versions on there is enough to make a dictionary from


Names = Mapping[planning.Name, int]


class SqlStore(Straying, Reading):
    """What SQLite and PostgreSQL have in common; see `shapes.Store` for the verbs."""

    node: str
    epoch: str

    def __init__(self, keys: Keys | None = None) -> None:
        super().__init__()
        self.keys = keys
        self._tray = Tray(self._group)
        self._folding: Folding | None = None
        self._shapes: set[tuple[str, int]] = set()

    def _open_journals(self, folder: Path | None, *, local: bool, carries: bool = True) -> None:
        """From now on lines of reads go into a journal in this folder; what dead processes left
        there is sealed first. Without a folder each line is a transaction of its own."""
        if folder is not None:
            self._folding = Folding(
                folder, self._tray, self._read, local=local, keys=self.keys, carries=carries
            )
            self._folding.begin()

    # --- what a database must be able to do ----------------------------------------------------

    @abstractmethod
    def _transaction(self, *, durable: bool) -> AbstractContextManager[Reader]:
        """The one writing transaction: nobody else writes until it ends. Not durable: a power
        cut may take it back, and a durable one follows within a second."""

    @abstractmethod
    def _patient(self, read: Reader, seconds: float) -> AbstractContextManager[Reader]:
        """The transaction's reader, ended after so many seconds: all wait for who writes."""

    @abstractmethod
    def _write(self, plan: Plan) -> None:
        """Write a plan within the transaction."""

    @abstractmethod
    def _empty_index(self) -> None:
        """Take everything out of the search index."""

    @abstractmethod
    def _index_again(self, indexed: Indexed, links: Sequence[indexing.Link]) -> None:
        """Put records that stand already into the emptied search index."""

    @abstractmethod
    def _run(self, text: str, args: tuple[Any, ...] = ()) -> None:
        """Execute something within the writing transaction."""

    @abstractmethod
    def _pack_again(self, read: Reader) -> None:
        """Compress anew what was written before there was a dictionary; it takes three times the
        room. What is sealed is what was compressed, so no seal changes."""

    @abstractmethod
    def backup(self, path: str) -> None: ...

    @abstractmethod
    def lead(self) -> Lead: ...

    @abstractmethod
    def close(self) -> None: ...

    # --- writing -------------------------------------------------------------------------------

    def commit(
        self,
        changes: Sequence[Change],
        *,
        author: str,
        entry: Entry | None = None,
        keeps: Sequence[Keep] = (),
        stills: Sequence[Still] = (),
    ) -> Receipt:
        known = self.parameters()
        work = Work(
            tuple(planning.prepare(change, self.packer, known) for change in changes),
            author,
            entry,
            b"" if entry is None else chain.entry_bytes(entry),
            tuple(keeps),
            tuple(stills),
        )
        planning.check_keeps(work.keeps)
        self._tray.put(work)
        assert work.receipt is not None
        return work.receipt

    def dictionary(self) -> Dictionary:
        number = self.packer.current
        data = self._dictionary(number) if number else b""
        return Dictionary(number, data, self.parameters())

    def load(
        self, carried: bytes, *, author: str, entry: Entry | None = None, keeps: Sequence[Keep] = ()
    ) -> Loaded:
        changes = carrying.unpack(carried)
        planning.check_keeps(tuple(keeps))
        body = b"" if entry is None else chain.entry_bytes(entry)
        work = Work(changes, author, entry, body, tuple(keeps))
        self._tray.put(work)
        assert work.receipt is not None
        receipt = work.receipt
        written = sum(receipt.changed)
        firsts = zip(receipt.versions, receipt.changed, strict=True)
        new = sum(1 for version, changed in firsts if changed and version.version == 1)
        return Loaded(written, new, len(changes) - written)

    def record(self, entry: Entry) -> None:
        if self._folding is not None:
            self._folding.record(entry)
        else:
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
        if any(work.changes for work in works):  # who sleeps, sleeps for versions, not for reads
            with self._news:
                self._news.notify_all()

    def _refuse(self, works: Sequence[Work], error: Exception) -> None:
        for work in works:
            work.error, work.done = error, True

    def _translated(self, error: Exception) -> Exception:
        """An error of the database as one of ours; a mistake of the program stays what it is."""
        return error

    def _write_group(self, works: Sequence[Work]) -> None:
        durable = not all(work.may_be_repeated for work in works)
        outcomes: list[Receipt | SokhoeError] = []
        shapes: set[tuple[str, int]] = set()
        registered = False
        with self._transaction(durable=durable) as read:
            for number, run in enumerate(_runs(works)):
                plan = self._started(read, run)
                if self._folding is not None and number == 0:
                    self._folding.plan(plan, read, works)
                for work in run:
                    try:
                        self._check(read, work.stills)
                        work.changes = tuple(
                            registering.up_to_date(change, plan.parameters, self.packer)
                            for change in work.changes
                        )
                        outcomes.append(planning.plan_work(plan, work, self.node, self.epoch))
                    except SokhoeError as error:
                        outcomes.append(error)
                registered |= registering.register(plan, _registers(run))
                self._write_out(plan)
                shapes |= self._learn(plan.indexed.values())
        self._shapes |= shapes  # only now are they sure to be on disk
        if registered:
            self._known_until = 0.0
        if not self.packer.current and plan.heads.seq >= SAMPLES:
            self._begin_dictionary()
        if self._folding is not None:
            self._folding.written()
        for work, outcome in zip(works, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                work.receipt = outcome
            else:
                work.error = outcome
            work.done = True

    def _begin_dictionary(self) -> None:
        try:
            self.train(first=True)
        except Exception:  # the group is written; the next one tries again
            log.exception("no dictionary could be made")

    def _write_out(self, plan: Plan) -> None:
        for seq, old in plan.orphans:
            plan.links += planning.own_links(seq, old.rows or self._rows_of(old, plan.parameters))
        self._write(plan)

    def _learn(self, indexed: Iterable[IndexRows]) -> set[tuple[str, int]]:
        """Note the shapes of records that were not seen before, which `:missing` asks for."""
        new = {rows.shape for rows in indexed} - self._shapes
        for type, shape in new:
            self._run(
                "INSERT INTO keep(kind, key, value) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
                (f"shape {type}", f"{shape:x}", b"1"),
            )
        return new

    def _check(self, read: Reader, stills: Sequence[Still]) -> None:
        """Ask a commit's conditions again, now that nobody else can write. Raises Conflict."""
        for still in stills:
            query = replace(still.query, count=len(still.refs) + 1)
            with self._patient(read, bounds.MOST_SECONDS) as patient:
                known = self.parameters()
                page = Search.on(patient, self.dialect, still.scope, self._version, known).page(
                    query
                )
            if {version.ref for version in page.versions} != still.refs:
                raise Conflict(
                    f"What {query.type}?{query.text} finds has changed in between.",
                    hint="Ask again and decide on what is there now.",
                    slug="condition-changed",
                )

    def _started(self, read: Reader, works: Sequence[Work]) -> Plan:
        """A plan with all that the group has to know of what stands."""
        heads = _heads(read)
        names = {change.name: change.self_key for work in works for change in work.changes}
        drawers = {(keep.kind, keep.key) for work in works for keep in work.keeps}
        kept = {drawer: kept_in(read, *drawer) for drawer in drawers}
        standing = self._standing(read, names)
        known = self._known
        if known.edition != heads.index:  # changed by this transaction, or by another process
            known = registering.known(read)
        return Plan(heads, standing, kept, parameters=known)

    @abstractmethod
    def _standing(self, read: Reader, names: Names) -> dict[planning.Name, Standing]:
        """The newest versions of all these records, as far as there are any. Names come with
        the hashes that the callers worked out already."""

    def _stands(self, row: tuple[Any, ...]) -> Standing:
        packed = bodies.Packed(row[7], bytes(row[8]))
        return Standing(self._version(row[:9]), bytes(row[9]), packed)

    def _rows_of(self, old: Standing, parameters: search.SearchParameters) -> IndexRows:
        """All rows that may be there of what stood before."""
        return extract(decode(old.version.body), parameters, leaving=True)

    # --- audit journals --------------------------------------------------------------------------

    @property
    def records_soon(self) -> bool:
        return self._folding is not None and self._folding.is_open

    def _settled(self) -> None:
        if self._folding is not None:
            self._folding.settle()

    def verify(self) -> Iterator[Fault]:
        yield from super().verify()
        for name, fault in self.all_kept("journal-fault").items():
            yield Fault(f"audit journal {name}", fault["message"])
        if self._folding is not None:
            yield from self._folding.faults()

    def _close_journals(self) -> None:
        if self._folding is not None:
            with suppress(SokhoeError):  # the lines stay in the journal, for the next start
                self._folding.close()

    # --- first start ---------------------------------------------------------------------------

    def _settle(self, read: Reader) -> None:
        """Within a transaction: give a new store its name and its empty heads, know an old one."""
        known: dict[str, str] = dict(read("SELECT key, value FROM node", ()))
        if not known:
            known = {"node": uuid.uuid4().hex, "epoch": uuid.uuid4().hex}
            known["index"] = self._index_name
            for key, value in known.items():
                self._run("INSERT INTO node(key, value) VALUES(?, ?)", (key, value))
            for kind in ("commit", "version", "audit"):
                new = (kind, chain.START)
                self._run("INSERT INTO head(kind, seq, hash, at) VALUES(?, 0, ?, 0)", new)
            for name, code in TYPE_CODES.items():
                self._run("INSERT INTO types(code, name) VALUES(?, ?)", (code, name))
        first = ("index", chain.START)
        self._run(
            "INSERT INTO head(kind, seq, hash, at) VALUES(?, 0, ?, 0) ON CONFLICT DO NOTHING", first
        )
        self.node, self.epoch = known["node"], known["epoch"]
        self.packer.current = _newest(read)
        if known.get("index") != self._index_name:
            self._fill_index(read)

    @property
    def _index_name(self) -> str:
        """Under which rules the index is made."""
        return search.fingerprint()

    def _sealed(self, data: bytes) -> bytes:
        """What may be personal, as it is to lie in the database."""
        return data

    def _fill_index(self, read: Reader) -> None:
        """The index was made under other rules, or not at all: make it from the bodies."""
        if _heads(read).seq:
            log.warning("The search index is made anew; with many records this takes minutes.")
        self._empty_index()
        self._run("DELETE FROM keep WHERE kind LIKE ?", ("shape %",))
        known = registering.known(read)
        for indexed, links in indexing.again(read, self.packer, known):
            self._index_again(indexed, links)
            self._learn(rows for _, rows in indexed)
        for key, value in registering.settled(read):
            self._run("DELETE FROM keep WHERE kind=? AND key=?", (registering.DRAWER, key))
            if value is not None:
                self._run(
                    "INSERT INTO keep(kind, key, value) VALUES(?, ?, ?)",
                    (registering.DRAWER, key, value),
                )
        if known.edition:
            self._run("UPDATE head SET seq=seq+1 WHERE kind='index'")
        self._run("DELETE FROM node WHERE key='index'")
        self._run("INSERT INTO node(key, value) VALUES('index', ?)", (self._index_name,))

    def renew_epoch(self) -> str:
        """After a restore: whoever has read commits of this node beyond the backup must notice."""
        with self._transaction(durable=True) as read:
            self.epoch = uuid.uuid4().hex
            self._run("UPDATE node SET value=? WHERE key='epoch'", (self.epoch,))
            for name, value in restored(read):
                self._run("UPDATE keep SET value=? WHERE kind='journal' AND key=?", (value, name))
        return self.epoch

    def train(self, *, first: bool = False) -> int:
        """Make a new dictionary from the records that are there and compress with it from now on;
        its number. What is already written stays as it is, but for the first one's.

        `first`: only if there is none yet; another process may have made it meanwhile. Nothing is
        compressed with a dictionary before it is in the store for good.
        """
        with self._transaction(durable=True) as read:
            number = _newest(read)
            if not (first and number):
                number += 1
                made = bodies.trained(self._samples(read))
                self._run("INSERT INTO dicts(id, data) VALUES(?, ?)", (number, self._sealed(made)))
        self.packer.current = number
        if number == 1:
            with self._transaction(durable=True) as read:
                self._pack_again(read)
        return number

    def _samples(self, read: Reader) -> list[bytes]:
        step = max(1, _heads(read).seq // SAMPLES)
        rows = read(
            "SELECT dict, body FROM res WHERE deleted=0 AND MOD(seq, ?)=0 LIMIT ?", (step, SAMPLES)
        )
        return [self.packer.open(row[0], bytes(row[1])) for row in rows]

    def _packed_again(self, body: bytes) -> tuple[int, bytes]:
        """Dictionary and data of a body that was compressed without one."""
        packed = self.packer.pack(self.packer.open(0, bytes(body)))
        return packed.dictionary, packed.data


def _runs(works: Sequence[Work]) -> list[list[Work]]:
    """A group in parts that can be planned at once: a work with conditions begins a new part,
    since its search must see in the database what those before it write; one that changes search
    parameters ends its part, since what comes after it is indexed under them."""
    runs: list[list[Work]] = [[]]
    for work in works:
        if work.stills and runs[-1]:
            runs.append([])
        runs[-1].append(work)
        if _registers([work]):
            runs.append([])
    return runs if runs[-1] or len(runs) == 1 else runs[:-1]


def _registers(works: Sequence[Work]) -> list[str]:
    """The ids of the SearchParameters that are written."""
    names = (change.name for work in works for change in work.changes)
    return [id for type, id in names if type == registering.TYPE]


def _newest(read: Reader) -> int:
    """The number of the newest dictionary; 0 if there is none."""
    return int(read("SELECT coalesce(max(id), 0) FROM dicts", ())[0][0])


def _heads(read: Reader) -> Heads:
    rows = {row[0]: row[1:] for row in read("SELECT kind, seq, hash, at FROM head", ())}
    commit, version, audit = rows["commit"], rows["version"], rows["audit"]
    return Heads(
        commit[0],
        bytes(commit[1]),
        version[0],
        version[2],
        audit[0],
        bytes(audit[1]),
        rows["index"][0],
    )

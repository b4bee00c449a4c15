"""The few verbs through which everybody reaches a record: read, search, history, commit, follow.

A Session is an actor with a purpose in front of the memory. Each verb asks the permits first,
hands the bounds to the store, and leaves a line in the audit before the answer is returned, also
when the answer is a refusal. There is no other way in: the store has three callers (house, §2).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Forbidden, Gone, Invalid, NotFound
from sokhoe.fhir import (
    TYPES,
    Query,
    SearchParameters,
    compartments,
    parse_query,
    search,
    terminology,
    validate,
)
from sokhoe.store import (
    Change,
    Choice,
    Delete,
    Dictionary,
    Edition,
    Entry,
    Keep,
    Loaded,
    Mended,
    Page,
    Point,
    Put,
    Receipt,
    Recorded,
    Scope,
    Still,
    Store,
    Sweep,
    Swept,
    Version,
    hides,
)
from sokhoe.trust import audit, chains, exporting, indexing, locks
from sokhoe.trust.actors import Actor, Purpose, Role
from sokhoe.trust.codes import Codes
from sokhoe.trust.exporting import Bounds
from sokhoe.trust.grounds import Grounds
from sokhoe.trust.loading import Batch
from sokhoe.trust.permits import AUDIT, DIRECTORY, READ, Deed, Links, allow

Pairs = Sequence[tuple[str, str]]
# A line names at most so many records; the people concerned are always all named.
NAMED = 100
CURSOR = "_cursor"
# Search parameters that say how to answer, not what to find.
_ABOUT_ANSWERS = frozenset(
    "_count _cursor _sort _total _summary _elements _include _revinclude _contained "
    "_containedType _format _pretty _offset".split()
)


class Session:
    """Made by `Gate`; cheap, lives for one request or one follower."""

    def __init__(
        self,
        store: Store,
        actor: Actor,
        purpose: Purpose,
        *,
        secret: bytes,
        address: str = "",
        library: terminology.Library,
        grounds: Grounds,
    ) -> None:
        self.actor = actor
        self.purpose = purpose
        self.address = address
        # what is to be kept with each commit, given the references it writes (see jobs.py)
        self.noting: Callable[[Sequence[str]], Sequence[Keep]] | None = None
        self._store = store
        self._secret = secret
        self._library = library
        self._grounds = grounds

    # -- reading ---------------------------------------------------------------------------

    def read(self, type: str, id: str, version: int | None = None) -> Version:
        """One resource, or one version of it. Raises NotFound, Gone, Forbidden.

        What lies outside the actor's bounds is "not found": a refusal would tell that it exists.
        """
        scope = self._allow(Deed.READ, type, f"{type}/{id}")
        if type == "AuditEvent":
            return self._read_audit(id, scope)
        found = self._store.read(type, id, version)
        if found is not None and found.deleted and version is None:
            if scope.patients is None and self._shows(scope, found, self._people_of(found)):
                self._record("R", (f"{type}/{id}",), (), note="deleted")
                raise Gone(f"{type}/{id} was deleted.", hint="Its history is still there.")
            found = None
        people = people_of(found) if found else frozenset()
        if found is None or not self._shows(scope, found, people):
            self._record("R", (f"{type}/{id}",), (), outcome="4", note="not found")
            what = f"{type}/{id}" + (f" version {version}" if version else "")
            raise NotFound(f"There is no {what}.")
        self._record("R", (found.ref,), people)
        return found

    def search(self, type: str, pairs: Pairs = (), *, lenient: bool = False) -> Page:
        """A page of resources. `pairs` are search parameters as in a FHIR URL; `_cursor` goes on
        from `Page.next`. Raises Invalid and Unsupported for parameters, Forbidden."""
        scope = self._allow(Deed.SEARCH, type, type)
        cursor = next((value for name, value in pairs if name == CURSOR), None)
        asked = [pair for pair in pairs if pair[0] != CURSOR]
        text = f"{type}?" + "&".join(f"{name}={value}" for name, value in asked)
        if type == "AuditEvent":
            return self._search_audit(asked, cursor, scope, text)
        query = parse_query(
            type, asked, lenient=lenient, expander=Codes(self), known=self.parameters()
        )
        self._check_chains(query, scope, text)
        if cursor is not None:
            query = replace(query, cursor=self._open(cursor, text))
        page = self._store.search(query, scope)
        shown = (*page.versions, *page.included)
        self._record(
            "E",
            tuple(one.ref for one in shown[:NAMED]),
            frozenset[str]().union(*map(people_of, shown)),
            query=text,
        )
        if page.next is None:
            return page
        return replace(page, next=self._seal(page.next, text))

    def read_many(self, refs: Iterable[str]) -> list[Version]:
        """Those of these resources (references) that are there and that the actor may see, in the
        order given, with one line in the audit. What he may not see is left out silently."""
        asked = list(dict.fromkeys(refs))
        types = {ref.partition("/")[0] for ref in asked} & (TYPES - {"AuditEvent"})
        scopes = self._scopes(Deed.READ, types)
        known = self._store.read_many([ref for ref in asked if ref.partition("/")[0] in scopes])
        found = [known[ref] for ref in asked if ref in known]
        seen = [one for one in found if self._shows(scopes[one.type], one, people_of(one))]
        if seen:
            people = frozenset[str]().union(*map(people_of, seen))
            self._record("R", tuple(one.ref for one in seen[:NAMED]), people)
        return seen

    def consult(self, type: str, query: str) -> terminology.Library:
        """The terminology, for who may search this type of it (CodeSystem, ValueSet, ConceptMap);
        `query` is what he wants to know, for the audit. It is about no patient: its answers may
        come from what is kept at hand. Raises Forbidden."""
        self._allow(Deed.SEARCH, type, type)
        self._record("E", (), (), query=query)
        return self._library.refresh()

    def parameters(self) -> SearchParameters:
        """The search parameters there are: the standard's, and the server's own."""
        return self._store.parameters()

    def may(self, deed: Deed, type: str) -> bool:
        """Whether the actor may do this with any record of the type; leaves no line."""
        return bool(self._scopes(deed, (type,)))

    def sees(self, version: Version) -> bool:
        """Whether the actor may read this version. Nothing is shown, so this leaves no line."""
        scope = self._scopes(Deed.READ, (version.type,)).get(version.type)
        return scope is not None and self._shows(scope, version, self._people_of(version))

    def tell(self, named: Sequence[tuple[str, str, int]], note: str) -> list[Version]:
        """Versions (type, id, number) that are about to be sent to this actor unasked: those he
        may see now, with a line in the audit that says so. The others are left out."""
        found = [self._store.read(*one) for one in named]
        told = [one for one in found if one is not None and self.sees(one)]
        if told:
            people = frozenset[str]().union(*map(self._people_of, told))
            refs = dict.fromkeys(one.ref for one in told[:NAMED])
            self._record("R", tuple(refs), people, note=note)
        return told

    def around(
        self,
        roots: Sequence[str],
        by: Mapping[str, Sequence[str]],
        *,
        types: frozenset[str] | None = None,
        since: int | None = None,
        count: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """The roots (references) and what points at them by the parameters of `by`, in the order
        of writing. `types`: only these; each must then be allowed. Without them the types that the
        actor may not read are left out. Raises Forbidden where nothing is left."""
        if types is None:
            known = {*by, *(root.partition("/")[0] for root in roots)}
            scopes = self._scopes(Deed.SEARCH, known)
        else:
            scopes = {type: self._allow(Deed.SEARCH, type, type) for type in sorted(types)}
        if not scopes:
            self._allow(Deed.SEARCH, roots[0].partition("/")[0], roots[0])
        text = f"{','.join(roots)} and around {','.join(sorted(scopes))} since {since}"
        after = int(self._open(cursor, text)) if cursor is not None else 0
        page = self._store.around(
            roots, by, since=since, after=after, count=count, scope=_strictest(scopes)
        )
        refs = tuple(one.ref for one in page.versions[:NAMED])
        people = frozenset[str]().union(*map(people_of, page.versions))
        self._record("E", refs, people, query=f"{','.join(roots)} and around")
        if page.next is None:
            return page
        return replace(page, next=self._seal(page.next, text))

    def match(self, type: str, pairs: Pairs, most: int = 1) -> tuple[Sequence[Version], Still]:
        """What a condition finds (one more than `most` when there are more), for a write that
        depends on it, and the `Still` by which `commit` makes sure that it does so to the end.

        Always strict: a condition of which a part is ignored would write what nobody meant.
        """
        bad = next((name for name, _ in pairs if name.partition(":")[0] in _ABOUT_ANSWERS), None)
        if bad is not None:
            raise Invalid(f"{bad} is no part of a condition.", slug="condition", location=bad)
        scope = self._allow(Deed.SEARCH, type, type)
        query = parse_query(type, pairs, expander=Codes(self), known=self.parameters())
        if not query.where:
            raise Invalid("The condition is empty.", slug="condition")
        found = self.search(type, [*pairs, ("_count", str(most + 1))]).versions
        return found, Still(query, frozenset(one.ref for one in found), scope)

    def history(
        self,
        type: str | None = None,
        id: str | None = None,
        *,
        since: int | None = None,
        during: tuple[int, int] | None = None,
        count: int = 50,
        before: str | None = None,
    ) -> Page:
        """Versions, newest first, of one resource, of a type, or of everything; `during`: those
        that stood at some moment of a stretch of time [from, to)."""
        scope = self._allow_history(type, id)
        name = "/".join(part for part in (type, id) if part) or "*"
        start = int(self._open(before, f"history {name}")) if before is not None else None
        page = self._store.history(
            type, id, since=since, during=during, count=count, before=start, scope=scope
        )
        whole = start is None and since is None and during is None
        if id is not None and not page.versions and whole:
            self._record("R", (name,), (), outcome="4", note="history")
            raise NotFound(f"There is no {name}.")
        people = frozenset[str]().union(*map(people_of, page.versions))
        refs = tuple(dict.fromkeys(one.ref for one in page.versions[:NAMED]))
        self._record("R", refs, people, note="history")
        if page.next is None:
            return page
        return replace(page, next=self._seal(page.next, f"history {name}"))

    # -- writing ---------------------------------------------------------------------------

    def commit(
        self,
        changes: Sequence[Change],
        *,
        note: str = "",
        keeps: Sequence[Keep] = (),
        stills: Sequence[Still] = (),
        author: str | None = None,
    ) -> Receipt:
        """Write all changes or none; returns when they are on disk.

        Every resource is validated first. `author`: a machine that carries somebody else's work
        (sync) names him. `stills`: what `match` found and must still find. Raises Invalid,
        Conflict, Forbidden.
        """
        for change in changes:
            if isinstance(change, Put):
                kind = change.resource.get("resourceType")
                if not isinstance(kind, str) or kind not in TYPES:
                    validate(change.resource)
                self._write(Deed.WRITE, str(kind), str(change.resource.get("id", "")))
                validate(change.resource)
                if kind == indexing.TYPE and self.actor.role is not Role.MACHINE:
                    indexing.check(change.resource, self.parameters())
            else:
                self._write(Deed.DELETE, change.type, change.id)
        people: set[str] = set()
        for change in changes:
            if isinstance(change, Put):
                people |= compartments(change.resource)
            elif (standing := self._store.read(change.type, change.id)) and not standing.deleted:
                people |= people_of(standing)
        entry = self._entry(
            _action(changes), tuple(map(_ref, changes[:NAMED])), frozenset(people), note=note
        )
        if author is not None and self.actor.role is not Role.MACHINE:
            raise Forbidden("Only a machine may write in another's name.", slug="author")
        keeps = [*keeps, *locks.guard(self._store, changes)]
        if self.noting is not None:
            keeps = [*keeps, *self.noting([_ref(change) for change in changes])]
        receipt = self._store.commit(
            changes, author=author or self.actor.id, entry=entry, keeps=keeps, stills=stills
        )
        if any(one.type == "Consent" for one in receipt.versions):
            self._grounds.forget()
        return receipt

    # -- in bulk ---------------------------------------------------------------------------

    def exportable(self, types: Sequence[str] | None = None) -> Bounds:
        """What this actor may take out of these types (None: of all he may). Raises Forbidden."""

        def silently(deed: Deed, type: str) -> Scope:
            return self._bounds_of(deed, type)

        def ask(type: str) -> Scope:
            if type in AUDIT:
                raise Forbidden("The audit is not exported.", slug="audit-export")
            self._allow(Deed.READ, type, type)
            return self._allow(Deed.SEARCH, type, type)

        return exporting.bounds(exporting.permitted(types, silently, ask))

    def point(self, since: Instant = 0) -> Point:
        """The end of the log now: what a sweep shows is what stood there."""
        return self._store.point(since)

    def choose(self, filters: Sequence[tuple[str, Pairs]], job: str) -> tuple[Point, Choice]:
        """The records that filters (type, search parameters) mean, and the point at which they
        did. They are only numbers; a sweep takes the records, and says so in the audit."""
        queries, known = [], self.parameters()
        for type, pairs in filters:
            exporting.check_filter(pairs)
            queries.append(parse_query(type, pairs, expander=Codes(self), known=known))
        may = self.exportable([type for type, _ in filters])
        text = " ".join(f"{type}?" + "&".join(map("=".join, pairs)) for type, pairs in filters)
        scope = Scope(may.patients, may.types, may.open, closed=may.closed)
        for query in queries:
            # a chain may go through what is not among the types of this export
            types = self._allow(Deed.SEARCH, query.type, query.type).types
            scope = replace(scope, types=types)
            self._check_chains(query, scope, text)
        found = self._store.choose(queries, scope)
        self._record("E", (), (), query=text, note=f"{audit.EXPORT}{job}")
        return found

    def sweep(self, wanted: Sweep, after: int, job: str) -> Swept:
        """One step of taking records out, for the job of this name. Raises Forbidden."""
        narrowed = exporting.within(wanted, self.exportable(sorted(wanted.types)))
        swept = self._store.sweep(narrowed, after)
        note = f"{audit.EXPORT}{job} {len(swept.taken)} records"
        for types, people in exporting.lines(swept):
            self._record("R", types, people, note=note)
        return swept

    def writable(self) -> frozenset[str]:
        """The types that this actor may create and update. Raises Forbidden when there is none."""
        found = set()
        for type in sorted(TYPES - AUDIT):
            with suppress(Forbidden):
                scope = allow(self.actor, self.purpose, Deed.WRITE, type, self._links)
                if scope.patients is None:
                    found.add(type)
        if not found:
            self._record("C", (), (), outcome="4", note="load")
            raise Forbidden("This client may write nothing.", slug="scope-missing")
        return frozenset(found)

    def load(self, batch: Batch, *, note: str, keeps: Sequence[Keep] = ()) -> Loaded:
        """Write a block of records that was made ready, as one commit; returns when it is on disk.
        Raises Forbidden, Conflict (`keeps`; a record among them is signed)."""
        if not batch.count:
            if keeps:
                self._store.keep(*keeps)
            return Loaded(0, 0, 0)
        for type in batch.types:
            self._write(Deed.WRITE, type, "")
        locks.guard_block(self._store, batch.types, batch.refs)
        entry = self._entry("U", batch.refs[:NAMED], batch.patients, note=note)
        return self._store.load(batch.carried, author=self.actor.id, entry=entry, keeps=keeps)

    def settle(self) -> None:
        """After a load: statistics for the planner, and a short write-ahead file."""
        self._store.tidy()

    def dictionary(self) -> Dictionary:
        """What a block is compressed with while it is made ready."""
        return self._store.dictionary()

    def note(
        self, action: str, what: str, note: str, *, outcome: str = "0", people: Iterable[str] = ()
    ) -> None:
        """A line in the audit for something done that shows no record by itself. `people`: the
        patients concerned, who find it in their log."""
        self._record(action, (what,) if what else (), people, outcome=outcome, note=note)

    # -- the index -------------------------------------------------------------------------

    def reindex(
        self, types: Iterable[str] | None, id: str = "", *, upto: int, after: int, **how: Any
    ) -> Mended:
        """A step of comparing records with their index and putting it right (`indexing.step`).
        Raises Forbidden."""
        return indexing.step(self, self._store, types, id, upto=upto, after=after, **how)

    def index_on(self) -> Edition | None:
        """A step of indexing by a new search parameter of the server's own, or of removing a
        retired one; None: there is nothing to do. Machines only."""
        self._own(f"{self.actor.room}.index")
        return self._store.index_on()

    def editions(self) -> list[Edition]:
        """The server's own search parameters, and how far each is indexed."""
        return self._store.editions()

    # -- following -------------------------------------------------------------------------

    def follow(
        self, follower: str, limit: int = 500, *, types: frozenset[str] | None = None
    ) -> tuple[list[Version], int]:
        """What has changed since this follower's mark, oldest first, and how far that reaches.
        `types`: only these are of use to it; what it is not shown needs no audit line.

        Machines only. The mark moves with `done`, or in the same transaction as the follower's
        own writes by `commit(…, keeps=[mark(follower, seq)])`: its work then takes effect once.
        """
        if self.actor.role is not Role.MACHINE:
            raise Forbidden("Only a room of this system may follow the feed.", slug="follow")
        batch = self._store.feed(self.mark_of(follower), limit)
        reach = batch[-1].seq if batch else self.mark_of(follower)
        present = {one.type for one in batch} & (types or TYPES)
        readable = {one for one in present if _machine_reads(self.actor, self.purpose, one)}
        found = [one for one in batch if one.type in readable]
        if found:
            people = frozenset[str]().union(*map(people_of, found))
            self._record("R", (), people, note=f"feed {follower} {found[0].seq}-{found[-1].seq}")
        return found, reach

    def done(self, follower: str, seq: int) -> None:
        """Move a follower's mark."""
        self._store.keep(mark(follower, seq))

    def mark_of(self, follower: str) -> int:
        """How far a follower has come."""
        return int(self._store.kept("mark", follower) or 0)

    def head(self) -> int:
        """The number of the newest version."""
        return self._store.head()

    def wait(self, after: int, timeout: float) -> int:
        """Sleep until something newer than `after` is there, at most `timeout` seconds."""
        return self._store.wait(after, timeout)

    # -- a machine's own drawers -----------------------------------------------------------

    def kept(self, kind: str, key: str) -> Any:
        """What a room has kept for its own work beside the records; never health data."""
        return self._store.kept(self._own(kind), key)

    def all_kept(self, kind: str) -> dict[str, Any]:
        return self._store.all_kept(self._own(kind))

    def keep(self, *keeps: Keep) -> None:
        """Change several of them, and marks of followers, in one transaction."""
        for one in keeps:
            self._own(one.key if one.kind == "mark" else one.kind)
        self._store.keep(*keeps)

    def _own(self, kind: str) -> str:
        """A room opens only drawers that bear its name."""
        if self.actor.role is not Role.MACHINE or not kind.startswith(f"{self.actor.room}."):
            raise Forbidden(f"{kind} is not yours.")
        return kind

    # -- inside ----------------------------------------------------------------------------

    def _people_of(self, version: Version) -> frozenset[str]:
        """The people concerned; of a deletion those of whom the record was."""
        if version.deleted and version.version > 1:
            before = self._store.read(version.type, version.id, version.version - 1)
            return people_of(before) if before is not None else frozenset()
        return people_of(version)

    def _links(self, person: str) -> frozenset[str]:
        type, _, id = person.partition("/")
        found = self._store.read(type, id) if id else None
        if found is None or found.deleted:
            return frozenset()
        links = found.resource.get("link", [])
        return frozenset(one["target"]["reference"] for one in links)

    def _allow(self, deed: Deed, type: str, what: str) -> Scope:
        if type not in TYPES:
            raise NotFound(f"There is no resource type {type!r}.", slug="unknown-type")
        try:
            return self._bounds_of(deed, type)
        except Forbidden:
            self._record("E" if deed is Deed.SEARCH else "R", (what,), (), outcome="4")
            raise

    def _check_chains(self, query: Query, scope: Scope, text: str) -> None:
        """Refuse a search that looks into what may not be searched. Raises Forbidden."""
        try:
            chains.check(query, scope.types)
        except Forbidden:
            self._record("E", (query.type,), (), outcome="4", query=text)
            raise

    def _scopes(self, deed: Deed, types: Iterable[str]) -> dict[str, Scope]:
        """The bounds for each type that is allowed at all; asking is no refusal to be noted."""
        found = {}
        links = cache(self._links)
        for type in types:
            with suppress(Forbidden):
                found[type] = self._bounds_of(deed, type, links)
        return found

    def _bounds_of(self, deed: Deed, type: str, links: Links | None = None) -> Scope:
        """What the permits allow, less what has no ground now. Raises Forbidden."""
        scope = allow(self.actor, self.purpose, deed, type, links or self._links)
        if deed not in READ:
            return scope
        return self._grounds.narrow(scope, self.actor, self.purpose)

    def _shows(self, scope: Scope, version: Version, people: frozenset[str]) -> bool:
        """Whether a version that was read by its name lies within the bounds."""
        if not _within(scope, version.type, people) and not self._related(scope, version, people):
            return False
        if not scope.closed and not scope.only:
            return True
        standing = version
        if version.deleted:
            before = self._store.read(version.type, version.id, version.version - 1)
            if before is None or before.deleted:
                return True
            standing = before
        if hides(scope, people, standing.resource):
            return False
        # an old version is hidden as well when what the record is now is hidden
        now = self._store.read(version.type, version.id)
        return now is None or now.deleted or not hides(scope, people_of(now), now.resource)

    def _related(self, scope: Scope, version: Version, people: frozenset[str]) -> bool:
        if not scope.related or not people or not _within_types(scope, version.type):
            return False
        own = search.type_keys("Patient").id
        named = search.Keys("_id", tuple(own ^ search.key(one) for one in sorted(people)))
        query = Query("Patient", (named, *scope.related), count=1)
        return bool(self._store.search(query).versions)

    def _allow_history(self, type: str | None, id: str | None) -> Scope:
        if type is not None:
            return self._allow(Deed.READ, type, f"{type}/{id or ''}")
        # The system's history shows every type at once: only who may read each may have it.
        scope = Scope()
        for each in sorted(TYPES - {"AuditEvent"}):
            scope = self._allow(Deed.READ, each, "history")
        return scope

    def _write(self, deed: Deed, type: str, id: str) -> None:
        try:
            if type == "AuditEvent":
                raise Forbidden("The audit is written by the system alone.", slug="audit-write")
            scope = allow(self.actor, self.purpose, deed, type, self._links)
            if scope.patients is not None:
                raise Forbidden("This role may not write.", slug="write-scope")
        except Forbidden:
            self._record("D" if deed is Deed.DELETE else "U", (f"{type}/{id}",), (), outcome="4")
            raise

    def _entry(
        self,
        action: str,
        what: tuple[str, ...],
        people: Iterable[str],
        *,
        outcome: str = "0",
        query: str = "",
        note: str = "",
    ) -> Entry:
        return Entry(
            at=clock.now(),
            actor=self.actor.id,
            name=self.actor.name,
            role=str(self.actor.role),
            place=self.actor.place,
            purpose=str(self.purpose),
            action=action,
            what=what,
            patients=tuple(sorted(people)),
            outcome=outcome,
            query=query,
            address=self.address,
            note=note,
        )

    def _record(
        self,
        action: str,
        what: tuple[str, ...],
        people: Iterable[str],
        *,
        outcome: str = "0",
        query: str = "",
        note: str = "",
    ) -> None:
        self._store.record(
            self._entry(action, what, people, outcome=outcome, query=query, note=note)
        )

    def _read_audit(self, id: str, scope: Scope) -> Version:
        line = self._store.entry(int(id)) if id.isdigit() else None
        if line is None or not _within(scope, "AuditEvent", frozenset(line.entry.patients)):
            raise NotFound(f"There is no AuditEvent/{id}.")
        self._record("R", (f"AuditEvent/{id}",), ())
        return audit.as_version(_narrowed(line, scope))

    def _search_audit(self, pairs: Pairs, cursor: str | None, scope: Scope, text: str) -> Page:
        asked = audit.arguments(pairs)
        count = asked["count"]
        before = int(self._open(cursor, text)) if cursor is not None else None
        patients: Iterable[str | None] = [asked.pop("patient", None)]
        if scope.patients is not None:
            wanted = next(iter(patients))
            patients = sorted(scope.patients if wanted is None else scope.patients & {wanted})
        found = {
            line.seq: line
            for patient in patients
            for line in self._store.entries(patient=patient, before=before, **asked)
        }
        lines = [found[seq] for seq in sorted(found, reverse=True)[:count]]
        self._record("E", (), (), query=text)
        following = str(lines[-1].seq) if len(lines) == count else None
        return Page(
            versions=tuple(audit.as_version(_narrowed(line, scope)) for line in lines),
            next=self._seal(following, text) if following else None,
        )

    def _seal(self, place: str, text: str) -> str:
        """Sign a place to go on from, so that nobody can ask for a place he was not given."""
        body = urlsafe_b64encode(place.encode()).decode().rstrip("=")
        return f"{body}.{self._tag(place, text)}"

    def _open(self, token: str, text: str) -> str:
        body, _, tag = token.partition(".")
        try:
            place = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except ValueError:
            place = ""
        if not place or not hmac.compare_digest(tag, self._tag(place, text)):
            raise Invalid(
                "This page link is damaged or belongs to another search.",
                hint="Start again from the first page.",
                slug="cursor",
                location=CURSOR,
            )
        return place

    def _tag(self, place: str, text: str) -> str:
        said = f"{self.actor.id}\n{text}\n{place}".encode()
        return hmac.new(self._secret, said, sha256).hexdigest()[:32]


def mark(follower: str, seq: int) -> Keep:
    """A follower's mark, to be kept in the same transaction as its work."""
    return Keep("mark", follower, seq)


def people_of(version: Version) -> frozenset[str]:
    """The patients concerned by a version, for scope and audit."""
    if version.deleted or version.type in DIRECTORY:
        return frozenset()
    if version.people is not None:
        return version.people
    if version.type == "AuditEvent":
        return frozenset()
    return compartments(version.resource)


def _within_types(scope: Scope, type: str) -> bool:
    return scope.types is None or type in scope.types


def _within(scope: Scope, type: str, people: frozenset[str]) -> bool:
    if not _within_types(scope, type):
        return False
    if scope.patients is None or type in scope.open:
        return True
    return bool(people & scope.patients)


def _strictest(scopes: Mapping[str, Scope]) -> Scope:
    """One scope that shows nothing which one of these, each for its type, would hide."""
    some = next(iter(scopes.values()))
    bounds = [one for one in scopes.values() if one.patients is not None]
    if not bounds:
        return replace(some, types=frozenset(scopes))
    patients = frozenset.intersection(*(one.patients or frozenset() for one in bounds))
    free = (one for one in scopes.items() if one[1].patients is None or one[0] in one[1].open)
    open = frozenset(type for type, _ in free)
    return replace(bounds[0], patients=patients, types=frozenset(scopes), open=open)


def _narrowed(line: Recorded, scope: Scope) -> Recorded:
    """A line as this reader may see it: a citizen does not learn who else was in a list."""
    if scope.patients is None:
        return line
    own = tuple(one for one in line.entry.patients if one in scope.patients)
    hidden = len(own) < len(line.entry.patients)
    # a bare type (of an export) says what kind of record was among them, and nothing of others
    shown = (ref for ref in line.entry.what if ref in own or "/" not in ref)
    what = tuple(shown) if hidden else line.entry.what
    return replace(line, entry=replace(line.entry, patients=own, what=what, query="", address=""))


def _ref(change: Change) -> str:
    if isinstance(change, Delete):
        return f"{change.type}/{change.id}"
    return f"{change.resource['resourceType']}/{change.resource.get('id', '')}"


def _action(changes: Sequence[Change]) -> str:
    if any(isinstance(one, Delete) for one in changes):
        return "D"
    if all(isinstance(one, Put) and one.if_version == 0 for one in changes):
        return "C"
    return "U"


def _machine_reads(actor: Actor, purpose: Purpose, type: str) -> bool:
    try:
        allow(actor, purpose, Deed.READ, type, lambda person: frozenset())
    except Forbidden:
        return False
    return True

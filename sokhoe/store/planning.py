"""What a group of commits will write, worked out without touching the database.

The writer reads the ends of the chains and the standing versions once for the whole group; then
each commit is planned here in turn, on top of what those before it in the group will have done.
A commit that must be refused raises before anything of it is noted, so it cannot spoil the group.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Conflict, Invalid
from sokhoe.fhir import IndexRows, encode, extract, search
from sokhoe.store import bodies, chain
from sokhoe.store.bodies import Packed, Packer
from sokhoe.store.shapes import Change, Entry, Keep, Put, Receipt, Still, Version

Name = tuple[str, str]  # type, id
MARK = "mark"  # the drawer in which followers keep how far they have come
Drawer = tuple[str, str]  # kind, key

TYPE_CODES = {name: number for number, name in enumerate(search.searchable_types(), 1)}
TYPE_NAMES = {number: name for name, number in TYPE_CODES.items()}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change made ready in its caller's thread, or in another process (see `carrying`).
    `stored` is the body to keep, for who wants it in the receipt; no `rows`: a delete; `edition`:
    of the parameters under which the rows were made."""

    name: Name
    if_version: int | None
    self_key: int
    content: bytes
    stored: bytes | None = None
    packed: Packed = Packed(0, b"")  # noqa: RUF009
    rows: IndexRows | None = None
    edition: int = 0

    @property
    def gone(self) -> bool:
        return self.rows is None


@dataclass(slots=True)
class Work:
    """One call of `commit`, `keep` or `record` on its way through the writer."""

    changes: tuple[Prepared, ...] = ()
    author: str = ""
    entry: Entry | None = None
    entry_body: bytes = b""
    keeps: tuple[Keep, ...] = ()
    stills: tuple[Still, ...] = ()
    # carry over what lies in the audit journals; those named here wholly, to be done with them
    seal: frozenset[str] | None = None
    receipt: Receipt | None = None
    error: BaseException | None = None
    done: bool = False

    @property
    def may_be_repeated(self) -> bool:
        """A power cut may take back the last second of these, but of nothing else: lines of reads,
        and how far a follower has come (it does that stretch again, as after any crash)."""
        if self.changes or self.seal:
            return False
        return all(keep.kind == MARK for keep in self.keeps)


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the store ends: last commit, last version, last audit line; and how often its search
    parameters were changed (`index`)."""

    commit: int = 0
    commit_hash: bytes = chain.START
    seq: int = 0
    at: Instant = 0
    audit: int = 0
    audit_hash: bytes = chain.START
    index: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest version of a resource as the writer sees it. `rows` is known only when it was
    made in this group; `stored` only when it was, else it lies in `packed`."""

    version: Version
    content: bytes
    packed: Packed
    rows: IndexRows | None = None

    @property
    def live(self) -> bool:
        return not self.version.deleted


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A row of `res` to be written."""

    version: Version
    self_key: int
    content: bytes
    packed: Packed
    rows: IndexRows | None


@dataclass(slots=True)
class Plan:
    """All that one group of commits will write."""

    heads: Heads
    standing: dict[Name, Standing]
    kept: dict[Drawer, Any]
    versions: list[NewVersion] = field(default_factory=list)
    commits: list[tuple[Any, ...]] = field(default_factory=list)
    audit: list[tuple[int, Entry, bytes, bytes]] = field(default_factory=list)
    # pk -> the rows to be indexed; a version replaced within the group is taken out again
    indexed: dict[int, IndexRows] = field(default_factory=dict)
    stale: list[Standing] = field(default_factory=list)
    links: list[tuple[int, int, int]] = field(default_factory=list)
    orphans: list[tuple[int, Standing]] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    drawers: dict[Drawer, Any] = field(default_factory=dict)
    parameters: search.SearchParameters = search.STANDARD


# a new version, what stood before it, and under what it is to be found
_Made = tuple[NewVersion, Standing | None, IndexRows | None]


def prepare(
    change: Change, packer: Packer, parameters: search.SearchParameters = search.STANDARD
) -> Prepared:
    """Check, encode, compress, hash and extract: all that needs no turn to write."""
    if not isinstance(change, Put):
        bodies.check_name(change.type, change.id)
        key = search.key(f"{change.type}/{change.id}")
        content = bodies.content(change.type, change.id, None)
        return Prepared((change.type, change.id), change.if_version, key, content)
    resource = change.resource
    type, id = resource.get("resourceType"), resource.get("id")
    bodies.check_name(type, id)
    name = (str(type), str(id))
    stored = bodies.tail(resource)
    rows = extract(resource, parameters)
    content = bodies.content(*name, stored)
    packed = packer.pack(stored)
    return Prepared(
        name, change.if_version, rows.self_key, content, stored, packed, rows, parameters.edition
    )


def plan_work(plan: Plan, work: Work, node: str, epoch: str) -> Receipt:
    """Add one commit to the plan; raises Conflict and leaves the plan as it was."""
    for keep in work.keeps:
        _check_keep(keep, plan.kept.get((keep.kind, keep.key)))
    heads = plan.heads
    at = max(clock.now(), heads.at)
    number, seq = heads.commit + 1, heads.seq
    here: dict[Name, Standing] = {}
    made: list[_Made] = []
    told: list[Version] = []
    for change in work.changes:
        old = here.get(change.name) or plan.standing.get(change.name)
        _check_version(change, old)
        if _is_same(change, old):
            told.append(old.version if old else _never(change.name))
            continue
        seq += 1
        new = _next(change, old, seq, number, at)
        here[change.name] = Standing(new.version, new.content, new.packed, change.rows)
        made.append((new, old, change.rows))
        told.append(new.version)
    if made:
        _note_commit(plan, made, work.author, node, epoch)
        plan.standing.update(here)
    if work.entry is not None:
        note_entry(plan, work.entry, work.entry_body)
    for keep in work.keeps:
        plan.kept[keep.kind, keep.key] = plan.drawers[keep.kind, keep.key] = keep.value
    written = {id(new.version) for new, _, _ in made}
    changed = tuple(id(version) in written for version in told)
    return Receipt(number if made else 0, tuple(told), changed)


def _check_keep(keep: Keep, now: Any) -> None:
    if keep.expected is not ... and encode(keep.expected) != encode(now):
        raise Conflict(
            f"{keep.kind} {keep.key} was changed by somebody else in between.",
            hint="Read it again and decide on what is there now.",
            slug="kept-changed",
        )


def _check_version(change: Prepared, old: Standing | None) -> None:
    wanted = change.if_version
    if wanted is None:
        return
    standing = old.version.version if old else 0
    if wanted == standing or (wanted == 0 and old is not None and not old.live):
        return
    type, id = change.name
    raise Conflict(
        f"{type}/{id} is at version {standing}, not {wanted}.",
        hint="Read it again, look at what changed, and send the change on top of that.",
        slug="version-conflict",
        status=412,
        location=type,
    )


def _is_same(change: Prepared, old: Standing | None) -> bool:
    if change.gone:
        return old is None or not old.live
    return old is not None and old.live and old.content == change.content


def _never(name: Name) -> Version:
    """What stands where nothing ever stood."""
    return Version(0, 0, name[0], name[1], 0, 0, True, b"")


def _next(change: Prepared, old: Standing | None, seq: int, number: int, at: Instant) -> NewVersion:
    type, id = change.name
    version = old.version.version + 1 if old else 1
    body = b"" if change.stored is None else bodies.whole(type, id, version, at, change.stored)
    made = Version(seq, number, type, id, version, at, change.gone, body)
    return NewVersion(made, change.self_key, change.content, change.packed, change.rows)


def _note_commit(
    plan: Plan,
    made: list[_Made],
    author: str,
    node: str,
    epoch: str,
) -> None:
    heads = plan.heads
    first, last = made[0][0].version, made[-1][0].version
    listed = [
        (new.version.type, new.version.id, new.version.version, new.content) for new, _, _ in made
    ]
    number, at, prev = first.commit, first.at, heads.commit_hash
    sealed = chain.commit_hash(node, epoch, number, prev, author, at, listed)
    plan.commits.append((number, node, epoch, prev, sealed, author, at, first.seq, last.seq))
    plan.heads = replace(heads, commit=number, commit_hash=sealed, seq=last.seq, at=at)
    for new, old, rows in made:
        version = new.version
        plan.versions.append(new)
        _retire(plan, old)
        was, is_ = old is not None and old.live, not version.deleted
        plan.totals[version.type] = plan.totals.get(version.type, 0) + is_ - was
        if rows is not None:
            plan.indexed[version.seq] = rows
            plan.links += all_links(version.seq, rows)
        elif version.deleted and old is not None:
            # a deletion is part of the history of the same patients
            plan.orphans.append((version.seq, old))


def _retire(plan: Plan, old: Standing | None) -> None:
    """The rows of a version that is no longer current must go."""
    if old is not None and old.live and plan.indexed.pop(old.version.seq, None) is None:
        plan.stale.append(old)


def all_links(pk: int, rows: IndexRows) -> list[tuple[int, int, int]]:
    own = {search.key(patient) for patient in rows.patients}
    return [(pk, key, int(key in own)) for key in sorted(own.union(rows.links))]


def own_links(pk: int, rows: IndexRows) -> list[tuple[int, int, int]]:
    """The patients of what was deleted."""
    return [link for link in all_links(pk, rows) if link[2]]


def note_entry(plan: Plan, entry: Entry, body: bytes) -> None:
    """Add an audit line to the plan."""
    heads = plan.heads
    number = heads.audit + 1
    sealed = chain.audit_hash(number, heads.audit_hash, body)
    plan.audit.append((number, entry, body, sealed))
    plan.heads = replace(heads, audit=number, audit_hash=sealed)


def entry_keys(entry: Entry) -> set[int]:
    """Under what an audit line is found: the people concerned, and who acted."""
    return {search.key(patient) for patient in entry.patients} | {actor_key(entry.actor)}


def actor_key(actor: str) -> int:
    return search.key(f"actor|{actor}")


def check_keeps(keeps: tuple[Keep, ...]) -> None:
    """Invalid unless each value is JSON (they are compared and stored as such)."""
    for keep in keeps:
        try:
            encode(keep.value)
        except (TypeError, ValueError) as error:
            raise Invalid(f"{keep.kind} {keep.key} cannot be kept: {error}.") from error

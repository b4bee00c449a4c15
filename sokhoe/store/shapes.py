"""The values that go into and come out of the memory; nothing here does anything.

A store is a list of commits. A commit is an atomic set of versions; versions are numbered by `seq`
without gaps in the order in which they became visible, so that list is the history, the change
feed and the mail for the province at once (docs/architecture.md, "The memory").
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sokhoe.clock import Instant
from sokhoe.fhir import Query, SearchParameters, decode, search
from sokhoe.store.leading import Lead
from sokhoe.store.sums import Sums


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one resource. `body` is its JSON with `meta.versionId` and `meta.lastUpdated`
    filled in, empty when this version says that the resource was deleted."""

    seq: int
    commit: int
    type: str
    id: str
    version: int
    at: Instant
    deleted: bool
    body: bytes
    # The patients in whose compartments it lies, where the store knows them without decoding.
    people: frozenset[str] | None = field(default=None, compare=False, repr=False)

    @property
    def ref(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def resource(self) -> dict[str, Any]:
        """The decoded body (decoded on each call; keep it if it is needed twice)."""
        value: dict[str, Any] = decode(self.body)
        return value


@dataclass(frozen=True, slots=True)
class Put:
    """Create or update. `resource` has `resourceType` and `id`. `if_version`: the version it must
    replace (0: there must be none); None: whatever is there."""

    resource: dict[str, Any]
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Mark as deleted; history stays. Deleting what is not there is no error."""

    type: str
    id: str
    if_version: int | None = None


Change = Put | Delete


@dataclass(frozen=True, slots=True)
class Keep:
    """A small record that is not health data (account, sign-in, cursor, node key), kept beside the
    resources and changed in the same transaction. `value` None removes it. `expected`: the value
    that must be there now (compare and set, `...` = whatever), else Conflict."""

    kind: str
    key: str
    value: Any
    expected: Any = ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit: who did what to which record, where, why, and did it succeed.

    `action` is FHIR's C R U D E (E also for a search); `outcome` its 0 (done), 4 (refused),
    8 (failed); `what` are references (`Observation/7`), `patients` the people concerned
    (`Patient/3`), by which a citizen's access log is found; `query` the search text.
    Terms: hl7.org/fhir/R4/auditevent.html
    """

    at: Instant
    actor: str
    name: str
    role: str
    place: str
    purpose: str
    action: str
    what: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    outcome: str = "0"
    query: str = ""
    address: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An audit line as it stands in the chain: `hash` covers `prev` and the whole entry."""

    seq: int
    prev: bytes
    hash: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as family mail carries it: `hash` covers node, epoch, seq, prev, author, at and
    the content hash of each version, in order."""

    node: str
    epoch: str
    seq: int
    prev: bytes
    hash: bytes
    author: str
    at: Instant
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a commit did. `versions` are in the order of the changes (the standing version where
    a change changed nothing); `changed` says for each whether a new version was written;
    `commit` is 0 when nothing changed at all."""

    commit: int
    versions: tuple[Version, ...]
    changed: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A part of some patients' records. `what`: of a type all (True), nothing (False), or what
    meets a condition that the index answers; `rest`: of the types that are not named there."""

    patients: frozenset[str]
    what: Mapping[str, bool | search.Condition] = field(default_factory=dict)
    rest: bool = True

    def of(self, type: str) -> bool | search.Condition:
        return self.what.get(type, self.rest)

    @property
    def whole(self) -> bool:
        return self.rest and not self.what


@dataclass(frozen=True, slots=True)
class Scope:
    """What the asker may be shown at all; it goes into the SQL of every query form.

    `patients`: only resources in these patients' compartments (None: everybody's); `related`: and
    in those of patients who meet these conditions now. `types`: only these types (None: all).
    `open`: types that belong to no patient and are shown although `patients` is set (Organization,
    Practitioner, Location, Medication …). `only`: of these types only what meets the condition.
    `closed`: what is hidden although all the rest would show it. Conditions of `only` and `closed`
    ask the record's own index entries: Keys, Dates, Texts, Numbers, AnyOf, Not.
    """

    patients: frozenset[str] | None = None
    types: frozenset[str] | None = None
    open: frozenset[str] = field(default_factory=frozenset)
    related: tuple[search.Condition, ...] = ()
    only: tuple[tuple[str, search.Condition], ...] = ()
    closed: tuple[Share, ...] = ()

    @property
    def looks(self) -> bool:
        """Whether it depends on what stands in a record, besides its type and its patients."""
        return bool(self.only) or any(not one.whole for one in self.closed)

    def narrowed(self, type: str) -> list[search.Condition]:
        """What records of a type must meet besides."""
        return [condition for name, condition in self.only if name == type]


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Still:
    """A commit's condition: `query` must, when its turn to write has come, find just `refs`.

    Two who both searched, both found nothing and both create would make one thing twice; with
    this the second is told so (`condition-changed`) and finds what the first has made.
    """

    query: Query
    refs: frozenset[str]
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True)
class Page:
    """A page of answers. `next` is an opaque place to go on from (None at the end)."""

    versions: tuple[Version, ...]
    included: tuple[Version, ...] = ()
    total: int | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A fixed point of the log: it ends at number `upto`, written `at`. All that was written since
    the moment asked for stands behind number `after`, and all that comes is not older than `at`."""

    after: int
    upto: int
    at: Instant


@dataclass(frozen=True, slots=True)
class Choice:
    """Records found by searches: of the `types` searched, only the versions with these `numbers`
    (sorted) are meant."""

    types: frozenset[str] = frozenset()
    numbers: array[int] = field(default_factory=lambda: array("q"))


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is taken out of the memory as it stood at `upto`.

    `types`: of these types; `patients`: only what lies in these patients' compartments (None:
    everybody's); `own`: only what lies in some patient's compartment; `open`: types that are taken
    whatever patient they belong to; `since`: only what was written then or later; `deleted`: what
    was deleted, in place of what stands; `choice`: of some types only certain records;
    `window`: how many numbers of the log one step goes over; `closed`: what is left out."""

    types: frozenset[str]
    upto: int
    patients: frozenset[str] | None = None
    own: bool = False
    open: frozenset[str] = frozenset()
    since: Instant = 0
    deleted: bool = False
    choice: Choice = field(default_factory=Choice)
    window: int = 5_000
    closed: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What bodies are compressed with now (number 0: nothing yet), and the search parameters
    under which they are indexed."""

    number: int
    data: bytes
    parameters: SearchParameters = search.STANDARD


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: so many versions written (of which `new` are first ones), and so many
    records that were there as they are."""

    written: int
    new: int
    same: int


Taken = tuple[str, str, bytes]  # type, id, body (empty: it was deleted)


@dataclass(frozen=True, slots=True)
class Swept:
    """One step of a sweep, in the order of writing. `people` are the patients whose records these
    are; the next step goes on behind `reach`, until that is `upto`."""

    taken: tuple[Taken, ...]
    people: frozenset[str]
    reach: int


@dataclass(frozen=True, slots=True)
class Reindex:
    """What is compared with its index: current records up to number `upto` of these `types` (None:
    of all), or only these (`refs`). `mend`: and put right."""

    types: frozenset[str] | None
    upto: int
    refs: frozenset[str] = frozenset()
    mend: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is not indexed as it should be: how many rows are missing, how many are too
    many, and of what kinds (codes, dates, texts, numbers, references, order)."""

    ref: str
    missing: int
    extra: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mended:
    """One step: so many records `looked` at; the next step goes on behind `reach`."""

    looked: int
    differences: tuple[Difference, ...]
    reach: int


@dataclass(frozen=True, slots=True)
class Edition:
    """A parameter and how far the records that stood before it are indexed: all with
    `seq` ≤ `reach` of those ≤ `upto`, in this state. `looked` records of its types, of which
    `changed` got `added` rows and lost `removed`; `wrong` were found by the second walk."""

    custom: search.Custom
    upto: int
    since: Instant
    reach: int = 0
    looked: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    wrong: int = 0
    worker: str = ""
    lease: Instant = 0

    @property
    def key(self) -> str:
        return f"{self.custom.edition:010}"

    @property
    def pending(self) -> bool:
        return self.custom.state != "ready"

    def to(self, state: search.State) -> Edition:
        return replace(self, custom=replace(self.custom, state=state), reach=0)


Noting = Callable[[Mended], "Sequence[Keep]"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something `verify` found: `where` names the first bad commit, version or audit entry."""

    where: str
    message: str


class Store(Protocol):
    """The memory's verbs; the same on SQLite and PostgreSQL (tests/contracts/test_store.py)."""

    node: str
    epoch: str

    def read(self, type: str, id: str, version: int | None = None) -> Version | None:
        """The current version (a deleted one too), or the numbered one; None if there is none."""

    def read_many(self, refs: Sequence[str]) -> dict[str, Version]:
        """Current versions by reference (`Patient/3`); unknown and deleted ones are left out."""

    def search(self, query: Query, scope: Scope = EVERYTHING) -> Page: ...

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
        """The roots (references) and what points at them: for each type of `by`, by its stored
        reference parameters. In the order of writing, from `after` (Page.next) on."""

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
        """Versions, newest first; `before` is the `seq` to go on below (Page.next holds it).
        `during`: only what was the standing version at some moment of this stretch [from, to)."""

    def commit(
        self,
        changes: Sequence[Change],
        *,
        author: str,
        entry: Entry | None = None,
        keeps: Sequence[Keep] = (),
        stills: Sequence[Still] = (),
    ) -> Receipt:
        """Write all or nothing; returns when it is on disk (power cut safe). Many callers share
        one fsync. Raises Conflict (if_version, expected, stills), Invalid (no id, unknown type)."""

    async def read_soon(self, type: str, id: str, version: int | None = None) -> Version | None:
        """As `read`, for the event loop. None also where that cannot be told without waiting."""

    async def search_soon(self, query: Query) -> Page | None:
        """As `search` over everything, for the event loop; None: ask `search`, in a thread."""

    def parameters(self) -> SearchParameters:
        """The search parameters there are, as they stood a second ago or later."""

    def dictionary(self) -> Dictionary:
        """For making changes ready elsewhere (`carrying.Carrier`)."""

    def load(
        self, carried: bytes, *, author: str, entry: Entry | None = None, keeps: Sequence[Keep] = ()
    ) -> Loaded:
        """As `commit`, of changes that were made ready in another process (`carrying.pack`)."""

    def feed(self, after: int, limit: int = 500, types: Sequence[str] = ()) -> list[Version]:
        """Versions with seq > after, in order, none ever missing behind a returned one; `types`:
        only of these."""

    def point(self, since: Instant = 0) -> Point:
        """Where the log ends now, and where begins what was written from `since` on."""

    def sweep(self, wanted: Sweep, after: int) -> Swept:
        """The next window of the log behind `after`, as it stood at `wanted.upto`."""

    def choose(self, queries: Sequence[Query], scope: Scope = EVERYTHING) -> tuple[Point, Choice]:
        """All records that meet one of the searches, and the point at which they did.
        Unsupported when there are too many."""

    def commits(self, after: int, *, limit: int = 100, max_bytes: int = 262_144) -> list[Commit]:
        """Commits with seq > after in order, at least one if there is one, up to the limits."""

    def head(self) -> int:
        """The highest seq."""

    def newest(self, types: Sequence[str]) -> int:
        """The highest seq of these types; 0 if there are none. For types of which there are few."""

    def wait(self, after: int, timeout: float) -> int:
        """Sleep until head() > after or the time is over; the head then."""

    def totals(self) -> Mapping[str, int]:
        """Live resources by type, from running totals (no scan)."""

    def record(self, entry: Entry) -> None:
        """Append to the audit before the answer leaves: survives kill -9 on return, a power cut
        after at most one second."""

    def entries(
        self,
        *,
        patient: str | None = None,
        actor: str | None = None,
        since: Instant | None = None,
        before: int | None = None,
        count: int = 50,
    ) -> list[Recorded]:
        """Audit lines, newest first."""

    def entry(self, seq: int) -> Recorded | None: ...

    def lines(self, after: int, limit: int) -> list[bytes]:
        """The bytes of sealed audit lines with seq > after, in order, as the chain seals them."""

    def kept(self, kind: str, key: str) -> Any: ...

    def all_kept(self, kind: str) -> dict[str, Any]: ...

    def keep(self, *keeps: Keep) -> None: ...

    def reindex(
        self,
        wanted: Reindex,
        after: int = 0,
        noting: Noting = lambda done: (),
        sums: Sums | None = None,
    ) -> Mended:
        """A step of comparing records with their index, and of putting it right. `noting`: what is
        kept with it, in the same transaction; `sums`: what `strays` will need. Busy while the
        search parameters are changed."""

    def strays(self, sums: Sums, *, mend: bool) -> list[Difference]:
        """What the index has of no current record, or too much of one, among all up to the point
        to which every record was looked at."""

    def editions(self) -> list[Edition]:
        """The server's own search parameters, and how far each is indexed."""

    def index_on(self) -> Edition | None:
        """A step of indexing by a new one, or of removing a retired one; how far it is. None:
        there is nothing to do, or another process is at it."""

    def verify(self) -> Iterator[Fault]:
        """Walk both chains from the first entry, re-hashing every payload; yields what is wrong,
        the first bad place first."""

    def backup(self, path: str) -> None:
        """A consistent copy of everything while the store is in use: a SQLite file, whichever the
        database; it can be opened as a store itself, and `restore` makes a store of it again."""

    def renew_epoch(self) -> str:
        """Begin a new epoch (after a restore): who has read commits that the backup did not have
        must notice that the numbers after it mean something else now."""

    def train(self) -> int:
        """Make a new compression dictionary from the records that are there, for those to come;
        its number. The store does so by itself once, at 2 000 versions."""

    def tidy(self) -> None:
        """After a large load: statistics for the planner, and a short write-ahead file."""

    def lead(self) -> Lead:
        """A claim to do what only one of several processes may do; nothing is asked yet."""

    def close(self) -> None: ...

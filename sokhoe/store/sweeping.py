"""Many records at once, as they stood at one fixed point of the log: taking a memory out whole.

A sweep goes over the log in windows of `seq`. Of each window it takes the versions that were
current when the log ended at `upto`: a long export is one moment of the store, however much is
written meanwhile, and after a crash it goes on where it stood. Bodies are put together as bytes.

    log    1 ········ after ┆ window ┆ ················ upto ┆ ··· head (written since, not seen)
                            └ current at upto? of these types? of these patients? chosen?

Whose record it is comes from `link` or `own` (schema), which hold hashes of `Patient/x`; the name
behind a hash is found in the text of the first body that has it, and remembered. `whose_plainly`
says the same by decoding each body, and a test sees to it that both agree.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sokhoe.clock import Instant
from sokhoe.errors import Unsupported
from sokhoe.fhir import Query, compartments, decode, extract, search
from sokhoe.store import bodies
from sokhoe.store.bodies import Packer
from sokhoe.store.hiding import meets
from sokhoe.store.pieces import sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES
from sokhoe.store.searching import Reader, Search
from sokhoe.store.shapes import Choice, Point, Share, Sweep, Swept, Taken
from sokhoe.store.sqlgen import Dialect

MOST_CHOSEN = 2_000_000  # 16 MB of numbers
STEP = 100_000
MOST_NAMES = 500_000  # some 60 MB
MOST_BYTES = 8_000_000  # of compressed bodies in one step, however few records they are
_PATIENT = re.compile(rb'"(Patient/[A-Za-z0-9\-.]{1,64})["/]')

_CURRENT = (
    "SELECT r.seq, r.type, r.id, r.version, r.at, r.deleted, length(r.body) FROM res r "
    "WHERE r.seq>? AND r.seq<=? AND NOT EXISTS(SELECT 1 FROM res n WHERE n.self=r.self "
    "AND n.version>r.version AND n.seq<=?) ORDER BY r.seq"
)
_BODIES = "SELECT seq, dict, body FROM res WHERE {}"
Row = tuple[Any, ...]


@dataclass(slots=True)
class Names:
    """The references behind the hashes, as far as they were met."""

    known: dict[int, str] = field(default_factory=dict)

    def of(self, type: str, id: str, body: bytes, owners: Sequence[int]) -> list[str]:
        """The patients of a record whose `owners` are these hashes."""
        known = self.known
        if any(one not in known for one in owners):
            if len(known) > MOST_NAMES:
                known.clear()
            self._learn({one.decode() for one in _PATIENT.findall(body)} | {f"{type}/{id}"})
            if any(one not in known for one in owners):  # written otherwise than the pattern sees
                self._learn(whose_plainly(body))
        return [known[one] for one in owners]

    def _learn(self, references: set[str] | frozenset[str]) -> None:
        self.known |= {search.key(one): one for one in references}


def whose_plainly(body: bytes) -> frozenset[str]:
    """What `Names.of` must say, worked out from the record itself."""
    return compartments(decode(body))


def point(read: Reader, since: Instant) -> Point:
    """Where the log ends, and behind which number stands all that was written from `since` on."""
    upto, at = read("SELECT seq, at FROM head WHERE kind='version'", ())[0]
    first = read("SELECT first FROM commits WHERE at>=? ORDER BY at, first LIMIT 1", (since,))
    return Point(first[0][0] - 1 if first else upto, upto, at)


def sweep(
    read: Reader, dialect: Dialect, packer: Packer, names: Names, wanted: Sweep, after: int
) -> Swept:
    """The window behind `after`; less of it when the bodies are large."""
    low, high, chosen = _window(wanted, after)
    owners: dict[int, list[int]] = {}
    for pk, hash in read(dialect.owners, (low, high)):
        owners.setdefault(pk, []).append(hash)
    fits = _fits(wanted, chosen)
    rows = [
        row
        for row in read(_CURRENT, (low, high, wanted.upto))
        if fits(row[0], row[1], row[4], bool(row[5]), owners.get(row[0], ()))
    ]
    rows, high = _bearable(rows, high)
    packed = _packed(read, dialect, rows, high - low)
    taken: list[Taken] = []
    people: set[str] = set()
    hidden = _hidden(wanted.closed)
    for seq, code, id, version, at, deleted, _ in rows:
        type, own = TYPE_NAMES[code], owners.get(seq)
        if deleted:
            body = _before(read, packer, code, id, version) if own else b""
        else:
            body = bodies.whole(type, id, version, at, packer.open(*packed[seq]))
        if own and hidden(type, own, body):
            continue
        taken.append((type, id, b"" if deleted else body))
        if own:
            people.update(names.of(type, id, body, own))
    return Swept(tuple(taken), frozenset(people), high)


def _bearable(rows: list[Row], high: int) -> tuple[list[Row], int]:
    """As many of the rows, at least one, as fit into the memory that a step may take."""
    size = 0
    for number, row in enumerate(rows):
        size += row[6]
        if size > MOST_BYTES and number:
            return rows[:number], rows[number][0] - 1
    return rows, high


def _packed(
    read: Reader, dialect: Dialect, rows: list[Row], width: int
) -> dict[int, tuple[int, bytes]]:
    """Compressed bodies by number: a stretch of the table where most of it is wanted, else only
    those."""
    if not rows:
        return {}
    if 2 * len(rows) > width:
        wanted = sql("seq BETWEEN {} AND {}", rows[0][0], rows[-1][0])
    else:
        wanted = dialect.one_of("seq", [row[0] for row in rows])
    found = read(_BODIES.format(wanted.text), wanted.args)
    return {row[0]: (row[1], row[2]) for row in found}


def _window(wanted: Sweep, after: int) -> tuple[int, int, frozenset[int]]:
    """Where the window begins and ends, and what of it was chosen."""
    low, numbers = after, wanted.choice.numbers
    if wanted.types <= wanted.choice.types:  # nothing else is wanted: go where the next one is
        at = bisect_right(numbers, after)
        low = numbers[at] - 1 if at < len(numbers) else wanted.upto
    high = max(low, min(wanted.upto, low + wanted.window))
    inside = numbers[bisect_right(numbers, low) : bisect_right(numbers, high)]
    return low, high, frozenset(inside)


def _fits(
    wanted: Sweep, chosen: frozenset[int]
) -> Callable[[int, int, Instant, bool, Sequence[int]], bool]:
    codes = {TYPE_CODES[type] for type in wanted.types if type in TYPE_CODES}
    picked = {TYPE_CODES[type] for type in wanted.choice.types if type in TYPE_CODES}
    free = {TYPE_CODES[type] for type in wanted.open if type in TYPE_CODES}
    patients = None
    if wanted.patients is not None:
        patients = frozenset(map(search.key, wanted.patients))

    def fits(seq: int, code: int, at: Instant, deleted: bool, own: Sequence[int]) -> bool:
        if code not in codes or deleted is not wanted.deleted or at < wanted.since:
            return False
        if code in picked and seq not in chosen:
            return False
        if code in free:
            return True
        if patients is not None:
            return not patients.isdisjoint(own)
        return bool(own) or not wanted.own

    return fits


def _hidden(closed: Sequence[Share]) -> Callable[[str, Sequence[int], bytes], bool]:
    """Whether a record (type, hashes of its patients, body) is closed."""
    keyed = [(share, frozenset(map(search.key, share.patients))) for share in closed]

    def hidden(type: str, own: Sequence[int], body: bytes) -> bool:
        for share, keys in keyed:
            what = share.of(type)
            if what is False or keys.isdisjoint(own):
                continue
            if what is True or meets(what, extract(decode(body))):
                return True
        return False

    return hidden


def _before(read: Reader, packer: Packer, code: int, id: str, version: int) -> bytes:
    """The body of the version that a deletion ended."""
    text = "SELECT version, at, dict, body FROM res WHERE self=? AND version<? "
    self_key = search.key(f"{TYPE_NAMES[code]}/{id}")
    rows = read(text + "AND deleted=0 ORDER BY version DESC LIMIT 1", (self_key, version))
    number, at, dictionary, packed = rows[0]
    return bodies.whole(TYPE_NAMES[code], id, number, at, packer.open(dictionary, packed))


def choose(searching: Search, queries: Sequence[Query]) -> Choice:
    """The numbers of all current versions that meet one of the queries, in order.
    Unsupported (`too-costly`) when there are too many to be remembered."""
    numbers: set[int] = set()
    for query in queries:
        found = searching.all_matches(query)
        low = 0
        while True:
            wanted = sql(
                f"SELECT DISTINCT m.pk FROM ({{}}) m WHERE m.pk>{{}} ORDER BY m.pk LIMIT {STEP}",
                found,
                low,
            )
            rows: Sequence[tuple[Any, ...]] = searching.read(wanted.text, wanted.args)
            numbers.update(row[0] for row in rows)
            if len(numbers) > MOST_CHOSEN:
                raise Unsupported(
                    f"More than {MOST_CHOSEN:,} records meet the filters.",
                    hint="Narrow the filter, or export the type as a whole.",
                    slug="too-costly",
                    code="too-costly",
                    location="_typeFilter",
                )
            if len(rows) < STEP:
                break
            low = rows[-1][0]
    return Choice(frozenset(one.type for one in queries), array("q", sorted(numbers)))

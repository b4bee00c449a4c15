"""The audit as a tree of hashes with signed checkpoints (decision 16).

The store's chain shows an edit to whoever can read the store. The tree shows it to outsiders: a
checkpoint of 32 bytes seals everything before it, a proof of some 20 hashes shows that one line is
in it, and two checkpoints show whether the older log is the beginning of the newer one.

    drawer `audit-log`         state → {size, peaks}; checkpoint → the newest signed note
    drawer `audit-tile`        n → the roots of blocks of 256 lines, 256 roots to a tile, hex
    drawer `audit-checkpoint`  hour → the last note of that hour
    drawer `secret`            audit-key → what signs

Leaves are the sealed lines' own bytes, so nothing is stored twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sokhoe import clock
from sokhoe.errors import Conflict, Invalid, NotFound
from sokhoe.store import Fault, Keep, Store
from sokhoe.trust import merkle
from sokhoe.trust.checkpoint import Checkpoint, opened, signed, stamp, verifier

BLOCK = 256  # lines to a root in a tile, and roots to a tile
HEIGHT = 8
STEP = 4_096  # lines read at once; a multiple of BLOCK
EVERY = 10.0  # seconds between checkpoints while there are new lines


@dataclass(frozen=True, slots=True)
class Proof:
    """That a line is number `index` (from 0) of the log of the checkpoint."""

    line: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: str


class AuditLog:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.origin = f"{store.node}/audit"

    @property
    def verifier(self) -> str:
        """The public key by which anybody checks our checkpoints."""
        return verifier(self.origin, self._key.public_key())

    def checkpoint(self) -> str:
        """The newest signed note, "" before the first."""
        return str(self._store.kept("audit-log", "checkpoint") or "")

    def checkpoints(self) -> list[str]:
        """One note for each hour in which there were new lines, the oldest first."""
        return [str(note) for note in self._store.all_kept("audit-checkpoint").values()]

    # --- growing -------------------------------------------------------------------------------

    def grow(self) -> str:
        """Take in all sealed lines, sign where that leads to; the newest note."""
        while self._step():
            pass
        return self.checkpoint()

    def _step(self) -> bool:
        """One batch of lines, with its checkpoint, in one transaction; True if there were any."""
        old = self._store.kept("audit-log", "state")
        size, peaks = _state(old)
        lines = self._store.lines(size, STEP)
        if not lines:
            return False
        keeps: dict[str, str] = {}
        at = 0
        while lines_left := len(lines) - at:
            part = lines[at : at + min(lines_left, BLOCK - size % BLOCK)]
            at += len(part)
            peaks = merkle.grown(peaks, map(merkle.leaf, part))
            size += len(part)
            if size % BLOCK == 0:
                number = size // BLOCK - 1
                name = str(number // BLOCK)
                tile = keeps.get(name) or str(self._store.kept("audit-tile", name) or "")
                # a tile that an interrupted run wrote further is cut to where we are
                held = tile[: number % BLOCK * 64]
                keeps[name] = held + self._block_root(peaks).hex()
        note = signed(stamp(self.origin, size, merkle.root(peaks)), self._key)
        new = {"size": size, "peaks": [[level, held.hex()] for level, held in peaks]}
        hour = f"{clock.local(clock.now()):%Y-%m-%dT%H}"
        try:
            self._store.keep(
                Keep("audit-log", "state", new, expected=old),
                Keep("audit-log", "checkpoint", note),
                Keep("audit-checkpoint", hour, note),
                *(Keep("audit-tile", name, tile) for name, tile in keeps.items()),
            )
        except Conflict:  # another process was first
            return True
        return len(lines) == STEP

    def _block_root(self, peaks: merkle.Peaks) -> bytes:
        """The root of the last full block, though it may have joined its neighbours since."""
        if peaks[-1][0] == HEIGHT:
            return peaks[-1][1]
        end = sum(1 << level for level, _ in peaks)
        lines = self._store.lines(end - BLOCK, BLOCK)
        return merkle.root_of([merkle.leaf(one) for one in lines])

    # --- proofs --------------------------------------------------------------------------------

    def proof(self, seq: int) -> Proof:
        """That audit line `seq` is in the log; for the citizen whose record it was."""
        note = self.grow()
        size = opened(note, self._key.public_key()).size
        if not 1 <= seq <= size:
            raise NotFound(f"There is no audit line {seq}.")
        line = self._store.lines(seq - 1, 1)[0]
        path = merkle.inclusion(self._get, seq - 1, size)
        return Proof(line, seq - 1, tuple(path), note)

    def consistency(self, old: int) -> list[bytes]:
        """That the log of `old` lines is the beginning of that of the newest checkpoint."""
        size = opened(self.grow(), self._key.public_key()).size
        if not 0 < old <= size:
            raise Invalid(f"The log has {size} lines; {old} is none of its sizes.")
        return merkle.consistency(self._get, old, size)

    def _get(self, level: int, index: int) -> bytes:
        if level < HEIGHT:
            lines = self._store.lines(index << level, 1 << level)
            return merkle.root_of([merkle.leaf(one) for one in lines])
        if level > 2 * HEIGHT:
            left, right = (self._get(level - 1, 2 * index + side) for side in (0, 1))
            return merkle.node(left, right)
        first = index << level - HEIGHT
        tile = str(self._store.kept("audit-tile", str(first // BLOCK)) or "")
        at = first % BLOCK * 64
        roots = bytes.fromhex(tile[at : at + (1 << level - HEIGHT) * 64])
        return merkle.root_of([roots[i : i + 32] for i in range(0, len(roots), 32)])

    # --- verifying -----------------------------------------------------------------------------

    def faults(self, witnesses: list[str] | None = None) -> Iterator[Fault]:
        """What does not agree with the checkpoints we signed, and with copies of them that others
        kept (`witnesses`): every line is hashed anew."""
        size, peaks = _state(self._store.kept("audit-log", "state"))
        notes: list[Checkpoint] = []
        newest = self.checkpoint()
        kept = [*self.checkpoints(), *([newest] if newest else []), *(witnesses or [])]
        public = self._key.public_key() if kept else None
        for note in kept:
            try:
                assert public is not None
                notes.append(opened(note, public))
            except Invalid:
                yield Fault("checkpoint", "is not signed by this server")
        sizes = sorted({one.size for one in notes} | {size})
        roots = dict(self._roots_at(sizes))
        if size and roots.get(size) != merkle.root(peaks):
            yield Fault("audit tree", f"its {size} lines are not those that were sealed")
        good = 0
        for one in sorted(notes, key=lambda note: note.size):
            said = f"the checkpoint of {one.at or one.size}"
            if one.size not in roots:
                yield Fault(
                    f"audit line {good + 1}", f"or one after it is missing: {said} had {one.size}"
                )
            elif roots[one.size] != one.root:
                first, last = self._changed(good, one.size)
                yield Fault(
                    f"audit lines {first + 1} to {last}", f"are not what they were at {said}"
                )
                return
            else:
                good = one.size

    def _changed(self, good: int, size: int) -> tuple[int, int]:
        """The first block of lines after `good` that is not what its tile says; all of them where
        the tiles agree (they were written anew too) or do not reach."""
        for number in range(good // BLOCK, size // BLOCK):
            first = number * BLOCK
            tile = str(self._store.kept("audit-tile", str(number // BLOCK)) or "")
            said = tile[number % BLOCK * 64 :][:64]
            lines = self._store.lines(first, BLOCK)
            if said and merkle.root_of([merkle.leaf(one) for one in lines]).hex() != said:
                return max(first, good), min(first + BLOCK, size)
        return good, size

    def _roots_at(self, sizes: list[int]) -> Iterator[tuple[int, bytes]]:
        """The roots of the first so many lines, as they stand now; those beyond the end left
        out."""
        peaks: merkle.Peaks = ()
        at = 0
        for size in sizes:
            while at < size:
                lines = self._store.lines(at, min(STEP, size - at))
                if not lines:
                    return
                peaks = merkle.grown(peaks, map(merkle.leaf, lines))
                at += len(lines)
            yield size, merkle.root(peaks)

    @property
    def _key(self) -> Ed25519PrivateKey:
        """Made when it is first needed, so that looking at a backup changes nothing in it."""
        held = self._store.kept("secret", "audit-key")
        if held is None:
            held = Ed25519PrivateKey.generate().private_bytes_raw().hex()
            try:
                self._store.keep(Keep("secret", "audit-key", held, expected=None))
            except Conflict:
                held = self._store.kept("secret", "audit-key")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(str(held)))


class Sealer:
    """A follower of the audit: signs a checkpoint every few seconds while there are new lines."""

    name = "audit-log"
    follows = False  # the feed; it follows the audit

    def __init__(self, store: Store) -> None:
        self._log = AuditLog(store)
        self._next = 0.0

    def step(self) -> bool:
        if time.monotonic() >= self._next:
            self._log.grow()
            self._next = time.monotonic() + EVERY
        return False


def _state(kept: Any) -> tuple[int, merkle.Peaks]:
    if kept is None:
        return 0, ()
    return kept["size"], tuple((level, bytes.fromhex(held)) for level, held in kept["peaks"])

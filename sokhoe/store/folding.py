"""From the audit journals into the sealed chain: each line exactly once, in batches.

How far each journal has been carried over is kept in the store, in the same transaction as the
lines themselves, so whichever process folds, and whenever it is killed, no line comes twice or is
left out. A commit takes the waiting lines of its own process along, so the chain has them in the
order in which things happened.

    drawer `journal`        name → {offset, check, boot, host, state: open | done}
    drawer `journal-fault`  name → {message, at}: what `verify` names for ever after

A journal's life: file made → drawer made (on disk) → lines → folded → state done (on disk) → file
deleted → drawer emptied. So a drawer that says `open` without a file means that somebody took the
file away, and with it, perhaps, lines that were not yet sealed.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sokhoe import clock
from sokhoe.errors import SokhoeError, Unavailable
from sokhoe.fhir import decode, encode
from sokhoe.store import chain, journal, planning
from sokhoe.store.journal import Dead, End, Journal, Place
from sokhoe.store.keying import Keys, is_sealed
from sokhoe.store.planning import Plan, Work
from sokhoe.store.searching import Reader
from sokhoe.store.shapes import Entry, Fault, Keep
from sokhoe.store.writer import Tray

log = logging.getLogger("sokhoe.store")

TICK = 0.4  # seconds between syncs: with the sync itself a line is on disk within a second
BURY_TICKS = 75  # every half minute look whether a neighbour died
MOST_LINES = 2_000  # of one journal in one transaction
ROTATE = 8 << 20  # bytes; some 25 000 reads
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """Another value after each start of the machine."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


class Folding:
    """The journals of one folder. `local`: the store is a file on this machine, so every journal
    must lie here; a PostgreSQL has some on the disks of other hubs. `carries`: whether the thread
    folds; False where another process on this machine does it for all."""

    def __init__(
        self,
        folder: Path,
        tray: Tray,
        read: Reader,
        *,
        local: bool,
        keys: Keys | None = None,
        carries: bool = True,
    ) -> None:
        self.folder = folder
        self._carries = carries
        self._tray = tray
        self._read = read
        self._local = local
        self._keys = keys
        self._own: Journal | None = None
        self._known: dict[str, int] = {}  # how far each is folded, as far as we have seen
        self._planned: dict[str, int] = {}
        self._turn = threading.Lock()
        self._dirty = False
        self._broken = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self) -> None:
        """Seal what dead processes left behind."""
        self._bury()

    @property
    def is_open(self) -> bool:
        """Whether `record` is but one `write()`."""
        return self._own is not None and not self._broken

    # --- lines ---------------------------------------------------------------------------------

    def record(self, entry: Entry) -> None:
        """In the journal when it returns. Unavailable when it cannot be written."""
        line = chain.entry_bytes(entry)
        if self._keys is not None:
            line = self._keys.seal(line)
        with self._turn:
            if self._own is None:
                self._own = self._begun()
            if self._broken:
                raise Unavailable(f"The audit cannot be written: {self._broken}.")
            self._own.append(line)
            self._dirty = True

    def _begun(self) -> Journal:
        if self._over.is_set():
            raise Unavailable("The store is closed.")
        made = Journal(self.folder)
        place = journal.start(made.name)
        self._tray.put(Work(keeps=(_mark(made.name, place, "open"),)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit-journal", daemon=True)
            self._thread.start()
        return made

    # --- folding, in the turn of the writer ------------------------------------------------------

    def plan(self, plan: Plan, read: Reader, works: Sequence[Work]) -> None:
        """Add waiting lines to a plan: all journals' if a work asks for that, else our own."""
        asked = [work.seal for work in works if work.seal is not None]
        finish = frozenset[str]().union(*asked)
        self._planned = {}
        if asked:
            names = sorted(self._sizes())
        elif self._own is not None and self._own.size > self._known.get(self._own.name, 0):
            names = [self._own.name]
        else:
            return
        lines = [line for name in names for line in self._taken(plan, read, name, name in finish)]
        lines.sort(key=lambda line: line[0].at)
        for entry, body in lines:
            planning.note_entry(plan, entry, body)

    def written(self) -> None:
        """The plan is in the store."""
        self._known |= self._planned

    def _taken(
        self, plan: Plan, read: Reader, name: str, finish: bool
    ) -> list[tuple[Entry, bytes]]:
        mark = _kept(read, name)
        if mark is not None and mark["state"] == "done":
            return []
        at = Place(mark["offset"], mark["check"]) if mark else journal.start(name)
        try:
            bodies, place, end = journal.read(self._path(name), at, MOST_LINES)
        except OSError:
            return []  # settled by a neighbour, or gone: `_bury` looks after that
        found = [self._line(body) for body in bodies]
        lines = [line for line in found if line is not None]
        if len(lines) < len(bodies):  # a whole frame around something that is no line
            good = found.index(None)
            _, place, _ = journal.read(self._path(name), at, good)
            lines, end = lines[:good], End.DAMAGED
        self._planned[name] = place.offset
        over = finish and len(bodies) < MOST_LINES
        if lines or over:
            host = mark["host"] if mark else socket.gethostname()
            drawer = _mark(name, place, "done" if over else "open", host=host)
            if mark:
                drawer.value["boot"] = mark["boot"]
            plan.drawers[drawer.kind, drawer.key] = drawer.value
        if over:
            lines += self._last_words(plan, name, mark, end, place)
        return lines

    def _last_words(
        self, plan: Plan, name: str, mark: dict[str, Any] | None, end: End, place: Place
    ) -> list[tuple[Entry, bytes]]:
        """What the audit says itself about a journal that did not end as it should."""
        size = self._sizes().get(name, place.offset)
        stopped = mark is not None and mark["boot"] != boot()
        if end is End.DAMAGED and not (stopped and size < place.offset):
            words = f"was changed or cut at byte {place.offset}"
            plan.drawers["journal-fault", name] = {"message": words, "at": clock.now()}
            return [_note(f"audit journal {name} {words}", "8")]
        if end is not End.CLEAN:
            return [_note(f"audit journal {name}: a torn end of {size - place.offset} bytes cut")]
        if stopped:
            words = f"the machine stopped; the last second of audit journal {name} may be missing"
            return [_note(words)]
        return []

    # --- whole journals ------------------------------------------------------------------------

    def settle(self) -> None:
        """All whole lines that were in any journal here before the call are sealed after it."""
        goal = self._sizes()
        while any(size > self._known.get(name, 0) for name, size in goal.items()):
            before = dict(self._known)
            self._tray.put(Work(seal=frozenset()))
            if self._known == before:  # what is left is being written just now, or is no line
                return

    def _bury(self) -> None:
        """Settle the journals of dead processes, and notice those that somebody took away."""
        dead = [one for path in self._files() if (one := journal.dead(path)) is not None]
        try:
            for one in dead:
                self._finish(one)
        finally:
            for one in dead:
                one.close()
        for name, mark in self._marks().items():
            if mark["state"] != "open" and not self._path(name).exists():
                self._tray.put(Work(keeps=(Keep("journal", name, None),)))
            elif self._is_missing(name, mark):
                words = _missing(mark)
                log.error("audit journal %s %s", name, words)
                entry, body = _note(f"audit journal {name} {words}", "8")
                fault = Keep("journal-fault", name, {"message": words, "at": clock.now()})
                keeps = (fault, Keep("journal", name, None))
                self._tray.put(Work(entry=entry, entry_body=body, keeps=keeps))

    def _finish(self, one: Dead) -> None:
        for _ in range(1 + one.path.stat().st_size // MOST_LINES):
            self._tray.put(Work(seal=frozenset({one.name})))
            mark = _kept(self._read, one.name)
            if mark is not None and mark["state"] == "done":
                break
        else:
            return  # not to be folded now; it is tried again later
        fault = self._read("SELECT 1 FROM keep WHERE kind='journal-fault' AND key=?", (one.name,))
        if fault:  # evidence
            one.path.rename(one.path.with_suffix(".damaged"))
        else:
            one.path.unlink()
        self._known.pop(one.name, None)

    def _is_missing(self, name: str, mark: dict[str, Any]) -> bool:
        if mark["state"] != "open" or self._path(name).exists():
            return False
        if not self._local and mark["host"] != socket.gethostname():
            return False
        # its owner may have settled and deleted it since we read the mark
        now = _kept(self._read, name)
        return now is not None and now["state"] == "open"

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the journals that are there, or ought to be."""
        for name, mark in self._marks().items():
            where = f"audit journal {name}"
            if self._is_missing(name, mark):
                yield Fault(where, _missing(mark))
                continue
            at = Place(mark["offset"], mark["check"])
            try:
                _, place, end = journal.read(self._path(name), at, 1 << 30)
            except OSError:
                continue
            if end is End.DAMAGED and mark["state"] == "open" and mark["boot"] == boot():
                yield Fault(where, f"was changed or cut at byte {place.offset}")

    # --- thread, end ---------------------------------------------------------------------------

    def _run(self) -> None:
        ticks = 0
        while not self._over.wait(TICK):
            ticks += 1
            try:
                self._sync()
                if self._carries:
                    self.settle()
                if self._own is not None and self._own.size > ROTATE:
                    self._rotate()
                if ticks % BURY_TICKS == 0:
                    self._bury()
            except Exception:  # the store may be away for a while; the journal keeps the lines
                if not self._over.is_set():
                    log.exception("audit lines wait in their journal")

    def _sync(self) -> None:
        if self._dirty and self._own is not None:
            self._dirty = False
            try:
                self._own.sync()
            except OSError as error:
                self._broken = error.strerror or str(error)
                raise

    def _rotate(self) -> None:
        made = self._begun()
        with self._turn:
            old, self._own = self._own, made
        if old is not None:
            old.close()
            self._bury()

    def close(self) -> None:
        """Seal what waits and leave no journal behind."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._turn:
            own, self._own = self._own, None
        if own is not None:
            own.sync()
            own.close()
            self._bury()

    # --- inside --------------------------------------------------------------------------------

    def _line(self, body: bytes) -> tuple[Entry, bytes] | None:
        """A line and its bytes in the clear; None if it is none. Unavailable when the key that
        sealed it is not there: it must wait, not count as damaged."""
        if is_sealed(body):
            if self._keys is None or not self._keys.knows(body):
                raise Unavailable("The audit journal is sealed with a key that is not here.")
            try:
                body = self._keys.open(body)
            except Unavailable:
                return None
        try:
            return chain.entry_from(body), body
        except (SokhoeError, TypeError, AttributeError):
            return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{journal.SUFFIX}"))

    def _sizes(self) -> dict[str, int]:
        """Names and bytes of the journals that hold lines."""
        found = {}
        with os.scandir(self.folder) as files:
            for one in files:
                if one.name.endswith(journal.SUFFIX):
                    try:
                        size = one.stat().st_size
                    except FileNotFoundError:
                        continue
                    if size > len(journal.HEADER):
                        found[one.name.removesuffix(journal.SUFFIX)] = size
        return found

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{journal.SUFFIX}"

    def _marks(self) -> dict[str, dict[str, Any]]:
        rows = self._read("SELECT key, value FROM keep WHERE kind='journal' ORDER BY key", ())
        return {name: decode(bytes(value)) for name, value in rows}


def restored(read: Reader) -> list[tuple[str, bytes]]:
    """After a restore: journals that were open when the backup was made are not missing; those
    that are still here are carried over from where the backup had them."""
    rows = read("SELECT key, value FROM keep WHERE kind='journal'", ())
    return [(name, encode({**decode(bytes(value)), "state": "restored"})) for name, value in rows]


def _kept(read: Reader, name: str) -> dict[str, Any] | None:
    rows = read("SELECT value FROM keep WHERE kind='journal' AND key=?", (name,))
    return dict(decode(bytes(rows[0][0]))) if rows else None


def _mark(name: str, place: Place, state: str, host: str = "") -> Keep:
    value = {
        "offset": place.offset,
        "check": place.check,
        "boot": boot(),
        "host": host or socket.gethostname(),
        "state": state,
    }
    return Keep("journal", name, value)


def _missing(mark: dict[str, Any]) -> str:
    return f"was taken away; what was read after its byte {mark['offset']} is not known"


def _note(words: str, outcome: str = "4") -> tuple[Entry, bytes]:
    entry = Entry(
        at=clock.now(),
        actor="Device/audit",
        name="sokhoe audit",
        role="machine",
        place="",
        purpose="HSYSADMIN",
        action="E",
        outcome=outcome,
        note=words,
    )
    return entry, chain.entry_bytes(entry)

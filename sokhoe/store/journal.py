"""The audit journal: an append-only file into which the lines of reads go before the answer leaves.

A transaction for each read would cost more than the read. One `write()` costs some microseconds
and survives `kill -9`; a thread syncs it to disk within a second; from there the lines are carried
into the sealed chain of the store in batches (`folding`).

    sokhoe-audit-journal-1⏎        then one frame for each line:
    ┌──────────┬───────────┬──────────────────────────────┐
    │ length 4 │ check 4   │ the line, encrypted with keys │   big-endian
    └──────────┴───────────┴──────────────────────────────┘
    check = crc32(line, check of the frame before); the first goes on from crc32(header + name)

So a frame that was changed, taken out or put in is noticed at once, and a last frame that a power
cut tore is told from one that somebody damaged. Whoever can write the file can of course write
whole new frames during the half second until they are sealed.

A journal belongs to one process, which holds a lock on it for life: a journal that can be locked
has a dead owner.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from zlib import crc32

from sokhoe import clock
from sokhoe.errors import Unavailable

HEADER = b"sokhoe-audit-journal-1\n"
SUFFIX = ".journal"
LONGEST = 1 << 20  # bytes of one line; a longer one is refused (100 names are some 10 kB)
_FRAME = struct.Struct(">II")


class End(Enum):
    """How a journal ends behind its last whole frame."""

    CLEAN = "clean"
    TORN = "torn"  # a last frame that was not wholly written
    DAMAGED = "damaged"  # what follows cannot have been written by us


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a journal has been read: bytes, and the check of the last frame."""

    offset: int
    check: int


def start(name: str) -> Place:
    return Place(len(HEADER), crc32(HEADER + name.encode()))


def frame(line: bytes, check: int) -> tuple[bytes, int]:
    """A line as bytes of the file, and its check."""
    check = crc32(line, check)
    return _FRAME.pack(len(line), check) + line, check


def scan(data: bytes, at: Place, most: int) -> tuple[list[bytes], Place, End]:
    """Whole frames of what was read from `at` on, at most so many; where they end, and how."""
    lines: list[bytes] = []
    here, check = 0, at.check
    end = End.CLEAN
    while here < len(data) and len(lines) < most:
        following = here + _FRAME.size
        if following > len(data):
            end = End.TORN
            break
        length, said = _FRAME.unpack_from(data, here)
        following += length
        if following > len(data):
            end = End.TORN if length <= LONGEST else End.DAMAGED
            break
        line = data[here + _FRAME.size : following]
        now = crc32(line, check)
        if length == 0 or now != said:
            # a file system may leave zeros, or a page that was never filled, at the end
            last = following == len(data) or not any(data[here:])
            end = End.TORN if last else End.DAMAGED
            break
        lines.append(line)
        here, check = following, now
    return lines, Place(at.offset + here, check), end


def read(path: Path, at: Place, most: int) -> tuple[list[bytes], Place, End]:
    """Lines behind a place. FileNotFoundError when the journal is gone; DAMAGED when it ends
    before the place."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < at.offset:
            return [], at, End.DAMAGED
        file.seek(at.offset)
        return scan(file.read(), at, most)


class Journal:
    """The journal of this process. Safe for many threads."""

    def __init__(self, folder: Path) -> None:
        # names rise with time, so that a folder lists them as they were begun
        self.name = f"{clock.now():016x}-{secrets.token_hex(4)}"
        self.path = folder / f"{self.name}{SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND
        self._handle = os.open(self.path, flags, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._handle, HEADER)
        os.fsync(self._handle)
        _sync_folder(folder)
        place = start(self.name)
        self.size = place.offset
        self._check = place.check
        self._turn = threading.Lock()

    def append(self, line: bytes) -> None:
        """Returns when the kernel has the line: it survives the end of this process.
        Unavailable when the disk is full; nothing of the line is left then."""
        if len(line) > LONGEST:
            raise Unavailable("A line of the audit is too long.", slug="audit-line")
        with self._turn:
            framed, check = frame(line, self._check)
            try:
                written = os.write(self._handle, framed)
                while written < len(framed):
                    written += os.write(self._handle, framed[written:])
            except OSError as error:
                os.ftruncate(self._handle, self.size)
                raise Unavailable(
                    f"The audit cannot be written ({error.strerror}), so nothing can be shown.",
                    hint="Free space on the disk, then try again.",
                    slug="audit-journal",
                ) from error
            self.size += len(framed)
            self._check = check

    def sync(self) -> None:
        """On disk when it returns."""
        os.fdatasync(self._handle)

    def close(self) -> None:
        """Gives the lock back; the file stays."""
        os.close(self._handle)


class Dead:
    """A journal whose owner has ended, locked by us so that nobody else settles it."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.name = path.name.removesuffix(SUFFIX)
        self._handle = handle

    def close(self) -> None:
        os.close(self._handle)


def dead(path: Path) -> Dead | None:
    """The journal if its owner has ended and nobody else is settling it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if os.fstat(handle).st_nlink == 0:  # somebody settled it while we opened it
        os.close(handle)
        return None
    return Dead(path, handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

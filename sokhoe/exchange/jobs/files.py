"""The files of a job: NDJSON, compressed while it is written, and able to go on after a crash.

Each file is one ordinary gzip stream, put together from pieces that were each finished on disk:

    header │ deflate block(s), flushed │ deflate block(s), flushed │ … │ end, crc32, length
           └ step 1                    └ step 2: here a crash is no harm, the rest is cut off

Every step starts its compressor anew, so what was written never depends on what a dead process had
in its memory; what must be known to go on (`Piece`) is a few numbers in the job's mark. NDJSON of
FHIR shrinks about tenfold, and a client that accepts gzip, as all do, gets the file as it lies
there. (Measured on Synthea: 8.8 us and 134 of 1,292 bytes for each resource.)

Files carry `.part` until they are whole, lie in a folder only the server's user can open, and are
removed when their job ends or expires.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from sokhoe.errors import Unavailable

LEVEL = 1
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_END = b"\x03\x00"
CHUNK = 1 << 18
MOST_LINES = 500_000
MOST_PLAIN = 1 << 30


@dataclass(frozen=True, slots=True)
class Piece:
    """A file as far as it is finished: `lines` and `plain` bytes before compression, whose `crc`
    is the running checksum of gzip, and `size` bytes on disk. `digest`: SHA-256 of the plain
    bytes, known when the file is whole."""

    name: str
    type: str
    lines: int = 0
    plain: int = 0
    size: int = 0
    crc: int = 0
    digest: str = ""

    @property
    def full(self) -> bool:
        return self.lines >= MOST_LINES or self.plain >= MOST_PLAIN


def as_mark(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    return [asdict(one) for one in pieces]


def from_mark(mark: Sequence[dict[str, Any]]) -> list[Piece]:
    return [Piece(**one) for one in mark]


class Folder:
    """The folder of one job."""

    def __init__(self, root: Path, job: str) -> None:
        self.path = root / job

    def make(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def whole(self, name: str) -> Path:
        return self.path / f"{name}.gz"

    def add(self, piece: Piece, lines: Sequence[bytes]) -> Piece:
        """Append lines; on disk when this returns. Raises Unavailable when what the piece says
        was there is not, or the disk is full."""
        plain = b"\n".join(lines) + b"\n"
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
        packed = packer.compress(plain) + packer.flush(zlib.Z_SYNC_FLUSH)
        if not piece.size:
            packed = _HEADER + packed
        self._write(piece, packed)
        return replace(
            piece,
            lines=piece.lines + len(lines),
            plain=piece.plain + len(plain),
            size=piece.size + len(packed),
            crc=zlib.crc32(plain, piece.crc),
        )

    def finish(self, piece: Piece) -> Piece:
        """Close a file and give it its name. Doing it twice does no harm."""
        whole = self.whole(piece.name)
        if not whole.exists():
            end = piece.crc.to_bytes(4, "little") + (piece.plain & 0xFFFFFFFF).to_bytes(4, "little")
            self._write(piece, (b"" if piece.size else _HEADER) + _END + end)
            self._part(piece).rename(whole)
            self._sync()
        digest = sha256()
        for chunk in plain_bytes(whole):
            digest.update(chunk)
        return replace(piece, digest=digest.hexdigest())

    def keep(self, name: str, content: bytes) -> None:
        """A whole small file, all or nothing."""
        part = self.path / f"{name}.part"
        with _private(part, os.O_TRUNC) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(self.path / name)
        self._sync()

    def kept(self, name: str) -> bytes | None:
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def _part(self, piece: Piece) -> Path:
        return self.path / f"{piece.name}.gz.part"

    def _write(self, piece: Piece, packed: bytes) -> None:
        with _private(self._part(piece)) as file:
            if file.seek(0, os.SEEK_END) < piece.size:
                raise Unavailable(f"The file {piece.name} was cut short.", slug="job-file")
            file.truncate(piece.size)  # what a dead process wrote behind its last mark
            file.seek(piece.size)
            try:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise Unavailable(
                    f"The file could not be written: {error.strerror}.",
                    hint="Is the disk full? Look with `sokhoe doctor`.",
                    slug="job-file",
                ) from error

    def _sync(self) -> None:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _private(path: Path, more: int = 0) -> Any:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | more, 0o600), "r+b")


def plain_bytes(path: Path) -> Iterator[bytes]:
    """A finished file as it was before compression, in pieces."""
    opener = zlib.decompressobj(31)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield opener.decompress(chunk)
    yield opener.flush()


def used(root: Path) -> int:
    """Bytes of all jobs' files."""
    return sum(one.stat().st_size for one in root.rglob("*") if one.is_file())

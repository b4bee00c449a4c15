"""`sokhoe …` with a counter of its durable transactions: how many commits share one fsync?

    python -m bench.counted FILE serve --role hub …

The count lies in the first eight bytes of FILE, little-endian, and is written by the process itself
while it holds the writing turn, so nothing is added to the way of a request but one store.
Processes that the server starts find FILE in their environment and count in it too.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sokhoe.__main__ import main
from sokhoe.store import postgres, sqlite

COUNTER = "BENCH_COUNTER"


def count(cell: mmap.mmap, kind: Any) -> None:
    plain = kind._transaction

    @contextmanager
    def counted(self: Any, *, durable: bool, **more: Any) -> Iterator[Any]:
        with plain(self, durable=durable, **more) as read:
            yield read
        if durable:
            cell[:8] = (int.from_bytes(cell[:8], "little") + 1).to_bytes(8, "little")

    kind._transaction = counted


def begin(file: str) -> None:
    with Path(file).open("r+b") as handle:
        cell = mmap.mmap(handle.fileno(), 8)
    for kind in (sqlite.SqliteStore, postgres.PostgresStore):
        count(cell, kind)


if __name__ == "__main__":
    os.environ[COUNTER] = sys.argv[1]
    sys.argv = ["sokhoe", *sys.argv[2:]]
    begin(os.environ[COUNTER])
    main()
elif __name__ == "__mp_main__" and COUNTER in os.environ:
    begin(os.environ[COUNTER])

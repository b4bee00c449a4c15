"""Invent the province in a second process while this one writes: two cores, half the wait.

The other process makes the same world by the same names (country, province, seed), so nothing but
its results crosses: chunks of batches through a pipe of bounded length.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import date
from typing import Any

from sokhoe import clock, country
from sokhoe.country import Batch
from sokhoe.errors import Unavailable

CHUNK = 100
AHEAD = 20  # chunks that may wait in the pipe


def batches(
    names: tuple[str, str], offset: int, seed: int, people: int, today: date
) -> Iterator[Batch]:
    """`World.batches` of this country and province, made by another process."""
    context = multiprocessing.get_context("spawn")
    pipe: Any = context.Queue(AHEAD)
    maker = context.Process(target=_make, args=(pipe, names, offset, seed, people, today))
    maker.start()
    try:
        while (chunk := pipe.get()) is not None:
            if isinstance(chunk, str):
                raise Unavailable(f"The province could not be invented: {chunk}", slug="world")
            yield from chunk
    finally:
        maker.terminate()
        maker.join()


def _make(
    pipe: Any, names: tuple[str, str], offset: int, seed: int, people: int, today: date
) -> None:
    clock.set_offset(offset)
    try:
        chunk: list[Batch] = []
        for batch in country.load(*names).seam("world").batches(seed, people, today):
            chunk.append(batch)
            if len(chunk) >= CHUNK:
                pipe.put(chunk)
                chunk = []
        pipe.put(chunk)
        pipe.put(None)
    except Exception as error:  # the reader waits on the pipe: it must hear of it
        pipe.put(f"{type(error).__name__}: {error}")

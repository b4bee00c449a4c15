"""How much one search may cost; what is more is refused, never left to run into a time-out.

The counts refuse what is known to be too much before it is begun. What the planner took for cheap
and is not, the database itself ends after `MOST_SECONDS`: SQLite looks at the clock every few
thousand steps of its machine (`Deadline`), PostgreSQL has `statement_timeout`.
"""

from __future__ import annotations

import time

from sokhoe.errors import Unsupported

MOST_SCANNED = 20_000  # records in which something is looked up; about a second
MOST_SORTED = 20_000  # records that are put in order by what stands in them
MOST_ENDS = 500  # a chain with so few ends becomes a plain list of references
MOST_SHAPES = 5_000  # forms of records of one type, for :missing
MOST_PLACES = 5_000  # places within a box
MOST_INCLUDED = 5_000
MOST_LATE = 2_000  # records changed since the first page
AT_ONCE = 1_000  # bodies read in one go
MOST_SECONDS = 10.0  # of one search, page of a history, or record with what is around it
MOST_SECONDS_CHOOSING = 120.0  # of finding what an export means; a job has time
MOST_SECONDS_SOON = 0.25  # in front of the event loop; then the plain way answers
EVERY = 20_000  # steps of SQLite's machine between two looks at the clock, less than 1 ms


class Deadline:
    """The moment at which a question must have its answer. Called, it says whether it is over."""

    __slots__ = ("_seconds", "_until")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def __call__(self) -> bool:
        return time.monotonic() > self._until

    def check(self) -> None:
        if self():
            raise self.over()

    def over(self) -> Unsupported:
        return Unsupported(
            f"The answer was not found within {self._seconds:g} seconds.",
            hint="Narrow the search: by patient, code or date. A job may take longer: $export.",
            slug="too-costly",
            code="too-costly",
        )


def too_many(what: str, most: int) -> Unsupported:
    return Unsupported(
        f"{what} would have to be looked up in more than {most} records.",
        hint="Narrow the search: by patient, code or date.",
        slug="too-costly",
        code="too-costly",
        location=what,
    )

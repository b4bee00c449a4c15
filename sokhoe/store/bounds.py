"""How much one search may cost; what is more is refused, never left to run into a time-out."""

from __future__ import annotations

from sokhoe.errors import Unsupported

MOST_SCANNED = 20_000  # records in which something is looked up; about a second
MOST_SORTED = 20_000  # records that are put in order by what stands in them
MOST_ENDS = 500  # a chain with so few ends becomes a plain list of references
MOST_SHAPES = 5_000  # forms of records of one type, for :missing
MOST_PLACES = 5_000  # places within a box
MOST_INCLUDED = 5_000
MOST_LATE = 2_000  # records changed since the first page
AT_ONCE = 1_000  # bodies read in one go


def too_many(what: str, most: int) -> Unsupported:
    return Unsupported(
        f"{what} would have to be looked up in more than {most} records.",
        hint="Narrow the search: by patient, code or date.",
        slug="too-costly",
        code="too-costly",
        location=what,
    )

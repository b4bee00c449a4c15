"""The way out: results as they may be shown; pages and files get their numbers here alone.

Rows come from the result files; columns that count people are hidden where they are small
(masking.py), and so is everything worked out from them. Exact counts do not leave this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sokhoe.clock import Instant
from sokhoe.errors import NotFound
from sokhoe.warehouse import masking
from sokhoe.warehouse.engine import connection, quoted
from sokhoe.warehouse.indicators import Indicator, catalogue
from sokhoe.warehouse.masking import Count
from sokhoe.warehouse.shelf import Manifest, Shelf

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An indicator's rows. Columns named in `indicator.people` hold `Count`s. `total`: theirs,
    where they add up. `as_of`: when it was computed; `reach`: up to where in the feed."""

    indicator: Indicator
    rows: tuple[Row, ...]
    total: Count | None
    as_of: Instant
    reach: int


@dataclass(slots=True)
class Numbers:
    """The answers of one warehouse folder, read again when its list has changed."""

    shelf: Shelf
    mask_below: int
    _generation: int = field(default=-1, init=False)
    _answers: dict[str, Answer] = field(default_factory=dict, init=False)

    @property
    def ready(self) -> bool:
        """Has anything been computed yet?"""
        return bool(self.all())

    def answer(self, key: str) -> Answer:
        """Raises NotFound for an unknown indicator, and before the first load."""
        found = self.all().get(key)
        if found is None:
            raise NotFound(
                f"There is no number {key!r} yet."
                if key in catalogue()
                else f"There is no indicator {key!r}.",
                slug="no-number",
            )
        return found

    def all(self) -> Mapping[str, Answer]:
        """Every answer of the standing list; empty before the first load."""
        manifest = self.shelf.read()
        if manifest.generation != self._generation:
            try:
                answers = self._read(manifest)
            except OSError:  # replaced twice while we read: the list is a newer one now
                manifest = self.shelf.read()
                answers = self._read(manifest)
            self._answers, self._generation = answers, manifest.generation
        return self._answers

    def _read(self, manifest: Manifest) -> dict[str, Answer]:
        if not manifest.results:
            return {}
        answers = {}
        with connection(self.shelf.folder / "spill") as duck:
            for result in manifest.results:
                indicator = catalogue().get(result.indicator)
                if indicator is None:  # computed by another version of this program
                    continue
                path = self.shelf.path(result.file)
                if not path.is_file():
                    raise FileNotFoundError(path)
                found = duck.execute(f"SELECT * FROM read_parquet({quoted(str(path))})")
                names = [column[0] for column in found.description]
                rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
                shown, total = _masked(indicator, rows, self.mask_below)
                answers[indicator.key] = Answer(
                    indicator, shown, total, manifest.results_at, manifest.results_reach
                )
        return answers


def _masked(
    indicator: Indicator, rows: list[dict[str, Any]], below: int
) -> tuple[tuple[Row, ...], Count | None]:
    total: Count | None = None
    for column in indicator.people:
        counts = [row[column] for row in rows]
        if indicator.adds_up:
            masked = masking.adding_up(counts, below)
            cells, total = masked.cells, masked.total
        else:
            cells = tuple(masking.one(count, below) for count in counts)
        for row, cell in zip(rows, cells, strict=True):
            row[column] = cell
    return tuple(rows), total

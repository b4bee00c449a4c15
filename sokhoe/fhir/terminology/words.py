"""Finding concepts by what a person types: beginnings of words, accents or none, best first.

    typed  "dai thao"   →  every word must begin a word of one name of the concept
    words  sorted:   … dai · dam · dan · … · thanh · thao · …
    rows   of each:      │                          │
                     [4, 17, …]     and        [17, 30, …]     → 17

Better is, in this order: the code itself, a code that begins so, a name that is just that, a name
that begins so, the words side by side within a name, the words anywhere; the usual name before
other names; with the accents as typed before without; then the shorter name.
15,000 concepts take some 4 MB and answer in well under a millisecond (docs/performance.md).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from unicodedata import normalize

from sokhoe.fhir.search.fold import fold

_WORD = re.compile(r"\w+")
_BAR = " | "  # between the names of a concept; no word has it
_AFTER_ALL = "\U0010ffff"
MOST_WORDS = 12  # of a question; more would not narrow it


class Words:
    """An index over (code, name, other names) of concepts numbered from 0."""

    def __init__(self, concepts: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        rows: dict[str, array[int]] = {}
        self._codes: list[str] = []
        self._folded: list[str] = []
        self._named: list[str] = []
        for row, (code, name, others) in enumerate(concepts):
            names = [name, *(one for one in others if one != name)]
            folded = _BAR.join(map(fold, names))
            self._codes.append(fold(code))
            self._folded.append(folded)
            self._named.append(name)
            for word in {*_WORD.findall(folded), fold(code)}:
                rows.setdefault(word, array("I")).append(row)
        self._words = sorted(rows)
        self._rows = [rows[word] for word in self._words]

    def matches(self, text: str) -> set[int] | None:
        """Concepts that fit what was typed, in no order; None where nothing was typed."""
        tokens = sorted(set(fold(text).split()), key=len, reverse=True)[:MOST_WORDS]
        if not tokens:
            return None
        found = self._token(tokens[0])
        for token in tokens[1:]:
            if not found:
                break
            found &= self._token(token)
        return found

    def find(self, text: str, within: Container[int] | None = None) -> list[int]:
        """Concepts that fit, best first; only those in `within`, if it is given."""
        found = self.matches(text)
        if found is None:
            return []
        asked = fold(text)
        typed = normalize("NFC", " ".join(text.lower().split()))
        marked = typed != asked
        good = found if within is None else [row for row in found if row in within]
        return sorted(good, key=lambda row: self._rank(row, asked, typed if marked else ""))

    def _rank(self, row: int, asked: str, typed: str) -> tuple[int, int, int, int]:
        code, folded, name = self._codes[row], self._folded[row], self._named[row]
        first, _, others = folded.partition(_BAR)
        if code == asked:
            place = 0
        elif code.startswith(asked):
            place = 1
        elif first == asked:
            place = 2
        elif first.startswith(asked):
            place = 3
        elif others and f"{_BAR}{others}{_BAR}".find(f"{_BAR}{asked}{_BAR}") >= 0:
            place = 4
        elif others and f"{_BAR}{others}".find(f"{_BAR}{asked}") >= 0:
            place = 5
        elif f" {first}".find(f" {asked}") >= 0:
            place = 6
        elif f" {folded}".find(f" {asked}") >= 0:
            place = 7
        else:
            place = 8
        accents = 0 if not typed or typed in normalize("NFC", name.lower()) else 1
        return place, accents, len(first), row

    def _token(self, token: str) -> set[int]:
        """What one word fits: as it stands (a code with a dot is one word), or part by part."""
        rows = self._beginning(token)
        parts = _WORD.findall(token)
        if parts and parts != [token]:
            rows |= set.intersection(*map(self._beginning, parts))
        return rows

    def _beginning(self, part: str) -> set[int]:
        at = bisect_left(self._words, part)
        end = bisect_left(self._words, part + _AFTER_ALL, lo=at)
        return set().union(*self._rows[at:end])

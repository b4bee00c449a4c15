"""How alike are two names? Pure comparison, with the level in plain words.

A name is written family name first, given name last (`matching.facts_of` puts it so where the
record keeps the two apart). Accents are evidence of one kind only: an accent that is *missing
from the whole name* says nothing, since many people type without; a *different* accent says that
it may be another person, and brothers are often named just so. For the same reason one wrong
letter in the given name is worth less than one in the family name, which brothers share.

The place of an accent in a syllable is a matter of typing school, so an accent counts for its
word and not for its letter: `hòa` and `hoà` are one name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from functools import lru_cache
from itertools import groupby

from sokhoe.fhir import fold

# Letters with a stroke fold to plain ones, but have no mark of their own to take off.
_STROKED = frozenset("đðøł")
# Shorter words differ from each other by one letter too often: le and ly are two families.
_TYPO_LENGTH = 4


class NameLevel(Enum):
    """From the same to different."""

    EXACT = "exact"
    UNACCENTED = "unaccented"
    TURNED = "turned"
    MIDDLE = "middle"
    LETTER = "letter"
    ACCENTS = "accents"
    GIVEN_LETTER = "given-letter"
    PARTS = "parts"
    DIFFERENT = "different"
    MISSING = "missing"


# Levels at which two names may well be one name badly written.
ALIKE = frozenset(
    {
        NameLevel.EXACT,
        NameLevel.UNACCENTED,
        NameLevel.TURNED,
        NameLevel.MIDDLE,
        NameLevel.LETTER,
    }
)
# Levels at which nothing of the name is missing or changed.
WHOLE = frozenset({NameLevel.EXACT, NameLevel.UNACCENTED, NameLevel.TURNED})


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a name: its letters without accents, and its accents in a fixed order."""

    letters: str
    accents: str


@lru_cache(maxsize=65_536)
def words(name: str) -> tuple[Word, ...]:
    """A name as words; punctuation separates, letter case does not matter."""
    spaced = "".join(letter if _is_part(letter) else " " for letter in name)
    return tuple(_word(part) for part in spaced.split())


def _is_part(letter: str) -> bool:
    # Khmer vowels are marks of their own and no letters to isalnum().
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


def _word(text: str) -> Word:
    accents = [
        letter
        for letter in unicodedata.normalize("NFD", text.lower())
        if unicodedata.combining(letter) or letter in _STROKED
    ]
    return Word(fold(text), "".join(sorted(accents)))


def compare(a: str, b: str) -> NameLevel:
    """How alike two names are; the same whichever comes first."""
    one, two = words(a), words(b)
    if not one or not two:
        return NameLevel.MISSING
    if _letters(one) == _letters(two):
        return _by_accents(one, two, NameLevel.EXACT)
    for turned in _turns(one):
        if _letters(turned) == _letters(two):
            level = _by_accents(turned, two, NameLevel.TURNED)
            return level if level is NameLevel.ACCENTS else NameLevel.TURNED
    if _lacks_middle(one, two) or _lacks_middle(two, one):
        ends = _by_accents((one[0], one[-1]), (two[0], two[-1]), NameLevel.MIDDLE)
        return ends if ends is NameLevel.ACCENTS else NameLevel.MIDDLE
    if "".join(_letters(one)) == "".join(_letters(two)):
        return NameLevel.LETTER  # only a space is missing
    return _by_letters(one, two)


def _letters(name: tuple[Word, ...]) -> tuple[str, ...]:
    return tuple(word.letters for word in name)


def _by_accents(one: tuple[Word, ...], two: tuple[Word, ...], same: NameLevel) -> NameLevel:
    """Names of the same letters: equal, or one typed without accents, or different accents."""
    first, second = ([word.accents for word in name] for name in (one, two))
    if first == second:
        return same
    if not any(first) or not any(second):
        return NameLevel.UNACCENTED
    return NameLevel.ACCENTS


def _turns(name: tuple[Word, ...]) -> list[tuple[Word, ...]]:
    """Given name first, or family name last. No other order: two brothers may well be called
    … Minh Anh and … Anh Minh."""
    if len(name) < 2:
        return []
    return [(name[-1], *name[:-1]), (*name[1:], name[0])]


def _lacks_middle(short: tuple[Word, ...], long: tuple[Word, ...]) -> bool:
    """Same first and last word, and the words between are all in the longer name, in order."""
    if not 2 <= len(short) < len(long):
        return False
    if short[0].letters != long[0].letters or short[-1].letters != long[-1].letters:
        return False
    rest = iter(_letters(long[1:-1]))
    return all(word.letters in rest for word in short[1:-1])


def _by_letters(one: tuple[Word, ...], two: tuple[Word, ...]) -> NameLevel:
    if len(one) == len(two):
        differing = [i for i in range(len(one)) if one[i].letters != two[i].letters]
        if len(differing) == 1 and len(one) > 1:
            place = differing[0]
            a, b = one[place].letters, two[place].letters
            if one_edit(a, b):
                if place == len(one) - 1:
                    return NameLevel.GIVEN_LETTER
                if min(len(a), len(b)) >= _TYPO_LENGTH:
                    return NameLevel.LETTER
    shared = set(_letters(one)) & set(_letters(two))
    # One shared word is a family name, and half a country has it.
    if one[-1].letters == two[-1].letters or len(shared) >= 2:
        return NameLevel.PARTS
    return NameLevel.DIFFERENT


def one_edit(a: str, b: str) -> bool:
    """True when one letter was added, dropped, changed, or two neighbours were exchanged."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    left, right = a[start : len(a) - end], b[start : len(b) - end]
    if len(left) <= 1 and len(right) <= 1:
        return True
    return len(left) == 2 and left == right[::-1]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of letters for the screen; `differs` when the other side does not have it."""

    text: str
    differs: bool


_RUNS = re.compile(r"\w+|\W+")
# Words less alike than this are marked whole: single letters in common would only be noise.
_ALIKE = 0.5


def marked(a: str, b: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts cut into pieces, so that a screen can mark what differs: letters in words that
    are alike, else whole words.

    Letter case is not a difference, an accent is. Joined pieces give the (NFC) text back.
    """
    one, two = (_RUNS.findall(unicodedata.normalize("NFC", text)) for text in (a, b))
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, a1, a2, b1, b2 in _matcher(one, two).get_opcodes():
        if tag == "replace" and a2 - a1 == b2 - b1:
            for x, y in zip(one[a1:a2], two[b1:b2], strict=True):
                _mark_letters(x, y, left, right)
        else:
            left += [Piece(text, tag != "equal") for text in one[a1:a2]]
            right += [Piece(text, tag != "equal") for text in two[b1:b2]]
    return _joined(left), _joined(right)


def _mark_letters(x: str, y: str, left: list[Piece], right: list[Piece]) -> None:
    if len(x) == len(y) and x.isdigit() and y.isdigit():
        for one, two in zip(x, y, strict=True):  # a digit means something in its place only
            left.append(Piece(one, one != two))
            right.append(Piece(two, one != two))
        return
    matcher = _matcher(x, y)
    if matcher.ratio() < _ALIKE:
        left.append(Piece(x, True))
        right.append(Piece(y, True))
        return
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        left.append(Piece(x[a1:a2], tag != "equal"))
        right.append(Piece(y[b1:b2], tag != "equal"))


def _matcher(a: Sequence[str], b: Sequence[str]) -> SequenceMatcher[str]:
    # Lowered one by one: lowering a whole text may change its length.
    one, two = ([part.lower() for part in parts] for parts in (a, b))
    return SequenceMatcher(None, one, two, autojunk=False)


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one kind as one piece, empty ones left out."""
    return tuple(
        Piece(text, differs)
        for differs, group in groupby(pieces, key=lambda piece: piece.differs)
        if (text := "".join(piece.text for piece in group))
    )

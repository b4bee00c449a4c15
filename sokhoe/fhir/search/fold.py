"""Folded text: what two spellings of a name must have in common to be found by each other.

"Nguyễn Văn  Đức", "NGUYEN VAN DUC" and "nguyễn văn đức" in another Unicode form all fold to
"nguyen van duc".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Letters that are of their own and not a base letter with a mark, so NFD leaves them whole.
_WHOLE = str.maketrans({"đ": "d", "ð": "d", "ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe"})
_WORD = re.compile(r"\w+")
_SUFFIX = 64  # a word's beginning and what follows it, so that "van a" finds "nguyen van an"
_WORDS = 24


@lru_cache(maxsize=32_768)
def fold(text: str) -> str:
    """Lower case, without marks, đ as d, single spaces, no control characters."""
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFD", text).translate(_WHOLE)
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return _WORD.findall(fold(text))


def beginnings(folded: str) -> list[str]:
    """The whole folded text, and the text from each later word on (cut), to be found by prefix."""
    found = [folded[:1024]] if folded else []
    for count, word in enumerate(_WORD.finditer(folded)):
        if count == _WORDS:
            break
        if word.start():
            found.append(folded[word.start() : word.start() + _SUFFIX])
    return found


def without_prefixes(texts: set[str]) -> list[str]:
    """Sorted, without those that another text begins with (a prefix search finds that one)."""
    kept: list[str] = []
    for text in sorted(texts, reverse=True):
        if not kept or not kept[-1].startswith(text):
            kept.append(text)
    return kept[::-1]

"""The blind index: what is looked up is found without standing on disk in the clear.

A hub's index lies in PostgreSQL, where disks, copies and backups pass through many hands. The
hashes of identifiers, phones and names could be tried out one by one (a citizen's number has some
10⁸ likely values, a day's work), so they go through a keyed hash before they are written:

    identifiers, contacts, exact texts, words of narratives     keyed hash of the 64-bit hash
    texts for search by beginning                               letter by letter, below
    codes, references, types                                    as they are: their values are
                                                                not personal, and references are
                                                                put together by the database

    "nguyen"  →  n│ng│ngu│…   each beginning's keyed hash, 24 bits of it as four letters
              →  "kQ0x" "a7Zp" "Xm3_" …

So two texts have as long a beginning in common as before, and a search by beginning is still one
range; but the order is gone, and what lies in the middle: a blind store sorts by no text and knows
no `:contains`. Who steals the index learns which names begin alike and how often, not which.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from struct import Struct
from typing import Literal

from sokhoe.errors import Unsupported
from sokhoe.fhir import IndexRows

Secrecy = Literal["", "all", "some"]
LETTERS = 600  # of a text: PostgreSQL's index takes 2,700 bytes of a value
MOST_KNOWN = 200_000  # beginnings remembered, some 30 MB
_LONG = Struct(">q")


class Blind:
    """Turns what is indexed and asked for into what stands in the index."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[tuple[bytes, str], tuple[bytes, str]] = {}
        # told in the index, so that one made with another key is made anew
        self.name = blake2b(b"name", key=key, digest_size=8).hexdigest()

    def hash(self, key: int) -> int:
        made = blake2b(_LONG.pack(key), key=self._key, digest_size=8).digest()
        return int(_LONG.unpack(made)[0])

    def hashes(self, keys: Sequence[int], secrecy: Secrecy) -> Sequence[int]:
        """`all`: these are of secret values; `some`: the parameter has values of both kinds."""
        if not secrecy:
            return keys
        made = [self.hash(key) for key in keys]
        return made if secrecy == "all" else [*keys, *made]

    def text(self, param: int, text: str) -> str:
        state = _LONG.pack(param)
        out = []
        known = self._known
        for letter in text[:LETTERS]:
            found = known.get((state, letter))
            if found is None:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                made = blake2b(state + letter.encode("utf-8", "surrogatepass"), key=self._key)
                next_state = made.digest()[:16]
                found = (next_state, urlsafe_b64encode(made.digest()[16:19]).decode())
                known[state, letter] = found
            state = found[0]
            out.append(found[1])
        return "".join(out)

    def rows(self, rows: IndexRows) -> IndexRows:
        """The rows of a record as they stand in the index."""
        hidden = set(rows.personal)
        return replace(
            rows,
            keys=tuple(self.hash(key) if key in hidden else key for key in rows.keys),
            texts=tuple((param, self.text(param, text)) for param, text in rows.texts),
            personal=(),
        )


def no_order(param: str) -> Unsupported:
    return Unsupported(
        f"This server keeps texts encrypted and cannot sort by {param}.",
        hint="Sort by a date or by _lastUpdated, or sort the answers yourself.",
        slug="blind-sort",
        location="_sort",
    )


def no_middle(param: str) -> Unsupported:
    return Unsupported(
        f"This server keeps texts encrypted and cannot look into the middle of {param}.",
        hint=f"Leave :contains away: {param} finds the beginning of every word.",
        slug="blind-contains",
        location=f"{param}:contains",
    )

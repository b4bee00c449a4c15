"""The 64-bit keys under which values are indexed and looked for.

    token, uri, exact string   hash("Observation|code|" + "http://loinc.org|8480-6")
    reference                  hash("Observation|subject|") XOR hash("Patient/7")
    the record itself          hash("Patient|_id|") XOR hash("Patient/7")

References are put together by XOR, so that a database can go from a record to all that point at
it (chained search, `_has`) with integers alone. Signed, since both databases store signed integers.
At a thousand million distinct values the chance of a single collision is under 3 %.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


def prefix(type: str, code: str) -> str:
    """What the hashed texts of a parameter begin with."""
    return f"{type}|{code}|"


def key(text: str) -> int:
    """blake2b, 8 bytes, as a signed integer."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def date_key(text: str) -> int:
    """As `key`, the last two bits free for the class of length (see `dates.length_class`)."""
    return key(text) & ~3


cached = lru_cache(maxsize=131_072)(key)


def token_keys(prefixes: tuple[str, ...], system: str, code: str) -> list[int]:
    """All keys under which a value with a system is found, for each parameter that indexes it."""
    found = []
    for prefix in prefixes:
        if code:
            found.append(key(f"{prefix}{code}"))
            found.append(key(f"{prefix}{system}|{code}"))
        if system:
            found.append(key(f"{prefix}{system}|"))
    return found

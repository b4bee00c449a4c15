"""Texts without case, accents and other marks (hl7.org/fhir/R4/search.html#string).

R4 asks for the beginning of a field; the house also takes the beginning of any word in it, and
reads a name that is not written out as a whole in both orders: family given, given family.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any


def fold(text: str) -> str:
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text)
        if unicodedata.category(letter) not in ("Mn", "Mc", "Me")
    )
    return re.sub(r"\s+", " ", bare.lower().replace("đ", "d")).strip()


def fields(kind: str, value: Any) -> list[str]:
    """Each text of an element that is searched by itself."""
    match kind:
        case "HumanName":
            given = [one for one in value.get("given", ()) if one]
            ends = [one for key in ("prefix", "suffix") for one in value.get(key, ()) if one]
            family = [value["family"]] if value.get("family") else []
            whole = [value["text"]] if value.get("text") else []
            if not whole:
                whole = [" ".join([*family, *given]), " ".join([*given, *family])]
            found = [*whole, *family, *given, *ends]
        case "Address":
            rest = ("city", "district", "state", "postalCode", "country")
            found = [value.get("text"), *value.get("line", ()), *map(value.get, rest)]
        case _:
            found = [value]
    return [one for one in found if one]


def begins(asked: str, field: str) -> bool:
    wanted, text = fold(asked), fold(field)
    starts = {0, *(match.start() for match in re.finditer(r"\w+", text))}
    return any(text.startswith(wanted, at) for at in starts)


def contains(asked: str, field: str) -> bool:
    return fold(asked) in fold(field)

"""Code systems that are not lists but rules: whether a text is a code of one is seen by looking.

Media types (BCP 13), language tags (BCP 47), absolute URIs (RFC 3986). Their codes cannot be
listed, so a value set of all of them can be asked "is this in it?" but not expanded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 §4.2
_PARAMETER = rf"\s*;\s*{_NAME}=(?:{_NAME}|\"[^\"\\]{{0,200}}\")"
GRAMMARS: Mapping[str, re.Pattern[str]] = {
    "urn:ietf:bcp:13": re.compile(rf"{_NAME}/{_NAME}(?:{_PARAMETER}){{0,8}}"),
    "urn:ietf:bcp:47": re.compile(
        r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})"
        r"(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|\d{3}))?"
        r"(?:-(?:[A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3})){0,8}"
        r"(?:-[A-WYZa-wyz0-9](?:-[A-Za-z0-9]{2,8}){1,8}){0,4}(?:-x(?:-[A-Za-z0-9]{1,8}){1,8})?"
        r"|x(?:-[A-Za-z0-9]{1,8}){1,8}"
    ),
    "urn:ietf:rfc:3986": re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\s<>\"{}|\\^`]{1,2000}"),
}


def is_code(system: str, code: str) -> bool:
    """Whether the text follows the rule of this code system (which is in GRAMMARS)."""
    return len(code) <= 2100 and GRAMMARS[system].fullmatch(code) is not None

"""A share of the master key as people can write it down and type it in again.

    version 1 │ ring 2 │ number 1 │ share 32     = 36 bytes = 288 bits, and 12 bits of check
    in 15 groups of 5 letters:  4 letters (20 bits) and 1 that checks this group at this place

Letters are Crockford's base 32 (no I, L, O, U; what people write for them is understood). A group's
check is a sum over GF(32) with weights that are all different, so any one wrong letter and any two
neighbours exchanged are noticed, and groups in a wrong order too; the message says which group.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from sokhoe.errors import Invalid, Issue

VERSION = 1
SHARE = 32  # bytes
GROUPS = 15
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")
_BYTES = 4 + SHARE
_CHECK_BITS = GROUPS * 20 - _BYTES * 8


def _powers() -> list[int]:
    """1, α, α² … in GF(32) with x⁵+x²+1: 31 different values."""
    found = [1]
    while len(found) < 31:
        doubled = found[-1] << 1
        found.append(doubled ^ 0b100101 if doubled & 32 else doubled)
    return found


_ALPHA = _powers()


@dataclass(frozen=True, slots=True)
class Sheet:
    """One share: of which ring (two bytes of its name), its number, its bytes."""

    ring: bytes
    number: int
    share: bytes

    @property
    def groups(self) -> list[str]:
        raw = bytes([VERSION]) + self.ring + bytes([self.number]) + self.share
        whole = int.from_bytes(raw, "big") << _CHECK_BITS | _check(raw)
        fours = [whole >> 20 * (GROUPS - 1 - at) & 0xFFFFF for at in range(GROUPS)]
        return [_lettered(at, four) for at, four in enumerate(fours)]

    @property
    def text(self) -> str:
        """As one line, the groups parted by hyphens: what the QR holds."""
        return "-".join(self.groups)


def read(text: str) -> Sheet:
    """A sheet as somebody typed or scanned it. Raises Invalid naming every group that is wrong."""
    plain = "".join(text.upper().split()).replace("-", "").translate(_READ_AS)
    groups = [plain[at : at + 5] for at in range(0, len(plain), 5)]
    if len(plain) != GROUPS * 5:
        raise Invalid(
            f"A sheet has {GROUPS} groups of 5 letters; {len(plain)} letters were given.",
            hint="Look for a group that was left out or typed twice.",
            slug="sheet",
        )
    wrong = [at for at, group in enumerate(groups) if not _fits(at, group)]
    if wrong:
        issues = tuple(
            Issue(f"Group {at + 1} ({groups[at]}) is wrong.", str(at + 1)) for at in wrong
        )
        named = ", ".join(f"{at + 1} ({groups[at]})" for at in wrong)
        raise Invalid(
            f"Mistyped: group {named}.",
            hint="Compare these groups with the paper letter by letter and type them again.",
            slug="sheet",
            issues=issues,
        )
    whole = 0
    for group in groups:
        for letter in group[:4]:
            whole = whole << 5 | LETTERS.index(letter)
    raw = (whole >> _CHECK_BITS).to_bytes(_BYTES, "big")
    if whole & (1 << _CHECK_BITS) - 1 != _check(raw) or raw[0] != VERSION or not raw[3]:
        raise Invalid(
            "Every group looks right, yet the sheet as a whole is not one of ours.",
            hint="Type all of it again, or take another sheet.",
            slug="sheet",
        )
    return Sheet(raw[1:3], raw[3], raw[4:])


def _check(raw: bytes) -> int:
    return int.from_bytes(sha256(b"sokhoe sheet" + raw).digest()[:2], "big") >> 16 - _CHECK_BITS


def _lettered(at: int, four: int) -> str:
    values = [four >> shift & 31 for shift in (15, 10, 5, 0)]
    return "".join(LETTERS[one] for one in [*values, _sum(at, values)])


def _sum(at: int, values: list[int]) -> int:
    found = _ALPHA[at]  # so that a group fits at its own place only
    for weight, value in enumerate(values, 1):
        found ^= _times(_ALPHA[weight], value)
    return found


def _fits(at: int, group: str) -> bool:
    if any(letter not in LETTERS for letter in group):
        return False
    values = [LETTERS.index(letter) for letter in group]
    return _sum(at, values[:4]) == values[4]


def _times(a: int, b: int) -> int:
    return _ALPHA[(_ALPHA.index(a) + _ALPHA.index(b)) % 31] if a and b else 0

"""The health insurance number in its three living formats, and the ten digits that stay.

    GD 4 86 8612345678   15 characters: group, benefit level 1–5, province, social insurance code
            8612345678   10 digits: the social insurance code alone (new card)
          086305001234   12 digits: the citizen number (usable since 15/08/2025, NĐ 188/2025)

The last ten digits of the long form are the social insurance code: it stays when the group, the
level or the card changes, so that is what two records are compared by. A 12-digit number has no
such code; compare it as a citizen number. Groups QN, CA, CY (army, police, cipher) are looked up
elsewhere and are marked `special`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sokhoe.errors import Invalid
from sokhoe.vietnam import citizen_id

Form = Literal["card15", "social10", "citizen12"]

_CARD = re.compile(r"([A-Z]{2})([1-5])(\d{2})(\d{10})", re.ASCII)
_SPECIAL = frozenset({"QN", "CA", "CY"})


@dataclass(frozen=True, slots=True)
class InsuranceNumber:
    """An insurance number taken apart. `key` is the ten-digit social insurance code, empty for
    the 12-digit form; `group`, `level` and `province` only from the 15-character form."""

    number: str
    form: Form
    key: str
    group: str = ""
    level: int = 0
    province: str = ""

    @property
    def special(self) -> bool:
        """Held by the army, the police or the cipher service: not in the public register."""
        return self.group in _SPECIAL

    @property
    def temporary_child(self) -> bool:
        """May be a provisional code for a child without a card yet (TE1 + province + 10 digits)."""
        return self.group == "TE" and self.level == 1


def tidy(text: str) -> str:
    """As typed or scanned, without separators, upper case."""
    return re.sub(r"[\s.\-]", "", text).upper()


def parse(text: str) -> InsuranceNumber:
    """Take a number apart, in any of the three formats. Raises Invalid otherwise."""
    number = tidy(text)
    if found := _CARD.fullmatch(number):
        group, level, province, key = found.groups()
        return InsuranceNumber(number, "card15", key, group, int(level), province)
    if re.fullmatch(r"\d{10}", number, re.ASCII):
        return InsuranceNumber(number, "social10", number)
    if citizen_id.is_citizen_id(number):
        return InsuranceNumber(number, "citizen12", "")
    raise Invalid(
        "Số thẻ BHYT không đúng dạng 15 ký tự, 10 chữ số hoặc 12 chữ số "
        f"(nhận được {len(number)} ký tự).",
        hint="Ví dụ: GD4 86 8612345678, 8612345678 hoặc số định danh 12 chữ số.",
        slug="insurance-number",
        location="insurance_number",
    )


def is_insurance_number(text: str) -> bool:
    """In one of the three formats?"""
    try:
        parse(text)
    except Invalid:
        return False
    return True


def stable_key(text: str) -> str:
    """The ten digits to compare by; empty where the number has none or is no number at all."""
    try:
        return parse(text).key
    except Invalid:
        return ""

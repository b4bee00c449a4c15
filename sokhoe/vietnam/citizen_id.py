"""The 12-digit citizen number: what it says, whether it fits a person, and invented ones.

    086 3 05 001234
    │   │ │  └ serial, no meaning
    │   │ └ last two digits of the birth year
    │   └ century and sex: 0/1 = 1900–1999 male/female, 2/3 = 2000–2099, … 8/9 = 2300–2399
    └ province where the birth was registered; it never changes, so 083 and 084 live on

There is no check digit, so a typing slip cannot be proved. A province that is not in today's list
is never a reason to refuse (people keep the code they were born with); sex and year are warnings
only, since a number may be cancelled and issued anew after a correction (NĐ 70/2024 art. 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sokhoe.errors import Invalid

_SHAPE = re.compile(r"\d{3}\d\d{2}\d{6}", re.ASCII)
_SEPARATORS = re.compile(r"[\s.\-]", re.ASCII)
_OLD_CARD = re.compile(r"\d{9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CitizenId:
    """A citizen number taken apart. `sex` is FHIR's word; `year` the full birth year."""

    number: str
    province: str
    sex: str
    year: int
    serial: str


def tidy(text: str) -> str:
    """The digits as typed or scanned, without spaces, dots and dashes."""
    return _SEPARATORS.sub("", text.strip())


def is_citizen_id(text: str) -> bool:
    """Twelve digits? (Nothing more can be known without asking the register.)"""
    return _SHAPE.fullmatch(tidy(text)) is not None


def is_old_card(text: str) -> bool:
    """A nine-digit number of the old identity card (CMND): a secondary identifier."""
    return _OLD_CARD.fullmatch(tidy(text)) is not None


def parse(text: str) -> CitizenId:
    """Take a number apart. Raises Invalid unless it is twelve digits."""
    number = tidy(text)
    if not _SHAPE.fullmatch(number):
        raise Invalid(
            f"Số định danh phải có đúng 12 chữ số, nhận được {len(number)} ký tự.",
            hint="Kiểm tra lại trên thẻ; thẻ cũ 9 số thì nhập vào ô CMND.",
            slug="citizen-id",
            location="citizen_id",
        )
    century, sex = divmod(int(number[3]), 2)
    return CitizenId(
        number=number,
        province=number[:3],
        sex="female" if sex else "male",
        year=1900 + 100 * century + int(number[4:6]),
        serial=number[6:],
    )


def warnings(text: str, *, birth: str = "", sex: str = "") -> tuple[str, ...]:
    """Sentences for the desk where the number contradicts what is known of the person.

    `birth` is a FHIR date (year first, the rest may be missing), `sex` FHIR's word; either may be
    empty. Typical cause: a parent's card used for a child. Never a reason to refuse.
    """
    said = parse(text)
    found: list[str] = []
    if birth[:4].isdigit() and int(birth[:4]) != said.year:
        found.append(f"Số định danh ghi năm sinh {said.year}, hồ sơ ghi {birth[:4]}.")
    if sex in {"male", "female"} and sex != said.sex:
        word = {"male": "nam", "female": "nữ"}
        found.append(f"Số định danh ghi giới tính {word[said.sex]}, hồ sơ ghi {word[sex]}.")
    return tuple(found)


def prefix(province: str, sex: str, year: int) -> str:
    """The first six digits that such a person has. Raises Invalid for a year before 1900."""
    if not 1900 <= year <= 2399 or not re.fullmatch(r"\d{3}", province, re.ASCII):
        raise Invalid(
            f"Không lập được số định danh cho tỉnh {province!r}, năm sinh {year}.",
            slug="citizen-id",
            location="citizen_id",
        )
    return f"{province}{(year - 1900) // 100 * 2 + (sex == 'female')}{year % 100:02d}"


def invented(start: str) -> Iterator[str]:
    """Endless invented numbers behind six digits, no one twice in a million, in no visible order.

    Steps through all serials by a stride with no common factor with 1,000,000. For tests and
    demonstrations only: never give a person without a number an invented one (see the README).
    """
    serial = int(start) * 7919 % 1_000_000
    while True:
        serial = (serial + 618_033) % 1_000_000
        yield f"{start}{serial:06d}"

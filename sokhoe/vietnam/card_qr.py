"""The QR codes on the two cards that people bring: the citizen card and the insurance card.

Citizen card, plain UTF-8 text, fields split by `|`:

    0 number (12) │ 1 old number (9) or empty │ 2 FULL NAME │ 3 ddMMyyyy │ 4 Nam/Nữ
    5 address     │ 6 date of issue, ddMMyyyy

Some cards leave field 1 out altogether (six fields); cards since July 2024 add more at the end.
Seven or more are read, what is beyond is ignored.

Insurance card, split by `|`, ended by `$`; names and addresses are the hex of their UTF-8 bytes,
`-` means empty. The new layout starts with the ten-digit code, the old one with 15 characters.

A keyboard-wedge scanner types the same text, so a trailing Enter or Tab is cut off. What a card
says is not proof of who holds it. All examples in this project are invented.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from sokhoe.errors import Invalid
from sokhoe.vietnam import citizen_id, insurance_number


@dataclass(frozen=True, slots=True)
class CitizenCard:
    """A citizen card. `birth` and `issued` are FHIR dates (`1990`, `1990-05-01`), empty if not
    there; `sex` is FHIR's word or empty."""

    number: str
    old_number: str
    name: str
    birth: str
    sex: str
    address: str
    issued: str


@dataclass(frozen=True, slots=True)
class InsuranceCard:
    """An insurance card. Dates are FHIR dates, empty if not there. `facility` is the five-character
    code of the first registration, `management` the 14-digit number of the issuing office."""

    number: str
    name: str
    birth: str
    sex: str
    address: str
    facility: str
    valid_from: str
    valid_to: str
    issued: str = ""
    management: str = ""
    five_years: str = ""
    issuer: str = ""


def _bad(which: str, why: str) -> Invalid:
    return Invalid(
        f"Không đọc được mã QR trên {which}: {why}.",
        hint="Quét lại, hoặc gõ số trên thẻ bằng tay.",
        slug="card-qr",
        location="qr",
    )


def _day(text: str, which: str) -> str:
    """`01051990`, `01/05/1990` or `1990` as a FHIR date; year only where day and month are 00."""
    digits = re.sub(r"\D", "", text)
    if not digits:
        return ""
    if len(digits) == 4:
        return digits
    if len(digits) != 8:
        raise _bad(which, f"ngày {text!r} không đúng dạng ddMMyyyy")
    day, month, year = digits[:2], digits[2:4], digits[4:]
    if day == "00" or month == "00":
        return year
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise _bad(which, f"không có ngày {text!r}") from None


def _sex(text: str) -> str:
    return {"nam": "male", "1": "male", "nữ": "female", "nu": "female", "2": "female"}.get(
        text.strip().lower(), ""
    )


def read_citizen_card(text: str) -> CitizenCard:
    """The citizen card behind a scanned text. Raises Invalid with the reason."""
    which = "thẻ căn cước"
    fields = [field.strip() for field in text.strip().split("|")]
    # Without the second field the third is the birth date, which no name is.
    if len(fields) >= 6 and re.fullmatch(r"\d{8}|\d{4}", fields[2], re.ASCII):
        fields.insert(1, "")
    if len(fields) < 7:
        raise _bad(which, f"cần ít nhất 7 phần, có {len(fields)}")
    number, old, name, birth, sex, address, issued = fields[:7]
    if not citizen_id.is_citizen_id(number):
        raise _bad(which, "phần đầu không phải 12 chữ số")
    if old and not citizen_id.is_old_card(old):
        raise _bad(which, "phần thứ hai không phải 9 chữ số")
    if not name:
        raise _bad(which, "thiếu họ tên")
    return CitizenCard(
        number=number,
        old_number=old,
        name=name,
        birth=_day(birth, which),
        sex=_sex(sex),
        address=address,
        issued=_day(issued, which),
    )


def citizen_card_text(card: CitizenCard) -> str:
    """The text that such a card's QR holds (for tests and demonstrations)."""
    return "|".join(
        (
            card.number,
            card.old_number,
            card.name.upper(),
            _compact(card.birth),
            {"male": "Nam", "female": "Nữ"}.get(card.sex, ""),
            card.address,
            _compact(card.issued),
        )
    )


def read_insurance_card(text: str) -> InsuranceCard:
    """The insurance card behind a scanned text, new or old layout. Raises Invalid."""
    which = "thẻ BHYT"
    scanned = text.strip()
    if not scanned.endswith("$"):
        raise _bad(which, "thiếu dấu $ ở cuối, có thể quét chưa hết")
    fields = [field.strip() for field in scanned.split("|")]
    if len(fields) < 9:
        raise _bad(which, f"cần ít nhất 9 phần, có {len(fields)}")
    field = ["" if value in {"-", "$"} else value for value in fields] + [""] * 17
    if not insurance_number.is_insurance_number(field[0]):
        raise _bad(which, "phần đầu không phải số thẻ")
    facility = re.sub(r"[\s\-]", "", field[5])
    if facility and not re.fullmatch(r"\d{5}", facility, re.ASCII):
        raise _bad(which, f"mã nơi đăng ký ban đầu {field[5]!r} không phải 5 chữ số")
    return InsuranceCard(
        number=insurance_number.tidy(field[0]),
        name=_unhex(field[1], which),
        birth=_day(field[2], which),
        sex=_sex(field[3]),
        address=_unhex(field[4], which),
        facility=facility,
        valid_from=_day(field[6], which),
        valid_to=_day(field[7], which),
        issued=_day(field[8], which),
        management=field[9],
        five_years=_day(field[12], which),
        issuer=_unhex(field[15], which),
    )


def insurance_card_text(card: InsuranceCard) -> str:
    """The text that such a card's QR holds: old layout for a 15-character number, else new."""
    facility = f"{card.facility[:2]} - {card.facility[2:]}" if card.facility else "-"
    start = [
        card.number,
        _hex(card.name),
        _slashed(card.birth) or "-",
        {"male": "1", "female": "2"}.get(card.sex, "-"),
        _hex(card.address) or "-",
        facility,
        _slashed(card.valid_from) or "-",
        _slashed(card.valid_to) or "-",
        _slashed(card.issued) or "-",
    ]
    if len(card.number) == 15:
        return "|".join([*start, "$"])
    end = [
        card.management or "-",
        "-",
        "4",
        f" {_slashed(card.five_years)}" if card.five_years else "-",
        f"{sum(card.number.encode()):x}-7",
        "0",
        _hex(card.issuer) or "-",
        "$",
    ]
    return "|".join([*start, *end])


def _unhex(text: str, which: str) -> str:
    try:
        return bytes.fromhex(text).decode("utf-8")
    except ValueError:
        raise _bad(which, "phần chữ không phải UTF-8 viết dạng hex") from None


def _hex(text: str) -> str:
    return text.encode("utf-8").hex()


def _compact(day: str) -> str:
    year, _, rest = day.partition("-")
    return f"{rest[3:]}{rest[:2]}{year}" if rest else year


def _slashed(day: str) -> str:
    year, _, rest = day.partition("-")
    return f"{rest[3:]}/{rest[:2]}/{year}" if rest else year

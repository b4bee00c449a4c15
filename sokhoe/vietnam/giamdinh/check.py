"""Everything that is wrong in an exchange file, with its place and a reason the sender understands.

ERROR keeps the file out: something is missing or unreadable without which the episode cannot be
told, or it contradicts itself about whose and where it is. All else is WARNING: sums, order of
times, lengths, what the decree asks for beyond the core. Two places know more than we do: the
insurance portal on money, the receiving warehouse on lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from sokhoe.errors import Invalid
from sokhoe.vietnam import citizen_id, insurance_number
from sokhoe.vietnam.code_lists import diseases
from sokhoe.vietnam.giamdinh.profile import Field, Profile, profile_on
from sokhoe.vietnam.giamdinh.shapes import File, Problem, Record, Row
from sokhoe.vietnam.giamdinh.values import (
    birth_of,
    codes_of,
    date_of,
    number_of,
    places_of,
    time_of,
)

_SEXES = {"1": "male", "2": "female"}
_NO_STAY = frozenset({"01", "07", "09"})
_ADMITTED = frozenset({"03", "04", "09"})
_SUMS = ("T_BNTT", "T_BNCCT", "T_BHTT", "T_NGUONKHAC")
_TABLE_TIMES = {"XML2": ("NGAY_YL", "NGAY_TH_YL"), "XML3": ("NGAY_YL", "NGAY_TH_YL", "NGAY_KQ")}
_TOLERANCE = Decimal(1)  # đồng


def check(file: File, *, facility: str = "", rules: Profile | None = None) -> list[Problem]:
    """All problems of a file, in its order. `facility` is the code of the account that sends it
    (empty: not compared); `rules` are by default those of the day each visit ended."""
    found = [*_envelope(file, facility), *file.oddities]
    for record in file.records:
        found += _record(record, file, rules)
    return found


def _warn(path: str, code: str, message: str) -> Problem:
    return Problem(path, code, message, "WARNING")


def _envelope(file: File, facility: str) -> Iterator[Problem]:
    where = "THONGTINDONVI/MACSKCB"
    if not file.facility:
        yield Problem(where, "REQUIRED", "Thiếu mã cơ sở gửi (MACSKCB).")
    elif len(file.facility) == 13:
        yield Problem(where, "GLN_NOT_CODE", "MACSKCB phải là mã 5 ký tự, không phải mã 13 số.")
    elif len(file.facility) != 5:
        yield _warn(where, "BAD_CODE", f"MACSKCB {file.facility!r} không đúng 5 ký tự.")
    if facility and file.facility and file.facility != facility:
        yield Problem(
            where, "MACSKCB_MISMATCH", f"Tệp của {file.facility}, tài khoản gửi của {facility}."
        )
    if file.declared and file.declared != str(len(file.records)):
        yield _warn(
            "THONGTINHOSO/SOLUONGHOSO",
            "COUNT_MISMATCH",
            f"Khai {file.declared} hồ sơ, trong tệp có {len(file.records)}.",
        )
    visits = [record.visit for record in file.records]
    for place, visit in enumerate(visits):
        if visit in visits[:place]:
            yield Problem(
                f"HOSO[{place}]/XML1/MA_LK", "MA_LK_TWICE", f"MA_LK {visit!r} có hai hồ sơ."
            )
    if len(file.records) > 1:
        yield _warn(
            "THONGTINHOSO/DANHSACHHOSO", "MANY_RECORDS", "Cổng hiện hành nhận mỗi tệp một hồ sơ."
        )
    if file.created and date_of(file.created) is None:
        yield _warn("THONGTINHOSO/NGAYLAP", "NOT_A_DATE", f"NGAYLAP {file.created!r} sai dạng.")


def _record(record: Record, file: File, rules: Profile | None) -> Iterator[Problem]:
    where = f"HOSO[{record.place}]"
    summaries = record.rows("XML1")
    if len(summaries) != 1:
        code = "XML1_MANY" if summaries else "XML1_MISSING"
        yield Problem(f"{where}/XML1", code, f"Cần đúng một dòng XML1, có {len(summaries)}.")
        return
    left = date_of(record.summary.get("NGAY_RA", "")[:8])
    rules = rules or profile_on(left or date.max)
    for name, rows in record.tables.items():
        table = rules.tables[name]
        for place, row in enumerate(rows):
            here = f"{where}/{name}" if name == "XML1" else f"{where}/{name}[{place}]"
            if row.get("MA_LK", "") != record.visit:
                yield Problem(
                    f"{here}/MA_LK",
                    "MA_LK_MISMATCH",
                    f"MA_LK {row.get('MA_LK', '')!r} khác XML1 ({record.visit!r}).",
                )
            if not table.known_only_by_order:
                for field in table.fields.values():
                    yield from _field(row.get(field.name, ""), field, here, rules)
            for name_ in row.keys() - table.fields.keys():
                yield _warn(f"{here}/{name_}", "UNKNOWN_FIELD", f"{name_} không có trong {name}.")
        yield from _numbering(rows, f"{where}/{name}", "STT" in table.fields)
    yield from _summary(record, file, f"{where}/XML1")
    yield from _sums(record, f"{where}/XML1")
    yield from _times(record, where)
    yield from _together(record, where)


def _field(value: str, field: Field, here: str, rules: Profile) -> Iterator[Problem]:
    where = f"{here}/{field.name}"
    if not value:
        if field.need == "!":
            yield Problem(where, "REQUIRED", f"Thiếu {field.name}.")
        elif field.need:
            yield _warn(where, "REQUIRED", f"Thiếu {field.name}.")
        return
    if field.limit and len(value) > field.limit:
        yield _warn(
            where, "TOO_LONG", f"{field.name} dài {len(value)} ký tự, tối đa {field.limit}."
        )
    if field.kind in {"int", "money", "decimal"}:
        number = number_of(value)
        if number is None or (field.kind == "int" and number != int(number)):
            yield Problem(where, "NOT_A_NUMBER", f"{field.name} = {value!r} không phải số.")
        elif number < 0:
            yield _warn(where, "NEGATIVE", f"{field.name} = {value} không được âm.")
    elif field.kind == "time" and time_of(value) is None:
        yield Problem(
            where, "NOT_A_TIME", f"{field.name} = {value!r} không phải giờ dạng yyyyMMddHHmm."
        )
    elif field.kind == "date" and date_of(value) is None:
        yield Problem(where, "NOT_A_DATE", f"{field.name} = {value!r} không phải ngày yyyyMMdd.")
    elif field.kind == "dates" and not all(date_of(one) for one in codes_of(value)):
        yield Problem(where, "NOT_A_DATE", f"{field.name} = {value!r} có ngày sai dạng yyyyMMdd.")
    elif field.kind == "birth":
        if not birth_of(value)[0]:
            yield Problem(
                where, "NOT_A_DATE", f"{field.name} = {value!r} không phải ngày sinh yyyyMMddHHmm."
            )
        elif len(value) == 8:
            yield _warn(where, "OLD_FORM", f"{field.name} viết 8 ký tự; nay là 12 ký tự.")
    allowed = rules.choices.get(field.name)
    if allowed and value not in allowed:
        need = field.need == "!"
        yield Problem(
            where,
            "NOT_IN_LIST",
            f"{field.name} = {value!r} không thuộc {', '.join(sorted(allowed))}.",
            "ERROR" if need else "WARNING",
        )


def _numbering(rows: tuple[Row, ...], where: str, numbered: bool) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, row in enumerate(rows):
        number = row.get("STT", "")
        if numbered and number and number in seen:
            yield _warn(f"{where}[{place}]/STT", "STT_TWICE", f"STT {number} có hai lần.")
        seen.add(number)


def _summary(record: Record, file: File, where: str) -> Iterator[Problem]:
    row = record.summary
    own = row.get("MA_CSKCB", "")
    if own and file.facility and own != file.facility:
        yield Problem(
            f"{where}/MA_CSKCB",
            "MACSKCB_MISMATCH",
            f"MA_CSKCB {own} khác MACSKCB {file.facility} ở đầu tệp.",
        )
    yield from _who(row, where)
    yield from _cards(row, where)
    known = diseases()
    sex = {"1": "m", "2": "f"}.get(row.get("GIOI_TINH", ""), "")
    for name in ("MA_BENH_CHINH", "MA_BENH_KT"):
        for code in codes_of(row.get(name, "")):
            if sex and code in known and known[code].sex not in ("", sex):
                yield _warn(
                    f"{where}/{name}", "ICD_SEX", f"Mã {code} không dùng cho giới tính này."
                )
    if len(codes_of(row.get("MA_BENH_KT", ""))) > 12:
        yield _warn(f"{where}/MA_BENH_KT", "TOO_MANY", "MA_BENH_KT có quá 12 mã.")
    days = row.get("SO_NGAY_DTRI", "")
    if row.get("MA_LOAI_KCB") in _NO_STAY and days not in ("", "0"):
        yield _warn(
            f"{where}/SO_NGAY_DTRI",
            "STAY_NOT_ZERO",
            f"MA_LOAI_KCB {row['MA_LOAI_KCB']} thì SO_NGAY_DTRI phải bằng 0.",
        )


def _who(row: Row, where: str) -> Iterator[Problem]:
    birth, time = birth_of(row.get("NGAY_SINH", ""))
    number = row.get("SO_CCCD", "")
    if not number:
        yield _warn(f"{where}/SO_CCCD", "NO_CITIZEN_ID", "Không có số định danh.")
    else:
        try:
            sex = _SEXES.get(row.get("GIOI_TINH", ""), "")
            for sentence in citizen_id.warnings(number, birth=birth, sex=sex):
                yield _warn(f"{where}/SO_CCCD", "CITIZEN_ID_CONTRADICTS", sentence)
        except Invalid:
            if not citizen_id.is_old_card(number):
                yield _warn(
                    f"{where}/SO_CCCD", "NOT_A_CITIZEN_ID", "Không phải số 12 hay 9 chữ số."
                )
    came = time_of(row.get("NGAY_VAO", ""))
    if len(birth) == 10 and came and not time:
        age = came.date() - date.fromisoformat(birth)
        if timedelta(0) <= age <= timedelta(days=28):
            yield _warn(
                f"{where}/NGAY_SINH", "NO_BIRTH_TIME", "Trẻ đến 28 ngày tuổi cần cả giờ sinh."
            )
    if birth and came and birth > f"{came:%Y-%m-%d}":
        yield _warn(f"{where}/NGAY_SINH", "BORN_LATER", "NGAY_SINH sau NGAY_VAO.")


def _cards(row: Row, where: str) -> Iterator[Problem]:
    cards = places_of(row.get("MA_THE_BHYT", ""))
    for card in cards:
        if card and not insurance_number.is_insurance_number(card):
            yield _warn(f"{where}/MA_THE_BHYT", "NOT_A_CARD", f"Số thẻ {card!r} sai dạng.")
    for name in ("MA_DKBD", "GT_THE_TU", "GT_THE_DEN"):
        count = len(places_of(row.get(name, "")))
        if cards and count != len(cards):
            yield _warn(
                f"{where}/{name}", "LIST_COUNT", f"{name} có {count} phần, số thẻ có {len(cards)}."
            )


def _amount(row: Row, name: str) -> Decimal:
    return number_of(row.get(name, "")) or Decimal(0)


def _sums(record: Record, where: str) -> Iterator[Problem]:
    """Money adds up, to one đồng."""
    row, drugs, services = record.summary, record.rows("XML2"), record.rows("XML3")

    def differ(name: str, said: Decimal, counted: Decimal, what: str) -> Iterator[Problem]:
        if abs(said - counted) > _TOLERANCE:
            yield _warn(
                f"{where}/{name}", "SUM_MISMATCH", f"{name} ghi {said}, {what} là {counted}."
            )

    def total(rows: tuple[Row, ...], name: str) -> Decimal:
        return sum((_amount(one, name) for one in rows), Decimal(0))

    supplies = tuple(one for one in services if one.get("MA_VAT_TU"))
    yield from differ(
        "T_THUOC", _amount(row, "T_THUOC"), total(drugs, "THANH_TIEN_BV"), "tổng XML2"
    )
    yield from differ(
        "T_VTYT", _amount(row, "T_VTYT"), total(supplies, "THANH_TIEN_BV"), "tổng vật tư XML3"
    )
    both = drugs + services
    for name, part in (
        ("T_TONGCHI_BV", "THANH_TIEN_BV"),
        ("T_TONGCHI_BH", "THANH_TIEN_BH"),
        *((one, one) for one in _SUMS),
    ):
        yield from differ(name, _amount(row, name), total(both, part), "tổng XML2 và XML3")
    yield from differ(
        "T_BHTT",
        _amount(row, "T_BHTT"),
        _amount(row, "T_TONGCHI_BH") - _amount(row, "T_BNCCT"),
        "T_TONGCHI_BH − T_BNCCT",
    )


def _times(record: Record, where: str) -> Iterator[Problem]:
    """In, ordered, done, resulted, out, paid: each not before the one ahead of it."""
    row = record.summary
    came, left, paid = (time_of(row.get(n, "")) for n in ("NGAY_VAO", "NGAY_RA", "NGAY_TTOAN"))
    if came and left and left < came:
        yield Problem(f"{where}/XML1/NGAY_RA", "TIME_ORDER", "NGAY_RA trước NGAY_VAO.")
    if left and paid and paid < left:
        yield _warn(f"{where}/XML1/NGAY_TTOAN", "TIME_ORDER", "NGAY_TTOAN trước NGAY_RA.")
    for table, names in _TABLE_TIMES.items():
        for place, one in enumerate(record.rows(table)):
            before: tuple[str, datetime | None] = ("NGAY_VAO", came)
            for name in names:
                at = time_of(one.get(name, ""))
                path = f"{where}/{table}[{place}]/{name}"
                if at and before[1] and at < before[1]:
                    yield _warn(path, "TIME_ORDER", f"{name} trước {before[0]}.")
                if at and left and at > left:
                    yield _warn(path, "TIME_ORDER", f"{name} sau NGAY_RA.")
                before = (name, at) if at else before


def _together(record: Record, where: str) -> Iterator[Problem]:
    """Tables and fields that call for each other."""
    row = record.summary
    ended_otherwise = row.get("KET_QUA_DTRI") in {"5", "6"} or row.get("MA_LOAI_RV") == "3"
    if row.get("MA_LOAI_KCB") in _ADMITTED and not record.rows("XML7") and not ended_otherwise:
        yield _warn(f"{where}/XML7", "TABLE_MISSING", "Điều trị nội trú cần giấy ra viện (XML7).")
    if row.get("MA_LOAI_RV") in {"2", "5"}:
        if not row.get("MA_NOI_DEN"):
            yield _warn(f"{where}/XML1/MA_NOI_DEN", "REQUIRED", "Chuyển tuyến cần MA_NOI_DEN.")
        if not record.rows("XML13"):
            yield _warn(f"{where}/XML13", "TABLE_MISSING", "Chuyển tuyến cần XML13.")
    if record.rows("XML6"):
        yield _warn(
            f"{where}/XML6", "PROTECTED", "Dữ liệu HIV được giữ trong tệp gốc, không chuyển đổi."
        )
    for place, one in enumerate(record.rows("XML3")):
        if not one.get("MA_DICH_VU") and not one.get("MA_VAT_TU"):
            yield _warn(
                f"{where}/XML3[{place}]/MA_DICH_VU",
                "REQUIRED",
                "Cần MA_DICH_VU hoặc MA_VAT_TU.",
            )
    for place, one in enumerate(record.rows("XML4")):
        if not any(one.get(name) for name in ("GIA_TRI", "MO_TA", "KET_LUAN")):
            yield _warn(f"{where}/XML4[{place}]/GIA_TRI", "REQUIRED", "Dòng không có kết quả nào.")

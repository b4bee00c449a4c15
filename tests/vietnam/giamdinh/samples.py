"""Files to test with: our own, and the same with one thing changed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

from sokhoe.vietnam.giamdinh import build, write
from sokhoe.vietnam.history import visits
from sokhoe.vietnam.population import Person, people
from sokhoe.vietnam.visit import Visit

TODAY = date(2026, 11, 1)
Values = dict[str, str]


@cache
def some_visits(count: int = 250) -> tuple[tuple[Person, Visit], ...]:
    """Invented visits, at least `count`, with admitted, referred and insured ones among them."""
    found: list[tuple[Person, Visit]] = []
    for person in people(11, 400):
        found += [(person, visit) for visit in visits(person, TODAY)]
        if len(found) >= count:
            break
    return tuple(found)


@cache
def some_files(count: int = 250) -> tuple[bytes, ...]:
    return tuple(build(visit, person) for person, visit in some_visits(count))


def a_summary(**changes: str) -> Values:
    """A right XML1 row of an insured woman seen once, changed as asked."""
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "MA_BN": "0001",
        "HO_TEN": "Nguyễn Thị Bông",
        "SO_CCCD": "086190001234",
        "NGAY_SINH": "199004020000",
        "GIOI_TINH": "2",
        "MA_QUOCTICH": "000",
        "MA_DANTOC": "01",
        "MA_NGHE_NGHIEP": "00000",
        "DIA_CHI": "ấp 3, xã Long Hồ",
        "MATINH_CU_TRU": "86",
        "MAXA_CU_TRU": "29602",
        "MA_THE_BHYT": "GD4868612345678",
        "MA_DKBD": "86101",
        "GT_THE_TU": "20260101",
        "GT_THE_DEN": "20261231",
        "LY_DO_VV": "Đau đầu",
        "CHAN_DOAN_VAO": "Tăng huyết áp",
        "CHAN_DOAN_RV": "Tăng huyết áp",
        "MA_BENH_CHINH": "I10",
        "MA_BENH_KT": "E78.5;E11.9",
        "MA_DOITUONG_KCB": "1.1",
        "NGAY_VAO": "202609010800",
        "NGAY_RA": "202609011000",
        "SO_NGAY_DTRI": "0",
        "PP_DIEU_TRI": "Thuốc hạ áp",
        "KET_QUA_DTRI": "2",
        "MA_LOAI_RV": "1",
        "NGAY_TTOAN": "202609011015",
        "T_THUOC": "4200.00",
        "T_VTYT": "0",
        "T_TONGCHI_BV": "43200.00",
        "T_TONGCHI_BH": "43200.00",
        "T_BNTT": "0",
        "T_BNCCT": "8640.00",
        "T_BHTT": "34560.00",
        "T_NGUONKHAC": "0",
        "T_BHTT_GDV": "0",
        "NAM_QT": "2026",
        "THANG_QT": "09",
        "MA_LOAI_KCB": "01",
        "MA_KHOA": "K01",
        "MA_CSKCB": "86101",
        "CAN_NANG": "55.50",
        "NGAY_TAI_KHAM": "20260929",
        "NHOM_MAU": "O+",
    }
    return row | changes


def a_drug(**changes: str) -> Values:
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "MA_THUOC": "T033",
        "MA_NHOM": "4",
        "TEN_THUOC": "Amlodipin 5mg",
        "DON_VI_TINH": "Viên",
        "LIEU_DUNG": "Ngày uống 1 viên",
        "PHAM_VI": "1",
        "TYLE_TT_BH": "100",
        "SO_LUONG": "28",
        "DON_GIA": "150.000",
        "THANH_TIEN_BV": "4200.00",
        "THANH_TIEN_BH": "4200.00",
        "MUC_HUONG": "80",
        "T_BNTT": "0",
        "T_BNCCT": "840.00",
        "T_BHTT": "3360.00",
        "MA_KHOA": "K01",
        "MA_BAC_SI": "86101001/GPHN",
        "NGAY_YL": "202609010830",
        "NGAY_TH_YL": "202609010835",
    }
    return row | changes


def a_service(**changes: str) -> Values:
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "MA_DICH_VU": "KB.HANG2",
        "MA_NHOM": "13",
        "TEN_DICH_VU": "Khám bệnh",
        "DON_VI_TINH": "Lần",
        "PHAM_VI": "1",
        "SO_LUONG": "1",
        "DON_GIA_BV": "39000",
        "DON_GIA_BH": "39000",
        "TYLE_TT_DV": "100",
        "TYLE_TT_BH": "100",
        "THANH_TIEN_BV": "39000",
        "THANH_TIEN_BH": "39000",
        "MUC_HUONG": "80",
        "T_BNTT": "0",
        "T_BNCCT": "7800",
        "T_BHTT": "31200",
        "MA_KHOA": "K01",
        "MA_BAC_SI": "86101001/GPHN",
        "NGUOI_THUC_HIEN": "86101002/GPHN",
        "NGAY_YL": "202609010810",
        "NGAY_TH_YL": "202609010815",
        "NGAY_KQ": "202609010820",
    }
    return row | changes


def a_result(**changes: str) -> Values:
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "MA_DICH_VU": "23.0075.1494",
        "MA_CHI_SO": "GLU",
        "TEN_CHI_SO": "Glucose máu",
        "GIA_TRI": "7.2",
        "DON_VI_DO": "mmol/L",
        "NGAY_KQ": "202609010900",
        "MA_BS_DOC_KQ": "86101002/GPHN",
    }
    return row | changes


def a_note(**changes: str) -> Values:
    row = {
        "MA_LK": "LK1",
        "STT": "1",
        "DIEN_BIEN_LS": "Tỉnh, tiếp xúc tốt",
        "THOI_DIEM_DBLS": "202609010830",
        "NGUOI_THUC_HIEN": "86101001/GPHN",
    }
    return row | changes


def tables(**changes: Sequence[Mapping[str, str]]) -> dict[str, Sequence[Mapping[str, str]]]:
    """The five tables of one right record; give a table to replace it, [] to leave it out."""
    found: dict[str, Sequence[Mapping[str, str]]] = {
        "XML1": [a_summary()],
        "XML2": [a_drug()],
        "XML3": [a_service()],
        "XML4": [a_result()],
        "XML5": [a_note()],
    }
    return found | changes


def a_file(
    facility: str = "86101", created: date = TODAY, **changes: Sequence[Mapping[str, str]]
) -> bytes:
    """A right file, changed as asked."""
    return write(facility, created, [tables(**changes)])


def inner(content: bytes, table: str) -> str:
    """The base64 of one inner file, as it stands in the whole."""
    after = content.decode().partition(f"<LOAIHOSO>{table}</LOAIHOSO><NOIDUNGFILE>")[2]
    return after.partition("<")[0]


def with_inner(content: bytes, table: str, change: bytes | str) -> bytes:
    """The file with another inner file: bytes are put in as base64, text as it is."""
    new = b64encode(change).decode() if isinstance(change, bytes) else change
    return content.replace(inner(content, table).encode(), new.encode())


def inner_xml(content: bytes, table: str) -> bytes:
    return b64decode(inner(content, table))

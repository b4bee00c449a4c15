"""Write an exchange file for one of our visits, in the order of the portal's guide, unsigned.

Used by the demonstration and the tests, and by a station for what it must send. Prices come from
the invented lists; the share that insurance pays follows the person's benefit level.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from xml.sax.saxutils import escape

from sokhoe.vietnam.as_written import as_written
from sokhoe.vietnam.code_lists import LabIndex, lab, medicines, services
from sokhoe.vietnam.giamdinh.profile import Profile, profile_on
from sokhoe.vietnam.population import Person
from sokhoe.vietnam.province import province
from sokhoe.vietnam.to_fhir import address_text
from sokhoe.vietnam.visit import Done, Prescribed, Visit

Values = Mapping[str, str]
_CENT = Decimal("0.01")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_STAY = frozenset({"01", "07", "09"})


def build(
    visit: Visit, person: Person, *, mother: Person | None = None, folder: str = "vinh_long"
) -> bytes:
    """The file of one visit, with the person as the facility wrote them down (`as_written`)."""
    seen = as_written(person, visit.facility, mother=mother)
    drugs = [_drug(visit, seen, row, one) for row, one in enumerate(visit.medicines, start=1)]
    done = [_service(visit, seen, row, one) for row, one in enumerate(visit.services, start=1)]
    tables: dict[str, Sequence[Values]] = {
        "XML1": [_summary(visit, seen, [*drugs, *done], drugs, folder)],
        "XML2": drugs,
        "XML3": done,
        "XML4": _results(visit),
        "XML5": [
            {
                "MA_LK": visit.id,
                "STT": str(row),
                "DIEN_BIEN_LS": note.text,
                "THOI_DIEM_DBLS": _time(note.at),
                "NGUOI_THUC_HIEN": visit.doctor.code,
            }
            for row, note in enumerate(visit.notes, start=1)
        ],
    }
    if visit.admitted:
        tables["XML7"] = [_discharge(visit)]
    if visit.referred_to:
        tables["XML13"] = [_referral(visit, seen, folder)]
    return write(visit.facility, visit.end.date(), [tables])


def write(facility: str, created: date, records: Iterable[Mapping[str, Sequence[Values]]]) -> bytes:
    """A file from rows of values: fields in the profile's order, empty tables left out."""
    rules = profile_on(created)
    parts = ["".join(_file(name, rows, rules) for name, rows in one.items()) for one in records]
    body = "".join(f"<HOSO>{part}</HOSO>" for part in parts)
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<GIAMDINHHS xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<THONGTINDONVI><MACSKCB>{escape(facility)}</MACSKCB></THONGTINDONVI>"
        f"<THONGTINHOSO><NGAYLAP>{created:%Y%m%d}</NGAYLAP>"
        f"<SOLUONGHOSO>{len(parts)}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>{body}</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>"
    ).encode()


def _file(name: str, rows: Sequence[Values], rules: Profile) -> str:
    if not rows:
        return ""
    table = rules.tables[name]
    unknown = {field for row in rows for field in row} - table.fields.keys()
    if unknown:
        raise KeyError(f"{name} has no {', '.join(sorted(unknown))}")
    inner = "".join(
        f"<{table.row}>{''.join(_element(field, row) for field in table.fields)}</{table.row}>"
        for row in rows
    )
    for wrapper in reversed(table.wrappers):
        inner = f"<{wrapper}>{inner}</{wrapper}>"
    content = b64encode(f'<?xml version="1.0" encoding="utf-8"?>{inner}'.encode()).decode()
    return f"<FILEHOSO><LOAIHOSO>{name}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"


def _element(field: str, row: Values) -> str:
    value = row.get(field, "")
    return f"<{field}>{escape(_UNPRINTABLE.sub('', value))}</{field}>" if value else f"<{field}/>"


def _time(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M}"


def _money(value: Decimal) -> str:
    return str(value.quantize(_CENT))


def _birth(birth: str, visit: Visit) -> str:
    """yyyyMMddHHmm with zeros for what is not known; an hour for newborns, as is asked."""
    digits = birth.replace("-", "").ljust(8, "0")
    young = len(birth) == 10 and (visit.start.date() - date.fromisoformat(birth)).days <= 28
    return digits + ("0515" if young else "0000")


def _split(price: Decimal, quantity: int, person: Person) -> Values:
    """Who pays: insurance its share of what it covers, the person the rest."""
    whole = price * quantity
    covered = whole if person.insurance else Decimal(0)
    paid = (covered * person.benefit / 100).quantize(_CENT)
    return {
        "THANH_TIEN_BV": _money(whole),
        "THANH_TIEN_BH": _money(covered),
        "MUC_HUONG": str(person.benefit),
        "T_NGUONKHAC_NSNN": "0",
        "T_NGUONKHAC_VTNN": "0",
        "T_NGUONKHAC_VTTN": "0",
        "T_NGUONKHAC_CL": "0",
        "T_NGUONKHAC": "0",
        "T_BNTT": _money(whole - covered),
        "T_BNCCT": _money(covered - paid),
        "T_BHTT": _money(paid),
    }


def _drug(visit: Visit, person: Person, row: int, one: Prescribed) -> dict[str, str]:
    medicine = medicines()[one.code]
    return {
        "MA_LK": visit.id,
        "STT": str(row),
        "MA_THUOC": one.code,
        "MA_NHOM": medicine.group,
        "TEN_THUOC": medicine.name,
        "DON_VI_TINH": medicine.unit,
        "HAM_LUONG": medicine.strength,
        "DANG_BAO_CHE": medicine.form,
        "LIEU_DUNG": one.dose,
        "CACH_DUNG": medicine.route,
        "SO_DANG_KY": f"MAU-{one.code}",
        "TT_THAU": "G1;N1;2026",
        "PHAM_VI": "1" if person.insurance else "2",
        "TYLE_TT_BH": "100",
        "SO_LUONG": str(one.quantity),
        "DON_GIA": _money(medicine.price),
        **_split(medicine.price, one.quantity, person),
        "MA_KHOA": visit.department,
        "MA_BAC_SI": visit.doctor.code,
        "NGAY_YL": _time(visit.start + timedelta(minutes=20)),
        "NGAY_TH_YL": _time(visit.start + timedelta(minutes=24)),
        "MA_PTTT": "1",
        "NGUON_CTRA": "1",
    }


def _service(visit: Visit, person: Person, row: int, one: Done) -> dict[str, str]:
    service = services()[one.code]
    return {
        "MA_LK": visit.id,
        "STT": str(row),
        "MA_DICH_VU": one.code,
        "MA_NHOM": service.group,
        "TEN_DICH_VU": service.name,
        "DON_VI_TINH": "Ngày" if service.kind == "bed" else "Lần",
        "PHAM_VI": "1" if person.insurance else "2",
        "SO_LUONG": str(one.quantity),
        "DON_GIA_BV": _money(service.price),
        "DON_GIA_BH": _money(service.price),
        "TYLE_TT_DV": "100",
        "TYLE_TT_BH": "100",
        **_split(service.price, one.quantity, person),
        "MA_KHOA": visit.department,
        "MA_GIUONG": "H001" if service.kind == "bed" else "",
        "MA_BAC_SI": visit.doctor.code,
        "NGUOI_THUC_HIEN": visit.doctor.code,
        "MA_BENH": visit.main.code,
        "NGAY_YL": _time(one.at),
        "NGAY_TH_YL": _time(one.at),
        "NGAY_KQ": _time(visit.end if service.kind == "bed" else one.at + timedelta(minutes=12)),
        "MA_PTTT": "1",
    }


def _results(visit: Visit) -> list[dict[str, str]]:
    """Laboratory indices first, then the findings of imaging and function tests."""
    common = {"MA_LK": visit.id, "MA_BS_DOC_KQ": visit.doctor.code}
    found: list[dict[str, str]] = []
    for one in visit.labs:
        index: LabIndex = lab()[one.code]
        found.append(
            {
                **common,
                "STT": str(len(found) + 1),
                "MA_DICH_VU": index.service,
                "MA_CHI_SO": index.code,
                "TEN_CHI_SO": index.name,
                "GIA_TRI": one.value,
                "DON_VI_DO": index.unit,
                "NGAY_KQ": _time(one.at),
            }
        )
    for done in visit.services:
        if done.finding:
            found.append(
                {
                    **common,
                    "STT": str(len(found) + 1),
                    "MA_DICH_VU": done.code,
                    "KET_LUAN": done.finding,
                    "NGAY_KQ": _time(done.at + timedelta(minutes=12)),
                }
            )
    return found


def _total(rows: Iterable[Values], name: str) -> str:
    return _money(sum((Decimal(row[name]) for row in rows), Decimal(0)))


def _summary(
    visit: Visit, person: Person, rows: Sequence[Values], drugs: Sequence[Values], folder: str
) -> Values:
    where = province(folder)
    insured = bool(person.insurance)
    stay = 0 if visit.kind in _NO_STAY else max(1, (visit.end.date() - visit.start.date()).days)
    return {
        "MA_LK": visit.id,
        "STT": "1",
        "MA_BN": visit.patient_number,
        "HO_TEN": person.name,
        "SO_CCCD": person.citizen_id or person.old_card,
        "NGAY_SINH": _birth(person.birth, visit),
        "GIOI_TINH": {"male": "1", "female": "2"}.get(person.sex, "3"),
        "NHOM_MAU": person.blood,
        "MA_QUOCTICH": "000",
        "MA_DANTOC": person.ethnic,
        "MA_NGHE_NGHIEP": person.occupation,
        "DIA_CHI": address_text(person, folder=folder),
        "MATINH_CU_TRU": where.code,
        "MAXA_CU_TRU": person.commune,
        "DIEN_THOAI": person.phone,
        "MA_THE_BHYT": person.insurance,
        "MA_DKBD": visit.facility if insured else "",
        "GT_THE_TU": f"{visit.start.year}0101" if insured else "",
        "GT_THE_DEN": f"{visit.start.year}1231" if insured else "",
        "LY_DO_VV": visit.reason,
        "LY_DO_VNT": visit.reason if visit.admitted else "",
        "CHAN_DOAN_VAO": visit.main.name,
        "CHAN_DOAN_RV": visit.main.name,
        "MA_BENH_CHINH": visit.main.code,
        "MA_BENH_KT": ";".join(one.code for one in visit.diagnoses[1:]),
        "MA_DOITUONG_KCB": "1.1" if insured else "9",
        "MA_NOI_DEN": visit.referred_to,
        "NGAY_VAO": _time(visit.start),
        "NGAY_VAO_NOI_TRU": _time(visit.start) if visit.admitted else "",
        "NGAY_RA": _time(visit.end),
        "GIAY_CHUYEN_TUYEN": f"CT{visit.id}" if visit.referred_to else "",
        "SO_NGAY_DTRI": str(stay),
        "PP_DIEU_TRI": visit.treatment,
        "KET_QUA_DTRI": visit.result,
        "MA_LOAI_RV": visit.discharge,
        "NGAY_TTOAN": _time(visit.end + timedelta(minutes=10)),
        "T_THUOC": _total(drugs, "THANH_TIEN_BV"),
        "T_VTYT": "0.00",
        "T_TONGCHI_BV": _total(rows, "THANH_TIEN_BV"),
        "T_TONGCHI_BH": _total(rows, "THANH_TIEN_BH"),
        "T_BNTT": _total(rows, "T_BNTT"),
        "T_BNCCT": _total(rows, "T_BNCCT"),
        "T_BHTT": _total(rows, "T_BHTT"),
        "T_NGUONKHAC": "0.00",
        "T_BHTT_GDV": "0.00",
        "NAM_QT": f"{visit.end:%Y}",
        "THANG_QT": f"{visit.end:%m}",
        "MA_LOAI_KCB": visit.kind,
        "MA_KHOA": visit.department,
        "MA_CSKCB": visit.facility,
        "CAN_NANG": f"{visit.vitals.weight:.2f}",
        "NGAY_TAI_KHAM": f"{visit.follow_up:%Y%m%d}" if visit.follow_up else "",
        "MA_HSBA": visit.id,
        "MA_TTDV": visit.doctor.code,
    }


def _discharge(visit: Visit) -> Values:
    return {
        "MA_LK": visit.id,
        "SO_LUU_TRU": visit.id,
        "MA_YTE": visit.patient_number,
        "MA_KHOA_RV": visit.department,
        "NGAY_VAO": _time(visit.start),
        "NGAY_RA": _time(visit.end),
        "CHAN_DOAN_RV": visit.main.name,
        "PP_DIEUTRI": visit.treatment,
        "MA_TTDV": visit.doctor.code,
        "MA_BS": visit.doctor.code,
        "TEN_BS": visit.doctor.name,
        "NGAY_CT": f"{visit.end:%Y%m%d}",
    }


def _referral(visit: Visit, person: Person, folder: str) -> Values:
    return {
        "MA_LK": visit.id,
        "SO_HOSO": visit.id,
        "GIAY_CHUYEN_TUYEN": f"CT{visit.id}",
        "MA_CSKCB": visit.facility,
        "MA_CSKCB_DI": visit.facility,
        "MA_CSKCB_DEN": visit.referred_to,
        "HO_TEN": person.name,
        "NGAY_SINH": _birth(person.birth, visit),
        "DIA_CHI": address_text(person, folder=folder),
        "NGAY_VAO": _time(visit.start),
        "NGAY_RA": _time(visit.end),
        "DAU_HIEU_LS": visit.reason,
        "CHAN_DOAN_RV": visit.main.name,
        "MA_BENH_CHINH": visit.main.code,
        "MA_LOAI_RV": visit.discharge,
        "MA_BAC_SI": visit.doctor.code,
    }

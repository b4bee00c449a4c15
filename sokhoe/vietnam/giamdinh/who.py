"""Who and where: the sender, the patient as the sender knows them, the cards that pay."""

from __future__ import annotations

from sokhoe.vietnam import resources as make
from sokhoe.vietnam.giamdinh.episode import Episode, code_of
from sokhoe.vietnam.giamdinh.values import birth_of, codes_of, date_of, places_of
from sokhoe.vietnam.province import Facility, province, provinces
from sokhoe.vietnam.resources import HL7, Resource

_GENDERS = {"1": "male", "2": "female", "3": "unknown"}


def _facility(code: str) -> Facility | None:
    for folder in provinces():
        if code in province(folder).facilities:
            return province(folder).facilities[code]
    return None


def places(episode: Episode) -> list[Resource]:
    known = _facility(episode.facility)
    name = known.name if known else f"Cơ sở {episode.facility}"
    level = known.level if known else ""
    where = {"lat": known.lat, "lon": known.lon} if known else {}
    return [
        make.organization(episode.facility, name, level=level),
        make.location(episode.facility, name, **where),
        make.insurer(),
    ]


def person(episode: Episode) -> Resource:
    number, cards = episode.said("SO_CCCD"), codes_of(episode.said("MA_THE_BHYT"))
    digits = "".join(number.split())
    identifiers = []
    if digits:
        kind = {12: "citizen_id", 9: "old_card"}.get(len(digits), "passport")
        kind = kind if digits.isdigit() else "passport"
        identifiers.append(make.identifier(kind, digits))
    identifiers += [make.identifier("insurance_number", card) for card in cards]
    birth, time = birth_of(episode.said("NGAY_SINH"))
    found = make.patient(
        facility=episode.facility,
        number=episode.number,
        name=" ".join(episode.said("HO_TEN").split()),
        gender=_GENDERS.get(episode.said("GIOI_TINH"), "unknown"),
        birth=birth,
        identifiers=identifiers,
        phone=episode.said("DIEN_THOAI"),
        home=home(episode),
        ethnic=code_of(episode.said("MA_DANTOC")),
        occupation=code_of(episode.said("MA_NGHE_NGHIEP")),
    )
    if time:
        url = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
        at = f"{birth}T{time}:00+07:00"
        found["_birthDate"] = {"extension": [{"url": url, "valueDateTime": at}]}
    return found


def home(episode: Episode) -> Resource | None:
    """The address; commune and province get their names where the code is ours."""
    commune, where = code_of(episode.said("MAXA_CU_TRU")), code_of(episode.said("MATINH_CU_TRU"))
    if not (episode.said("DIA_CHI") or commune or where):
        return None
    commune_name = province_name = ""
    for folder in provinces():
        one = province(folder)
        if known := one.communes.get(commune):
            commune_name = known.name
        if one.code == where.lstrip("0"):
            province_name = one.short_name
    return make.address(
        line="",
        commune=commune,
        commune_name=commune_name,
        province=where,
        province_name=province_name,
        text=episode.said("DIA_CHI"),
    )


def coverages(episode: Episode) -> list[Resource]:
    cards = places_of(episode.said("MA_THE_BHYT"))
    starts, ends = (places_of(episode.said(name)) for name in ("GT_THE_TU", "GT_THE_DEN"))
    found = []
    for place, card in enumerate(cards):
        if not card:
            continue
        start, end = (
            day.isoformat() if place < len(days) and (day := date_of(days[place])) else ""
            for days in (starts, ends)
        )
        if start and end and end < start:
            end = ""
        found.append(
            make.coverage(
                facility=episode.facility, number=episode.number, card=card, start=start, end=end
            )
        )
    return found or [self_pay(episode)]


def self_pay(episode: Episode) -> Resource:
    return {
        "resourceType": "Coverage",
        "id": make.made_id("Coverage", episode.facility, episode.number, "self"),
        "status": "active",
        "type": {"coding": [make.coding(f"{HL7}/coverage-selfpay", "pay")]},
        "beneficiary": episode.patient,
        "payor": [episode.patient],
    }

"""The rows of XML2 to XML5 as resources: medicines, procedures, results, course."""

from __future__ import annotations

from sokhoe.vietnam import clinical, code_lists, systems
from sokhoe.vietnam import resources as make
from sokhoe.vietnam.giamdinh.episode import Episode, code_of
from sokhoe.vietnam.giamdinh.shapes import Row
from sokhoe.vietnam.giamdinh.values import number_of
from sokhoe.vietnam.resources import Resource, concept, ref

_ONLY_COSTS = frozenset({"1", "12", "13", "14", "15", "16"})
_SECTIONS = {"1": "LAB", "2": "RAD"}


def medicines(episode: Episode) -> list[Resource]:
    found = []
    for number, row in episode.numbered("XML2"):
        name, code = row.get("TEN_THUOC", ""), code_of(row.get("MA_THUOC", ""))
        medicine = concept("medicine", code, name) if code else {"text": name}
        amount = number_of(row.get("SO_LUONG", ""))
        supply = make.quantity(amount, row.get("DON_VI_TINH", "")) if amount else None
        order = episode.id("MedicationRequest", "XML2", number)
        found.append(
            clinical.medication_request(
                id=order,
                medicine=medicine,
                **episode.shared,
                when=episode.when(row, "NGAY_YL"),
                requester=episode.doctor(row.get("MA_BAC_SI", "")),
                dose=row.get("LIEU_DUNG", ""),
                route=row.get("CACH_DUNG", "") or row.get("DUONG_DUNG", ""),
                amount=supply,
            )
        )
        if supply:
            handed: Resource = {
                "resourceType": "MedicationDispense",
                "id": episode.id("MedicationDispense", "XML2", number),
                "status": "completed",
                "medicationCodeableConcept": medicine,
                "subject": episode.patient,
                "context": episode.encounter,
                "authorizingPrescription": [ref("MedicationRequest", order)],
                "quantity": supply,
            }
            if at := episode.when(row, "NGAY_TH_YL", "NGAY_YL"):
                handed["whenHandedOver"] = at
            found.append(handed)
    return found


def procedures(episode: Episode) -> list[Resource]:
    found = []
    for number, row in episode.numbered("XML3"):
        code = code_of(row.get("MA_DICH_VU", ""))
        if not code or row.get("MA_VAT_TU") or row.get("MA_NHOM", "") in _ONLY_COSTS:
            continue
        found.append(
            clinical.procedure(
                id=episode.id("Procedure", "XML3", number),
                code=concept("service", code, row.get("TEN_DICH_VU", "")),
                **episode.shared,
                when=episode.when(row, "NGAY_TH_YL", "NGAY_YL"),
                performer=episode.doctor(row.get("NGUOI_THUC_HIEN") or row.get("MA_BAC_SI", "")),
            )
        )
    return found


def results(episode: Episode) -> list[Resource]:
    found: list[Resource] = []
    ordered = {row.get("MA_DICH_VU", ""): row for row in episode.record.rows("XML3")}
    reports: dict[str, list[tuple[Row, Resource]]] = {}
    for number, row in episode.numbered("XML4"):
        service = code_of(row.get("MA_DICH_VU", ""))
        one = result(episode, number, row, ordered.get(row.get("MA_DICH_VU", ""), {}))
        if one:
            found.append(one)
            reports.setdefault(service, []).append((row, ref("Observation", one["id"])))
    for service, rows in reports.items():
        order = ordered.get(rows[0][0].get("MA_DICH_VU", ""), {})
        name = order.get("TEN_DICH_VU", "")
        conclusions = dict.fromkeys(one["KET_LUAN"] for one, _ in rows if one.get("KET_LUAN"))
        found.append(
            clinical.report(
                id=episode.id("DiagnosticReport", "XML4", service),
                code=concept("service", service, name)
                if service
                else {"text": name or "Kết quả cận lâm sàng"},
                section=_SECTIONS.get(order.get("MA_NHOM", ""), "OTH"),
                **episode.shared,
                when=episode.when(rows[0][0], "NGAY_KQ"),
                results=[result for _, result in rows],
                conclusion="\n".join(conclusions),
                performer=episode.doctor(rows[0][0].get("MA_BS_DOC_KQ", "")),
            )
        )
    return found


def result(episode: Episode, number: str, row: Row, order: Row) -> Resource | None:
    """One row as an Observation: a number with its unit where it is one, else words."""
    said = row.get("GIA_TRI") or row.get("MO_TA") or row.get("KET_LUAN")
    if not said:
        return None
    value = number_of(row.get("GIA_TRI", ""))
    name = row.get("TEN_CHI_SO") or order.get("TEN_DICH_VU", "")
    code = code_of(row.get("MA_CHI_SO", ""))
    index = code_lists.lab().get(code)
    if code:
        what = concept("lab_index", code, name)
    elif service := code_of(row.get("MA_DICH_VU", "")):
        what = concept("service", service, name)
    else:
        what = {"text": name or "Kết quả cận lâm sàng"}
    if index and index.loinc:
        what["coding"].append(make.coding(systems.uri("loinc"), index.loinc))
    unit = row.get("DON_VI_DO", "")
    ucum = index.ucum if index and index.unit == unit else ""
    picture = order.get("MA_NHOM", "") in {"2", "3"}
    return clinical.observation(
        id=episode.id("Observation", "XML4", number),
        category="imaging" if picture else "laboratory",
        code=what,
        **episode.shared,
        when=episode.when(row, "NGAY_KQ"),
        value={"valueString": said}
        if value is None
        else {"valueQuantity": make.quantity(value, unit, ucum)},
    )


def course(episode: Episode) -> list[Resource]:
    return [
        clinical.impression(
            id=episode.id("ClinicalImpression", "XML5", number),
            **episode.shared,
            when=episode.when(row, "THOI_DIEM_DBLS"),
            assessor=episode.doctor(row.get("NGUOI_THUC_HIEN", "")),
            summary=row.get("DIEN_BIEN_LS", ""),
            notes=[
                f"{label}: {text}"
                for name, label in (
                    ("GIAI_DOAN_BENH", "Giai đoạn bệnh"),
                    ("HOI_CHAN", "Hội chẩn"),
                    ("PHAU_THUAT", "Phẫu thuật"),
                )
                if (text := row.get(name, ""))
            ],
        )
        for number, row in episode.numbered("XML5")
    ]

"""What an episode cost and who pays, as a Claim (why a Claim: `to_fhir`)."""

from __future__ import annotations

from collections.abc import Iterable

from sokhoe.vietnam import resources as make
from sokhoe.vietnam.giamdinh.episode import Episode, code_of
from sokhoe.vietnam.giamdinh.values import number_of
from sokhoe.vietnam.resources import HL7, Resource, concept, ref

_SUMS = (
    "T_THUOC",
    "T_VTYT",
    "T_TONGCHI_BV",
    "T_TONGCHI_BH",
    "T_BNTT",
    "T_BNCCT",
    "T_BHTT",
    "T_NGUONKHAC",
    "T_BHTT_GDV",
)


def claim(episode: Episode, coverages: list[Resource], conditions: list[Resource]) -> Resource:
    """What it cost and who pays, with each priced row."""
    found: Resource = {
        "resourceType": "Claim",
        "id": episode.id("Claim", "XML1", "1"),
        "identifier": [make.identifier("visit_number", episode.visit)],
        "status": "active",
        "type": {"coding": [make.coding(f"{HL7}/claim-type", "institutional")]},
        "use": "claim",
        "patient": episode.patient,
        "created": episode.when(episode.row, "NGAY_TTOAN", "NGAY_RA", "NGAY_VAO"),
        "provider": ref("Organization", make.organization_id(episode.facility)),
        "priority": {"coding": [make.coding(f"{HL7}/processpriority", "normal")]},
    }
    sums = [
        {
            "sequence": place,
            "category": concept("sum", name),
            "valueQuantity": {
                "value": value,
                "unit": "VND",
                "system": "urn:iso:std:iso:4217",
                "code": "VND",
            },
        }
        for place, name in enumerate(_SUMS, start=1)
        if (value := number_of(episode.said(name))) is not None
    ]
    if sums:
        found["supportingInfo"] = sums
    found["diagnosis"] = [
        {"sequence": place, "diagnosisReference": ref("Condition", one["id"])}
        for place, one in enumerate(conditions, start=1)
    ]
    found["insurance"] = [
        {"sequence": place, "focal": place == 1, "coverage": ref("Coverage", one["id"])}
        for place, one in enumerate(coverages, start=1)
    ]
    items = [*_items(episode, "XML2", "medicine", "MA_THUOC", "TEN_THUOC", "DON_GIA")]
    items += _items(episode, "XML3", "service", "MA_DICH_VU", "TEN_DICH_VU", "DON_GIA_BV")
    if items:
        found["item"] = [{"sequence": n, **one} for n, one in enumerate(items, start=1)]
    total = number_of(episode.said("T_TONGCHI_BV"))
    if total is not None:
        found["total"] = make.money(total)
    return found


def _items(
    episode: Episode, table: str, system: str, code_name: str, name_name: str, price_name: str
) -> Iterable[Resource]:
    for row in episode.record.rows(table):
        code, name = code_of(row.get(code_name, "")), row.get(name_name, "")
        kind = system
        if table == "XML3" and row.get("MA_VAT_TU"):
            kind, code = "supply", code_of(row["MA_VAT_TU"])
            name = row.get("TEN_VAT_TU") or name
        what = concept(kind, code, name) if code else {"text": name or "Không rõ"}
        one: Resource = {"productOrService": what}
        amount, price, net = (
            number_of(row.get(key, "")) for key in ("SO_LUONG", price_name, "THANH_TIEN_BV")
        )
        if amount is not None:
            one["quantity"] = make.quantity(amount, row.get("DON_VI_TINH", ""))
        if price is not None:
            one["unitPrice"] = make.money(price)
        if net is not None:
            one["net"] = make.money(net)
        yield one

"""Twin of giamdinh/to_fhir.py, who.py, rows.py and claim.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sokhoe.fhir import decode, encode, validate
from sokhoe.vietnam import places, systems
from sokhoe.vietnam.giamdinh import build, check, owned, parse, to_fhir
from sokhoe.vietnam.to_fhir import visit_resources
from tests.vietnam.giamdinh.samples import (
    a_drug,
    a_file,
    a_note,
    a_result,
    a_service,
    a_summary,
    some_files,
    some_visits,
)

Resource = dict[str, Any]


def made(content: bytes) -> list[Resource]:
    return to_fhir(parse(content))


def of(type: str, resources: list[Resource]) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == type]


def test_250_visits_go_out_and_come_back_as_valid_fhir() -> None:
    assert len(some_files()) >= 250
    for (person, visit), content in zip(some_visits(), some_files(), strict=True):
        file = parse(content)
        problems = check(file, facility=visit.facility)
        assert {p.code for p in problems} <= {"NO_CITIZEN_ID", "REQUIRED", "CITIZEN_ID_CONTRADICTS"}
        assert all(p.severity == "WARNING" for p in problems)
        resources = to_fhir(file)
        for one in resources:
            validate(decode(encode(one)))
        (encounter,) = of("Encounter", resources)
        assert encounter["identifier"][0]["value"] == visit.id
        assert len(of("MedicationRequest", resources)) == len(visit.medicines)
        assert len(of("Condition", resources)) == len(visit.diagnoses)
        (patient,) = of("Patient", resources)
        assert patient["gender"] == person.sex


def test_among_them_are_admitted_referred_and_uninsured_ones() -> None:
    kinds = {visit.kind for _, visit in some_visits()}
    assert {"01", "03", "05"} <= kinds
    assert any(visit.referred_to for _, visit in some_visits())


def test_the_same_file_gives_the_same_resources() -> None:
    content = a_file()
    assert encode(made(content)) == encode(made(content))


def test_the_file_and_the_station_name_the_same_visit_alike() -> None:
    person, visit = some_visits()[0]
    from_file = owned(made(build(visit, person)))
    from_station = {(one["resourceType"], one["id"]) for one in visit_resources(visit)}
    assert {pair for pair in from_file if pair[0] == "Encounter"} <= from_station
    assert {pair for pair in from_file if pair[0] == "MedicationRequest"} <= from_station


def test_a_correction_changes_only_its_row_and_tells_what_is_gone() -> None:
    before = made(a_file(XML2=[a_drug(), a_drug(STT="2", TEN_THUOC="Losartan 50mg")]))
    after = made(a_file(XML2=[a_drug(SO_LUONG="30")]))
    gone = owned(before) - owned(after)
    assert {type for type, _ in gone} == {"MedicationRequest", "MedicationDispense"}
    assert len(gone) == 2
    old = {(one["resourceType"], one["id"]): one for one in before}
    changed = {one["resourceType"] for one in after if old[one["resourceType"], one["id"]] != one}
    assert changed == {"MedicationRequest", "MedicationDispense", "Claim"}


def test_people_places_and_cards_are_never_owned_by_an_episode() -> None:
    types = {type for type, _ in owned(made(a_file()))}
    assert not types & {"Patient", "Coverage", "Organization", "Practitioner", "Location"}


def test_the_summary_becomes_patient_encounter_conditions_and_follow_up() -> None:
    resources = made(a_file())
    (patient,) = of("Patient", resources)
    assert patient["birthDate"] == "1990-04-02"
    systems_of = [systems.key_of(one["system"]) for one in patient["identifier"]]
    assert systems_of == ["patient_number", "citizen_id", "insurance_number"]
    assert patient["address"][0]["city"] == "Xã Long Hồ"
    (encounter,) = of("Encounter", resources)
    assert encounter["period"] == {
        "start": "2026-09-01T08:00:00+07:00",
        "end": "2026-09-01T10:00:00+07:00",
    }
    assert encounter["participant"][0]["individual"]["display"] == "86101001/GPHN"
    codes = [one["code"]["coding"][0]["code"] for one in of("Condition", resources)]
    assert codes == ["I10", "E78.5", "E11.9"]
    assert of("Condition", resources)[0]["note"] == [{"text": "Thuốc hạ áp"}]
    (appointment,) = of("Appointment", resources)
    assert appointment["requestedPeriod"] == [{"start": "2026-09-29", "end": "2026-09-29"}]


def test_partial_births_and_birth_hours_are_kept_as_they_are_known() -> None:
    for written, date, hour in (
        ("199000000000", "1990", ""),
        ("199004000000", "1990-04", ""),
        ("199004020000", "1990-04-02", ""),
        ("202608201015", "2026-08-20", "2026-08-20T10:15:00+07:00"),
    ):
        (patient,) = of("Patient", made(a_file(XML1=[a_summary(NGAY_SINH=written)])))
        validate(patient)
        assert patient["birthDate"] == date
        extension = patient.get("_birthDate", {}).get("extension", [{}])[0]
        assert extension.get("valueDateTime", "") == hour


def test_old_cards_and_passports_are_not_citizen_numbers() -> None:
    for number, key in (
        ("331234567", "old_card"),
        ("C1234567", "passport"),
        ("C12345678", "passport"),  # nine characters, but not nine digits
    ):
        (patient,) = of("Patient", made(a_file(XML1=[a_summary(SO_CCCD=number)])))
        assert systems.key_of(patient["identifier"][1]["system"]) == key


def test_a_drug_is_ordered_and_handed_out() -> None:
    resources = made(a_file())
    (order,) = of("MedicationRequest", resources)
    (handed,) = of("MedicationDispense", resources)
    assert order["dosageInstruction"] == [{"text": "Ngày uống 1 viên"}]
    assert handed["authorizingPrescription"] == [{"reference": f"MedicationRequest/{order['id']}"}]
    assert handed["quantity"] == {"value": Decimal(28), "unit": "Viên"}
    only = made(a_file(XML2=[a_drug(SO_LUONG="")]))
    assert of("MedicationRequest", only) and not of("MedicationDispense", only)


def test_what_only_costs_is_no_procedure() -> None:
    rows = [
        a_service(),
        a_service(STT="2", MA_DICH_VU="23.0075.1494", MA_NHOM="1"),
        a_service(STT="3", MA_DICH_VU="08.0005.0230", MA_NHOM="18", TEN_DICH_VU="Điện châm"),
        a_service(STT="4", MA_DICH_VU="", MA_VAT_TU="VT1", MA_NHOM="10"),
    ]
    resources = made(a_file(XML3=rows))
    (procedure,) = of("Procedure", resources)
    assert procedure["code"]["text"] == "Điện châm"
    (claim,) = of("Claim", resources)
    assert len(claim["item"]) == 5
    assert claim["item"][4]["productOrService"]["coding"][0]["system"] == systems.uri("supply")


def test_results_are_numbers_where_they_are_numbers_and_words_else() -> None:
    rows = [
        a_result(),
        a_result(STT="2", MA_CHI_SO="HBSAG", TEN_CHI_SO="HBsAg", GIA_TRI="Âm tính", DON_VI_DO=""),
        a_result(
            STT="3", MA_DICH_VU="18.0119.0028", MA_CHI_SO="", TEN_CHI_SO="", GIA_TRI="",
            MO_TA="Hai phế trường sáng", KET_LUAN="Bình thường",
        ),
    ]  # fmt: skip
    order = a_service(STT="2", MA_DICH_VU="18.0119.0028", MA_NHOM="2", TEN_DICH_VU="X-quang ngực")
    resources = made(a_file(XML3=[a_service(), order], XML4=rows))
    glucose, hbsag, xray = of("Observation", resources)[2:]
    assert glucose["valueQuantity"]["value"] == Decimal("7.2")
    assert glucose["valueQuantity"]["code"] == "mmol/L"
    assert {"system": "http://loinc.org", "code": "14749-6"} in glucose["code"]["coding"]
    assert hbsag["valueString"] == "Âm tính"
    assert xray["valueString"] == "Hai phế trường sáng"
    assert xray["category"][0]["coding"][0]["code"] == "imaging"
    first, second = of("DiagnosticReport", resources)
    assert len(first["result"]) == 2
    assert (second["conclusion"], second["code"]["text"]) == ("Bình thường", "X-quang ngực")
    for one in resources:
        validate(one)


def test_the_course_is_a_clinicians_judgement() -> None:
    note = a_note(HOI_CHAN="Hội chẩn khoa nội", PHAU_THUAT="Không")
    (impression,) = of("ClinicalImpression", made(a_file(XML5=[note])))
    assert impression["summary"] == "Tỉnh, tiếp xúc tốt"
    assert [one["text"] for one in impression["note"]] == [
        "Hội chẩn: Hội chẩn khoa nội",
        "Phẫu thuật: Không",
    ]


def test_money_stands_in_the_claim_and_nowhere_else() -> None:
    resources = made(a_file())
    (claim,) = of("Claim", resources)
    assert claim["total"] == {"value": Decimal("43200.00"), "currency": "VND"}
    sums = {
        one["category"]["coding"][0]["code"]: one["valueQuantity"]["value"]
        for one in claim["supportingInfo"]
    }
    assert sums["T_BHTT"] == Decimal("34560.00")
    assert claim["item"][0]["unitPrice"]["value"] == Decimal("150.000")
    others = encode([one for one in resources if one is not claim])
    assert b"VND" not in others


def test_without_a_card_the_patient_pays() -> None:
    row = a_summary(MA_THE_BHYT="", MA_DKBD="", GT_THE_TU="", GT_THE_DEN="", MA_DOITUONG_KCB="9")
    resources = made(a_file(XML1=[row]))
    (coverage,) = of("Coverage", resources)
    assert coverage["payor"][0]["reference"].startswith("Patient/")
    (claim,) = of("Claim", resources)
    assert claim["insurance"][0]["coverage"]["reference"] == f"Coverage/{coverage['id']}"
    validate(coverage)


def test_two_cards_are_two_coverages_with_their_own_dates() -> None:
    row = a_summary(
        MA_THE_BHYT="GD4868612345678;HT3868612345678", MA_DKBD="86101;86101",
        GT_THE_TU="20260101;20260701", GT_THE_DEN="20260630;20261231",
    )  # fmt: skip
    first, second = of("Coverage", made(a_file(XML1=[row])))
    assert first["period"] == {"start": "2026-01-01", "end": "2026-06-30"}
    assert second["subscriberId"] == "HT3868612345678"


def test_rows_without_a_number_or_with_one_twice_keep_apart() -> None:
    rows = [a_drug(STT=""), a_drug(), a_drug(TEN_THUOC="Losartan 50mg")]
    orders = of("MedicationRequest", made(a_file(XML2=rows)))
    assert len({one["id"] for one in orders}) == 3


def test_staff_get_their_names_where_the_caller_knows_them() -> None:
    person, visit = some_visits()[0]
    names = {one.code: one.name for one in places.doctors(visit.facility)}
    resources = to_fhir(parse(build(visit, person)), staff=names)
    assert visit.doctor.name in {one["name"][0]["text"] for one in of("Practitioner", resources)}


def test_hiv_data_is_not_translated() -> None:
    secret = a_file(XML6=[{"MA_LK": "LK1", "MA_PHAC_DO_DIEU_TRI": "TLD-SECRET"}])
    assert b"TLD-SECRET" not in encode(made(secret))


def test_an_unknown_facility_still_has_a_name() -> None:
    content = a_file(facility="99999", XML1=[a_summary(MA_CSKCB="99999")])
    assert of("Organization", made(content))[0]["name"] == "Cơ sở 99999"

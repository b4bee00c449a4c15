"""The summary of one person: what counts, nothing invented, in words and for programs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from sokhoe import clock
from sokhoe.fhir import invariants, validate
from sokhoe.people.summary.choosing import chosen
from sokhoe.people.summary.composing import Source, document
from sokhoe.people.summary.telling import narrative
from sokhoe.trust import Version
from sokhoe.web import Speaker
from tests.worlds import a_patient

TODAY = "2026-11-23"
BASE = "http://hub.test/fhir"
LOINC = "http://loinc.org"
ME = {"reference": "Patient/p1"}
ENGLISH = Speaker("en", {})


def code(value: str, text: str = "", system: str = "urn:codes") -> dict[str, Any]:
    made: dict[str, Any] = {"coding": [{"system": system, "code": value}]}
    return made | ({"text": text} if text else {})


def state(value: str, list: str) -> dict[str, Any]:
    system = f"http://terminology.hl7.org/CodeSystem/{list}"
    return {"coding": [{"system": system, "code": value}]}


def condition(id: str, what: str, clinical: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id,
        "clinicalStatus": state(clinical, "condition-clinical"),
        "code": code(what),
        "subject": ME,
        **more,
    }


def allergy(id: str, what: str, clinical: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": id,
        "clinicalStatus": state(clinical, "allergyintolerance-clinical"),
        "code": code(what, what),
        "patient": ME,
        **more,
    }


def observation(id: str, what: str, category: str = "", **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": code(what, system=LOINC),
        "subject": ME,
        **more,
    }
    return made | ({"category": [state(category, "observation-category")]} if category else {})


def prescription(id: str, what: str, status: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": code(what),
        "subject": ME,
        "authoredOn": day,
    }


def ids(*records: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [one["id"] for one in some] for name, some in chosen(records, TODAY).items()}


# -- what is chosen ------------------------------------------------------------------------------


def test_an_illness_is_shown_once_as_it_stands_now() -> None:
    assert ids(
        condition("old", "I10", recordedDate="2020-01-01"),
        condition("new", "I10", recordedDate="2026-01-01"),
        condition("past", "J18", "resolved"),
        condition("ended", "A09", abatementDateTime="2024-01-01"),
        condition("wrong", "E11", verificationStatus=state("refuted", "condition-ver-status")),
        condition("healed", "B02", "resolved", recordedDate="2026-02-01"),
        condition("before", "B02", recordedDate="2019-02-01"),
    ) == {"problems": ["new"], "past": ["healed", "past", "ended"]}


def test_an_allergy_is_never_made_weaker() -> None:
    found = ids(
        allergy("resolved", "penicillin", "resolved", recordedDate="2026-01-01"),
        allergy("active", "penicillin", recordedDate="2010-01-01"),
        allergy("gone", "latex", "resolved"),
        allergy(
            "wrong",
            "aspirin",
            verificationStatus=state("entered-in-error", "allergyintolerance-verification"),
        ),
    )
    assert found["allergies"] == ["active", "gone"]


def test_none_known_counts_only_where_nothing_is_known() -> None:
    none = allergy("none", "x", code=code("716186003", system="http://snomed.info/sct"))
    assert ids(none) == {"allergies": ["none"]}
    assert ids(none, allergy("real", "penicillin")) == {"allergies": ["real"]}


def test_medicines_are_those_taken_now_or_until_a_short_while_ago() -> None:
    found = ids(
        prescription("now", "A", "active", "2020-01-01"),
        prescription("recent", "B", "completed", "2026-10-01"),
        prescription("long ago", "C", "completed", "2026-01-01"),
        prescription("stopped", "D", "stopped", "2026-11-01"),
        prescription("twice", "B", "completed", "2026-09-01"),
        prescription("wrong", "E", "entered-in-error", "2026-11-01"),
        {**prescription("never", "F", "active", "2026-11-01"), "doNotPerform": True},
    )
    assert found == {"medications": ["recent", "now"]}


def test_observations_go_where_they_belong_and_only_the_newest_counts() -> None:
    found = ids(
        observation("bp", "85354-9", effectiveDateTime="2026-01-01"),
        observation("bp0", "85354-9", effectiveDateTime="2020-01-01"),
        observation("weight", "1-8", "vital-signs"),
        observation("hb", "718-7", "laboratory"),
        observation("hb2", "718-7", "laboratory", status="preliminary"),
        observation("smoker", "72166-2"),
        observation("pregnant", "82810-3", "laboratory"),
        observation("asked", "9-9", "survey"),
        observation("plain", "2-2"),
    )
    assert found == {
        "vitals": ["bp", "weight"],
        "results": ["plain", "hb"],
        "social": ["smoker"],
        "pregnancy": ["pregnant"],
    }


def test_a_vaccination_told_twice_is_one() -> None:
    def dose(id: str, day: str, status: str = "completed") -> dict[str, Any]:
        return {
            "resourceType": "Immunization",
            "id": id,
            "status": status,
            "vaccineCode": code("BCG"),
            "patient": ME,
            "occurrenceDateTime": day,
        }

    found = ids(
        dose("a", "2024-01-01"),
        dose("b", "2024-01-01T08:00:00+07:00"),
        dose("c", "2024-03-01"),
        dose("d", "2024-04-01", "not-done"),
    )
    assert len(found["immunizations"]) == 2
    assert found["immunizations"][0] == "c"


# -- the document --------------------------------------------------------------------------------


def source(resource: dict[str, Any]) -> Source:
    version = Version(1, 1, resource["resourceType"], resource["id"], 1, 0, False, b"")
    return Source(version, resource)


def made(
    *records: dict[str, Any],
    patients: list[dict[str, Any]] | None = None,
    friends: list[dict[str, Any]] | None = None,
    hidden: frozenset[str] = frozenset(),
    now: int = 0,
) -> dict[str, Any]:
    sections = chosen(records, TODAY)
    shown = {one["id"] for some in sections.values() for one in some}
    bundle = document(
        [source(one) for one in patients or [a_patient("p1")]],
        [source(one) for one in records if one["id"] in shown],
        [source(one) for one in friends or []],
        sections,
        hidden,
        ENGLISH,
        BASE,
        now,
    )
    validate(bundle)
    broken = [one for one in invariants.issues(bundle) if one.severity == "error"]
    assert broken == []
    return bundle


def section(bundle: dict[str, Any], loinc: str) -> dict[str, Any]:
    sections = bundle["entry"][0]["resource"]["section"]
    found: dict[str, Any] = next(
        one for one in sections if one["code"]["coding"][0]["code"] == loinc
    )
    return found


def test_an_empty_record_says_that_nothing_is_known_not_that_there_is_nothing() -> None:
    bundle = made()
    sections = bundle["entry"][0]["resource"]["section"]
    assert [one["code"]["coding"][0]["code"] for one in sections] == [
        "48765-2",
        "11450-4",
        "10160-0",
    ]
    for one in sections:
        assert one["emptyReason"]["coding"][0]["code"] == "unavailable"
        assert "does not mean there are none" in one["text"]["div"]
        assert "entry" not in one


def test_what_the_asker_may_not_read_is_withheld_not_unknown() -> None:
    bundle = made(hidden=frozenset({"AllergyIntolerance", "MedicationStatement"}))
    assert section(bundle, "48765-2")["emptyReason"]["coding"][0]["code"] == "withheld"
    assert section(bundle, "10160-0")["emptyReason"]["coding"][0]["code"] == "unavailable"


def test_every_reference_within_the_document_is_found_in_it() -> None:
    medication = {"resourceType": "Medication", "id": "m", "code": code("A", "Amoxicillin")}
    request = prescription("r", "A", "active", "2026-11-01")
    del request["medicationCodeableConcept"]
    request["medicationReference"] = {"reference": "Medication/m"}
    request["encounter"] = {"reference": "Encounter/e9"}
    request["dosageInstruction"] = [{"text": "1 viên x 2"}]
    bundle = made(request, friends=[medication])
    urls = {one["fullUrl"] for one in bundle["entry"]}
    assert len(urls) == len(bundle["entry"]) == 5
    by_type = {one["resource"]["resourceType"]: one for one in bundle["entry"]}
    told = by_type["MedicationRequest"]["resource"]
    assert told["medicationReference"]["reference"] == by_type["Medication"]["fullUrl"]
    assert told["subject"]["reference"] == by_type["Patient"]["fullUrl"]
    assert told["encounter"]["reference"] == f"{BASE}/Encounter/e9"
    assert told["meta"]["source"] == f"{BASE}/MedicationRequest/r"
    assert all(f"urn:uuid:{one['resource']['id']}" == one["fullUrl"] for one in bundle["entry"])
    one = section(bundle, "10160-0")
    assert one["entry"] == [{"reference": by_type["MedicationRequest"]["fullUrl"]}]
    assert "Amoxicillin" in one["text"]["div"]
    assert "1 viên x 2" in one["text"]["div"]


def test_records_of_several_facilities_are_one_person() -> None:
    first = a_patient("p1", citizen_id="1")
    second = a_patient("p2", citizen_id="2", name="NGUYEN VAN AN")
    second["telecom"] = [{"system": "phone", "value": "0900"}]
    first["link"] = [{"other": {"reference": "Patient/p2"}, "type": "seealso"}]
    other = condition("c2", "E11", subject={"reference": "Patient/p2"})
    bundle = made(condition("c1", "I10"), other, patients=[first, second])
    people = [one for one in bundle["entry"] if one["resource"]["resourceType"] == "Patient"]
    assert len(people) == 1
    person = people[0]["resource"]
    assert [one["value"] for one in person["identifier"]] == ["1", "2"]
    assert len(person["name"]) == 2
    assert person["telecom"] == second["telecom"]
    assert "link" not in person
    subjects = {
        one["resource"]["subject"]["reference"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "Condition"
    }
    assert subjects == {people[0]["fullUrl"]}


def test_the_same_records_make_the_same_document_at_any_time() -> None:
    records = [condition("c", "I10"), allergy("a", "penicillin")]
    first, again = made(*records), made(*reversed(records), now=10**12)
    assert first["identifier"] == again["identifier"]
    assert [one["fullUrl"] for one in first["entry"][1:3]] == [
        one["fullUrl"] for one in again["entry"][1:3]
    ]
    assert made(records[0])["identifier"] != first["identifier"]


def test_a_profile_is_claimed_only_where_it_is_fulfilled() -> None:
    nameless = condition("c", "I10")
    del nameless["code"]
    bundle = made(nameless, allergy("a", "penicillin"))
    by_type = {one["resource"]["resourceType"]: one["resource"] for one in bundle["entry"]}
    start = "http://hl7.org/fhir/uv/ips/StructureDefinition/"
    assert bundle["meta"]["profile"] == [start + "Bundle-uv-ips"]
    assert by_type["Composition"]["meta"]["profile"] == [start + "Composition-uv-ips"]
    claimed = by_type["AllergyIntolerance"]["meta"]["profile"]
    assert claimed == [start + "AllergyIntolerance-uv-ips"]
    assert "profile" not in by_type["Condition"]["meta"]
    assert "without a name" in section(bundle, "11450-4")["text"]["div"]


def test_values_are_told_as_people_write_them() -> None:
    quantity = {"value": Decimal("72.50"), "unit": "kg"}
    parts = [
        {"code": {"text": "systolic"}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": {"text": "diastolic"}, "valueQuantity": {"value": 80, "unit": "mmHg"}},
    ]
    bundle = made(
        observation("w", "29463-7", valueQuantity=quantity, effectiveDateTime="2026-11-20"),
        observation("bp", "85354-9", component=parts),
    )
    text = section(bundle, "8716-3")["text"]["div"]
    assert "<td>72.50 kg</td>" in text
    assert "<td>20/11/2026</td>" in text
    assert "systolic 120 mmHg; diastolic 80 mmHg" in text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=4), st.text())
def test_whatever_stands_in_a_record_is_only_text_in_the_narrative(
    rows: list[tuple[str, str, str]], nothing: str
) -> None:
    clean = "".join(letter for letter in nothing if letter.isprintable())
    told = narrative(rows, clean, ENGLISH)["div"]
    tree = etree.fromstring(told)
    assert {etree.QName(one).localname for one in tree.iter()} <= {
        "div", "p", "table", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert all(set(one.attrib) <= {"lang", "{http://www.w3.org/XML/1998/namespace}lang"}
               for one in tree.iter())  # fmt: skip


def test_a_script_in_a_record_stays_text() -> None:
    bad = condition("c", "I10", code={"text": "<script>alert(1)</script>"})
    assert "<script" not in section(made(bad), "11450-4")["text"]["div"]


@pytest.fixture(autouse=True)
def still() -> Any:
    with clock.standing_at(datetime.fromisoformat("2026-11-23T08:00:00+07:00")):
        yield

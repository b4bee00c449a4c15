"""`Patient/$summary` over HTTP, on both databases, with real Synthea records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import decode, encode, invariants, validate
from tests.exchange.asking import refusal
from tests.worlds import Hub, a_patient, a_visit

CITIZEN = "urn:testland:citizen"


def records() -> list[dict[str, Any]]:
    here = a_patient("p1", citizen_id="T-00017", system=CITIZEN)
    there = a_patient("p2", citizen_id="T-00017", system=CITIZEN, facility="86002")
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "al",
        "code": {"text": "Penicillin"},
        "patient": {"reference": "Patient/p2"},
    }
    return [here, there, allergy, *a_visit(here), *a_visit(there, code="E11")]


def section(bundle: Any, loinc: str) -> Any:
    sections = bundle["entry"][0]["resource"]["section"]
    return next(one for one in sections if one["code"]["coding"][0]["code"] == loinc)


def test_a_citizen_has_one_summary_of_all_facilities(both: Hub, client: TestClient) -> None:
    both.put(*records())
    both.settle()
    answer = client.get("/fhir/Patient/p1/$summary")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    validate(decode(answer.content))
    assert bundle["type"] == "document"
    assert bundle["language"] == "vi"
    composition = bundle["entry"][0]["resource"]
    assert composition["title"] == "Tóm tắt hồ sơ sức khoẻ quốc tế"
    assert len(section(bundle, "11450-4")["entry"]) == 2
    assert "Penicillin" in section(bundle, "48765-2")["text"]["div"]
    assert section(bundle, "10160-0")["emptyReason"]["coding"][0]["code"] == "unavailable"
    by_number = client.get(f"/fhir/Patient/$summary?identifier={CITIZEN}|T-00017").json()
    assert len(by_number["entry"]) == len(bundle["entry"])
    again = client.get("/fhir/Patient/p1/$summary").json()
    assert again["identifier"] == bundle["identifier"]
    lines = both.store.entries(patient="Patient/p2", count=100)
    assert any("AllergyIntolerance/al" in line.entry.what for line in lines)


@pytest.mark.parametrize(
    ("header", "language"), [("en", "en"), ("fr, km;q=0.8", "km"), ("fr", "vi"), ("", "vi")]
)
def test_the_words_are_the_reader_s(
    both: Hub, client: TestClient, header: str, language: str
) -> None:
    both.put(a_patient("p"))
    answer = client.get("/fhir/Patient/p/$summary", headers={"Accept-Language": header})
    assert answer.json()["language"] == language


def test_a_reader_with_few_permits_gets_little_and_knows_it(both: Hub) -> None:
    both.put(*records())
    narrow = both.software("system/Patient.rs", "system/Condition.rs")
    bundle = narrow.get("/fhir/Patient/p1/$summary").json()
    assert section(bundle, "48765-2")["emptyReason"]["coding"][0]["code"] == "withheld"
    assert len(section(bundle, "11450-4")["entry"]) == 1
    assert refusal(both.software("system/Condition.rs").get("/fhir/Patient/p1/$summary"), 403)


def test_what_cannot_be_summarised_is_refused(both: Hub, client: TestClient) -> None:
    both.put(
        a_patient("a", citizen_id="7", system="urn:s"),
        a_patient("b", citizen_id="7", system="urn:s"),
    )
    assert refusal(client.get("/fhir/Patient/none/$summary"), 404) == "not-found"
    assert refusal(client.get("/fhir/Patient/$summary"), 400) == "parameter"
    assert refusal(client.get("/fhir/Patient/$summary?identifier=urn:s|8"), 404)
    several = client.get("/fhir/Patient/$summary?identifier=urn:s|7")
    assert refusal(several, 412) == "several-match"
    assert refusal(client.get("/fhir/Patient/a/$summary?profile=urn:other"), 400) == "profile"
    assert refusal(client.get("/fhir/Patient/a/$summary?graph=urn:x"), 400) == "profile"


def test_the_records_of_synthea_make_valid_summaries(
    both: Hub, client: TestClient, shared_synthea: list[Path]
) -> None:
    for file in shared_synthea[:3]:
        sent = client.post("/fhir", content=file.read_bytes())
        assert sent.status_code == 200, sent.text[:500]
        patient = next(
            one["response"]["location"].split("/")[-3]
            for one in sent.json()["entry"]
            if "Patient/" in one["response"]["location"]
        )
        answer = client.get(f"/fhir/Patient/{patient}/$summary")
        bundle = decode(answer.content)
        validate(bundle)
        assert [one for one in invariants.issues(bundle) if one.severity == "error"] == []
        urls = [one["fullUrl"] for one in bundle["entry"]]
        assert len(urls) == len(set(urls))
        whole = encode(bundle).decode()
        named = [part.split('"')[0] for part in whole.split('"reference":"urn:uuid:')[1:]]
        assert named
        assert {f"urn:uuid:{one}" for one in named} <= set(urls)
        assert section(bundle, "11450-4")["entry"]

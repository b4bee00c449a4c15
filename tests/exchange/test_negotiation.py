"""JSON or XML, in and out: what is asked for is what comes, errors too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import decode, encode, from_xml, to_xml
from tests.testland import Pack
from tests.worlds import Hub, a_patient

XML = "application/fhir+xml"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    with Hub(tmp_path / "hub", Pack()) as hub:
        yield hub.software()


def read_as(answer: Any) -> tuple[str, dict[str, Any]]:
    kind = answer.headers["content-type"].split(";")[0]
    return kind, from_xml(answer.content) if kind == XML else decode(answer.content)


def test_a_record_comes_in_as_xml_and_goes_out_as_either(api: TestClient) -> None:
    patient = a_patient(birth_date="1961-05")
    del patient["id"]
    made = api.post(
        "/fhir/Patient",
        content=to_xml(patient),
        headers={"Content-Type": XML, "Accept": XML, "Prefer": "return=representation"},
    )
    assert made.status_code == 201
    kind, stored = read_as(made)
    assert kind == XML
    json = api.get(f"/fhir/Patient/{stored['id']}", headers={"Accept": "application/fhir+json"})
    assert decode(json.content) == stored
    xml = api.get(f"/fhir/Patient/{stored['id']}?_format=xml")
    assert read_as(xml) == (XML, stored)
    assert xml.headers["etag"] == json.headers["etag"]
    assert "fhir+json" in api.get(f"/fhir/Patient/{stored['id']}").headers["content-type"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/fhir+xml", XML),
        ("text/xml", XML),
        ("application/fhir+json;q=0.5, application/fhir+xml;q=0.9", XML),
        ("application/fhir+xml;q=0.5, application/fhir+json", "application/fhir+json"),
        ("text/turtle, application/xml;q=0.2", XML),
        ("application/fhir+xml;q=0, */*;q=0.1", "application/fhir+json"),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/fhir+json",
        ),
        ("*/*", "application/fhir+json"),
    ],
)
def test_the_heaviest_wish_that_can_be_met_is_met(api: TestClient, accept: str, kind: str) -> None:
    for path in ("/fhir/Patient?_count=1", "/fhir/metadata", "/fhir/_history"):
        answer = api.get(path, headers={"Accept": accept})
        assert read_as(answer)[0] == kind


def test_errors_come_in_the_form_that_was_asked_for(api: TestClient) -> None:
    kind, outcome = read_as(api.get("/fhir/Patient/none", headers={"Accept": XML}))
    assert (kind, outcome["resourceType"]) == (XML, "OperationOutcome")
    refused = api.get("/fhir/Patient?_format=turtle")
    assert refused.status_code == 406
    assert "application/fhir+xml" in refused.text
    broken = api.post("/fhir/Patient", content=b"<Patient", headers={"Content-Type": XML})
    assert broken.status_code == 400
    entity = b'<!DOCTYPE p [<!ENTITY e "x">]><Patient xmlns="http://hl7.org/fhir"/>'
    assert api.post("/fhir/Patient", content=entity, headers={"Content-Type": XML}).is_error
    wrong = b'<Patient xmlns="http://hl7.org/fhir"><gendre value="male"/></Patient>'
    answer = api.post("/fhir/Patient", content=wrong, headers={"Content-Type": XML})
    assert answer.status_code == 400
    assert "gendre" in answer.text


def test_a_transaction_in_xml_is_the_same_transaction(api: TestClient) -> None:
    entry = {
        "fullUrl": "urn:uuid:6d9b7a3e-5d3c-4a2b-9d58-111111111111",
        "resource": {"resourceType": "Patient", "name": [{"text": "Lê Thị Hoa"}]},
        "request": {"method": "POST", "url": "Patient"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = api.post("/fhir", content=to_xml(bundle), headers={"Content-Type": XML, "Accept": XML})
    assert answer.status_code == 200
    assert read_as(answer)[1]["entry"][0]["response"]["status"].startswith("201")


def test_pretty_is_the_same_with_room(api: TestClient) -> None:
    api.put("/fhir/Patient/1", content=encode(a_patient(id="1")))
    plain, pretty = api.get("/fhir/Patient/1"), api.get("/fhir/Patient/1?_pretty=true")
    assert decode(plain.content) == decode(pretty.content)
    assert pretty.content.count(b"\n") > 5
    assert api.get("/fhir/Patient/1?_pretty=true&_format=xml").content.count(b"\n") > 5

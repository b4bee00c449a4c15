"""Labels on a record, and documents put together of records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.exchange.fhir_api.operations.meta import added, taken
from sokhoe.fhir import encode, validate
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit

RED = {"system": "urn:t", "code": "red"}
BLUE = {"system": "urn:t", "code": "blue"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        yield made


@pytest.fixture
def api(hub: Hub) -> TestClient:
    return hub.software()


def given(meta: dict[str, Any]) -> bytes:
    parameter = {"name": "meta", "valueMeta": meta}
    return encode({"resourceType": "Parameters", "parameter": [parameter]})


def test_labels_are_put_on_and_taken_off_and_history_shows_it(hub: Hub, api: TestClient) -> None:
    hub.put(a_patient("p"))
    on = api.post("/fhir/Patient/p/$meta-add", content=given({"tag": [RED, BLUE]}))
    assert on.status_code == 200, on.text
    assert on.json()["parameter"][0]["valueMeta"]["tag"] == [RED, BLUE]
    assert api.get("/fhir/Patient/p").json()["meta"]["versionId"] == "2"
    assert api.get("/fhir/Patient?_tag=urn:t|red").json()["entry"][0]["resource"]["id"] == "p"
    again = api.post("/fhir/Patient/p/$meta-add", content=given({"tag": [RED]}))
    assert again.json()["parameter"][0]["valueMeta"]["versionId"] == "2"
    off = api.post("/fhir/Patient/p/$meta-delete", content=given({"tag": [RED]}))
    assert off.json()["parameter"][0]["valueMeta"]["tag"] == [BLUE]
    assert "entry" not in api.get("/fhir/Patient?_tag=urn:t|red").json()
    history = api.get("/fhir/Patient/p/_history").json()["entry"]
    assert [len(one["resource"]["meta"].get("tag", [])) for one in history] == [1, 2, 0]


def test_labels_need_the_right_to_write(hub: Hub) -> None:
    hub.put(a_patient("p"))
    reader = hub.software("system/Patient.rs")
    url = "/fhir/Patient/p/$meta-add"
    assert reader.post(url, content=given({"tag": [RED]})).status_code == 403
    assert hub.software().get(url).status_code == 405
    assert hub.software().post(url).status_code == 400
    assert hub.software().post("/fhir/Patient/q/$meta-add", content=given({})).status_code == 400
    missing = hub.software().post("/fhir/Patient/q/$meta-add", content=given({"tag": [RED]}))
    assert missing.status_code == 404


def test_versions_and_times_are_the_server_s_alone() -> None:
    old = {"versionId": "3", "lastUpdated": "2024-01-01T00:00:00Z", "profile": ["a"]}
    new = added(old, {"versionId": "9", "profile": ["a", "b"], "security": [RED]})
    assert new == {**old, "profile": ["a", "b"], "security": [RED]}
    assert taken(new, {"versionId": "3", "profile": ["a", "b"], "security": [RED]}) == {
        "versionId": "3",
        "lastUpdated": "2024-01-01T00:00:00Z",
    }


def a_composition(patient: dict[str, Any], *entries: str) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": f"Patient/{patient['id']}"},
        "date": "2026-11-20",
        "author": [{"reference": "Practitioner/doc"}],
        "title": "Giấy ra viện",
        "section": [
            {"title": "A", "section": [{"title": "B", "entry": [{"reference": e}]}]}
            for e in entries
        ],
    }


@pytest.fixture
def written(hub: Hub) -> list[dict[str, Any]]:
    patient = a_patient("p")
    visit = a_visit(patient)
    hub.put(
        {"resourceType": "Organization", "id": "86001", "name": "Trạm"},
        {"resourceType": "Practitioner", "id": "doc"},
        patient,
        *visit,
    )
    hub.put(a_composition(patient, *(f"{one['resourceType']}/{one['id']}" for one in visit)))
    return visit


def test_a_document_has_the_composition_first_and_all_it_names(
    api: TestClient, written: list[dict[str, Any]]
) -> None:
    answer = api.get("/fhir/Composition/c/$document")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    validate(bundle)
    assert (bundle["type"], bundle["identifier"]["system"]) == ("document", "urn:ietf:rfc:3986")
    types = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert types[0] == "Composition"
    assert sorted(types[1:]) == [
        "Condition", "Encounter", "Observation", "Organization", "Patient", "Practitioner",
    ]  # fmt: skip
    assert len({one["fullUrl"] for one in bundle["entry"]}) == len(types)
    by_id = api.get("/fhir/Composition/$document?id=c").json()
    assert by_id["identifier"] == bundle["identifier"]
    whole = api.get(f"/fhir/Composition/$document?id={api.base_url}/fhir/Composition/c")
    assert whole.json()["entry"] == bundle["entry"]


def test_a_document_may_be_kept(api: TestClient, written: list[dict[str, Any]]) -> None:
    assert api.get("/fhir/Composition/c/$document?persist=true").status_code == 405
    kept = api.post("/fhir/Composition/c/$document?persist=true").json()
    assert api.get(f"/fhir/Bundle/{kept['id']}").json()["entry"] == kept["entry"]


def test_half_a_document_is_refused(hub: Hub, written: list[dict[str, Any]]) -> None:
    few = hub.software("system/Composition.rs", "system/Patient.rs", "system/Practitioner.rs")
    refused = few.get("/fhir/Composition/c/$document")
    assert refused.status_code == 422
    assert len(refused.json()["issue"]) == 3
    all_ = hub.software()
    assert all_.get("/fhir/Composition/none/$document").status_code == 404
    assert all_.get("/fhir/Composition/$document").status_code == 400
    assert all_.get("/fhir/Composition/$document?id=http://else.where/x").status_code == 404

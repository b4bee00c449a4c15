"""`$validate` and FHIRPath Patch over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.exchange.asking import refusal, send
from tests.fhir.test_profiles import blood_pressure
from tests.worlds import Hub, a_patient

BP = "http://hl7.org/fhir/StructureDefinition/bp"
OURS = "http://example.org/StructureDefinition/ours"


def issues(answer: Any, severity: str = "error") -> list[tuple[str, str]]:
    """(place, code) of the issues of that severity; the answer must be 200."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert all(one["diagnostics"] and one["details"]["text"] for one in body["issue"])
    return [
        (one.get("expression", [""])[0], one["code"])
        for one in body["issue"]
        if one["severity"] == severity
    ]


def parameters(resource: Any = None, **more: Any) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    if resource is not None:
        found.append({"name": "resource", "resource": resource})
    for name, value in more.items():
        key = "valueCode" if name == "mode" else "valueUri"
        found.append({"name": name, key: value})
    return {"resourceType": "Parameters", "parameter": found}


def a_profile(url: str = OURS, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "name": "Ours",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Patient", "path": "Patient"},
                {"id": "Patient.photo", "path": "Patient.photo", "min": 1},
                {
                    "id": "Patient.maritalStatus",
                    "path": "Patient.maritalStatus",
                    "binding": {
                        "strength": "required",
                        "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender",
                    },
                },
            ]
        },
        **more,
    }


def test_everything_wrong_is_told_and_nothing_is_kept(client: TestClient) -> None:
    wrong = {
        "resourceType": "Patient",
        "gender": "manly",
        "birthDate": "2024-02-30",
        "contact": [{"gender": "male"}],
        "name": [{"period": {"start": "2024", "end": "2023"}, "famly": "x"}],
    }
    for path in ("/Patient/$validate", "/$validate"):
        found = issues(send(client, "POST", path, wrong))
        assert sorted(found) == [
            ("Patient.birthDate", "value"),
            ("Patient.contact[0]", "invariant"),
            ("Patient.gender", "code-invalid"),
            ("Patient.name[0].famly", "structure"),
            ("Patient.name[0].period", "invariant"),
        ]
    body = send(client, "POST", "/Patient/$validate", wrong).json()
    assert any(one["diagnostics"].startswith("per-1: start") for one in body["issue"])
    assert send(client, "GET", "/Patient").json().get("entry") is None


def test_what_is_fine_is_said_to_be_fine(client: TestClient) -> None:
    patient = a_patient("p")
    patient["text"] = {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
    }
    answer = send(client, "POST", "/Patient/$validate", patient)
    assert issues(answer, "error") == issues(answer, "warning") == []
    assert issues(answer, "information") == [("", "informational")]


def test_a_stored_record_is_held_against_a_stored_profile(both: Hub, client: TestClient) -> None:
    status = {"coding": [{"system": "urn:x", "code": "y"}]}
    both.put({**a_patient("p"), "maritalStatus": status})
    url = f"/Patient/p/$validate?profile={OURS}"
    assert issues(send(client, "GET", url)) == [("Patient", "not-found")]
    assert send(client, "POST", "/StructureDefinition", a_profile()).status_code == 201
    assert issues(send(client, "GET", url)) == [
        ("Patient.photo", "required"),
        ("Patient.maritalStatus", "code-invalid"),
    ]
    newer = a_profile(version="2", differential={"element": [{"path": "Patient"}]})
    assert send(client, "POST", "/StructureDefinition", newer).status_code == 201
    assert issues(send(client, "GET", url)) == []
    assert issues(send(client, "GET", f"{url}|2")) == []
    assert issues(send(client, "GET", f"{url}|3")) == [("Patient", "not-found")]
    assert send(client, "GET", "/Patient/q/$validate").status_code == 404


def test_profiles_of_the_standard_and_claims_in_meta_are_checked(client: TestClient) -> None:
    good = blood_pressure()
    path = "/Observation/$validate"
    assert issues(send(client, "POST", path, parameters(good, profile=BP))) == []
    bad = blood_pressure(component=good["component"][:1])
    assert ("Observation.component", "required") in issues(
        send(client, "POST", path, parameters(bad, profile=BP))
    )
    claims = {**bad, "meta": {"profile": [BP, "http://nowhere.org/x"]}}
    answer = send(client, "POST", path, claims)
    assert ("Observation.component", "required") in issues(answer)
    assert ("Observation", "not-found") in issues(answer, "warning")


@pytest.mark.parametrize(
    ("mode", "id", "place", "severity"),
    [
        ("create", "x", "Patient.id", "information"),
        ("update", None, "Patient.id", "error"),
    ],
)
def test_a_mode_says_what_is_meant_to_happen(
    client: TestClient, mode: str, id: str | None, place: str, severity: str
) -> None:
    resource = {**a_patient("x"), "id": id}
    if id is None:
        del resource["id"]
    answer = send(client, "POST", "/Patient/$validate", parameters(resource, mode=mode))
    assert place in [at for at, _ in issues(answer, severity)]


def test_deleting_is_asked_of_a_record_and_of_rights(both: Hub) -> None:
    both.put(a_patient("p"))
    client, reader = both.software(), both.software("system/Patient.rs")
    path = "/Patient/p/$validate?mode=delete"
    assert issues(send(client, "POST", path)) == []
    assert issues(send(reader, "POST", path)) == [("Patient", "forbidden")]
    assert send(client, "POST", "/Patient/q/$validate?mode=delete").status_code in (404, 410)
    assert refusal(send(client, "POST", "/Patient/$validate?mode=delete"), 400) == "parameter"
    assert both.software().get("/fhir/Patient/p").status_code == 200


def test_a_resource_at_the_wrong_address_is_told(client: TestClient) -> None:
    assert ("resourceType", "invalid") in issues(
        send(client, "POST", "/Observation/$validate", a_patient("p"))
    )
    assert ("Patient.id", "invalid") in issues(
        send(client, "POST", "/Patient/q/$validate", a_patient("p"))
    )


def test_a_call_that_makes_no_sense_is_refused(client: TestClient) -> None:
    assert refusal(send(client, "GET", "/Patient/$validate"), 400) == "parameter"
    unknown = parameters(a_patient("p"), mode="try")
    assert refusal(send(client, "POST", "/Patient/$validate", unknown), 400) == "parameter"
    nameless = parameters(a_patient("p"), mode="profile")
    assert refusal(send(client, "POST", "/Patient/$validate", nameless), 400) == "parameter"
    many = parameters(a_patient("p"))
    many["parameter"] += [{"name": "profile", "valueUri": OURS}] * 21
    assert refusal(send(client, "POST", "/Patient/$validate", many), 400) == "too-costly"
    assert client.post("/fhir/Patient/$validate", headers={"authorization": ""}).status_code == 401


def test_a_fhirpath_patch_changes_what_it_says(both: Hub, client: TestClient) -> None:
    both.put(a_patient("p"))
    change = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "replace"},
                    {"name": "path", "valueString": "Patient.birthDate"},
                    {"name": "value", "valueDate": "1930-01-01"},
                ],
            }
        ],
    }
    answer = send(client, "PATCH", "/Patient/p", change, content_type="application/fhir+json")
    assert answer.status_code == 200, answer.text
    assert answer.json()["birthDate"] == "1930-01-01"
    change["parameter"][0]["part"][1]["valueString"] = "Patient.nowhere"  # type: ignore[index]
    misfit = send(client, "PATCH", "/Patient/p", change, content_type="application/fhir+json")
    assert refusal(misfit, 422) == "patch-misfit"
    assert misfit.json()["issue"][0]["expression"] == ["Parameters.parameter[0]"]
    assert client.get("/fhir/Patient/p").json()["meta"]["versionId"] == "2"

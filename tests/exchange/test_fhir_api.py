"""The FHIR API over HTTP: every verb, its headers, and an OperationOutcome for every error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import decode, encode, search_parameters
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        yield made


@pytest.fixture
def api(hub: Hub) -> TestClient:
    return hub.software()


def outcome(answer: Any, status: int) -> str:
    """The answer is an OperationOutcome with this status; its first diagnostics."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["severity"] == "error"
    return str(body["issue"][0]["diagnostics"])


def post(api: TestClient, path: str, resource: dict[str, Any], **headers: str) -> Any:
    return api.post(path, content=encode(resource), headers=headers)


def put(api: TestClient, path: str, resource: dict[str, Any], **headers: str) -> Any:
    return api.put(path, content=encode(resource), headers=headers)


def test_create_read_update_delete_and_history(api: TestClient) -> None:
    patient = a_patient()
    del patient["id"]
    made = post(api, "/fhir/Patient", patient)
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    id = made.json()["id"]
    assert made.headers["location"].endswith(f"/fhir/Patient/{id}/_history/1")

    read = api.get(f"/fhir/Patient/{id}")
    assert read.json()["name"] == patient["name"]
    assert read.json()["meta"]["versionId"] == "1"
    assert read.headers["last-modified"]
    again = api.get(f"/fhir/Patient/{id}", headers={"If-None-Match": 'W/"1"'})
    assert again.status_code == 304

    changed = {**patient, "id": id, "gender": "female"}
    updated = put(api, f"/fhir/Patient/{id}", changed)
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    assert api.get(f"/fhir/Patient/{id}/_history/1").json()["gender"] == "male"

    assert api.delete(f"/fhir/Patient/{id}").status_code == 204
    outcome(api.get(f"/fhir/Patient/{id}"), 410)
    history = api.get(f"/fhir/Patient/{id}/_history").json()
    assert [one["request"]["method"] for one in history["entry"]] == ["DELETE", "PUT", "POST"]
    outcome(api.get(f"/fhir/Patient/{id}/_history/9"), 404)
    outcome(api.get(f"/fhir/Patient/{id}/_history/3"), 410)


def test_an_update_makes_what_is_not_there_and_the_same_again_changes_nothing(
    api: TestClient,
) -> None:
    patient = a_patient("p-1")
    assert put(api, "/fhir/Patient/p-1", patient).status_code == 201
    same = put(api, "/fhir/Patient/p-1", patient)
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"1"')


def test_if_match_guards_against_overwriting(api: TestClient) -> None:
    put(api, "/fhir/Patient/p", a_patient("p"))
    newer = a_patient("p", name="Nguyễn Văn Bình")
    assert put(api, "/fhir/Patient/p", newer, **{"If-Match": 'W/"1"'}).status_code == 200
    refused = put(api, "/fhir/Patient/p", a_patient("p"), **{"If-Match": 'W/"1"'})
    outcome(refused, 412)
    outcome(put(api, "/fhir/Patient/p", newer, **{"If-Match": "yesterday"}), 412)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/fhir/Patience/1", None, 404),
        ("GET", "/fhir/Patient/none", None, 404),
        ("GET", "/fhir/Patient?nmae=x", None, 400),
        ("GET", "/fhir/Patient?birthdate=1961-13-40", None, 400),
        ("PATCH", "/fhir/Patient/1", b"[]", 400),
        ("POST", "/fhir/Patient", b"{", 400),
        ("POST", "/fhir/Patient", b"[]", 400),
        ("POST", "/fhir/Patient", b'{"resourceType":"Observation"}', 400),
        ("POST", "/fhir/Patient", b'{"resourceType":"Patient","gender":"manly"}', 422),
        ("POST", "/fhir/Patient", b'{"resourceType":"Patient","id":"a","id":"b"}', 400),
        ("POST", "/fhir/Patient", b'{"resourceType":"Patient","x":NaN}', 400),
        ("PUT", "/fhir/Patient/a", b'{"resourceType":"Patient","id":"b"}', 400),
        ("PUT", "/fhir/Patient/a_b", b'{"resourceType":"Patient","id":"a_b"}', 400),
        ("POST", "/fhir", b'{"resourceType":"Patient"}', 400),
        ("POST", "/fhir", b'{"resourceType":"Bundle","type":"collection"}', 400),
        ("POST", "/fhir", b'{"resourceType":"Bundle","type":"batch","entry":{}}', 400),
        ("GET", "/fhir/_history?when=now", None, 400),
        ("GET", "/fhir/Patient/_history?_since=yesterday", None, 400),
        ("GET", "/fhir/nowhere/at/all/of/it", None, 404),
    ],
)
def test_every_error_is_an_operation_outcome(
    api: TestClient, method: str, path: str, body: bytes | None, status: int
) -> None:
    outcome(api.request(method, path, content=body), status)


def test_a_misspelt_parameter_names_its_neighbour(api: TestClient) -> None:
    said = outcome(api.get("/fhir/Patient?brithdate=1961"), 400)
    assert "birthdate" in said
    lenient = api.get("/fhir/Patient?brithdate=1961", headers={"Prefer": "handling=lenient"})
    assert lenient.json()["entry"][-1]["search"]["mode"] == "outcome"


def test_without_a_token_nothing_opens_but_the_statement(hub: Hub) -> None:
    stranger = hub.client()
    refused = stranger.get("/fhir/Patient")
    outcome(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    outcome(stranger.get("/fhir/Patient", headers={"Authorization": "Bearer x"}), 401)
    statement = stranger.get("/fhir/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert len(statement["rest"][0]["resource"]) == 146


EXAMPLES = {
    "token": "http://example.org|x",
    "string": "x",
    "date": "ge2026-01",
    "reference": "Patient/x",
    "number": "1",
    "quantity": "1",
    "uri": "http://example.org/x",
    "special": "10.25|105.97|5",
}


def example(of: str, name: str, kind: str) -> str:
    """A value that can be asked for of any parameter of this kind."""
    if kind != "composite":
        return {"_filter": "_id eq x", "_list": "x"}.get(name, EXAMPLES[kind])
    parameters = search_parameters(of)
    return "$".join(EXAMPLES[parameters[one].type] for one in parameters[name].components)


def test_what_the_statement_declares_can_be_asked(hub: Hub) -> None:
    statement = hub.client().get("/fhir/metadata").json()
    doctor = hub.gate.machine("ops")
    asked = 0
    for resource in statement["rest"][0]["resource"]:
        if resource["type"] == "AuditEvent":
            continue
        for parameter in resource["searchParam"]:
            value = example(resource["type"], parameter["name"], parameter["type"])
            pairs = [(parameter["name"], value), ("_count", "1")]
            doctor.search(resource["type"], pairs)
            asked += 1
        for include in resource["searchInclude"][:3]:
            doctor.search(resource["type"], [("_include", include), ("_count", "1")])
        for include in resource["searchRevInclude"]:
            doctor.search(resource["type"], [("_revinclude", include), ("_count", "1")])
    assert asked > 2000


def test_a_narrow_client_is_told_what_is_missing(hub: Hub) -> None:
    narrow = hub.software("system/Observation.rs")
    assert narrow.get("/fhir/Observation").status_code == 200
    assert "system/Patient.rs" in outcome(narrow.get("/fhir/Patient"), 403)
    outcome(post(narrow, "/fhir/Observation", {"resourceType": "Observation"}), 403)


def test_only_json_is_read_and_written(api: TestClient) -> None:
    outcome(post(api, "/fhir/Patient", a_patient(), **{"Content-Type": "text/csv"}), 415)
    outcome(api.get("/fhir/Patient", headers={"Accept": "text/turtle"}), 406)
    outcome(api.get("/fhir/Patient?_format=ttl"), 406)
    assert api.get("/fhir/Patient?_format=json").status_code == 200


def test_prefer_chooses_what_comes_back(api: TestClient) -> None:
    put(api, "/fhir/Patient/a", a_patient("a"))
    minimal = put(api, "/fhir/Patient/b", a_patient("b"), Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    told = put(api, "/fhir/Patient/c", a_patient("c"), Prefer="return=OperationOutcome")
    assert told.json()["resourceType"] == "OperationOutcome"


def test_a_conditional_create_makes_one(api: TestClient) -> None:
    patient = a_patient(citizen_id="086061000001")
    del patient["id"]
    condition = {"If-None-Exist": "identifier=urn:test:citizen|086061000001"}
    first = post(api, "/fhir/Patient", patient, **condition)
    second = post(api, "/fhir/Patient", patient, **condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


def test_search_pages_to_the_end(api: TestClient) -> None:
    for number in range(7):
        put(api, f"/fhir/Patient/p{number}", a_patient(f"p{number}"))
    seen: list[str] = []
    url = "/fhir/Patient?_count=3"
    for _ in range(5):
        page = api.get(url).json()
        seen += [one["resource"]["id"] for one in page.get("entry", [])]
        following = [one["url"] for one in page["link"] if one["relation"] == "next"]
        if not following:
            break
        url = following[0]
    assert sorted(seen) == [f"p{number}" for number in range(7)]


def test_search_by_post_elements_and_include(api: TestClient) -> None:
    patient = a_patient("p", citizen_id="086061000001")
    put(api, "/fhir/Patient/p", patient)
    for one in a_visit(patient):
        put(api, f"/fhir/{one['resourceType']}/{one['id']}", one)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = api.post(
        "/fhir/Patient/_search", content="identifier=086061000001&_elements=gender", headers=form
    ).json()
    assert set(found["entry"][0]["resource"]) == {"resourceType", "id", "meta", "gender"}
    both = api.get("/fhir/Observation?patient=Patient/p&_include=Observation:subject").json()
    assert [one["search"]["mode"] for one in both["entry"]] == ["match", "include"]
    counted = api.get("/fhir/Observation?patient=Patient/p&_summary=count").json()
    assert counted["total"] == 1
    assert "entry" not in counted


def bundle(type: str, *entries: dict[str, Any]) -> bytes:
    return encode({"resourceType": "Bundle", "type": type, "entry": list(entries)})


def entry(method: str, url: str, resource: Any = None, full: str = "", **more: str) -> Any:
    out: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        out["resource"] = resource
    if full:
        out["fullUrl"] = full
    return out


def test_a_transaction_is_all_or_nothing(api: TestClient) -> None:
    good = a_patient("good")
    bad = {**a_patient("bad"), "birthDate": "1961-02-30"}
    answer = api.post(
        "/fhir",
        content=bundle(
            "transaction",
            entry("PUT", "Patient/good", good),
            entry("PUT", "Patient/bad", bad),
        ),
    )
    outcome(answer, 422)
    outcome(api.get("/fhir/Patient/good"), 404)


def test_a_transaction_rewrites_its_own_names(api: TestClient) -> None:
    mother = "urn:uuid:88888888-4444-4444-8888-000000000001"
    patient = a_patient()
    observation = {
        **a_visit(patient)[1],
        "subject": {"reference": mother},
    }
    del observation["encounter"]
    answer = api.post(
        "/fhir",
        content=bundle(
            "transaction",
            entry("POST", "Observation", observation),
            entry("POST", "Patient", patient, mother),
        ),
    )
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["entry"]
    assert first["response"]["status"] == "201 Created"
    stored = api.get("/fhir/" + first["response"]["location"].split("/_history")[0]).json()
    assert stored["subject"]["reference"] == second["response"]["location"].split("/_history")[0]


def test_a_name_that_no_entry_has_is_refused(api: TestClient) -> None:
    observation = {**a_visit(a_patient())[1], "subject": {"reference": "urn:uuid:nowhere"}}
    said = outcome(
        api.post("/fhir", content=bundle("transaction", entry("POST", "Observation", observation))),
        400,
    )
    assert "urn:uuid:nowhere" in said


def test_two_entries_for_one_resource_are_refused(api: TestClient) -> None:
    twins = [entry("PUT", "Patient/p", a_patient("p")) for _ in range(2)]
    outcome(api.post("/fhir", content=bundle("transaction", *twins)), 400)


def test_a_transaction_deletes_before_it_writes_and_reads_last(api: TestClient) -> None:
    put(api, "/fhir/Patient/old", a_patient("old"))
    answer = api.post(
        "/fhir",
        content=bundle(
            "transaction",
            entry("GET", "Patient/new"),
            entry("PUT", "Patient/new", a_patient("new")),
            entry("DELETE", "Patient/old"),
        ),
    ).json()
    assert answer["entry"][0]["resource"]["id"] == "new"
    assert answer["entry"][2]["response"]["status"].startswith("204")
    outcome(api.get("/fhir/Patient/old"), 410)


def test_a_batch_lets_the_others_stand(api: TestClient) -> None:
    answer = api.post(
        "/fhir",
        content=bundle(
            "batch",
            entry("PUT", "Patient/a", a_patient("a")),
            entry("PUT", "Patient/b", {"resourceType": "Patient", "id": "b", "x": 1}),
            entry("GET", "Patient/none"),
        ),
    ).json()
    statuses = [one["response"]["status"][:3] for one in answer["entry"]]
    assert statuses == ["201", "422", "404"]
    assert answer["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_system_history_is_for_those_who_may_read_everything(hub: Hub, api: TestClient) -> None:
    put(api, "/fhir/Patient/a", a_patient("a"))
    assert api.get("/fhir/_history").json()["entry"][0]["resource"]["id"] == "a"
    outcome(hub.software("system/Patient.rs").get("/fhir/_history"), 403)


def test_a_decimal_comes_back_as_it_was_written(api: TestClient) -> None:
    text = encode(a_visit(a_patient())[1]).decode().replace('"value":120', '"value":72.50')
    id = json.loads(text)["id"]
    assert api.put(f"/fhir/Observation/{id}", content=text).status_code == 201
    assert '"value":72.50' in api.get(f"/fhir/Observation/{id}").text


def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with Hub(tmp_path, Pack(), max_body_bytes=1000) as hub:
        big = a_patient(name="x" * 2000)
        outcome(post(hub.software(), "/fhir/Patient", big), 413)


def test_all_synthea_bundles_go_in_whole_and_come_out_equal(
    api: TestClient, shared_synthea: list[Path]
) -> None:
    count = 0
    for file in shared_synthea:
        sent = decode(file.read_bytes())
        answer = api.post("/fhir", content=file.read_bytes())
        assert answer.status_code == 200, (file.name, answer.text[:500])
        names: dict[str, str] = {}
        places = [one["response"]["location"] for one in answer.json()["entry"]]
        for given, place in zip(sent["entry"], places, strict=True):
            names[given["fullUrl"]] = place.split("/_history")[0]
        reads = [entry("GET", names[given["fullUrl"]]) for given in sent["entry"]]
        back = decode(api.post("/fhir", content=bundle("batch", *reads)).content)
        for given, got in zip(sent["entry"], back["entry"], strict=True):
            assert stripped(got["resource"]) == stripped(renamed(given["resource"], names))
        count += len(places)
    assert count == 9964


def stripped(resource: dict[str, Any]) -> dict[str, Any]:
    out = {key: value for key, value in resource.items() if key not in {"id", "meta"}}
    meta = {
        key: value
        for key, value in resource.get("meta", {}).items()
        if key not in {"versionId", "lastUpdated"}
    }
    return {**out, **({"meta": meta} if meta else {})}


def renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    if isinstance(value, str):
        return names.get(value, value)
    assert isinstance(value, bool | int | Decimal)
    return value

"""Transactions and batches with conditions, patches and reads, on both databases."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import encode
from tests.exchange.asking import bundle, entry, refusal, send
from tests.exchange.test_writing import BY_ID, in_a_crowd, person
from tests.worlds import Hub, a_patient, a_visit

URN = "urn:uuid:88888888-4444-4444-8888-000000000001"


def transacted(client: TestClient, *entries: dict[str, Any], **headers: str) -> list[Any]:
    answer = send(client, "POST", "", bundle("transaction", *entries), **headers)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["entry"]
    return found


def statuses(entries: list[Any]) -> list[str]:
    return [one["response"]["status"][:3] for one in entries]


def json_patch(*operations: dict[str, Any]) -> dict[str, Any]:
    data = b64encode(encode(list(operations))).decode()
    return {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": data,
    }


def an_observation(subject: str) -> dict[str, Any]:
    observation = a_visit(a_patient())[1]
    del observation["encounter"]
    return {**observation, "subject": {"reference": subject}}


def test_conditions_work_in_a_transaction_as_on_their_own(client: TestClient) -> None:
    for id, number in (("old", "7"), ("gone", "8"), ("patched", "9")):
        send(client, "PUT", f"/Patient/{id}", a_patient(id, citizen_id=number))
    by = "Patient?identifier=urn:test:citizen|"
    answers = transacted(
        client,
        entry("GET", "Patient/patched"),
        entry("PATCH", by + "9", json_patch({"op": "add", "path": "/active", "value": True})),
        entry("PUT", by + "7", {**a_patient(citizen_id="7"), "id": "old", "gender": "other"}),
        entry("POST", "Patient", person(), ifNoneExist=BY_ID),
        entry("DELETE", by + "8"),
    )
    assert statuses(answers) == ["200", "200", "200", "201", "204"]
    assert answers[0]["resource"]["active"] is True
    assert send(client, "GET", "/Patient/old").json()["gender"] == "other"
    assert refusal(send(client, "GET", "/Patient/gone"), 410)
    again = transacted(client, entry("POST", "Patient", person(), ifNoneExist=BY_ID))
    assert again[0]["response"]["location"] == answers[3]["response"]["location"]
    assert statuses(again) == ["200"]


def test_a_condition_that_fails_undoes_the_whole(client: TestClient) -> None:
    send(client, "PUT", "/Patient/a", person("a"))
    send(client, "PUT", "/Patient/b", person("b"))
    for wrong in (
        entry("PUT", f"Patient?{BY_ID}", person()),
        entry("DELETE", f"Patient?{BY_ID}"),
        entry("POST", "Patient", person(), ifNoneExist=BY_ID),
        entry("PUT", "Patient/a", person("a", gender="other"), ifMatch='W/"9"'),
        entry("PATCH", "Patient/a", json_patch({"op": "remove", "path": "/id"})),
    ):
        new = entry("PUT", "Patient/new", a_patient("new"))
        answer = send(client, "POST", "", bundle("transaction", new, wrong))
        assert answer.status_code in {412, 422}, answer.text
        place = answer.json()["issue"][0]["expression"][0]
        assert place.startswith("Bundle.entry[1]") or "ifMatch" in wrong["request"]
        assert refusal(send(client, "GET", "/Patient/new"), 404)


def test_a_crowd_of_transactions_creates_a_person_once(both: Hub) -> None:
    clients = [both.software() for _ in range(6)]
    answers = in_a_crowd(
        6,
        lambda n: transacted(
            clients[n],
            entry("POST", "Patient", person(), URN, ifNoneExist=BY_ID),
            entry("POST", "Observation", an_observation(URN)),
        ),
    )
    assert sorted(statuses(one)[0] for one in answers) == ["200"] * 5 + ["201"]
    session = both.gate.machine("ops")
    (patient,) = session.search("Patient").versions
    observations = session.search("Observation", [("subject", patient.ref)]).versions
    assert len(observations) == 6


def test_one_condition_twice_in_a_bundle_is_one_resource(client: TestClient) -> None:
    answers = transacted(
        client,
        entry("POST", "Patient", person(), URN, ifNoneExist=BY_ID),
        entry("POST", "Patient", person(), URN + "2", ifNoneExist=BY_ID),
        entry("POST", "Observation", an_observation(URN + "2")),
        entry("POST", "Observation", an_observation(f"Patient?{BY_ID}")),
    )
    assert statuses(answers) == ["201", "200", "201", "201"]
    ref = answers[0]["response"]["location"].split("/_history")[0]
    found = send(client, "GET", f"/Observation?subject={ref}").json()
    assert len(found["entry"]) == 2


def test_a_patient_and_what_is_deleted_may_not_overlap(client: TestClient) -> None:
    send(client, "PUT", "/Patient/a", person("a"))
    twice = bundle(
        "transaction",
        entry("PUT", f"Patient?{BY_ID}", person()),
        entry("DELETE", "Patient/a"),
    )
    assert refusal(send(client, "POST", "", twice), 400) == "invalid"


def test_a_batch_answers_whatever_get_answers(client: TestClient) -> None:
    send(client, "PUT", "/Patient/a", person("a"))
    answer = send(
        client,
        "POST",
        "",
        bundle(
            "batch",
            entry("GET", "Patient/a"),
            entry("GET", "Patient/a", ifNoneMatch='W/"1"'),
            entry("GET", "Patient/a/_history/1"),
            entry("GET", "Patient/a/_history"),
            entry("GET", "Patient?identifier=1"),
            entry("GET", "metadata"),
            entry("GET", "Patient/a/$meta"),
            entry("HEAD", "Patient/a"),
            entry("GET", "Patient?nmae=x"),
            entry("GET", "no/where/at/all"),
            entry("DELETE", "Patient"),
            entry("POST", "Patient/a", person()),
        ),
    )
    entries = answer.json()["entry"]
    assert statuses(entries) == [
        *("200", "304", "200", "200", "200", "200", "200", "200"),
        *("400", "404", "400", "400"),
    ]
    kinds = [one.get("resource", {}).get("resourceType") for one in entries[:8]]
    assert kinds == [
        *("Patient", None, "Patient", "Bundle", "Bundle", "CapabilityStatement", "Parameters"),
        None,
    ]
    assert all("outcome" in one["response"] for one in entries[8:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "%"},
        {"resourceType": "Binary", "contentType": "text/plain", "data": "W10="},
        {"resourceType": "Binary", "contentType": "application/json-patch+json"},
        {"resourceType": "Binary", "data": "W10="},
        {"resourceType": "Patient"},
    ],
)
def test_a_patch_in_a_bundle_that_is_none_is_refused(
    client: TestClient, wrong: dict[str, Any]
) -> None:
    send(client, "PUT", "/Patient/a", person("a"))
    answer = send(client, "POST", "", bundle("transaction", entry("PATCH", "Patient/a", wrong)))
    assert answer.status_code in {400, 415}
    assert refusal(answer, answer.status_code)

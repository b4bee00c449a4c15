"""A search parameter of one's own: sent as a SearchParameter, refused with a reason or used."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.store import mending
from tests.contracts.test_parameters import a_parameter
from tests.exchange.asking import refusal, send
from tests.worlds import Hub

SEX = a_parameter("sex", "token", "Patient.gender")


def a_patient(id: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, **more}


def found(client: TestClient, query: str) -> list[str]:
    body = send(client, "GET", f"/{query}").json()
    assert body["resourceType"] == "Bundle", body
    return sorted(one["resource"]["id"] for one in body.get("entry", []))


def searchable(client: TestClient, type: str) -> dict[str, dict[str, str]]:
    (rest,) = send(client, "GET", "/metadata").json()["rest"]
    here = next(one for one in rest["resource"] if one["type"] == type)
    return {one["name"]: one for one in here["searchParam"]}


def test_one_becomes_searchable(both: Hub, client: TestClient) -> None:
    send(client, "PUT", "/Patient/before", a_patient("before", gender="male"))
    assert send(client, "PUT", "/SearchParameter/sex", SEX).status_code == 201
    assert "not ready" in searchable(client, "Patient")["sex"]["documentation"].lower()
    assert refusal(send(client, "GET", "/Patient?sex=male"), 503) == "not-ready"
    both.settle()
    send(client, "PUT", "/Patient/after", a_patient("after", gender="male"))
    assert found(client, "Patient?sex=male") == ["after", "before"]
    assert found(client, "Patient?sex=male&_elements=gender") == ["after", "before"]
    line = searchable(client, "Patient")["sex"]
    assert line == {"name": "sex", "type": "token", "definition": "urn:x:sex"}
    # a condition of a write, a chain and _has may use it
    send(client, "POST", "/Observation", an_observation("Patient/after"))
    assert len(found(client, "Observation?subject:Patient.sex=male")) == 1
    once = send(client, "POST", "/Patient", a_patient(""), If_None_Exist="sex=male&_id=after")
    assert once.status_code == 200


def an_observation(subject: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
    }


def test_one_that_is_retired_is_unknown_again(
    both: Hub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "GRACE", 0)
    send(client, "PUT", "/Patient/1", a_patient("1", gender="male"))
    send(client, "PUT", "/SearchParameter/sex", SEX)
    both.settle()
    assert found(client, "Patient?sex=male") == ["1"]
    assert send(client, "DELETE", "/SearchParameter/sex").status_code in (200, 204)
    assert refusal(send(client, "GET", "/Patient?sex=male"), 400) == "unknown-search-parameter"
    both.settle()
    assert "sex" not in searchable(client, "Patient")
    assert both.store.editions() == []


@pytest.mark.parametrize(
    ("changed", "slug", "element"),
    [
        ({"code": "gender"}, "parameter-taken", "code"),
        ({"code": "a.b"}, "parameter-refused", "code"),
        ({"type": "special"}, "parameter-refused", "type"),
        ({"base": ["AuditEvent"]}, "parameter-refused", "base"),
        ({"expression": "Patient.gender.("}, "parameter-expression", "expression"),
        ({"expression": "Patient.gendr"}, "parameter-refused", "expression"),
        ({"expression": "Observation.status"}, "parameter-refused", "expression"),
        ({"expression": "Patient.name"}, "parameter-refused", "expression"),
        ({"expression": "Patient.gender | now().toString()"}, "parameter-refused", "expression"),
        (
            {"expression": "Patient.managingOrganization.resolve().name", "type": "string"},
            "parameter-refused",
            "expression",
        ),
        ({"type": "composite"}, "parameter-refused", "component"),
    ],
)
def test_one_that_cannot_be_used_is_refused_and_says_why(
    both: Hub, client: TestClient, changed: dict[str, Any], slug: str, element: str
) -> None:
    answer = send(client, "PUT", "/SearchParameter/sex", {**SEX, **changed})
    assert refusal(answer, 409 if slug == "parameter-taken" else 422) == slug
    (issue,) = answer.json()["issue"]
    assert issue["expression"][0].startswith(f"SearchParameter.{element}")
    assert both.store.editions() == []
    # as a draft it may say so: nobody searches by it
    kept = send(client, "PUT", "/SearchParameter/sex", {**SEX, **changed, "status": "draft"})
    assert kept.status_code == 201, kept.text


def test_a_code_belongs_to_one(client: TestClient) -> None:
    send(client, "PUT", "/SearchParameter/sex", SEX)
    again = {**SEX, "id": "other", "expression": "Patient.birthDate"}
    answer = send(client, "PUT", "/SearchParameter/other", {**again, "type": "date"})
    assert refusal(answer, 409) == "parameter-taken"
    elsewhere = {**again, "base": ["Practitioner"], "expression": "Practitioner.gender"}
    assert send(client, "PUT", "/SearchParameter/other", elsewhere).status_code == 201


def test_who_may_not_write_them_does_not(both: Hub) -> None:
    reader = both.software("system/*.rs", "system/Patient.cruds")
    assert send(reader, "PUT", "/SearchParameter/sex", SEX).status_code == 403


# --- $reindex -------------------------------------------------------------------------------------


def made(both: Hub, client: TestClient, path: str, **asked: Any) -> dict[str, list[Any]]:
    """The account of a $reindex, name → values."""
    parameter = [{"name": name, "valueBoolean": value} for name, value in asked.items()]
    body = {"resourceType": "Parameters", "parameter": parameter} if asked else None
    taken = send(client, "POST", f"{path}/$reindex", body)
    assert taken.status_code == 202, taken.text
    both.settle()
    answer = client.get(taken.headers["content-location"])
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Any]] = {}
    for one in answer.json()["parameter"]:
        named = next(value for name, value in one.items() if name != "name")
        found.setdefault(one["name"], []).append(named)
    return found


def test_what_is_missing_in_the_index_is_found_named_and_put_right(
    both: Hub, client: TestClient
) -> None:
    for id in "1", "2":
        send(client, "PUT", f"/Patient/{id}", a_patient(id, gender="male"))
    table = "eq" if both.settings.database_url.startswith("sqlite") else "cur"
    with both.store._transaction(durable=True):
        both.store._run(f"DELETE FROM {table} WHERE pk=2")
    assert found(client, "Patient?gender=male") == ["1"]
    looked = made(both, client, "", dryRun=True)
    assert (looked["looked"], looked["differing"], looked["mended"]) == ([2], [1], [False])
    (parts,) = looked["difference"]
    assert parts[0] == {"name": "reference", "valueString": "Patient/2"}
    assert made(both, client, "/Patient/1")["looked"] == [1]
    assert made(both, client, "/Observation")["looked"] == [0]
    assert found(client, "Patient?gender=male") == ["1"]
    assert made(both, client, "/Patient")["differing"] == [1]
    assert found(client, "Patient?gender=male") == ["1", "2"]
    assert made(both, client, "")["differing"] == [0]


def test_the_index_is_made_anew_for_who_may_shape_it(both: Hub, client: TestClient) -> None:
    send(client, "PUT", "/Patient/1", a_patient("1"))
    narrow = both.software("system/Patient.cruds", "system/SearchParameter.cruds")
    assert send(narrow, "POST", "/$reindex").status_code == 403
    assert send(narrow, "POST", "/Observation/$reindex").status_code == 403
    assert made(both, narrow, "/Patient")["looked"] == [1]
    writer = both.software("system/*.rs", "system/Patient.cruds")
    assert send(writer, "POST", "/Patient/1/$reindex").status_code == 403
    assert refusal(send(client, "POST", "/Patient/none/$reindex"), 404) == "not-found"
    assert refusal(send(client, "GET", "/$reindex"), 405) == "method"

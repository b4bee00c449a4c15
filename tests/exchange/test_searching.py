"""Search within compartments and of several types at once, on both databases."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import TYPES, search, search_parameters
from tests.exchange.asking import bundle, entry, refusal, send
from tests.worlds import Hub, a_patient, a_visit


@pytest.fixture
def people(both: Hub) -> Hub:
    """Two patients, three visits, a doctor who saw both."""
    doctor = {"resourceType": "Practitioner", "id": "d1", "name": [{"text": "Bác sĩ Hoa"}]}
    both.put(doctor)
    for id, days in (("p1", (10, 11)), ("p2", (12,))):
        patient = {**a_patient(id), "generalPractitioner": [{"reference": "Practitioner/d1"}]}
        both.put(patient)
        for day in days:
            visit = a_visit(patient, day=f"2026-11-{day}")
            for one in visit:
                one["id"] = f"{one['resourceType'][0].lower()}{day}"
            visit[1] |= {
                "performer": [{"reference": "Practitioner/d1"}],
                "encounter": {"reference": f"Encounter/e{day}"},
            }
            visit[2]["encounter"] = {"reference": f"Encounter/e{day}"}
            both.put(*visit)
    return both


@pytest.fixture
def api(people: Hub, client: TestClient) -> TestClient:
    return client


def refs(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["type"] == "searchset"
    return [
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in found.get("entry", [])
    ]


def pages(api: TestClient, path: str, most: int = 50) -> list[list[str]]:
    """Every page of a search, by its links."""
    found = []
    for _ in range(most):
        answer = api.get(path)
        found.append(refs(answer))
        links = {one["relation"]: one["url"] for one in answer.json()["link"]}
        if "next" not in links:
            return found
        path = links["next"]
    raise AssertionError("the pages never end")


OF_P1 = ["Condition/c10", "Condition/c11", "Encounter/e10", "Encounter/e11"]
OF_P1 += ["Observation/o10", "Observation/o11", "Patient/p1"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("Patient/p1/Observation", ["Observation/o10", "Observation/o11"]),
        ("Patient/p1/Observation?code=8480-6&date=2026-11-10", ["Observation/o10"]),
        ("Patient/p1/Observation?_filter=date ge 2026-11-11", ["Observation/o11"]),
        ("Patient/p1/Observation?code=other", []),
        ("Patient/p1/Patient", ["Patient/p1"]),
        ("Patient/nobody/Observation", []),
        ("Encounter/e12/Observation", ["Observation/o12"]),
        ("Encounter/e12/Condition", ["Condition/c12"]),
        ("Encounter/e12/Encounter", ["Encounter/e12"]),
        ("Practitioner/d1/Observation", ["Observation/o10", "Observation/o11", "Observation/o12"]),
        ("Practitioner/d1/Patient", ["Patient/p1", "Patient/p2"]),
        ("Device/d1/Observation", []),
        ("RelatedPerson/r1/Observation", []),
        ("Patient/p1/*", OF_P1),
        ("Patient/p1/*?_type=Condition,Patient", ["Condition/c10", "Condition/c11", "Patient/p1"]),
        ("Encounter/e12/*", ["Condition/c12", "Encounter/e12", "Observation/o12"]),
        ("Patient/p1/*?_id=e10", ["Encounter/e10"]),
    ],
)
def test_a_compartment_is_searched_like_a_type(
    api: TestClient, path: str, wanted: list[str]
) -> None:
    got = api.get(f"/fhir/{path}")
    assert sorted(refs(got)) == wanted
    place, _, query = path.partition("?")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = api.post(f"/fhir/{place}/_search", content=query, headers=form)
    assert sorted(refs(posted)) == wanted
    self = posted.json()["link"][0]["url"]
    assert urlsplit(self).path == f"/fhir/{place}"
    assert parse_qsl(urlsplit(self).query) == parse_qsl(query)


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("Organization/1/Patient", 404, "no-compartment"),
        ("Patient/p1/Organization", 404, "no-compartment"),
        ("Patient/p1/Nothing", 404, "unknown-type"),
        ("Nothing/p1/Observation", 404, "unknown-type"),
        ("Patient/p%201/Observation", 404, "not-found"),
        ("Patient/p1/Observation?nonsense=1", 400, None),
        ("Patient/p1/*?code=8480-6", 400, None),
        ("Patient/p1/*?_type=Organization", 400, "unknown-type"),
        ("?_type=Patient,Nothing", 400, "unknown-type"),
        ("?_type=", 400, "unknown-type"),
        ("?_type=Patient,Encounter&_sort=_id", 400, "sort-types"),
        ("?_type=Patient,Encounter&_cursor=9.0.x", 400, "cursor"),
        ("?_type=Patient,Encounter&_cursor=0.50.x", 400, "cursor"),
        ("?_type=Patient,Encounter&_cursor=nonsense", 400, "cursor"),
        ("?_type=Patient&_count=-1", 400, None),
        ("?_type=Patient&_total=many", 400, None),
    ],
)
def test_what_cannot_be_searched_is_said(
    api: TestClient, path: str, status: int, slug: str | None
) -> None:
    said = refusal(api.get(f"/fhir/{path}" if path[0] != "?" else f"/fhir{path}"), status)
    assert slug is None or said == slug


def test_several_types_are_searched_at_once(api: TestClient) -> None:
    both = ["Encounter/e10", "Encounter/e11", "Encounter/e12", "Patient/p1", "Patient/p2"]
    assert sorted(refs(api.get("/fhir?_type=Patient,Encounter"))) == both
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = api.post("/fhir/_search", content="_type=Patient,Encounter", headers=form)
    assert sorted(refs(posted)) == both
    assert len(refs(api.get("/fhir"))) == 12
    assert refs(api.get("/fhir/?_id=p1")) == ["Patient/p1"]
    with_owner = api.get("/fhir?_type=Encounter,Observation&_id=o12&_include=Observation:subject")
    assert refs(with_owner) == ["Observation/o12", "Patient/p2"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("path", ["/fhir?_type=Condition,Encounter,Observation,Patient", "/fhir"])
def test_pages_of_several_types_hold_each_record_once(
    api: TestClient, path: str, count: int
) -> None:
    more = "&" if "?" in path else "?"
    found = pages(api, f"{path}{more}_count={count}")
    assert all(len(page) <= count for page in found)
    assert all(found[:-1])  # only the last may be empty: nothing more was to be found
    assert sorted(chain.from_iterable(found)) == sorted(refs(api.get(path)))
    assert all(len(one) + len(two) > count // 2 for one, two in pairwise(found[:-1]))


def test_all_are_counted(api: TestClient) -> None:
    counted = api.get("/fhir?_type=Patient,Encounter&_summary=count").json()
    assert (counted["total"], counted.get("entry")) == (5, None)
    page = api.get("/fhir?_type=Patient,Encounter&_total=accurate&_count=2").json()
    assert (page["total"], len(page["entry"])) == (5, 2)
    assert api.get("/fhir/Patient/p1/*?_summary=count").json()["total"] == len(OF_P1)
    assert api.get("/fhir/Patient/p1/*?_count=0").json()["total"] is not None


def test_only_what_a_client_may_search_is_searched(people: Hub) -> None:
    lab = people.software("system/Observation.rs")
    assert {one.partition("/")[0] for one in refs(lab.get("/fhir"))} == {"Observation"}
    assert refusal(lab.get("/fhir?_type=Observation,Patient"), 403) == "scope-missing"
    assert sorted(refs(lab.get("/fhir/Patient/p1/*"))) == ["Observation/o10", "Observation/o11"]
    assert refusal(lab.get("/fhir/Patient/p1/Condition"), 403) == "scope-missing"
    nothing = people.software("system/Patient.r")
    assert refusal(nothing.get("/fhir"), 403) == "scope-missing"
    assert people.client().get("/fhir").status_code == 401


def test_the_audit_says_what_was_searched(people: Hub, client: TestClient) -> None:
    client.get("/fhir/Patient/p1/Observation?date=2026-11-10")
    line = people.store.entries(count=1)[0].entry
    assert line.query.startswith("Observation?date=2026-11-10&_filter=")
    assert "subject re Patient/p1" in line.query
    assert (line.what, line.patients) == (("Observation/o10",), ("Patient/p1",))


def test_a_batch_may_search_a_compartment(api: TestClient) -> None:
    asked = bundle("batch", entry("GET", "Patient/p1/Condition"), entry("GET", "?_type=Patient"))
    answers = send(api, "POST", "", asked).json()["entry"]
    assert [len(one["resource"]["entry"]) for one in answers] == [2, 2]


def test_every_compartment_stands_on_reference_parameters() -> None:
    for name in search.COMPARTMENTS:
        members = search.compartment_members(name)
        assert members[name][0] == "_id"
        for type, codes in members.items():
            known = search_parameters(type)
            for code in codes:
                assert code == "_id" or name in known[code].target, (name, type, code)
    assert not search.compartment_members("Organization")
    assert set(search.compartment_members("Patient")) < TYPES

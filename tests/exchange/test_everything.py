"""`$everything`: whole, no more than may be seen, in pages, without a question for each record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import encode
from sokhoe.people import linked_patients
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit

STAFF: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "prov", "name": "Sở Y tế"},
    {
        "resourceType": "Organization",
        "id": "86001",
        "name": "Trạm",
        "partOf": {"reference": "Organization/prov"},
    },
    {"resourceType": "Practitioner", "id": "doc", "name": [{"text": "Lê Thị Bình"}]},
    {
        "resourceType": "PractitionerRole",
        "id": "role",
        "practitioner": {"reference": "Practitioner/doc"},
        "organization": {"reference": "Organization/86001"},
    },
]


def visit(patient: dict[str, Any], id: str, day: str) -> list[dict[str, Any]]:
    encounter, observation, condition = a_visit(patient, day=day)
    encounter["id"] = f"e-{id}"
    encounter["participant"] = [{"individual": {"reference": "PractitionerRole/role"}}]
    for one, name in ((observation, "o"), (condition, "c")):
        one["id"] = f"{name}-{id}"
        one["encounter"] = {"reference": f"Encounter/e-{id}"}
    condition["onsetDateTime"] = day
    return [encounter, observation, condition]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        first, second = a_patient("p1"), a_patient("p2", name="Trần Thị Chi")
        made.put(*STAFF, first, second)
        made.put(*visit(first, "1", "2024-03-01"), *visit(first, "2", "2026-05-05"))
        made.put(*visit(second, "x", "2026-05-05"))
        yield made


@pytest.fixture
def api(hub: Hub) -> TestClient:
    return hub.software()


def pages(api: TestClient, url: str) -> list[Any]:
    found = []
    for _ in range(30):
        answer = api.get(url)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found.append(bundle)
        following = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
        if not following:
            return found
        parts = urlsplit(following[0])
        url = f"{parts.path}?{parts.query}"
    raise AssertionError("the pages do not end")


def refs(bundles: list[Any], mode: str = "match") -> list[str]:
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for bundle in bundles
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == mode
    ]


def test_a_whole_record_comes_with_what_it_refers_to_and_nobody_else_s(api: TestClient) -> None:
    found = pages(api, "/fhir/Patient/p1/$everything")
    assert len(found) == 1
    own = {"Patient/p1"} | {
        f"{type}-{number}"
        for number in (1, 2)
        for type in ("Encounter/e", "Observation/o", "Condition/c")
    }
    assert set(refs(found)) == own
    assert found[0]["total"] == len(own)
    assert set(refs(found, "include")) == {
        "PractitionerRole/role",
        "Practitioner/doc",
        "Organization/86001",
        "Organization/prov",
    }


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_in_pages_it_is_the_same_and_each_record_comes_once(api: TestClient, count: int) -> None:
    found = pages(api, f"/fhir/Patient/p1/$everything?_count={count}")
    assert len(found) == -(-7 // count)
    assert sorted(refs(found)) == sorted(refs(pages(api, "/fhir/Patient/p1/$everything")))
    assert all("total" not in one for one in found)


def test_a_page_link_of_another_call_is_refused(api: TestClient) -> None:
    link = pages(api, "/fhir/Patient/p1/$everything?_count=3")[0]["link"][1]["url"]
    cursor = link.partition("_cursor=")[2]
    for url in (
        f"/fhir/Patient/p2/$everything?_cursor={cursor}",
        f"/fhir/Patient/p1/$everything?_type=Observation&_cursor={cursor}",
        "/fhir/Patient/p1/$everything?_cursor=NQ.ffff",
    ):
        answer = api.get(url)
        assert answer.status_code == 400, answer.text
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "cursor"


def test_only_some_types_and_only_some_time(api: TestClient) -> None:
    some = pages(api, "/fhir/Patient/p1/$everything?_type=Observation,Practitioner")
    assert refs(some) == ["Observation/o-1", "Observation/o-2"]
    late = pages(api, "/fhir/Patient/p1/$everything?start=2025-01-01&_type=Observation,Encounter")
    assert set(refs(late)) == {"Observation/o-2", "Encounter/e-2"}
    early = pages(api, "/fhir/Patient/p1/$everything?end=2024-03-01")
    assert set(refs(early)) == {"Patient/p1", "Encounter/e-1", "Observation/o-1", "Condition/c-1"}
    assert api.get("/fhir/Patient/p1/$everything?start=2025&end=2024").status_code == 400
    assert api.get("/fhir/Patient/p1/$everything?_type=Observasion").status_code == 400


def test_since_shows_only_what_was_written_later(hub: Hub, api: TestClient) -> None:
    last = api.get("/fhir/Observation/o-1").json()["meta"]["lastUpdated"]
    hub.put({**visit(a_patient("p1"), "1", "2026-11-01")[1], "id": "new"})
    found = pages(api, f"/fhir/Patient/p1/$everything?_since={last}")
    assert "Observation/new" in refs(found)
    assert "Patient/p1" not in refs(found)


def test_by_post_it_is_the_same(api: TestClient) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueCode": "Encounter"}],
    }
    answer = api.post("/fhir/Patient/p1/$everything", content=encode(body)).json()
    assert refs([answer]) == ["Encounter/e-1", "Encounter/e-2"]


def test_everything_of_an_encounter(api: TestClient) -> None:
    found = pages(api, "/fhir/Encounter/e-1/$everything")
    assert set(refs(found)) == {"Encounter/e-1", "Observation/o-1", "Condition/c-1"}
    assert {"Patient/p1", "Organization/86001"} <= set(refs(found, "include"))
    assert "Patient/p2" not in refs(found, "include")


def test_who_is_not_there_is_not_found_and_all_of_everybody_is_too_much(api: TestClient) -> None:
    assert api.get("/fhir/Patient/none/$everything").status_code == 404
    assert api.get("/fhir/Observation/o-1/$everything").status_code == 404
    refused = api.get("/fhir/Patient/$everything")
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "too-costly"


def test_records_of_the_same_person_elsewhere_come_along(hub: Hub, api: TestClient) -> None:
    here = a_patient("h1", citizen_id="T-00017", system="urn:testland:citizen", facility="86001")
    there = a_patient("h2", citizen_id="T-00017", system="urn:testland:citizen", facility="86002")
    hub.put(here, there, *visit(there, "far", "2026-01-01"))
    hub.settle()
    person = next(
        one.ref
        for one in hub.gate.machine("people").search("Person").versions
        if "Patient/h1" in linked_patients(hub.gate.machine("people"), one.ref)
    )
    found = refs(pages(api, "/fhir/Patient/h1/$everything"))
    assert {"Patient/h1", "Patient/h2", "Observation/o-far", person} <= set(found)
    # without leave to read persons nobody learns who is one with whom
    narrow = hub.software("system/Patient.rs", "system/Observation.rs")
    assert set(refs(pages(narrow, "/fhir/Patient/h1/$everything"))) == {"Patient/h1"}


def test_a_linked_patient_comes_along(hub: Hub, api: TestClient) -> None:
    other = {"other": {"reference": "Patient/p2"}, "type": "seealso"}
    hub.put({**a_patient("p1"), "link": [other]})
    assert {"Patient/p2", "Observation/o-x"} <= set(
        refs(pages(api, "/fhir/Patient/p1/$everything"))
    )


def test_a_client_gets_only_the_types_it_may_read(hub: Hub) -> None:
    narrow = hub.software("system/Patient.rs", "system/Observation.rs")
    found = pages(narrow, "/fhir/Patient/p1/$everything")
    assert set(refs(found)) == {"Patient/p1", "Observation/o-1", "Observation/o-2"}
    assert refs(found, "include") == []
    refused = narrow.get("/fhir/Patient/p1/$everything?_type=Condition")
    assert refused.status_code == 403
    blind = hub.software("system/Observation.rs")
    assert blind.get("/fhir/Patient/p1/$everything").status_code == 403


def test_each_page_leaves_a_line_that_the_citizen_finds(hub: Hub, api: TestClient) -> None:
    before = len(hub.store.entries(patient="Patient/p1", count=100))
    api.get("/fhir/Patient/p1/$everything")
    lines = hub.store.entries(patient="Patient/p1", count=100)
    assert len(lines) > before
    assert "Patient/p1 and around" in {line.entry.query for line in lines}
    named = {ref for line in lines for ref in line.entry.what}
    assert {"Observation/o-1", "Condition/c-2"} <= named


def test_a_record_ten_times_as_long_asks_no_more_questions(
    hub: Hub, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = type(hub.store)._read

    def counted(self: Any, text: str, args: tuple[Any, ...] = ()) -> Any:
        asked.append(text)
        return real(self, text, args)

    monkeypatch.setattr(type(hub.store), "_read", counted)
    api.get("/fhir/Patient/p1/$everything")
    short = len(asked)
    patient = a_patient("p1")
    hub.put(*(one for n in range(20) for one in visit(patient, f"m{n}", "2026-01-01")))
    asked.clear()
    assert len(refs(pages(api, "/fhir/Patient/p1/$everything"))) == 67
    # sixty more records; what is looked up once in a while (a second's caches) may come in either
    assert len(asked) < short + 10 < 40

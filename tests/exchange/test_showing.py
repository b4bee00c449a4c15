"""Parts of records, marked as such, and histories of a stretch of time, on both databases."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.fhir import summarised, top_elements, validate
from sokhoe.fhir.definitions import TYPES, structure
from tests.exchange.asking import refusal, send
from tests.worlds import Hub, a_patient, a_visit

TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">An</div>'}
FULL = {
    **a_patient("p1", citizen_id="1"),
    "text": TEXT,
    "photo": [{"title": "x"}],
    "contact": [{"name": {"text": "Ba"}}],
    "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
    "maritalStatus": {"text": "?"},
    "deceasedBoolean": False,
    "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "y"}]},
}
BASE = {"resourceType", "id", "meta"}
OUTCOME_LIKE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/p1"},
    "note": [{"text": "no part of a summary"}],
    "component": [{"code": {"text": "y"}, "valueInteger": 1, "interpretation": [{"text": "z"}]}],
}


@pytest.fixture
def api(both: Hub, client: TestClient) -> TestClient:
    both.put(FULL, OUTCOME_LIKE)
    return client


def is_subsetted(resource: dict[str, Any]) -> bool:
    return any(tag["code"] == "SUBSETTED" for tag in resource["meta"].get("tag", []))


SUMMARY = BASE | {"identifier", "name", "gender", "birthDate", "_birthDate", "deceasedBoolean"}
SUMMARY |= {"managingOrganization", "link"}


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("_summary=true", SUMMARY),
        ("_summary=text", BASE | {"text"}),
        ("_summary=data", set(FULL) | {"meta"} - {"text"}),
        ("_elements=gender,deceased", BASE | {"gender", "deceasedBoolean"}),
        ("_elements=Patient.gender,name", BASE | {"gender", "name"}),
        ("_elements=birthDate", BASE | {"birthDate", "_birthDate"}),
    ],
)
def test_a_part_is_shown_the_same_wherever_it_is_asked(
    api: TestClient, how: str, wanted: set[str]
) -> None:
    if how == "_summary=data":
        wanted = wanted - {"text"}
    read = api.get(f"/fhir/Patient/p1?{how}")
    assert set(read.json()) == wanted
    assert is_subsetted(read.json())
    assert read.headers["etag"] == 'W/"1"'
    assert api.get(f"/fhir/Patient/p1/_history/1?{how}").json() == read.json()
    paths = ("Patient?_id=p1&", "Patient/p1/_history?", "Patient/p1/Patient?", "?_type=Patient&")
    for path in paths:
        answer = api.get(f"/fhir/{path}{how}" if path[0] != "?" else f"/fhir{path}{how}")
        assert [one["resource"] for one in answer.json()["entry"]] == [read.json()], path


def test_the_whole_is_not_marked(api: TestClient) -> None:
    whole = api.get("/fhir/Patient/p1").json()
    assert not is_subsetted(whole)
    assert api.get("/fhir/Patient/p1?_summary=false").json() == whole
    assert api.get("/fhir/Patient?_id=p1&_summary=false").json()["entry"][0]["resource"] == whole


def test_a_summary_goes_into_the_parts(api: TestClient) -> None:
    brief = api.get("/fhir/Observation/o1?_summary=true").json()
    assert "note" not in brief
    assert brief["component"] == [{"code": {"text": "y"}, "valueInteger": 1}]


def test_what_must_be_there_is_shown_always(api: TestClient) -> None:
    brief = api.get("/fhir/Observation/o1?_elements=subject").json()
    assert set(brief) == BASE | {"subject", "status", "code"}
    validate(brief)
    text = api.get("/fhir/Observation/o1?_summary=text").json()
    assert set(text) == BASE | {"status", "code"}


@pytest.mark.parametrize("type", sorted(TYPES))
def test_a_summary_of_the_barest_record_is_that_record(type: str) -> None:
    must = {name for name, one in structure(type).elements.items() if one.min}
    bare = {"resourceType": type, "id": "x", "meta": {}, **dict.fromkeys(must, "y")}
    brief = summarised(bare, "true") if not _has_parts(type, must) else bare
    assert set(brief) == set(bare)
    assert must <= top_elements(type)


def _has_parts(type: str, names: set[str]) -> bool:
    return any("." in structure(type).elements[name].type for name in names)


def test_includes_are_whole_unless_their_type_is_named(both: Hub, api: TestClient) -> None:
    path = "/fhir/Observation?_id=o1&_include=Observation:subject&_elements=status"
    found = [one["resource"] for one in api.get(path).json()["entry"]]
    assert [is_subsetted(one) for one in found] == [True, False]
    found = [one["resource"] for one in api.get(path + ",Patient.name").json()["entry"]]
    assert [is_subsetted(one) for one in found] == [True, True]
    assert set(found[1]) == BASE | {"name"}


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("_summary=some", "invalid"),
        ("_elements=nmae", "unknown-element"),
        ("_elements=Patience.name", "unknown-element"),
        ("_summary=true&_elements=name", "invalid"),
    ],
)
def test_a_part_nobody_knows_is_refused(api: TestClient, query: str, slug: str) -> None:
    for path in ("Patient/p1?", "Patient?_id=p1&", "Patient/p1/_history?"):
        assert refusal(api.get(f"/fhir/{path}{query}"), 400) == slug
    assert refusal(api.get("/fhir/Patient/p1?_summary=count"), 400) == "invalid"
    lenient = {"Prefer": "handling=lenient"}
    assert api.get("/fhir/Patient/p1?_elements=nmae", headers=lenient).status_code == 200


def test_a_part_cannot_be_stored_in_place_of_the_whole(api: TestClient) -> None:
    part = api.get("/fhir/Patient/p1?_elements=name").json()
    assert refusal(send(api, "PUT", "/Patient/p1", part), 422) == "subsetted"
    assert api.get("/fhir/Patient/p1").headers["etag"] == 'W/"1"'


# -- history -----------------------------------------------------------------------------------


@pytest.fixture
def times(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Moments between which a record was made, changed, deleted and made again."""
    start = clock.now() + 10_000_000
    found: list[str] = []
    for number, gender in enumerate(("male", "female", None, "other")):
        now = start + number * 10_000_000
        found.append(clock.iso(now - 5_000_000))
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        if gender is None:
            assert api.delete("/fhir/Patient/t").status_code == 204
        else:
            send(api, "PUT", "/Patient/t", {**a_patient("t"), "gender": gender})
    found.append(clock.iso(start + 35_000_000))
    return found


def standing(api: TestClient, path: str, **query: str) -> list[str]:
    """The versions that a history shows, in order of their age."""
    answer = api.get(f"/fhir{path}", params=query)
    assert answer.status_code == 200, answer.text
    entries = [one for one in answer.json().get("entry", []) if "Patient/t" in one["fullUrl"]]
    return [one["response"]["etag"][3:-1] for one in reversed(entries)]


def test_history_shows_what_stood_at_a_moment(api: TestClient, times: list[str]) -> None:
    for path in ("/Patient/t/_history", "/Patient/_history", "/_history"):
        assert [standing(api, path, _at=one) for one in times] == [[], ["1"], ["2"], [], ["4"]]
        year = times[0][:4]
        assert standing(api, path, _at=year) == ["1", "2", "3", "4"]
        assert standing(api, path, _at="1999") == []
        assert standing(api, path, _since=times[2]) == ["3", "4"]


def test_pages_of_a_history_keep_what_was_asked(api: TestClient, times: list[str]) -> None:
    for query in ({"_since": times[1]}, {"_at": times[0][:4]}, {}):
        seen: list[str] = []
        path = "/fhir/Patient/t/_history?"
        path += urlencode({**query, "_count": "1", "_summary": "data"})
        for _ in range(10):
            page = api.get(path).json()
            seen += [one["response"]["etag"] for one in page["entry"]]
            assert len(page["entry"]) == 1
            assert all(is_subsetted(one["resource"]) for one in page["entry"] if "resource" in one)
            links = {one["relation"]: one["url"] for one in page["link"]}
            if "next" not in links:
                break
            path = links["next"]
        wanted = ["4", "3", "2"] if "_since" in query else ["4", "3", "2", "1"]
        assert seen == [f'W/"{one}"' for one in wanted]


@pytest.mark.parametrize(
    "query",
    [
        "_at=yesterday",
        "_since=yesterday",
        "_since=2026-11",
        "_at=9999-12-31&_since=2026-01-01T00:00:00Z",
        "_count=²",
        "_count=x",
        "_list=1",
    ],
)
def test_a_history_of_nonsense_is_refused(api: TestClient, query: str) -> None:
    refusal(api.get(f"/fhir/Patient/p1/_history?{query}"), 400)


def test_a_visit_stood_when_it_was_made(both: Hub, api: TestClient) -> None:
    visit = a_visit(FULL)
    both.put(*visit)
    found = api.get(f"/fhir/Encounter/_history?_at={clock.iso(clock.now())[:10]}").json()
    assert [one["resource"]["id"] for one in found["entry"]] == [visit[0]["id"]]

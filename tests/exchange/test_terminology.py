"""Terminology over HTTP: R4's value sets at once, sent ones as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.fhir.terminology.worlds import (
    ANIMALS,
    animals,
    code_system,
    codes_of,
    concept,
    filtered,
    name,
    value_set,
)
from tests.worlds import Hub, Server

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Hub(tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture
def program(hub: Server) -> TestClient:
    return hub.software()


def get(program: TestClient, path: str, **arguments: Any) -> dict[str, Any]:
    answer = program.get(f"/fhir/{path}", params=arguments)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def post(program: TestClient, path: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    answer = program.post(f"/fhir/{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(program: TestClient, path: str, status: int, **arguments: Any) -> dict[str, Any]:
    """The first issue of a refusal."""
    answer = program.get(f"/fhir/{path}", params=arguments)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    found: dict[str, Any] = answer.json()["issue"][0]
    return found


def send(program: TestClient, resource: dict[str, Any]) -> str:
    answer = program.post(f"/fhir/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def values(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: next((value for key, value in one.items() if key != "name"), None)
        for one in answer["parameter"]
    }


def test_a_value_set_of_r4_is_expanded_without_anything_sent(program: TestClient) -> None:
    whole = ["male", "female", "other", "unknown"]
    assert codes_of(get(program, "ValueSet/$expand", url=GENDERS)) == whole
    assert codes_of(get(program, "ValueSet/administrative-gender/$expand")) == whole
    assert codes_of(get(program, "ValueSet/$expand", url=f"{GENDER}?fhir_vs")) == whole
    found = get(program, "ValueSet/$expand", url=GENDERS, filter="fem", includeDefinition="true")
    assert codes_of(found) == ["female"] and "compose" in found
    said = {one["name"]: one for one in found["expansion"]["parameter"]}
    assert said["filter"]["valueString"] == "fem"
    assert said["used-codesystem"]["valueUri"] == f"{GENDER}|4.0.1"


def test_what_is_sent_is_used_at_once_and_so_is_its_change(program: TestClient) -> None:
    url = "http://example.org/changing"
    one = animals(url=url)
    assert refused(program, "ValueSet/$expand", 404, url=f"{url}?fhir_vs")["code"] == "not-found"
    id = send(program, one)
    assert "dog" in codes_of(get(program, "ValueSet/$expand", url=f"{url}?fhir_vs"))
    changed = {**one, "id": id, "concept": [concept("fish")]}
    assert program.put(f"/fhir/CodeSystem/{id}", json=changed).status_code == 200
    assert codes_of(get(program, "ValueSet/$expand", url=f"{url}?fhir_vs")) == ["fish"]
    program.delete(f"/fhir/CodeSystem/{id}")
    assert refused(program, "ValueSet/$expand", 404, url=f"{url}?fhir_vs")["code"] == "not-found"


def test_of_several_versions_the_newest_active_one_is_used(program: TestClient) -> None:
    url = "http://example.org/versions"
    for version, status, code in (
        ("1.9", "active", "nine"),
        ("1.10", "active", "ten"),
        ("2.0", "draft", "draft"),
        ("3.0", "retired", "retired"),
    ):
        send(program, animals(url=url, version=version, status=status, concept=[concept(code)]))
    expand = "ValueSet/$expand"
    assert codes_of(get(program, expand, url=f"{url}?fhir_vs")) == ["ten"]
    pinned = value_set("http://example.org/pin", {"system": url, "version": "2.0"})
    send(program, pinned)
    assert codes_of(get(program, expand, url=pinned["url"])) == ["draft"]
    asked = {"url": f"{url}?fhir_vs", "system-version": f"{url}|1.9"}
    assert codes_of(get(program, expand, **asked)) == ["nine"]
    asked = {"url": pinned["url"], "force-system-version": f"{url}|1.9"}
    assert codes_of(get(program, expand, **asked)) == ["nine"]
    issue = refused(
        program, expand, 422, **{"url": pinned["url"], "check-system-version": f"{url}|1.9"}
    )
    assert "'2.0'" in issue["diagnostics"]
    issue = refused(program, "CodeSystem/$lookup", 404, system=url, version="7", code="ten")
    assert "1.10, 1.9, 2.0, 3.0" in issue["diagnostics"]


def test_a_sent_resource_stands_before_the_standard_s_own(hub: Server) -> None:
    with Hub(hub.folder / "own") as other:
        program = other.software()
        mine = value_set(GENDERS, {"system": GENDER, "concept": [{"code": "male"}]})
        send(program, mine)
        assert codes_of(get(program, "ValueSet/$expand", url=GENDERS)) == ["male"]
        assert len(codes_of(get(program, "ValueSet/$expand", url=f"{GENDERS}|4.0.1"))) == 4


def test_a_supplement_that_was_sent_is_heard(program: TestClient) -> None:
    more = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/gender-vi",
        "status": "active",
        "content": "supplement",
        "supplements": GENDER,
        "concept": [{"code": "female", "designation": [name("Nữ giới")]}],
    }
    send(program, more)
    found = get(program, "ValueSet/$expand", url=GENDERS, filter="nu gioi", displayLanguage="vi")
    assert found["expansion"]["contains"][0]["display"] == "Nữ giới"
    answer = program.get(
        "/fhir/CodeSystem/$lookup",
        params={"system": GENDER, "code": "female"},
        headers={"Accept-Language": "vi, en;q=0.5"},
    )
    assert values(answer.json())["display"] == "Nữ giới"


def test_a_value_set_may_be_sent_along(program: TestClient) -> None:
    send(program, animals())
    mine = value_set("", filtered("concept", "is-a", "bird"))
    del mine["url"]
    sent = {"name": "valueSet", "resource": mine}
    assert codes_of(post(program, "ValueSet/$expand", sent)) == ["bird", "dodo"]
    answer = program.post("/fhir/ValueSet/$expand", json=mine)
    assert codes_of(answer.json()) == ["bird", "dodo"]
    along = animals(url="http://example.org/along", concept=[concept("x")])
    mine = value_set("http://example.org/v", {"system": along["url"]})
    found = post(
        program,
        "ValueSet/$expand",
        {"name": "tx-resource", "resource": along},
        {"name": "tx-resource", "resource": mine},
        {"name": "url", "valueUri": mine["url"]},
    )
    assert codes_of(found) == ["x"]


def test_a_code_is_validated_in_each_form(program: TestClient) -> None:
    path = "ValueSet/$validate-code"
    for asked in ({"system": GENDER, "code": "male"}, {"code": "male"}):
        found = values(get(program, path, url=GENDERS, **asked))
        assert found["result"] is True and found["display"] == "Male" and found["system"] == GENDER
    url = {"name": "url", "valueUri": GENDERS}
    coding = {"system": GENDER, "code": "male", "display": "Mail"}
    found = values(post(program, path, url, {"name": "coding", "valueCoding": coding}))
    assert found["result"] is False and "right is 'Male'" in found["message"]
    assert found["issues"]["issue"][0]["expression"] == ["Coding.display"]
    both = {"coding": [{"system": "http://x", "code": "m"}, {"system": GENDER, "code": "man"}]}
    sent = {"name": "codeableConcept", "valueCodeableConcept": both}
    found = values(post(program, path, url, sent))
    places = [one.get("expression") for one in found["issues"]["issue"]]
    assert found["result"] is False and ["CodeableConcept.coding[1].code"] in places
    found = values(get(program, "ValueSet/administrative-gender/$validate-code", code="x"))
    assert found["result"] is False
    issue = refused(program, path, 400, url=GENDERS)
    assert issue["code"] == "required" and "one form" in issue["diagnostics"]


def test_a_code_is_held_against_its_code_system(program: TestClient) -> None:
    path = "CodeSystem/$validate-code"
    assert values(get(program, path, url=GENDER, code="male"))["result"] is True
    found = values(get(program, path, url=GENDER, code="man"))
    assert found["result"] is False and "no code 'man'" in found["message"]
    assert values(get(program, "CodeSystem/v2-0203/$validate-code", code="MR"))["result"] is True
    unknown = {"name": "coding", "valueCoding": {"system": "http://nobody", "code": "x"}}
    found = values(post(program, path, unknown))
    assert found["result"] is False and "http://nobody is not known here" in found["message"]
    assert refused(program, path, 404, url="http://nobody", code="x")["code"] == "not-found"


def test_codes_are_looked_up_compared_and_translated(program: TestClient) -> None:
    v2 = "http://terminology.hl7.org/CodeSystem/v2-0001"
    found = get(program, "CodeSystem/$lookup", system=GENDER, code="female")
    assert values(found)["definition"] == "Female."
    assert refused(program, "CodeSystem/$lookup", 404, system=GENDER, code="x")["code"] == (
        "code-invalid"
    )
    role = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
    ask = {"system": role, "codeA": "PRN", "codeB": "MTH"}
    assert values(get(program, "CodeSystem/$subsumes", **ask))["outcome"] == "subsumes"
    found = get(program, "ConceptMap/$translate", system=GENDER, code="female", targetsystem=v2)
    assert values(found)["result"] is True
    parts = {one["name"]: one for one in values(found)["match"]}
    assert parts["concept"]["valueCoding"]["code"] == "F"
    back = get(program, "ConceptMap/$translate", system=v2, code="F", reverse="true")
    assert values(back)["match"][1]["valueCoding"]["code"] == "female"
    found = get(program, "ConceptMap/$translate", system="http://nobody", code="x")
    assert values(found)["result"] is False and "no map is known" in values(found)["message"]


def test_maps_that_were_sent_are_found_by_url_by_id_and_by_code_system(program: TestClient) -> None:
    one = {
        "resourceType": "ConceptMap",
        "url": "http://example.org/map",
        "status": "active",
        "group": [
            {
                "source": ANIMALS,
                "target": "http://example.org/toys",
                "element": [{"code": "dog", "target": [{"code": "plush", "equivalence": "wider"}]}],
            }
        ],
    }
    id = send(program, one)
    for path, more in (
        ("ConceptMap/$translate", {"url": one["url"]}),
        (f"ConceptMap/{id}/$translate", {}),
        ("ConceptMap/$translate", {}),
    ):
        found = get(program, path, system=ANIMALS, code="dog", **more)
        assert values(found)["result"] is True, path


@pytest.mark.parametrize(
    ("path", "status", "code", "text"),
    [
        ("ValueSet/$expand?url=http://nobody/vs", 404, "not-found", "sokhoe terms load"),
        ("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/mimetypes", 422, "too-costly", "rule"),
        (
            "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/clinical-findings",
            404,
            "not-found",
            "code system http://snomed.info/sct is not known",
        ),
        ("ValueSet/$expand", 400, "required", "url or valueSet"),
        ("ValueSet/nobody/$expand", 404, "not-found", "ValueSet/nobody"),
        (f"ValueSet/$expand?url={quote(GENDERS)}&count=-1", 400, "invalid", "negative"),
        (f"ValueSet/$expand?url={quote(GENDERS)}&filtr=x", 400, "not-supported", "filter"),
        ("CodeSystem/$lookup?code=x", 400, "required", "system"),
        ("CodeSystem/$subsumes?codeA=x&system=http://a", 400, "required", "codeB"),
        (
            "ConceptMap/$translate?url=http://nobody&code=x&system=y",
            404,
            "not-found",
            "concept map",
        ),
        ("ValueSet/$lookup?code=x", 404, "not-supported", "/fhir/CodeSystem/$lookup"),
    ],
)
def test_each_error_is_an_outcome_that_says_what_to_do(
    program: TestClient, path: str, status: int, code: str, text: str
) -> None:
    issue = refused(
        program,
        path.partition("?")[0],
        status,
        **dict(
            pair.split("=", 1)
            for pair in path.partition("?")[2].replace("%3A", ":").split("&")
            if pair
        ),
    )
    assert issue["code"] == code and text in issue["diagnostics"]


def test_who_may_not_search_a_type_may_not_ask_it(hub: Server) -> None:
    narrow = hub.software("system/ValueSet.rs")
    assert narrow.get("/fhir/ValueSet/$expand", params={"url": GENDERS}).status_code == 200
    asked = {"system": GENDER, "code": "male"}
    assert narrow.get("/fhir/CodeSystem/$lookup", params=asked).status_code == 403
    assert hub.client().get("/fhir/ValueSet/$expand", params={"url": GENDERS}).status_code == 401


def test_each_question_leaves_one_line_in_the_audit(hub: Server, program: TestClient) -> None:
    for _ in range(2):  # the second is answered from what is kept at hand
        before = {line.seq for line in hub.store.entries(count=5)}
        get(program, "ValueSet/$expand", url=GENDERS, filter="ma")
        new = [line.entry for line in hub.store.entries(count=5) if line.seq not in before]
        assert [(one.action, one.outcome, one.query) for one in new] == [
            ("E", "0", f"ValueSet/$expand?url={GENDERS}&filter=ma")
        ]


def test_the_server_says_what_it_can_do_with_code_systems(program: TestClient) -> None:
    found = get(program, "metadata", mode="terminology")
    assert found["resourceType"] == "TerminologyCapabilities"
    assert {"uri": GENDER, "version": [{"code": "4.0.1"}]} in found["codeSystem"]
    assert {"name": "filter"} in found["expansion"]["parameter"]
    assert refused(program, "metadata", 400, mode="everything")["code"] == "not-supported"
    whole = get(program, "metadata")["rest"][0]["resource"]
    (vs,) = [one for one in whole if one["type"] == "ValueSet"]
    assert {"expand", "validate-code"} <= {one["name"] for one in vs["operation"]}


def test_a_list_of_fifteen_thousand_codes_answers_by_filter(hub: Server) -> None:
    program = hub.software()
    rows = (concept(f"A{n:05}", f"Bệnh đường ruột số {n}") for n in range(15_000))
    many = code_system("http://example.org/many", *rows)
    send(program, many)
    found = get(
        program, "ValueSet/$expand", url=f"{many['url']}?fhir_vs", filter="duong ruot 14999"
    )
    assert codes_of(found) == ["A14999"]
    issue = refused(program, "ValueSet/$expand", 422, url=f"{many['url']}?fhir_vs")
    assert issue["code"] == "too-costly" and "15000" in issue["diagnostics"]


def test_records_are_searched_by_what_a_value_set_holds(program: TestClient) -> None:
    send(program, animals())
    for id, code in (("cat", "cat"), ("odd", "unheard")):
        coding = {"system": ANIMALS, "code": code}
        observation = {
            "resourceType": "Observation",
            "id": f"animal-{id}",
            "status": "final",
            "code": {"coding": [coding]},
        }
        answer = program.put(f"/fhir/Observation/animal-{id}", json=observation)
        assert answer.status_code in {200, 201}, answer.text

    def found(**pairs: str) -> list[str]:
        asked = {"_id": "animal-cat,animal-odd", "_sort": "_id", **pairs}
        entries = get(program, "Observation", **asked).get("entry", [])
        return [one["resource"]["id"] for one in entries]

    assert found(**{"code:in": f"{ANIMALS}?fhir_vs"}) == ["animal-cat"]
    assert found(**{"code:not-in": f"{ANIMALS}?fhir_vs"}) == ["animal-odd"]
    assert found(**{"code:above": f"{ANIMALS}|cat"}) == ["animal-cat"]
    assert found(**{"code:below": f"{ANIMALS}|cat"}) == ["animal-cat"]
    assert found(**{"code:below": f"{ANIMALS}|animal"}) == ["animal-cat"]
    for asked, value in (
        ("code:in", "http://example.org/unknown"),
        ("code:below", "http://example.org/unknown|x"),
        ("code:below", f"{ANIMALS}|unheard"),
        ("code:below", "cat"),
    ):
        refused(program, "Observation", 400, **{asked: value})

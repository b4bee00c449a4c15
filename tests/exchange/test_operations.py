"""Operations: how they are found, what they are given, and what is refused, each with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.errors import SokhoeError
from sokhoe.exchange.fhir_api import capability, operations
from sokhoe.exchange.fhir_api.operations import Answer, Operation, OperationCall, Parameter
from sokhoe.exchange.fhir_api.operations.arguments import MOST, from_query, parse
from sokhoe.fhir import encode
from tests.testland import Pack
from tests.worlds import Hub, a_patient

PARAMETERS = (
    Parameter("code", "code", needed=True),
    Parameter("url", "uri", many=True),
    Parameter("count", "integer"),
    Parameter("share", "decimal"),
    Parameter("day", "date"),
    Parameter("exact", "boolean"),
    Parameter("coding", "Coding"),
    Parameter("resource", "Resource"),
    Parameter("value", "string", types=("Coding", "integer")),
    Parameter("pair", many=True, parts=(Parameter("name", "string", needed=True),)),
)


def echo(call: OperationCall) -> Answer:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "type", "valueString": call.type or "-"},
            {"name": "id", "valueString": call.id or "-"},
            {"name": "code", "valueString": call.arguments.text("code", "-")},
        ],
    }


ECHO = Operation("echo", "urn:test:echo", echo, PARAMETERS, system=True, type=True, instance=True)
CHANGE = Operation(
    "change",
    "urn:test:change",
    echo,
    type=True,
    types=frozenset({"Patient"}),
    affects_state=True,
)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(operations, "OPERATIONS", (*operations.OPERATIONS, ECHO, CHANGE))
    capability.statement.cache_clear()
    with Hub(tmp_path / "hub", Pack()) as hub:
        yield hub.software()
    capability.statement.cache_clear()  # nobody after us shall find our operations in it


def refused(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    issue: dict[str, Any] = body["issue"][0]
    return issue


def said(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["valueString"] for one in answer.json()["parameter"]]


def test_an_operation_is_called_at_the_base_at_a_type_and_at_an_instance(api: TestClient) -> None:
    assert said(api.get("/fhir/$echo?code=a")) == ["-", "-", "a"]
    assert said(api.get("/fhir/Patient/$echo?code=a")) == ["Patient", "-", "a"]
    assert said(api.get("/fhir/Patient/7/$echo?code=a")) == ["Patient", "7", "a"]
    body = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueCode": "b"}]}
    assert said(api.post("/fhir/Patient/$echo", content=encode(body))) == ["Patient", "-", "b"]
    assert said(api.post("/fhir/$echo?code=c")) == ["-", "-", "c"]
    patient = encode(a_patient())
    assert said(api.post("/fhir/$echo?code=d", content=patient)) == ["-", "-", "d"]


def test_an_unknown_operation_is_not_found_and_says_where_the_known_ones_are(
    api: TestClient,
) -> None:
    issue = refused(api.get("/fhir/Patient/1/$everythink"), 404)
    assert issue["code"] == "not-supported"
    assert "/fhir/metadata" in issue["diagnostics"]
    issue = refused(api.get("/fhir/Observation/$change"), 404)
    assert "/fhir/Patient/$change" in issue["diagnostics"]
    refused(api.get("/fhir/Patience/$echo?code=a"), 404)


def test_what_changes_something_is_called_by_post_only(api: TestClient) -> None:
    assert refused(api.get("/fhir/Patient/$change"), 405)["code"] == "not-supported"
    assert said(api.post("/fhir/Patient/$change")) == ["Patient", "-", "-"]
    refused(api.put("/fhir/Patient/$change"), 405)


def test_no_operation_without_a_token(api: TestClient) -> None:
    del api.headers["authorization"]
    assert refused(api.get("/fhir/$echo?code=a"), 401)["code"] == "login"


def test_a_call_with_wrong_parameters_is_told_which(api: TestClient) -> None:
    issue = refused(api.get("/fhir/$echo?code=a&size=3"), 400)
    assert issue["expression"] == ["Parameters.parameter[1].name"]
    assert "Known: code, url" in issue["diagnostics"]
    lenient = api.get("/fhir/$echo?code=a&size=3", headers={"Prefer": "handling=lenient"})
    assert said(lenient) == ["-", "-", "a"]
    for body in (b"{", b'{"resourceType":"Parameters","parameter":{}}'):
        refused(api.post("/fhir/$echo", content=body), 400)


def given(*entries: dict[str, Any]) -> Any:
    return parse(PARAMETERS, [{"name": "code", "valueCode": "c"}, *entries])


def test_values_arrive_typed() -> None:
    pairs = [
        ("code", "c"),
        ("url", "http://a"),
        ("url", "http://b"),
        ("count", "-3"),
        ("share", "0.50"),
        ("day", "2024-02-29"),
        ("exact", "true"),
    ]
    got = parse(PARAMETERS, from_query(PARAMETERS, pairs))
    assert got.text("code") == "c"
    assert got.texts("url") == ["http://a", "http://b"]
    assert got.number("count") == -3
    assert got.one("share") == Decimal("0.50")
    assert got.flag("exact") is True
    assert "coding" not in got
    assert got.number("absent") is None


def test_a_choice_says_as_what_it_came() -> None:
    assert given({"name": "value", "valueInteger": 4}).type_of("value") == "integer"
    got = given({"name": "value", "valueCoding": {"code": "x"}})
    assert (got.type_of("value"), got.object("value")) == ("Coding", {"code": "x"})


def test_a_text_of_a_sister_type_will_do_and_parts_are_arguments_again() -> None:
    got = given(
        {"name": "url", "valueString": "http://a"},
        {"name": "pair", "part": [{"name": "name", "valueString": "x"}]},
        {"name": "pair", "part": [{"name": "name", "valueString": "y"}]},
    )
    assert got.texts("url") == ["http://a"]
    assert [one.text("name") for one in got.parts("pair")] == ["x", "y"]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"name": "count", "valueInteger": "3"}, "[1].value"),
        ({"name": "count", "valueBoolean": True}, "[1].value"),
        ({"name": "count"}, "[1].value"),
        ({"name": "count", "valueInteger": 1, "valueCode": "a"}, "[1].value"),
        ({"name": "day", "valueDate": "2023-02-29"}, "[1].value"),
        ({"name": "url", "valueUri": "a b"}, "[1].value"),
        ({"name": "coding", "valueCoding": {"cod": "x"}}, "[1].value.cod"),
        ({"name": "coding", "valueString": "x"}, "[1].value"),
        ({"name": "resource", "valueString": "x"}, "[1].resource"),
        ({"name": "pair", "valueString": "x"}, "[1].part"),
        ({"name": "pair", "part": [{"name": "nom", "valueString": "x"}]}, "[1].part[0].name"),
        ({"name": "pair", "part": []}, "[1].part"),
        ({"name": 3}, "[1].name"),
        ({"name": "code", "valueCode": "again"}, ""),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(entry: dict[str, Any], place: str) -> None:
    with pytest.raises(SokhoeError) as raised:
        given(entry)
    assert raised.value.status == 400
    assert raised.value.issues[0].location == f"Parameters.parameter{place}"


@pytest.mark.parametrize("pair", [("count", "three"), ("exact", "yes"), ("coding", "a|b")])
def test_a_wrong_value_in_an_address_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(SokhoeError, match=pair[0]):
        parse(PARAMETERS, from_query(PARAMETERS, [("code", "c"), pair]))


def test_what_is_needed_must_come() -> None:
    with pytest.raises(SokhoeError, match="code is needed"):
        parse(PARAMETERS, [])


def test_a_flood_of_parameters_is_refused() -> None:
    part = [{"name": "name", "valueString": "x"}]
    flood = [{"name": "pair", "part": part} for _ in range(MOST // 2 + 1)]
    with pytest.raises(SokhoeError, match=r"more than 10000"):
        given(*flood)


def test_the_capability_statement_lists_what_there_is(api: TestClient) -> None:
    rest = api.get("/fhir/metadata").json()["rest"][0]
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    line = next(one for one in patient["operation"] if one["name"] == "meta")
    assert line["definition"] == "http://hl7.org/fhir/OperationDefinition/Resource-meta"


def test_meta_shows_what_labels_a_resource_has(api: TestClient) -> None:
    tag = {"system": "urn:test", "code": "red"}
    api.put("/fhir/Patient/p", content=encode({**a_patient("p"), "meta": {"tag": [tag]}}))
    answer = api.get("/fhir/Patient/p/$meta").json()["parameter"][0]
    assert answer["name"] == "return"
    assert answer["valueMeta"]["tag"] == [tag]
    refused(api.get("/fhir/Patient/none/$meta"), 404)

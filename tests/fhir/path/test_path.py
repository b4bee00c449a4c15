"""FHIRPath beyond the official suite: FHIR's own functions, bounds, and that nothing breaks it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.fhir.path import Node, World, evaluate, expression, root
from sokhoe.fhir.path.checking import problems

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Trạm y tế"}],
    "name": [
        {"use": "official", "family": "Nguyễn", "given": ["Thị", "Hạnh"]},
        {"use": "nickname", "given": ["Tí"]},
    ],
    "birthDate": "1980-05",
    "_birthDate": {
        "extension": [{"url": "http://x/time", "valueDateTime": "1980-05-17T08:00:00Z"}]
    },
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/1"}],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name.where(use = 'official').given", ["Thị", "Hạnh"]),
        ("name.given.count()", [3]),
        ("Patient.managingOrganization.resolve().name", ["Trạm y tế"]),
        ("managingOrganization.resolve() is Organization", [True]),
        ("generalPractitioner.resolve().gender", ["female"]),
        ("birthDate.extension('http://x/time').value.exists()", [True]),
        ("birthDate.hasValue()", [True]),
        ("birthDate < @1980-05-17", []),
        ("birthDate < @1980-06", [True]),
        ("name.select(family & '!')", ["Nguyễn!", "!"]),
        ("name[1].given.single()", ["Tí"]),
        ("%resource.id", ["p"]),
        ("contained.where('#' + id in %resource.descendants().reference).count()", [1]),
        ("name.given.first().matches('^T.+')", [True]),
        ("(1 | 2 | 3).where($this > 1).sum()", [Decimal(5)]),
        ("'2020-01-31'.toDate() + 1 month = @2020-02-29", [True]),
        ("@2019 + 24 months", [evaluate("@2021", {})[0]]),
        ("(185 '[lb_av]').value.exists()", [False]),
        ("100 'Cel' = 212 '[degF]'", [True]),
        ("Resource.id", ["p"]),
        ("name.first().type().name", ["HumanName"]),
        ("defineVariable('n', name.first()).select(%n.family)", ["Nguyễn"]),
        ("iif(deceased.exists(), 'dead', 'alive')", ["alive"]),
    ],
)
def test_an_expression_finds_what_it_says(text: str, found: list[Any]) -> None:
    people = {"Practitioner/1": {"resourceType": "Practitioner", "gender": "female"}}
    assert evaluate(text, PATIENT, World(resolve=people.get)) == found


def test_a_node_knows_its_type_and_its_place() -> None:
    nodes = expression("name.given").nodes(PATIENT)
    assert [(node.kind, node.place) for node in nodes] == [
        ("string", "Patient.name[0].given[0]"),
        ("string", "Patient.name[0].given[1]"),
        ("string", "Patient.name[1].given[0]"),
    ]


def test_a_constraint_asks_an_element_and_knows_its_resource() -> None:
    name = next(iter(expression("name.first()").nodes(PATIENT)))
    assert isinstance(name, Node)
    found = expression("family = %resource.name.family.first()").nodes(name, resource=root(PATIENT))
    assert found == [True]


def test_reference_targets_of_a_bundle_are_found_in_it() -> None:
    observation = {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "gender": "male"}},
            {"fullUrl": "urn:uuid:2", "resource": observation},
        ],
    }
    assert evaluate("entry.resource.subject.resolve().gender", bundle) == ["male"]


def test_value_sets_and_profiles_are_asked_of_the_world() -> None:
    world = World(
        member_of=lambda value, url: value == "official" and url == "http://x/vs",
        conforms_to=lambda resource, url: url == "http://x/profile",
    )
    assert evaluate("name[0].use.memberOf('http://x/vs')", PATIENT, world) == [True]
    assert evaluate("conformsTo('http://x/profile')", PATIENT, world) == [True]
    with pytest.raises(Invalid, match="none are at hand"):
        evaluate("name[0].use.memberOf('http://x/vs')", PATIENT)


def test_the_time_is_what_the_caller_says_it_is() -> None:
    world = World(now=datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    assert evaluate("today() = @2026-11-23", {}, world) == [True]
    with pytest.raises(Invalid, match="time is not given"):
        evaluate("now()", {})


def test_json_that_is_no_r4_can_be_asked_as_well() -> None:
    view = {"resourceType": "ViewDefinition", "select": [{"column": [{"name": "id"}]}], "x": True}
    assert evaluate("select.column.name | x", view) == ["id", True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name.(", "expected"),
        ("name.given1(", "ends too early"),
        ("name.nothing()", "no function nothing"),
        ("%nothing", "no variable"),
        ("name.where()", "takes 1 arguments"),
        ("name is Nothing", "no type 'Nothing'"),
        ("'a' < 1", "cannot compare"),
        ("name.family + 1", "cannot join"),
        ("'x'.matches('(')", "pattern"),
        ("name.elementDefinition()", "not supported"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason.replace("(", r"\(")):
        evaluate(text, PATIENT)


@pytest.mark.parametrize(
    "text",
    [
        "'" + "a" * 50 + "!'.matches('(a|aa)+$')",
        "descendants().where(('" + "a" * 26 + "!').matches('(a|aa)+$')).count()",
        "('a' | 'b').repeat($this + 'a')",
        "'x'.repeat($this + $this)",
        "(" * 200 + "1" + ")" * 200,
        "1" + " + 1" * 5000,
        "descendants().select(%resource.descendants().select(%resource.descendants()))",
    ],
)
def test_a_costly_expression_ends_soon_and_says_so(text: str) -> None:
    started = time.process_time()
    with pytest.raises(Invalid) as caught:
        evaluate(text, {**PATIENT, "name": PATIENT["name"] * 200})
    assert caught.value.code == "too-costly"
    assert time.process_time() - started < 5


PIECES = [
    *(
        "Patient",
        "name",
        "given",
        "birthDate",
        "$this",
        "$index",
        "$total",
        "%resource",
        "1",
        "'a'",
    ),
    *("{}", "@2020", "@2020-02-29T10:00Z", "@T10:30", "4 'mg'", "3 days", "1.50", "true", "-1"),
    *(".", ".", ".", "(", ")", "[0]", ",", "+", "-", "*", "/", "&", "|", "=", "~", "<", ">=", "in"),
    *("and", "or", "implies", "is", "as", "div", "mod", "first()", "count()", "where(", "select("),
    *("exists()", "toString()", "lowBoundary()", "substring(1)", "matches('a')", "children()"),
    *("ofType(string)", "toQuantity()", "sort()", "join(',')", "power(99)", "round(2)", "contains"),
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=9))
def test_whatever_is_asked_the_answer_or_the_refusal_is_orderly(pieces: list[str]) -> None:
    text = " ".join(pieces).replace(" . ", ".").replace(" (", "(")
    try:
        evaluate(text, PATIENT)
        problems(text, "Patient")
    except Invalid as error:
        assert error.message


VALUES = ["1", "1.50", "'a'", "'2020-01-01'", "@2020-02-29", "@2020-02-29T10:00:00Z", "@T10:30",
          "4 'mg'", "3 months", "true", "{}", "name", "birthDate", "(1 | 2)", "9223372036854775807",
          "0.00000000000000000000000001"]  # fmt: skip
SIGNS = "+ - * / div mod & | = != ~ !~ < <= > >= in contains and or xor implies".split()


@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_between_any_two_values_answers_or_refuses(sign: str) -> None:
    for left in VALUES:
        for right in VALUES:
            try:
                evaluate(f"{left} {sign} {right}", PATIENT)
            except Invalid as error:
                assert error.slug == "fhirpath"


def test_an_expression_can_be_seen_to_be_wrong_before_any_resource() -> None:
    assert problems("name.given", "Patient") == []
    assert problems("name.givn", "Patient") == ["HumanName has no element 'givn'"]
    assert problems("valueQuantity.unit", "Observation") == [
        "Observation has no element 'valueQuantity' in FHIRPath; write value.ofType(Quantity)"
    ]
    assert problems("(value as Period).unit", "Observation") == ["Period has no element 'unit'"]
    assert problems("contained.anything.else", "Patient") == []

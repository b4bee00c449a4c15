"""What is known of a code, which of two is the wider, and what it is called elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.errors import Invalid, NotFound
from sokhoe.fhir.terminology import Ask, Map, System, lookup, same_system, subsumes, translate
from tests.fhir.terminology.worlds import ANIMALS, animals, code_system, concept, library

HERE = System(animals())


def said(answer: dict[str, Any], name: str) -> list[Any]:
    return [
        one.get("part") or next(value for key, value in one.items() if key.startswith("value"))
        for one in answer["parameter"]
        if one["name"] == name
    ]


def properties(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for parts in said(answer, "property"):
        values = {
            one["name"]: next(value for key, value in one.items() if key != "name") for one in parts
        }
        found.append((values["code"], values["value"]))
    return found


def test_a_look_up_tells_name_version_names_properties_and_neighbours() -> None:
    answer = lookup(HERE, "dog")
    assert said(answer, "display") == ["Dog"] and said(answer, "version") == ["1"]
    assert properties(answer) == [
        ("legs", 4),
        ("inactive", False),
        ("parent", "mammal"),
        ("child", "puppy"),
    ]
    assert [parts[-1]["valueString"] for parts in said(answer, "designation")] == [
        "Con chó",
        "Hund",
    ]
    assert said(lookup(HERE, "dog", languages=("vi",)), "display") == ["Con chó"]


def test_only_the_properties_asked_for_are_told() -> None:
    answer = lookup(HERE, "dog", ("legs", "parent"))
    assert [name for name, _ in properties(answer)] == ["legs", "parent"]
    assert not said(answer, "designation")


def test_an_unknown_code_is_not_found_with_a_hint() -> None:
    with pytest.raises(NotFound) as caught:
        lookup(HERE, "DOG")
    assert caught.value.hint == "Did you mean 'dog'?" and "animals|1" in caught.value.message
    with pytest.raises(NotFound) as caught:
        lookup(System(animals(content="fragment")), "unicorn")
    assert "Only a part" in caught.value.hint


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("dog", "dog", "equivalent"),
        ("animal", "puppy", "subsumes"),
        ("bat", "mammal", "subsumed-by"),
        ("cat", "dog", "not-subsumed"),
    ],
)
def test_of_two_codes_the_wider_is_named(first: str, second: str, outcome: str) -> None:
    assert subsumes(HERE, first, second) == outcome


def test_codes_of_two_systems_cannot_be_compared() -> None:
    with pytest.raises(Invalid, match="two code systems"):
        same_system("http://a", "http://b")
    with pytest.raises(Invalid, match="needed"):
        same_system("", "")


def test_a_code_given_twice_in_a_hierarchy_stands_in_both_places() -> None:
    twice = System(
        code_system(ANIMALS, concept("a", "", concept("c")), concept("b", "", concept("c")))
    )
    assert len(twice) == 3
    assert subsumes(twice, "a", "c") == subsumes(twice, "b", "c") == "subsumes"


# -- maps ----------------------------------------------------------------------------------------

TOYS = "http://example.org/toys"


def target(code: str, equivalence: str = "equivalent", **more: Any) -> dict[str, Any]:
    return {"code": code, "equivalence": equivalence, **more}


def concept_map(url: str = "http://example.org/map", **group: Any) -> dict[str, Any]:
    return {
        "resourceType": "ConceptMap",
        "url": url,
        "status": "active",
        "group": [{"source": ANIMALS, "target": TOYS, **group}],
    }


ELEMENTS = [
    {"code": "dog", "target": [target("plush-dog", "wider"), target("robot-dog", "inexact")]},
    {"code": "cat", "target": [target("plush-dog", "disjoint")]},
    {"code": "bat"},
    {
        "code": "bird",
        "target": [
            target("rubber-duck", dependsOn=[{"property": "http://where", "value": "bath"}]),
            target(
                "kite",
                dependsOn=[{"property": "http://where", "value": "sky"}],
                product=[{"property": "http://string", "system": "http://m", "value": "long"}],
            ),
        ],
    },
]
MAP = concept_map(element=ELEMENTS)


def translated(code: str, *maps: dict[str, Any], **ask: Any) -> list[tuple[str, str]]:
    shelf = library(*maps)
    found = translate(
        [Map(one) for one in maps or [MAP]],
        Ask(**{"system": ANIMALS, "code": code, **ask}),
        shelf.map,
    )
    assert found[0] == any(one.equivalence not in {"unmatched", "disjoint"} for one in found[2])
    assert bool(found[1]) is not found[0]
    return [(one.equivalence, one.code) for one in found[2]]


def test_a_code_is_translated_to_all_that_the_map_says() -> None:
    assert translated("dog") == [("wider", "plush-dog"), ("inexact", "robot-dog")]
    assert translated("dog", target=TOYS) == translated("dog")
    assert translated("dog", target="http://elsewhere") == []
    assert translated("dog", system="http://elsewhere") == []
    assert translated("cat") == [("disjoint", "plush-dog")]
    assert translated("bat") == [("unmatched", "")]
    assert translated("fish") == []


def test_backwards_wider_is_narrower() -> None:
    back = translated("plush-dog", system=TOYS, reverse=True)
    assert back == [("narrower", "dog"), ("disjoint", "cat")]


def test_a_target_that_depends_on_something_needs_it() -> None:
    assert translated("bird") == []
    assert translated("bird", depends=(("http://where", "sky"),)) == [("equivalent", "kite")]
    found = translate(
        [Map(MAP)], Ask(ANIMALS, "bird", depends=(("http://where", "sky"),)), lambda url: None
    )
    assert found[2][0].products == (("http://string", "http://m", "long"),)


def test_what_a_map_does_not_name_is_treated_as_it_says() -> None:
    provided = concept_map(element=ELEMENTS, unmapped={"mode": "provided"})
    assert translated("fish", provided) == [("relatedto", "fish")]
    fixed = concept_map(element=ELEMENTS, unmapped={"mode": "fixed", "code": "ball"})
    assert translated("fish", fixed) == [("relatedto", "ball")]
    assert translated("bat", fixed) == [("unmatched", "")]
    other = concept_map(
        "http://example.org/other", element=[{"code": "fish", "target": [target("bath-fish")]}]
    )
    first = concept_map(element=[], unmapped={"mode": "other-map", "url": other["url"]})
    shelf = library(first, other)
    found = translate([Map(first)], Ask(ANIMALS, "fish"), shelf.map)
    assert [one.code for one in found[2]] == ["bath-fish"]
    assert found[2][0].source == other["url"]


def test_maps_that_refer_to_each_other_for_ever_come_to_an_end() -> None:
    one = concept_map(
        "http://e.org/1", element=[], unmapped={"mode": "other-map", "url": "http://e.org/2"}
    )
    two = concept_map(
        "http://e.org/2", element=[], unmapped={"mode": "other-map", "url": "http://e.org/1"}
    )
    shelf = library(one, two)
    found = translate([Map(one)], Ask(ANIMALS, "dog"), shelf.map)
    assert found[2] == []


def test_the_maps_of_r4_are_there_without_being_loaded() -> None:
    maps = library().maps("http://hl7.org/fhir/administrative-gender")
    found = translate(
        maps, Ask("http://hl7.org/fhir/administrative-gender", "female"), lambda url: None
    )
    assert found[0] and ("F", "http://terminology.hl7.org/CodeSystem/v2-0001") in {
        (one.code, one.system) for one in found[2]
    }

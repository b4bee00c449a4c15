"""Small code systems and value sets for the tests, and a library of them."""

from __future__ import annotations

from typing import Any

from sokhoe.fhir.terminology import Given, Library, Standard

ANIMALS = "http://example.org/animals"


def concept(code: str, display: str = "", *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"code": code, "display": display or code.title(), **more}
    if below:
        made["concept"] = list(below)
    return made


def name(value: str, language: str = "vi") -> dict[str, Any]:
    return {"language": language, "value": value}


def prop(code: str, **value: Any) -> dict[str, Any]:
    return {"code": code, **value}


def code_system(url: str = ANIMALS, *concepts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "version": "1",
        "name": "Animals",
        "status": "active",
        "content": "complete",
        "concept": list(concepts),
        **more,
    }


def animals(**more: Any) -> dict[str, Any]:
    """animal > (mammal > (dog > puppy, cat), bird > dodo); bat is mammal by property."""
    made = code_system(
        ANIMALS,
        concept(
            "animal",
            "Animal",
            concept(
                "mammal",
                "Mammal",
                concept(
                    "dog",
                    "Dog",
                    concept("puppy", "Puppy"),
                    property=[prop("legs", valueInteger=4)],
                    designation=[name("Con chó"), name("Hund", "de")],
                ),
                concept("cat", "Cat", property=[prop("legs", valueInteger=4)]),
                property=[prop("notSelectable", valueBoolean=True)],
            ),
            concept(
                "bird",
                "Bird",
                concept("dodo", "Dodo", property=[prop("status", valueCode="retired")]),
                property=[prop("legs", valueInteger=2)],
            ),
        ),
        concept("bat", "Bat", property=[prop("parent", valueCode="mammal")]),
        property=[
            {"code": "legs", "type": "integer"},
            {"code": "parent", "type": "code", "uri": f"{PROPERTIES}parent"},
            {"code": "status", "type": "code", "uri": f"{PROPERTIES}status"},
        ],
    )
    return {**made, **more}


PROPERTIES = "http://hl7.org/fhir/concept-properties#"


def value_set(url: str, *include: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "url": url,
        "version": "1",
        "status": "active",
        "compose": {"include": list(include), **more},
    }


def filtered(property: str, op: str, value: str, system: str = ANIMALS) -> dict[str, Any]:
    return {"system": system, "filter": [{"property": property, "op": op, "value": value}]}


def library(*resources: dict[str, Any]) -> Library:
    return Library([Given(resources), Standard()])


def codes_of(expansion: dict[str, Any]) -> list[str]:
    """The codes shown, nested ones after the one they stand below."""
    found: list[str] = []
    waiting = list(expansion["expansion"].get("contains", ()))[::-1]
    while waiting:
        one = waiting.pop()
        found.append(one["code"])
        waiting += list(one.get("contains", ()))[::-1]
    return found

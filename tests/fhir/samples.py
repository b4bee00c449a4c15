"""Resources made from the definitions table, and ways to spoil them; both are seeded."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from sokhoe.fhir import definitions
from sokhoe.fhir.definitions import Element

GOOD: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, -1, 2147483647],
    "unsignedInt": [0, 7],
    "positiveInt": [1, 7],
    "decimal": [Decimal("72.50"), 3, Decimal("-0.0")],
    "string": ["Nguyễn Thị Hạnh", " ", 'say "hi"\n', "}{"],
    "markdown": ["*tốt*"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">tốt</div>'],
    "uri": ["http://loinc.org", "urn:oid:1.2.3", "x"],
    "url": ["https://example.org/a?b=c"],
    "canonical": ["http://example.org/a|1"],
    "code": ["final", "two words"],
    "id": ["a", "x-1.y"],
    "oid": ["urn:oid:1.2.3"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "date": ["1980", "1980-05", "2024-02-29"],
    "dateTime": ["1980", "1980-05", "2024-02-29", "2024-02-29T23:59:60.123+07:00"],
    "instant": ["2024-02-29T08:30:00Z"],
    "time": ["08:30:00", "23:59:59.5"],
    "base64Binary": ["aGk="],
}
BAD: list[Any] = [
    *(None, "", " ", "\x01", "a\u0000b", "a  b", " a", "\ud800", "yes", "1980-13-40", "2023-02-30"),
    *("1900-02-29", "0000", "2024-02-29T08:30:00", "24:00:00", "aGk", "URN:UUID:1", "a_b", "12"),
    *(0, -1, 2147483648, True, 1.5, float("nan"), Decimal("NaN"), Decimal("1.0")),
    *({}, [], [None], [[]], [{}], {"": 1}, {"extension": []}, {"id": "x"}, {"reference": "Foo/1"}),
    *({"resourceType": "Patient"}, {"resourceType": "Patiënt"}, {"reference": "Binary/1"}),
    *({"coding": [{"system": "x", "code": "y"}]}, ["x", None], [{"id": "x"}, None], "male"),
]


def a_resource(kind: str, random: Random, fill: float = 0.3) -> dict[str, Any]:
    """A valid resource of that type; `fill` is the share of optional elements it has."""
    made = {"resourceType": kind, **_object(kind, random, fill, 0)}
    made.pop("contained", None)
    refers = any(holder[key] == "#a" for holder, key in _places(made))
    if refers and "contained" in definitions.structure(kind).elements:
        made["contained"] = [{"resourceType": "Basic", "id": "a", "code": {"text": "x"}}]
    elif refers:
        for holder, key in _places(made):
            holder[key] = "urn:uuid:x" if holder[key] == "#a" else holder[key]
    return made


def _object(
    name: str, random: Random, fill: float, depth: int, targets: int = -1
) -> dict[str, Any]:
    structure = definitions.structure(name)
    some = fill / (1 + depth * 2)
    wanted: list[Element] = []
    for element in structure.elements.values():
        if not element.choice and (element.min or random.random() < some):
            wanted.append(element)
    for names in structure.choices.values():
        if structure.elements[names[0]].min or random.random() < some:
            wanted.append(structure.elements[random.choice(names)])
    wanted = [one for one in wanted if one.min or depth < 4]
    if not wanted:
        wanted = [next(one for one in structure.elements.values() if one.primitive)]
    found = {one.name: _value(one, random, fill, depth) for one in wanted}
    if name == "Reference":
        kinds = sorted(definitions.targets(targets))
        found["reference"] = random.choice(
            [f"{random.choice(kinds)}/x-1", "#a", "urn:uuid:x", "http://a/b", f"{kinds[0]}?a=b"]
        )
    return found


def _value(element: Element, random: Random, fill: float, depth: int) -> Any:
    count = random.randint(1, 2) if element.many else 1
    values = [_one(element, random, fill, depth) for _ in range(count)]
    return values if element.many else values[0]


def _one(element: Element, random: Random, fill: float, depth: int) -> Any:
    if element.primitive:
        if element.codes >= 0:
            return random.choice(definitions.codes(element.codes))
        if element.codes == definitions.MEDIA_TYPES:
            return random.choice(["application/pdf", "text/plain; charset=utf-8"])
        return random.choice(GOOD[element.type.lstrip("@")])
    if element.type == "Resource":
        return {"resourceType": "Basic", **_object("Basic", random, 0, depth + 1)}
    made = _object(element.type, random, fill, depth + 1, element.targets)
    if element.codes >= 0:
        system, code = random.choice(sorted(definitions.codings(element.codes)))
        made["coding"] = [{"system": system, "code": code}]
    if element.codes == definitions.UCUM_UNITS:
        made["coding"] = [{"system": "http://unitsofmeasure.org", "code": "mg/dL"}]
    return made


def spoilt(resource: dict[str, Any], random: Random) -> dict[str, Any]:
    """A copy with one thing changed somewhere; now and then it is still valid."""
    copied = copy.deepcopy(resource)
    places = list(_places(copied))
    holder, key = random.choice(places)
    match random.randrange(6):
        case 0:
            holder[key] = copy.deepcopy(random.choice(BAD))
        case 1:
            del holder[key]
        case 2:
            holder[key] = [holder[key]]
        case 3 if isinstance(holder[key], list) and holder[key]:
            holder[key] = holder[key][0]
        case 4 if isinstance(holder, dict):
            holder["_" + key] = copy.deepcopy(random.choice([*BAD, {"extension": [{"url": "x"}]}]))
        case _:
            other = copy.deepcopy(random.choice(places))
            if isinstance(holder, dict):
                holder[random.choice([key + "x", str(other[1])])] = copy.deepcopy(
                    other[0][other[1]]
                )
    return copied


def lessened(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Copies that each lack one member or entry somewhere."""
    for number in range(len(list(_places(resource)))):
        copied = copy.deepcopy(resource)
        holder, key = list(_places(copied))[number]
        del holder[key]
        yield copied


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, one in pairs:
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)

"""What no index answers: looked up in the records themselves, after all other conditions.

A store applies these to what is left, and gives up with `too-costly` when too much is left.
Terms: hl7.org/fhir/R4/search.html (`:text`, `_content`, quantities `5.4||mg`)
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from sokhoe.fhir.search.composites import Base, component_rows
from sokhoe.fhir.search.fold import beginnings, fold, words
from sokhoe.fhir.search.following import found_at, values_at
from sokhoe.fhir.search.holding import holds, number_holds
from sokhoe.fhir.search.query import Condition, Scan

_TAG = re.compile(r"<[^>]*>")
MOST_WORDS = 1000  # of one narrative


def narrative_words(text: dict[str, Any]) -> list[str]:
    """The different folded words of a narrative, without its markup."""
    plain = html.unescape(_TAG.sub(" ", text.get("div") or ""))
    return list(dict.fromkeys(words(plain)))[:MOST_WORDS]


def scanned(test: Scan, resource: dict[str, Any]) -> bool:
    """Whether a record has what is looked for: any of `wanted`."""
    match test.kind:
        case "content":
            here = {word for text in _strings(resource) for word in words(text)}
            return any(here.issuperset(one) for one in test.wanted)
        case "text":
            found = [
                beginning
                for value in _values(test, resource)
                for text in _texts(value)
                for beginning in beginnings(fold(text))
            ]
            return any(text.startswith(one) for (one,) in test.wanted for text in found)
        case "below":
            found = [value for value in _values(test, resource) if isinstance(value, str)]
            return any(text.startswith(one) for (one,) in test.wanted for text in found)
        case "unit":
            measures = [one for value in _values(test, resource) for one in _measures(value)]
            return any(
                unit in (one.get("code"), one.get("unit"), one.get("currency"))
                and one.get("value") is not None
                and number_holds(number, float(one["value"]))
                for number, unit in test.wanted
                for one in measures
            )
        case "together":
            return any(_together(one[0], one[1], resource) for one in test.wanted)


def _values(test: Scan, resource: dict[str, Any]) -> Iterator[Any]:
    for path in test.paths:
        for _, value in found_at(resource, path):
            yield value


def _measures(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The quantities of a Quantity, Range or SampledData."""
    parts = [value[name] for name in ("low", "high", "origin") if name in value]
    return parts or [value]


def _together(base: Base, where: tuple[Condition, ...], resource: dict[str, Any]) -> bool:
    """Whether all components of a composite hold in one of its elements."""
    for element in values_at(resource, base.path.split(".")):
        for component, condition in zip(base.components, where, strict=True):
            rows = component_rows(component, resource if component.whole else element, resource)
            if not holds(condition, rows.keys | rows.personal, rows.dates, (), rows.numbers):
                break
        else:
            return True
    return False


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            if name == "div" and isinstance(one, str):
                yield html.unescape(_TAG.sub(" ", one))
            else:
                yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _texts(value: Any) -> Iterator[str]:
    """The words beside a code: CodeableConcept.text, Coding.display, Identifier.type.text."""
    if isinstance(value, dict):
        for name in ("text", "display"):
            if isinstance(value.get(name), str):
                yield value[name]
        for one in value.get("coding", ()):
            yield from _texts(one)
        if "type" in value:
            yield from _texts(value["type"])

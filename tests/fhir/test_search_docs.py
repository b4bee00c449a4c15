"""docs/search.md says what can be asked; each line of its table is tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir import parse_query, search

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text("utf-8")
# kind → (type, parameter, a value)
SAMPLES = {
    "token": ("Patient", "identifier", "s|c|v"),
    "reference": ("Observation", "subject", "Patient/1"),
    "string": ("Patient", "name", "an"),
    "date": ("Patient", "birthdate", "1980"),
    "number": ("RiskAssessment", "probability", "0.5"),
    "quantity": ("Observation", "value-quantity", "5"),
    "uri": ("Questionnaire", "url", "http://x.org/a"),
    "composite": ("Observation", "code-value-quantity", "a$5"),
    "special": ("Location", "near", "10|106|5|km"),
}
EVERY = (
    ":not :text :in :not-in :above :below :of-type :identifier :exact :contains :missing"
).split()


def said() -> dict[str, set[str]]:
    """kind → the modifiers that the page names."""
    rows = re.findall(r"^\| (\w+) \| .* \| ([^|]*) \|$", PAGE, re.MULTILINE)
    return {
        kind: set(re.findall(r"`(:[a-z-]+)`", found)) for kind, found in rows if kind in SAMPLES
    }


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_page_names_the_modifiers_that_there_are(kind: str) -> None:
    type, code, value = SAMPLES[kind]
    able = set()
    for modifier in EVERY:
        asked = {":missing": "true", ":of-type": "s|c|v"}.get(
            modifier, "s|c" if kind == "token" else value
        )
        try:
            parse_query(type, [(f"{code}{modifier}", asked)], expander=search.Unasked())
            able.add(modifier)
        except (Invalid, Unsupported) as error:
            assert error.slug == "unsupported-modifier", (modifier, error.message)
    assert said()[kind] == able


def test_the_page_knows_how_many_parameters_there_are() -> None:
    count = sum(len(search.search_parameters(type)) for type in search.searchable_types())
    assert f"All {count:,} search parameters" in PAGE

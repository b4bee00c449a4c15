"""The fast validator and the plain one never differ: a fast yes is a plain yes, for every type."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.fhir import TYPES, decode, encode, plain, quick
from tests.fhir.samples import a_resource, lessened, spoilt

ALL = sorted(TYPES)
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("kind", ALL)
def test_a_resource_made_from_the_table_is_valid_for_both(kind: str) -> None:
    for seed, fill in enumerate((0, 0.3, 1)):
        resource = a_resource(kind, Random(seed), fill)
        assert plain.issues_of(resource) == []
        assert quick.is_valid(resource)


@pytest.mark.parametrize("kind", ALL)
def test_whatever_is_taken_away_the_fast_yes_is_a_plain_yes(kind: str) -> None:
    for fill in (0, 0.4):
        for changed in lessened(a_resource(kind, Random(1), fill)):
            assert quick.is_valid(changed) == (plain.issues_of(changed) == [])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL), SEEDS)
def test_whatever_is_spoilt_the_fast_yes_is_a_plain_yes(kind: str, seed: int) -> None:
    random = Random(seed)
    resource = a_resource(kind, random)
    for _ in range(15):
        changed = spoilt(resource, random)
        if quick.is_valid(changed):
            assert plain.issues_of(changed) == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["Patient", "Observation", "Encounter", "Bundle", "Questionnaire"]), SEEDS)
def test_the_types_of_every_day_agree_also_when_spoilt_twice(kind: str, seed: int) -> None:
    random = Random(seed)
    resource = a_resource(kind, random, 0.6)
    for _ in range(15):
        changed = spoilt(spoilt(resource, random), random)
        if quick.is_valid(changed):
            assert plain.issues_of(changed) == []


def test_all_synthetic_patients_are_valid_for_both_and_come_back_unchanged(synthea: Path) -> None:
    seen = 0
    random = Random(5)
    for path in sorted(synthea.glob("*.json")):
        bundle = decode(path.read_bytes())
        assert quick.is_valid(bundle)
        assert decode(encode(bundle)) == bundle
        for entry in bundle["entry"]:
            seen += 1
            assert quick.is_valid(entry["resource"])
        some = random.sample(bundle["entry"], min(40, len(bundle["entry"])))
        for entry in some:
            assert plain.issues_of(entry["resource"]) == []
            changed = spoilt(entry["resource"], random)
            if quick.is_valid(changed):
                assert plain.issues_of(changed) == []
    assert seen == 9964

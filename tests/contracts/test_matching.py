"""What is worked out in memory of one resource is what the index answers, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sokhoe.fhir import extract, parse_query, search
from sokhoe.store import Store
from tests.contracts.world import World


@pytest.mark.parametrize("seed", range(2))
def test_memory_and_index_agree(store: Store, seed: int) -> None:
    world = World(seed)
    world.fill(store)
    decided = {True: 0, False: 0, None: 0}
    for _ in range(150):
        type, pairs = world.search()
        query = replace(parse_query(type, pairs), count=1000)
        found = {one.ref for one in store.search(query).versions}
        for version in world.live.values():
            if version.type == type:
                fits = search.matches(query.where, extract(version.resource), version.at)
                assert fits in (None, version.ref in found), (pairs, version.ref)
                decided[fits] += 1
    assert min(decided.values()) > 100


def test_what_looks_at_other_records_is_left_open_unless_it_cannot_be() -> None:
    observation = {"resourceType": "Observation", "id": "1", "status": "final", "code": {}}
    rows = extract(observation)
    chained = parse_query("Observation", [("patient.name", "an"), ("status", "final")])
    assert search.matches(chained.where, rows, 0) is None
    other = parse_query("Observation", [("patient.name", "an"), ("status", "amended")])
    assert search.matches(other.where, rows, 0) is False

"""Hostile requests in short; `make hardening` sends 50,000."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from hardening import fuzz
from hardening.asking import Answer, Request, ask
from hardening.hostile import Hostile, targets
from tests.testland import Pack
from tests.worlds import Hub


def test_no_hostile_request_breaks_the_server() -> None:
    outcome = fuzz.run(n=1_200, seed=3)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught


def test_every_route_is_attacked(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack()) as hub:
        known = targets(hub.app.routes)
        hostile = Hostile(Random(1), known, "x")
        paths = {hostile.request().target.partition("?")[0] for _ in range(3_000)}
        assert {one.path for one in known if not one.parameters} <= paths
        fixed = {one.path.partition("{")[0] for one in known}
        assert all(any(path.startswith(start) for path in paths) for start in fixed)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(500, {}, b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"x"}]}'), 1),
        (Answer(404, {}, b"Not Found"), 1),
        (Answer(404, {}, b'{"resourceType":"OperationOutcome","issue":[]}'), 1),
        (Answer(200, {}, b'sqlite3.OperationalError: near "x"'), 1),
        (Answer(0, {}, b"", "ValueError: x"), 1),
        (Answer(404, {}, b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"x"}]}'), 0),
        (Answer(200, {}, b"{}"), 0),
    ],
)
def test_what_is_bad_is_seen(answer: Answer, fault: int) -> None:
    assert len(list(fuzz.faults(Request("GET", "/fhir/Patient/1"), answer))) == fault


def test_a_request_without_a_wire_is_answered_as_by_the_wire(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack()) as hub:
        api = hub.software()
        token = api.headers["Authorization"].encode()
        for target in ("/fhir/metadata", "/fhir/Patient?name=%C3%A1&_count=1", "/fhir/Nothing/1"):
            headers = ((b"authorization", token), (b"accept-encoding", b"identity"))
            by_wire = api.get(target, headers={"Accept-Encoding": "identity"})
            direct = asyncio.run(ask(hub.app, Request("GET", target, headers)))
            assert (direct.status, direct.body) == (by_wire.status_code, by_wire.content)

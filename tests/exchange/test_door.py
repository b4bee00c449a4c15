"""The fast door and the plain way give the same answers, the same headers and the same audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.exchange.fhir_api.door import Door
from sokhoe.store import Delete
from sokhoe.trust import gate as gates
from sokhoe.trust import tokens
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        patient = a_patient("p1", citizen_id="12 34")
        others = [a_patient(f"q{n}", name="Trần " * 60) for n in range(3)]
        made.put(patient, *others, *(one for n in range(4) for one in _visit(patient, n)))
        made.put(a_patient("p1", name="Nguyễn Văn Ân", citizen_id="12 34"))
        made.put(a_patient("gone"))
        made.store.commit([Delete("Patient", "gone")], author="x")
        yield made


def _visit(patient: dict[str, Any], n: int) -> list[dict[str, Any]]:
    visit = a_visit(patient, day=f"2026-11-{10 + n}")
    visit[1]["id"] = f"o{n}"
    return visit


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request that the door looked at: did it answer?"""
    told: list[bool] = []
    real = Door._answer

    async def answer(self: Door, *given: Any) -> Any:
        found = await real(self, *given)
        told.append(found is not None)
        return found

    monkeypatch.setattr(Door, "_answer", answer)
    return told


# path, headers, whether the door answers
ASKED: list[tuple[str, dict[str, str], bool]] = [
    ("/fhir/Patient/p1", {}, True),
    ("/fhir/Patient/q1", {"Accept-Encoding": "gzip"}, True),
    ("/fhir/Patient/q1", {"Accept-Encoding": "identity"}, True),
    ("/fhir/Patient/p1", {"If-None-Match": 'W/"2"'}, True),
    ("/fhir/Patient/p1", {"If-None-Match": 'W/"1", W/"2"'}, True),
    ("/fhir/Patient/p1", {"If-None-Match": 'W/"1"'}, True),
    ("/fhir/Patient/p1/_history/1", {}, True),
    ("/fhir/Patient/p1/_history/1", {"If-None-Match": 'W/"1"'}, True),
    ("/fhir/Observation/o1", {"Accept": "application/fhir+json"}, True),
    ("/fhir/Patient?identifier=urn:test:citizen|12%2034", {}, True),
    ("/fhir/Patient?identifier=12+34", {}, True),
    ("/fhir/Patient?identifier=nobody", {}, True),
    ("/fhir/Observation?patient=p1&code=8480-6&_sort=-date&_count=50", {}, True),
    ("/fhir/Observation?patient=p1&_count=2", {"Prefer": "return=minimal"}, True),
    ("/fhir/Observation?patient=Patient/p1&_sort=-date&_count=2", {}, True),
    # the plain way says what these mean
    ("/fhir/Patient/nobody", {}, False),
    ("/fhir/Patient/gone", {}, False),
    ("/fhir/Patient/p1/_history/9", {}, False),
    ("/fhir/Patient/p%201", {}, False),
    ("/fhir/Patient/p1?_format=json", {}, False),
    ("/fhir/Patient/p1", {"Accept": "application/fhir+xml"}, False),
    ("/fhir/Patient/p1", {"Accept": "text/plain"}, False),
    ("/fhir/AuditEvent/1", {}, False),
    ("/fhir/Nothing/1", {}, False),
    ("/fhir/Patient?identifier=", {}, False),
    ("/fhir/Patient?nonsense=1", {}, False),
    ("/fhir/Patient?nonsense=1", {"Prefer": "handling=lenient"}, False),
    ("/fhir/Patient?name=an", {}, False),
    ("/fhir/Patient", {}, False),
    ("/fhir/Observation?patient=p1&_include=Observation:patient", {}, False),
    ("/fhir/Observation?patient=p1&_total=accurate", {}, False),
    ("/fhir/Observation?patient=p1&_summary=count", {}, False),
    ("/fhir/Observation?patient=p1&_elements=code", {}, False),
]


def told(answer: Any) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, dict(answer.headers), answer.content


def last_line(hub: Hub) -> Any:
    return replace(hub.store.entries(count=1)[0].entry, at=0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "headers", "fast"), ASKED)
def test_both_ways_say_the_same(
    hub: Hub,
    answered: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    headers: dict[str, str],
    fast: bool,
) -> None:
    api = hub.software()
    api.get("/fhir/Patient/p1")  # the token is known, the journal open
    answered.clear()
    before = hub.store.entries(count=1)[0].seq
    by_door = told(api.request(method, path, headers=headers))
    lines = hub.store.entries(count=1)[0].seq - before
    assert answered[:1] == ([fast] if answered else [])
    assert bool(answered) or not fast
    line = last_line(hub)
    with monkeypatch.context() as closed:
        closed.setattr(tokens, "FRESH", -1.0)
        assert told(api.request(method, path, headers=headers)) == by_door
        assert last_line(hub) == line
        assert hub.store.entries(count=1)[0].seq - before == 2 * lines
    assert list(hub.store.verify()) == []


def test_who_may_not_is_refused_by_both(hub: Hub, answered: list[bool]) -> None:
    api = hub.software("system/Observation.r")
    assert api.get("/fhir/Observation/o1").status_code == 200
    for path in ("/fhir/Patient/p1", "/fhir/Observation?patient=p1"):
        assert api.get(path).status_code == 403
        assert last_line(hub).outcome == "4"
    assert api.get("/fhir/Observation/o1").status_code == 200
    assert answered == [False, False, False, True]


def test_a_stranger_is_asked_for_a_token(hub: Hub) -> None:
    stranger = hub.client()
    assert stranger.get("/fhir/Patient/p1").status_code == 401
    stranger.headers["Authorization"] = "Bearer nonsense"
    assert stranger.get("/fhir/Patient/p1").status_code == 401
    stranger.headers["Authorization"] = "Basic abc"
    assert stranger.get("/fhir/Patient/p1").status_code == 401


def token_of(api: TestClient) -> str:
    return str(api.headers["Authorization"]).partition(" ")[2]


def test_a_revoked_token_ends_here_at_once(hub: Hub, answered: list[bool]) -> None:
    api = hub.software()
    for _ in range(2):
        assert api.get("/fhir/Patient/p1").status_code == 200
    assert answered == [False, True]
    hub.gate.revoke(token_of(api))
    assert api.get("/fhir/Patient/p1").status_code == 401


def test_a_token_revoked_by_another_process_ends_within_a_second(
    hub: Hub, answered: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sokhoe.trust.tokens.time.monotonic", lambda: now[0])
    api = hub.software()
    for _ in range(2):
        assert api.get("/fhir/Patient/p1").status_code == 200
    assert answered == [False, True]
    neighbour = gates.Gate(hub.store, hub.settings)
    neighbour.revoke(token_of(api))
    now[0] += 0.9
    assert api.get("/fhir/Patient/p1").status_code == 401


def test_a_token_that_is_over_is_over(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    api = hub.software()
    assert api.get("/fhir/Patient/p1").status_code == 200
    later = clock.now() + 4000 * 1_000_000
    monkeypatch.setattr("sokhoe.trust.gate.clock.now", lambda: later)
    assert api.get("/fhir/Patient/p1").status_code == 401


def test_a_fault_of_the_door_is_no_fault_of_the_answer(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = hub.software()
    api.get("/fhir/Patient/p1")

    async def fails(*given: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Door, "_answer", fails)
    assert api.get("/fhir/Patient/p1").status_code == 200

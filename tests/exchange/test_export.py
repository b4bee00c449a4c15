"""`$export`: what a client gets, what it does not, what survives a crash, what the citizen sees."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.exchange.jobs import exporting, files, working
from sokhoe.fhir import encode
from sokhoe.trust import Actor, Role
from tests import postgres
from tests.testland import Pack
from tests.worlds import Hub, a_patient

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL on this machine")
    made = postgres.Server(programs)
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    more = {}
    if request.param != "sqlite":
        more["database"] = request.getfixturevalue("server").emptied()
    with Hub(tmp_path / "hub", Pack(), **more) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        yield made


def an_observation(id: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": more.pop("code", "8480-6")}]},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def fill(hub: Hub) -> None:
    hub.put(*(a_patient(f"p{n}") for n in range(4)))
    hub.put(*(an_observation(f"o{n}", f"p{n % 4}", code=f"c{n % 2}") for n in range(12)))
    hub.put({"resourceType": "Organization", "id": "place", "name": "Trạm y tế"})
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    inner = {**group, "id": "inner", "member": [_member("Patient/p1"), _member("Group/g")]}
    outer = [_member("Patient/p0"), _member("Group/inner"), _member("Patient/p2", inactive=True)]
    hub.put(inner, {**group, "member": outer})


def _member(reference: str, **more: Any) -> dict[str, Any]:
    return {"entity": {"reference": reference}, **more}


def kick_off(api: TestClient, path: str) -> str:
    answer = api.get(path, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["content-location"])


def finished(hub: Hub, api: TestClient, address: str) -> dict[str, Any]:
    hub.settle()
    answer = api.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["expires"]
    manifest: dict[str, Any] = answer.json()
    return manifest


def exported(hub: Hub, api: TestClient, path: str) -> dict[str, list[dict[str, Any]]]:
    """Resources by type, of a whole export, after checking all that a manifest says."""
    manifest = finished(hub, api, kick_off(api, path))
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"].endswith(path)
    out: dict[str, list[dict[str, Any]]] = {}
    for one in manifest["output"]:
        content = api.get(one["url"], headers={"Accept": "application/fhir+ndjson"}).content
        assert sha256(content).hexdigest() == one["extension"]["urn:sokhoe:sha256"]
        lines = [json.loads(line) for line in content.splitlines()]
        assert len(lines) == one["count"]
        assert {line["resourceType"] for line in lines} == {one["type"]}
        out.setdefault(one["type"], []).extend(lines)
    return out


def ids(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    return {type: sorted(one["id"] for one in some) for type, some in sorted(found.items())}


def test_the_whole_memory_comes_out(hub: Hub) -> None:
    fill(hub)
    api = hub.software("system/*.cruds")
    found = exported(hub, api, "/fhir/$export")
    assert ids(found) == {
        "Group": ["g", "inner"],
        "Observation": sorted(f"o{n}" for n in range(12)),
        "Organization": ["place"],
        "Patient": ["p0", "p1", "p2", "p3"],
    }
    assert found["Patient"][0] == api.get(f"/fhir/Patient/{found['Patient'][0]['id']}").json()


def test_patients_and_groups(hub: Hub) -> None:
    fill(hub)
    api = hub.software("system/*.rs")
    of_all = exported(hub, api, "/fhir/Patient/$export")
    assert set(of_all) == {"Patient", "Observation", "Group"}
    of_group = exported(hub, api, "/fhir/Group/g/$export?_type=Patient,Observation")
    assert ids(of_group) == {
        "Observation": ["o0", "o1", "o4", "o5", "o8", "o9"],
        "Patient": ["p0", "p1"],
    }
    assert api.get("/fhir/Group/none/$export", headers=ASYNC).status_code == 404
    narrower: dict[str, Any] = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": "Patient/p1"}},
            {"name": "_type", "valueString": "Patient"},
        ],
    }
    asked = api.post("/fhir/Group/g/$export", content=encode(narrower), headers=ASYNC)
    manifest = finished(hub, api, asked.headers["content-location"])
    assert [one["count"] for one in manifest["output"]] == [1]
    narrower["parameter"][0] = {"name": "patient", "valueReference": {"reference": "Patient/p3"}}
    asked = api.post("/fhir/Group/g/$export", content=encode(narrower), headers=ASYNC)
    hub.settle()
    assert "Not a member" in api.get(asked.headers["content-location"]).text


def test_filters_and_elements(hub: Hub) -> None:
    fill(hub)
    api = hub.software("system/*.rs")
    path = "/fhir/$export?_type=Observation,Patient&_typeFilter=Observation%3Fcode%3Dc0%252Cc9"
    path = path.replace("%252C", "%2C")
    found = exported(hub, api, path + "&_elements=Patient.gender")
    assert ids(found)["Observation"] == ["o0", "o10", "o2", "o4", "o6", "o8"]
    assert set(found["Patient"][0]) == {"resourceType", "id", "meta", "gender"}
    assert found["Patient"][0]["meta"]["tag"][-1]["code"] == "SUBSETTED"
    assert "subject" in found["Observation"][0]
    short = exported(hub, api, "/fhir/$export?_type=Observation&_elements=id")
    assert set(short["Observation"][0]) == {"resourceType", "id", "meta", "status", "code"}


def test_only_what_changed_since_with_the_deleted(hub: Hub) -> None:
    fill(hub)
    api = hub.software()
    before = finished(hub, api, kick_off(api, "/fhir/$export"))["transactionTime"]
    hub.put(a_patient("p9"))
    api.delete("/fhir/Observation/o3")
    address = kick_off(api, f"/fhir/$export?_since={before}&_type=Patient,Observation")
    manifest = finished(hub, api, address)
    new = [api.get(one["url"]).text for one in manifest["output"]]
    assert any('"p9"' in text for text in new)
    (deleted,) = manifest["deleted"]
    assert deleted["type"] == "Bundle"
    bundle = json.loads(api.get(deleted["url"]).text)
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Observation/o3"}}]


def test_a_narrow_client_gets_only_what_it_may_read(hub: Hub) -> None:
    fill(hub)
    narrow = hub.software("system/Observation.rs")
    assert set(exported(hub, narrow, "/fhir/$export")) == {"Observation"}
    for path in ("/fhir/$export?_type=Patient", "/fhir/Group/g/$export", "/fhir/Group/no/$export"):
        refused = narrow.get(path, headers=ASYNC)
        assert refused.status_code == 403, path
        assert "Patient/p0" not in refused.text
    blind = hub.software("system/Observation.c")
    assert blind.get("/fhir/$export", headers=ASYNC).status_code == 403
    assert hub.client().get("/fhir/$export", headers=ASYNC).status_code == 401


def test_a_job_belongs_to_the_client_who_asked(small: Hub) -> None:
    fill(small)
    mine, other = small.software(), small.software()
    address = kick_off(mine, "/fhir/$export?_type=Patient")
    manifest = finished(small, mine, address)
    for path in (address, manifest["output"][0]["url"]):
        assert other.get(path).status_code == 404
        assert small.client().get(path).status_code == 401
    assert other.delete(address).status_code == 404
    assert mine.get(address + "/no-such.ndjson").status_code == 404
    assert mine.get(address + "/..%2f..%2fsokhoe.db").status_code == 404


def test_progress_cancelling_and_expiry(small: Hub) -> None:
    fill(small)
    api = small.software()
    address = kick_off(api, "/fhir/$export")
    waiting = api.get(address)
    assert waiting.status_code == 202
    assert waiting.headers["x-progress"].startswith("accepted") and waiting.headers["retry-after"]
    assert api.delete(address).status_code == 202
    small.settle()
    assert api.get(address).status_code == 404
    assert list((small.folder / "jobs").glob("*/*")) == []

    address = kick_off(api, "/fhir/$export")
    finished(small, api, address)
    folder = next((small.folder / "jobs").iterdir())
    assert folder.stat().st_mode & 0o077 == 0
    assert all(one.stat().st_mode & 0o077 == 0 for one in folder.iterdir())
    with clock.standing_at(clock.now()) as ahead:
        ahead(25 * 3600)
        small.settle()
    assert not folder.exists()
    assert api.get(address).status_code == 404


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("_type=Patience", "Patience"),
        ("_since=yesterday", "yesterday"),
        ("_outputFormat=text/csv", "NDJSON"),
        ("_typeFilter=Observation", "not a search"),
        ("_typeFilter=Observation%3Fcoed%3Dx", "code"),
        ("_typeFilter=Observation%3F_include%3Dx", "_include"),
        ("_type=Patient&_typeFilter=Observation%3Fcode%3Dx", "_type"),
        ("_elements=Patient.nmae", "nmae"),
        ("_organise=x", "_organise"),
        ("_type=AuditEvent", "audit"),
    ],
)
def test_what_is_asked_wrongly_is_said_at_once(small: Hub, query: str, said: str) -> None:
    fill(small)
    api = small.software()
    answer = api.get(f"/fhir/$export?{query}", headers=ASYNC)
    if answer.status_code == 202:
        small.settle()
        answer = api.get(answer.headers["content-location"])
    assert 400 <= answer.status_code < 500
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert said in answer.text


def test_without_prefer_it_is_not_begun(small: Hub) -> None:
    answer = small.software().get("/fhir/$export")
    assert answer.status_code == 400
    assert "Prefer: respond-async" in answer.text


def test_a_client_may_have_so_many_jobs_and_no_more(small: Hub) -> None:
    api = small.software()
    for _ in range(3):
        kick_off(api, "/fhir/$export")
    refused = api.get("/fhir/$export", headers=ASYNC)
    assert refused.status_code == 429 and refused.headers["retry-after"]
    kick_off(small.software(), "/fhir/$export")


def test_a_client_that_loses_its_right_gets_no_further(small: Hub) -> None:
    fill(small)
    api = small.software()
    address = kick_off(api, "/fhir/$export")
    clients = small.store.all_kept("client")
    (name,) = clients
    from sokhoe.store import Keep

    small.store.keep(Keep("client", name, {**clients[name], "scopes": ["system/Patient.rs"]}))
    small.settle()
    answer = api.get(address)
    assert (answer.status_code, "may not read" in answer.text or "exported" in answer.text) == (
        403,
        True,
    )


def test_files_come_compressed_or_plain_and_in_parts(small: Hub) -> None:
    fill(small)
    api = small.software()
    url = finished(small, api, kick_off(api, "/fhir/$export?_type=Patient"))["output"][0]["url"]
    plain = api.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(plain.content)
    packed = api.get(url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    path = next((small.folder / "jobs").rglob("*.gz"))
    assert gzip.decompress(path.read_bytes()) == plain.content
    part = api.get(url, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert part.status_code == 206


class Killed(BaseException):
    """Nothing of the program runs after this, as after kill -9."""


@pytest.mark.parametrize("moment", range(12))
def test_a_crash_at_any_moment_costs_no_line_and_doubles_none(
    small: Hub, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """The process dies at the n-th file write, before or after it, or at the n-th mark."""
    monkeypatch.setattr(exporting, "WINDOW", 4)
    monkeypatch.setattr(files, "MOST_LINES", 5)
    monkeypatch.setattr(exporting, "SLICE", 0.0)
    fill(small)
    api = small.software()
    address = kick_off(api, "/fhir/$export")
    real_write, real_keep = files.Folder._write, small.store.keep
    left = [moment]

    def maybe_die() -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Killed

    def write(folder: files.Folder, piece: files.Piece, packed: bytes) -> None:
        try:
            maybe_die()
        except Killed:
            real_write(folder, piece, packed[: len(packed) // 2])
            raise
        real_write(folder, piece, packed)
        maybe_die()

    def keep(*keeps: Any) -> None:
        real_keep(*keeps)
        maybe_die()

    monkeypatch.setattr(files.Folder, "_write", write)
    monkeypatch.setattr(small.store, "keep", keep)
    one: Any = next(one for one in small.app.state.followers if one.name == "exchange.jobs")
    died = 0
    for _ in range(200):
        try:
            if not one.step():
                break
        except Killed:
            died += 1
            one = working.Worker(one._jobs, small.settings, {"export": exporting.Export(one._jobs)})
            one._me = "another process"
            job = one._jobs.all()[0]
            real_keep(_without_lease(one._jobs, job))
    assert died == 1
    monkeypatch.undo()
    manifest = finished(small, api, address)
    refs = [
        f"{line['resourceType']}/{line['id']}"
        for part in manifest["output"]
        for line in map(json.loads, api.get(part["url"]).text.splitlines())
    ]
    assert len(refs) == len(set(refs)) == 19


def _without_lease(jobs: Any, job: Any) -> Any:
    """A minute later."""
    from dataclasses import replace

    from sokhoe.store import Keep
    from sokhoe.trust.jobs import as_kept

    return Keep("job", job.id, as_kept(replace(job, lease=0)))


def test_who_holds_a_job_is_not_disturbed_and_the_dead_are_followed(small: Hub) -> None:
    api = small.software()
    kick_off(api, "/fhir/$export")
    one: Any = next(one for one in small.app.state.followers if one.name == "exchange.jobs")
    jobs = one._jobs
    (job,) = jobs.all()
    assert jobs.claim(job, "first") is not None
    (job,) = jobs.all()
    assert jobs.claim(job, "second") is None
    with clock.standing_at(clock.now()) as ahead:
        ahead(61)
        assert jobs.claim(job, "second") is not None


def test_the_disk_has_a_limit(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack(), job_gigabytes=0) as hub:
        fill(hub)
        api = hub.software()
        first = kick_off(api, "/fhir/$export")
        hub.settle()
        (hub.folder / "jobs" / "x").mkdir(parents=True)
        (hub.folder / "jobs" / "x" / "y").write_bytes(b"1")
        second = kick_off(api, "/fhir/$export")
        hub.settle()
        assert api.get(first).status_code in {200, 503}
        refused = api.get(second)
        assert refused.status_code == 503 and "limit" in refused.text


def test_a_citizen_finds_that_his_record_was_exported(hub: Hub) -> None:
    fill(hub)
    person = {
        "resourceType": "Person",
        "id": "me",
        "link": [{"target": {"reference": "Patient/p1"}}],
    }
    hub.put(person)
    api = hub.software("system/*.rs")
    exported(hub, api, "/fhir/$export?_type=Observation")
    citizen = hub.gate.session(Actor("Person/me", "An", Role.CITIZEN))
    events = [one.resource for one in citizen.search("AuditEvent", []).versions]
    (seen,) = [one for one in events if one["type"]["code"] == "110106"]
    assert seen["agent"][0]["name"] == "Test software"
    assert "12 records" in seen["outcomeDesc"]
    named = [one["what"] for one in seen["entity"]]
    assert {"reference": "Patient/p1"} in named and {"type": "Observation"} in named
    assert "Patient/p0" not in json.dumps(seen)
    stranger = {"resourceType": "Person", "id": "no"}
    hub.put(stranger)
    other = hub.gate.session(Actor("Person/no", "B", Role.CITIZEN))
    assert other.search("AuditEvent", []).versions == ()


def test_an_export_of_many_people_names_each_of_them(
    small: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sokhoe.trust import exporting as trail

    monkeypatch.setattr(trail, "NAMED_IN_LINE", 3)
    small.put(*(a_patient(f"p{n}") for n in range(10)))
    api = small.software("system/Patient.rs")
    exported(small, api, "/fhir/$export")
    lines = [one.entry for one in small.store.entries(count=200) if "10 records" in one.entry.note]
    assert [len(one.patients) for one in lines] == [1, 3, 3, 3]
    assert {name for one in lines for name in one.patients} == {f"Patient/p{n}" for n in range(10)}


def test_a_citizen_takes_out_his_own_record_only(small: Hub) -> None:
    """The bounds of a session hold for a sweep as for a search, whoever asks."""
    from sokhoe.fhir import TYPES
    from sokhoe.store import Sweep

    fill(small)
    small.put(
        {"resourceType": "Person", "id": "me", "link": [{"target": {"reference": "Patient/p1"}}]}
    )
    citizen = small.gate.session(Actor("Person/me", "An", Role.CITIZEN))
    may = citizen.exportable()
    assert may.patients == frozenset({"Patient/p1"}) and "AuditEvent" not in may.types
    wide = Sweep(may.types, citizen.point().upto, open=frozenset(TYPES))
    found = {f"{type}/{id}" for type, id, _ in citizen.sweep(wide, 0, "x").taken}
    assert {"Patient/p1", "Observation/o1", "Organization/place"} <= found
    assert not {one for one in found if one in {"Patient/p0", "Observation/o0", "Patient/p3"}}

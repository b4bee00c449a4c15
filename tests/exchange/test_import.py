"""`$import`: uploaded or from the inbox, every line checked, nothing twice after a crash."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.fhir import encode
from sokhoe.trust import Session, loading
from tests import postgres
from tests.testland import Pack
from tests.worlds import Hub, a_patient

NDJSON = {"Content-Type": "application/fhir+ndjson"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL on this machine")
    made = postgres.Server(programs)
    yield made
    made.stop()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, inbox: Path) -> Iterator[Hub]:
    more: dict[str, Any] = {"import_inbox": str(inbox), "job_processes": 0}
    if request.param != "sqlite":
        more["database"] = request.getfixturevalue("server").emptied()
    with Hub(tmp_path / "hub", Pack(), **more) as made:
        yield made


@pytest.fixture
def api(hub: Hub) -> TestClient:
    return hub.software()


def lines(count: int) -> bytes:
    return b"".join(encode(a_patient(f"p{n}")) + b"\n" for n in range(count))


def parameters(*urls: str) -> bytes:
    inputs = [{"name": "input", "part": [{"name": "url", "valueString": url}]} for url in urls]
    return encode({"resourceType": "Parameters", "parameter": inputs})


def finished(hub: Hub, api: TestClient, taken: Any) -> dict[str, Any]:
    assert taken.status_code == 202, taken.text
    hub.settle()
    answer = api.get(taken.headers["content-location"])
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def test_records_are_uploaded_as_they_are(hub: Hub, api: TestClient) -> None:
    bad = b'{"resourceType":"Patient","id":"x","gender":"manly"}\n'
    taken = api.post("/fhir/$import", content=lines(5) + bad, headers=NDJSON)
    report = finished(hub, api, taken)
    assert [one["count"] for one in report["output"]] == [5]
    (refused,) = report["error"]
    (told,) = map(json.loads, api.get(refused["url"]).text.splitlines())
    assert told["resourceType"] == "OperationOutcome"
    assert told["extension"][1]["valueInteger"] == 6
    assert hub.store.totals()["Patient"] == 5
    assert not list((hub.folder / "jobs").rglob("upload*"))
    seen = [one.entry for one in hub.store.entries(patient="Patient/p3")]
    assert [one.name for one in seen if "lines 1-6" in one.note] == ["Test software"]


def test_they_may_come_compressed_or_as_files_of_a_form(hub: Hub, api: TestClient) -> None:
    packed = gzip.compress(lines(3))
    taken = api.post(
        "/fhir/$import", content=packed, headers={**NDJSON, "Content-Encoding": "gzip"}
    )
    assert finished(hub, api, taken)["output"][0]["count"] == 3
    del api.headers["Content-Type"]
    files = [("file", ("a.ndjson", lines(2))), ("file", ("../b.ndjson.gz", packed))]
    report = finished(hub, api, api.post("/fhir/$import", files=files))
    assert report["output"] == [{"inputUrl": "a.ndjson, .._b.ndjson.gz", "count": 5}]
    assert {one.version for one in hub.store.history("Patient").versions} == {1}


def test_files_of_the_inbox_are_loaded_and_stay_there(
    hub: Hub, api: TestClient, inbox: Path
) -> None:
    (inbox / "a.ndjson").write_bytes(lines(4))
    (inbox / "more").mkdir()
    (inbox / "more" / "b.ndjson.gz").write_bytes(gzip.compress(lines(6)))
    content = parameters("inbox:a.ndjson", "inbox:more/b.ndjson.gz")
    report = finished(hub, api, api.post("/fhir/$import", content=content))
    assert report["output"][0]["count"] == 10 and report["error"] == []
    assert (inbox / "a.ndjson").exists()
    assert hub.store.totals()["Patient"] == 6


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("inbox:none.ndjson", 404),
        ("inbox:../hub/sokhoe.db", 404),
        ("inbox:../outside.ndjson", 404),
        ("inbox:link.ndjson", 404),
        ("inbox:/etc/passwd", 404),
        ("inbox:secret.txt", 404),
        ("http://169.254.169.254/latest.ndjson", 400),
        ("file:///etc/passwd", 400),
    ],
)
def test_nothing_outside_the_inbox_is_read(
    hub: Hub, api: TestClient, inbox: Path, url: str, status: int
) -> None:
    (inbox.parent / "outside.ndjson").write_bytes(lines(1))
    (inbox / "link.ndjson").symlink_to(inbox.parent / "outside.ndjson")
    (inbox / "secret.txt").write_bytes(lines(1))
    answer = api.post("/fhir/$import", content=parameters(url))
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert hub.store.head() == 0


def test_without_an_inbox_there_is_none(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack()) as hub:
        answer = hub.software().post("/fhir/$import", content=parameters("inbox:a.ndjson"))
        assert answer.status_code == 400 and "import_inbox" in answer.text


def test_who_may_write_nothing_uploads_nothing(hub: Hub) -> None:
    reader = hub.software("system/*.rs")
    refused = reader.post("/fhir/$import", content=lines(1), headers=NDJSON)
    assert refused.status_code == 403
    assert not (hub.folder / "jobs").exists()
    stranger = hub.client().post("/fhir/$import", content=lines(1), headers=NDJSON)
    assert stranger.status_code == 401


def test_a_type_that_may_not_be_written_is_refused_line_by_line(hub: Hub) -> None:
    narrow = hub.software("system/Patient.cu")
    place = encode({"resourceType": "Organization", "id": "o", "name": "Trạm"}) + b"\n"
    taken = narrow.post("/fhir/$import", content=place + lines(2), headers=NDJSON)
    report = finished(hub, narrow, taken)
    assert report["output"][0]["count"] == 2
    assert "may not be loaded" in narrow.get(report["error"][0]["url"]).text
    assert "Organization" not in hub.store.totals()


def test_an_upload_has_a_limit(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack(), import_megabytes=0) as hub:
        api = hub.software()
        refused = api.post("/fhir/$import", content=lines(1), headers=NDJSON)
        assert refused.status_code == 413
        assert list((hub.folder / "jobs").iterdir()) == []
        del api.headers["Content-Type"]
        files = [("file", ("a.ndjson", lines(2)))]
        assert api.post("/fhir/$import", files=files).status_code == 413


def test_an_empty_upload_or_a_strange_one_is_refused(hub: Hub, api: TestClient) -> None:
    assert api.post("/fhir/$import", content=b"", headers=NDJSON).status_code == 400
    odd = {**NDJSON, "Content-Encoding": "br"}
    assert api.post("/fhir/$import", content=b"x", headers=odd).status_code == 415
    assert api.get("/fhir/$import").status_code == 405
    broken = {**NDJSON, "Content-Encoding": "gzip"}
    taken = api.post("/fhir/$import", content=b"no gzip at all", headers=broken)
    hub.settle()
    answer = api.get(taken.headers["content-location"])
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


class Killed(BaseException):
    """Nothing of the program runs after this."""


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_in_the_middle_repeats_nothing_and_leaves_nothing_out(
    hub: Hub, api: TestClient, monkeypatch: pytest.MonkeyPatch, moment: int, after: bool
) -> None:
    from sokhoe.store import Keep

    monkeypatch.setattr(loading, "FIRST_LINES", 3)
    content = b"{\n" + lines(4) + b"{\n" + lines(9)[len(lines(4)) :]
    taken = api.post("/fhir/$import", content=content, headers=NDJSON)
    real, left = Session.load, [moment]

    def dying(self: Session, *arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == -1 and not after:
            raise Killed
        found = real(self, *arguments, **more)
        if left[0] == -1:
            raise Killed
        return found

    monkeypatch.setattr(Session, "load", dying)
    with pytest.raises(Killed):
        hub.settle()
    monkeypatch.setattr(Session, "load", real)
    (worker,) = [one for one in hub.app.state.followers if one.name == "exchange.jobs"]
    for one in worker._jobs.all():  # what a dead process held in its memory is gone
        worker._kinds["import"].drop(one)
    for key, job in hub.store.all_kept("job").items():
        hub.store.keep(Keep("job", key, {**job, "lease": 0, "worker": "dead"}))
    report = finished(hub, api, taken)
    assert report["output"][0]["count"] == 9
    assert report["error"][0]["count"] == 2
    assert len(hub.store.history("Patient").versions) == 9


def test_two_imports_take_turns_and_a_cancelled_one_stops(
    hub: Hub, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "FIRST_LINES", 2)
    from sokhoe.exchange.jobs import importing

    monkeypatch.setattr(importing, "SLICE", 0.0)
    other = hub.software()
    first = api.post("/fhir/$import", content=lines(6), headers=NDJSON)
    second = other.post("/fhir/$import", content=lines(40), headers=NDJSON)
    (worker,) = [one for one in hub.app.state.followers if one.name == "exchange.jobs"]
    for _ in range(4):
        worker.step()
    assert other.delete(second.headers["content-location"]).status_code == 202
    assert finished(hub, api, first)["output"][0]["count"] == 6
    assert hub.store.totals()["Patient"] < 40
    assert worker._kinds["import"]._running == {}
    assert worker._kinds["import"]._makers is None


def test_a_process_of_its_own_reads_the_import(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack(), job_processes=1) as hub:
        api = hub.software()
        taken = api.post("/fhir/$import", content=lines(3), headers=NDJSON)
        assert finished(hub, api, taken)["output"][0]["count"] == 3

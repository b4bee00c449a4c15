"""`Prefer: respond-async`: the same answer as at once, only later; a batch is carried out once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.exchange.fhir_api import bundles
from sokhoe.fhir import encode
from sokhoe.store import Keep
from tests.testland import Pack
from tests.worlds import Hub, a_patient

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        made.put(*(a_patient(f"p{n}") for n in range(3)))
        made.settle()
        yield made


@pytest.fixture
def api(hub: Hub) -> TestClient:
    return hub.software()


def later(hub: Hub, api: TestClient, method: str, path: str, **more: Any) -> Any:
    """What a request is answered with at last."""
    headers = {**ASYNC, **more.pop("headers", {})}
    taken = api.request(method, path, headers=headers, **more)
    assert taken.status_code == 202, taken.text
    address = taken.headers["content-location"]
    waiting = api.get(address)
    assert waiting.status_code == 202 and waiting.headers["x-progress"]
    hub.settle()
    return api.get(address)


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/Patient?_sort=_id&_count=2",
        "/fhir/Patient/_history?_count=2",
        "/fhir/Patient/p1/_history",
        "/fhir/Patient/p1/$everything",
        "/fhir/Patient/p1/$meta",
    ],
)
def test_a_request_answered_later_says_the_same(hub: Hub, api: TestClient, path: str) -> None:
    found = later(hub, api, "GET", path).json()
    assert (found["resourceType"], found["type"]) == ("Bundle", "batch-response")
    (entry,) = found["entry"]
    assert entry["response"]["status"] == "200"
    assert _steady(entry["resource"]) == _steady(api.get(path).json())


def _steady(resource: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between any two answers."""
    return {name: one for name, one in resource.items() if name not in {"id", "meta", "link"}}


def test_a_search_by_post_is_kept_with_its_form(hub: Hub, api: TestClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = later(hub, api, "POST", "/fhir/Patient/_search", content="_id=p1", headers=form)
    (entry,) = found.json()["entry"]
    assert [one["resource"]["id"] for one in entry["resource"]["entry"]] == ["p1"]


def test_what_is_wrong_is_said_as_at_once(hub: Hub, api: TestClient) -> None:
    refused = later(hub, api, "GET", "/fhir/Patient?nmae=x")
    assert refused.status_code == 400 and "nmae" in refused.text
    narrow = hub.software("system/Observation.rs")
    refused = later(hub, narrow, "GET", "/fhir/Patient")
    assert refused.status_code == 403
    assert api.get("/fhir/Patient", headers={**ASYNC, "Authorization": ""}).status_code == 401
    lenient = {"Prefer": "handling=lenient, respond-async"}
    found = later(hub, api, "GET", "/fhir/Patient?nmae=x", headers=lenient).json()
    assert found["entry"][0]["response"]["status"] == "200"


def a_batch(count: int = 6) -> dict[str, Any]:
    new = {name: one for name, one in a_patient().items() if name != "id"}
    post = {"resource": new, "request": {"method": "POST", "url": "Patient"}}
    bad = {"resource": {**new, "gender": "manly"}, "request": post["request"]}
    read = {"request": {"method": "GET", "url": "Patient/p1"}}
    return {"resourceType": "Bundle", "type": "batch", "entry": [read, *[post] * count, bad]}


def test_a_batch_is_carried_out_later(hub: Hub, api: TestClient) -> None:
    found = later(hub, api, "POST", "/fhir", content=encode(a_batch())).json()
    statuses = [one["response"]["status"][:3] for one in found["entry"]]
    assert statuses == ["200", *["201"] * 6, "422"]
    assert hub.store.totals()["Patient"] == 9
    assert hub.store.all_kept("job-step") == {}


class Killed(BaseException):
    """Nothing of the program runs after this, as after kill -9."""


@pytest.mark.parametrize("moment", range(6))
def test_a_batch_that_is_cut_off_is_carried_out_once(
    hub: Hub, api: TestClient, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    taken = api.post("/fhir", content=encode(a_batch()), headers=ASYNC)
    left = [moment]
    real = bundles.carry_out

    def dying(*arguments: Any) -> dict[str, Any]:
        answer = real(*arguments)
        left[0] -= 1
        if left[0] == -1:  # written, and nobody was told
            raise Killed
        return answer

    monkeypatch.setattr(bundles, "carry_out", dying)
    with pytest.raises(Killed):
        hub.settle()
    monkeypatch.undo()
    for key, job in hub.store.all_kept("job").items():
        hub.store.keep(Keep("job", key, {**job, "lease": 0, "worker": "dead"}))
    hub.settle()
    found = api.get(taken.headers["content-location"]).json()
    statuses = [one["response"]["status"][:3] for one in found["entry"]]
    assert statuses == ["200", *["201"] * 6, "422"]
    places = [one["response"]["location"] for one in found["entry"][1:-1]]
    assert len(set(places)) == 6
    assert hub.store.totals()["Patient"] == 9


def test_a_transaction_is_answered_at_once(api: TestClient) -> None:
    bundle = {**a_batch(1), "type": "transaction", "entry": a_batch(1)["entry"][:2]}
    assert api.post("/fhir", content=encode(bundle), headers=ASYNC).status_code == 200


def test_a_cancelled_request_is_not_carried_out(hub: Hub, api: TestClient) -> None:
    taken = api.post("/fhir", content=encode(a_batch()), headers=ASYNC)
    address = taken.headers["content-location"]
    assert api.delete(address).status_code == 202
    hub.settle()
    assert hub.store.totals()["Patient"] == 3
    assert api.get(address).status_code == 404
    assert not list((hub.folder / "jobs").iterdir())

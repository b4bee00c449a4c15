"""The province's gateway over HTTP, as hospital software calls it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe.country import Batch
from sokhoe.trust import Role
from tests.worlds import PASSWORD, Hub

TODAY = date(2026, 11, 23)
SEND = "/api/kham-chua-benh/hoan-tat"
ASK = "/api/kham-chua-benh/ho-so/trang-thai"


@pytest.fixture(scope="module")
def files() -> list[Batch]:
    from sokhoe.vietnam import Pack

    world = Pack("vinh_long").seam("world")
    return [one for one in world.batches(86, 400, TODAY) if one.content][:6]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as made:
        yield made


def unit(hub: Hub, code: str) -> str:
    name = f"gw{code}"
    hub.gate.add_account(
        name,
        PASSWORD,
        role=Role.SOFTWARE,
        name="HIS",
        actor=f"Device/{code}",
        place=f"Organization/{code}",
        place_name="Bệnh viện A",
        scopes=("system/*.cruds",),
    )
    return name


def signed_in(hub: Hub, code: str) -> TestClient:
    software = hub.client()
    answer = software.post(
        "/api/xac-thuc/token", json={"username": unit(hub, code), "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["ma_don_vi"], data["expires_in"]) == (code, 10800)
    software.headers["Authorization"] = f"Bearer {data['access_token']}"
    software.headers["Content-Type"] = "application/xml"
    return software


def key_of(answer: Any) -> str:
    return str(answer.json()["data"]["ma_lk"])


def test_a_visit_file_travels_into_the_record(hub: Hub, files: list[Batch]) -> None:
    his = signed_in(hub, files[0].facility)
    sent = his.post(SEND, content=files[0].content)
    assert (sent.status_code, sent.json()["code"]) == (200, "ACCEPTED")
    waiting = his.get(ASK, params={"ma_lk": key_of(sent)}).json()["data"]
    assert waiting["validation_status"] == "PENDING"
    hub.settle()
    done = his.get(ASK, params={"ma_lk": key_of(sent)}).json()["data"]
    assert done["validation_status"] == "VALID"

    api = hub.software()
    kept = api.get(f"/fhir/Binary/{done['tracking_id']}")
    assert kept.content == files[0].content  # the exact bytes
    provenance = api.get(f"/fhir/Provenance/{done['tracking_id']}").json()
    kinds = {one["reference"].split("/")[0] for one in provenance["target"]}
    assert {"Patient", "Encounter", "Condition", "Organization", "Practitioner"} <= kinds


def test_sending_it_again_changes_nothing(hub: Hub, files: list[Batch]) -> None:
    his = signed_in(hub, files[0].facility)
    his.post(SEND, content=files[0].content)
    hub.settle()
    head = hub.store.head()
    again = his.post(SEND, content=files[0].content)
    assert again.json()["code"] == "ACCEPTED_DUPLICATE"
    hub.settle()
    assert hub.store.head() == head


def broken(content: bytes, table: bytes, old: bytes, new: bytes) -> bytes:
    """The same file with something changed inside one of its base64 tables."""
    start = content.index(b"<LOAIHOSO>" + table)
    begin = content.index(b"<NOIDUNGFILE>", start) + len(b"<NOIDUNGFILE>")
    end = content.index(b"</NOIDUNGFILE>", begin)
    inner = b64decode(content[begin:end])
    assert old in inner
    return content[:begin] + b64encode(inner.replace(old, new, 1)) + content[end:]


def test_a_broken_file_is_invalid_with_field_and_reason_and_leaves_nothing(
    hub: Hub, files: list[Batch]
) -> None:
    his = signed_in(hub, files[0].facility)
    bad = broken(files[0].content, b"XML1", b"<NGAY_VAO>2026", b"<NGAY_VAO>20X6")
    sent = his.post(SEND, content=bad)
    assert sent.json()["code"] == "ACCEPTED"
    hub.settle()
    said = his.get(ASK, params={"ma_lk": key_of(sent)}).json()
    assert said["data"]["validation_status"] == "INVALID"
    assert any(e["field_path"].endswith("XML1[0]/NGAY_VAO") or e["field_path"].endswith(
        "XML1/NGAY_VAO") for e in said["errors"]), said["errors"]  # fmt: skip
    assert all(e["message"] for e in said["errors"])
    api = hub.software()
    for type in ("Patient", "Encounter", "Condition", "Observation", "MedicationRequest"):
        assert api.get(f"/fhir/{type}?_summary=count").json()["total"] == 0


def test_a_corrected_file_after_a_broken_one_is_taken(hub: Hub, files: list[Batch]) -> None:
    his = signed_in(hub, files[0].facility)
    bad = broken(files[0].content, b"XML1", b"<NGAY_VAO>2026", b"<NGAY_VAO>20X6")
    his.post(SEND, content=bad)
    hub.settle()
    good = his.post(SEND, content=files[0].content)
    assert good.json()["code"] == "ACCEPTED"
    hub.settle()
    data = his.get(ASK, params={"ma_lk": key_of(good)}).json()["data"]
    assert data["validation_status"] == "VALID"
    assert [one["validation_status"] for one in data["requests"]] == ["VALID", "INVALID"]


def test_another_units_file_is_refused(hub: Hub, files: list[Batch]) -> None:
    answer = signed_in(hub, "99999").post(SEND, content=files[0].content)
    assert (answer.status_code, answer.json()["code"]) == (403, "MACSKCB_MISMATCH")


def test_a_unit_does_not_see_anothers_files(hub: Hub, files: list[Batch]) -> None:
    sent = signed_in(hub, files[0].facility).post(SEND, content=files[0].content)
    other = signed_in(hub, "99999")
    assert other.get(ASK, params={"ma_lk": key_of(sent)}).status_code == 404


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"hello", "application/xml", 400),
        (b"<GIAMDINHHS>", "application/xml", 400),
        (b"<GIAMDINHHS/>", "application/xml", 400),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><GIAMDINHHS>&a;</GIAMDINHHS>", "application/xml", 400),
        (b"<GIAMDINHHS/>", "application/json", 415),
        (b"<GIAMDINHHS>" + b" " * (10 * 1024 * 1024) + b"</GIAMDINHHS>", "application/xml", 413),
    ],
)
def test_what_is_no_file_is_refused_at_the_door(
    hub: Hub, content: bytes, kind: str, status: int
) -> None:
    his = signed_in(hub, "86001")
    answer = his.post(SEND, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is False
    assert body["errors"][0]["message"]


def test_without_a_token_the_gateway_is_closed(hub: Hub) -> None:
    stranger = hub.client()
    assert stranger.get("/api/xac-thuc/thong-tin").status_code == 401
    assert stranger.post(SEND, content=b"x").status_code == 401
    wrong = stranger.post("/api/xac-thuc/token", json={"username": "x", "password": "y"})
    assert wrong.status_code == 401
    assert stranger.post("/api/xac-thuc/token", content=b"{").status_code == 400


def test_the_unit_knows_its_name(hub: Hub) -> None:
    answer = signed_in(hub, "86001").get("/api/xac-thuc/thong-tin").json()["data"]
    assert answer == {"ten_don_vi": "Bệnh viện A", "ma_don_vi": "86001"}

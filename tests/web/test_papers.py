"""Anybody checks a paper: its status and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sokhoe.trust import Actor, Put, Role, locks
from sokhoe.trust.signatures.seam import algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from sokhoe.web.papers import PER_MINUTE
from tests.trust.authority import Authority
from tests.worlds import Hub, a_patient, a_visit

SECRET = ("Nguyễn", "Bác sĩ", "I10", "Observation", "Patient", "Practitioner")


@dataclass
class World:
    hub: Hub
    code: str
    refs: list[str]

    def page(self, path: str = "") -> str:
        answer = self.hub.client().get(path or f"/v/{self.code}")
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with (
        Authority() as authority,
        Hub(
            tmp_path / "hub",
            trust_anchors=str(authority.anchors(tmp_path / "anchors")),
            timestamp_url=f"{authority.url}/tsa",
        ) as hub,
    ):
        records = a_visit(a_patient("p"))
        hub.put(a_patient("p"), *records)
        issued = authority.issue()
        signer = SoftwareSigner("t", issued.key, issued.chain, algorithm_of(issued.certificate))
        doctor = hub.gate.session(Actor("Practitioner/1", "Hoa", Role.DOCTOR, "Organization/86001"))
        refs = [f"{one['resourceType']}/{one['id']}" for one in records]
        from sokhoe.trust import signing

        made = signing.open_desk(hub.gate, hub.settings).sign(doctor, refs, signer)
        yield World(hub, made.code, refs)


def test_the_page_tells_the_status_and_no_more(world: World) -> None:
    waiting = world.page()
    assert "Đã ký, chờ dấu thời gian" in waiting
    for follower in world.hub.app.state.followers:
        follower.step()
    good = world.page()
    assert "Chữ ký hợp lệ" in good
    assert "Trạm Y tế Cái Nhum" in good
    assert "bác sĩ" in good
    for word in (*SECRET, *world.refs, *(ref.split("/")[1] for ref in world.refs)):
        assert word not in good
    answer = world.hub.client().get(f"/v/{world.code}")
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"


def test_an_addendum_is_told(world: World) -> None:
    ops = world.hub.gate.machine("ops")
    ref = world.refs[0]
    standing = ops.read(*ref.split("/")).resource  # type: ignore[arg-type]
    why = {**locks.amendment(ref, 2, {"reference": "Practitioner/1"}, "muộn"), "id": "why"}
    ops.commit([Put({**standing, "language": "vi"}), Put(why)])
    assert "có bổ sung" in world.page()


def test_an_unknown_code_is_not_there(world: World) -> None:
    browser = world.hub.client()
    for path in ("/v/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/v/x", "/v/..%2f", "/v/AAAA/qr.svg"):
        assert browser.get(path).status_code == 404
    assert "Kiểm tra" in world.page("/v")
    spaced = f"{world.code[:5]} {world.code[5:].lower()}"
    assert "Đã ký" in world.page(f"/v?code={spaced}")


def test_the_qr_holds_the_address_of_the_page(world: World) -> None:
    answer = world.hub.client().get(f"/v/{world.code}/qr.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.text.startswith("<svg")


def test_who_asks_too_often_waits(world: World) -> None:
    browser: TestClient = world.hub.client()
    codes = [browser.get("/v/none").status_code for _ in range(PER_MINUTE + 1)]
    assert codes == [404] * PER_MINUTE + [429]


@pytest.mark.parametrize(
    ("language", "word"), [("en", "waiting for its time"), ("km", "ត្រាពេលវេលា")]
)
def test_it_speaks_three_languages(world: World, language: str, word: str) -> None:
    browser = world.hub.client()
    browser.cookies.set("language", language)
    assert word in browser.get(f"/v/{world.code}").text

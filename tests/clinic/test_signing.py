"""The doctor's evening: all of today's visits with one PIN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.trust import Role
from tests.trust.authority import Authority
from tests.worlds import Form, Server, a_patient, a_visit


@dataclass
class Evening:
    server: Server
    browser: TestClient
    visits: list[str]


@pytest.fixture
def evening(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Evening]:
    with Authority() as authority:
        key = authority.issue().write(tmp_path)
        given: dict[str, Any] = {
            "trust_anchors": str(authority.anchors(tmp_path / "anchors")),
            "demo": True,
        }
        if getattr(request, "param", "device") == "device":
            given["signing_key"] = f"file:{key}"
        with Server(tmp_path / "station", "station", **given) as server:
            visits = []
            for number in range(3):
                records = a_visit(a_patient(f"p{number}"), day=clock.today().isoformat())
                who = "Practitioner/doctor" if number < 2 else "Practitioner/other"
                records[0]["participant"] = [{"individual": {"reference": who}}]
                server.put(a_patient(f"p{number}"), *records)
                visits.append(str(records[0]["id"]))
            yield Evening(server, server.signed_in(Role.DOCTOR), visits)


def test_all_of_today_s_visits_are_signed_with_one_pin(evening: Evening) -> None:
    page = evening.browser.get("/today/sign").text
    assert "2 lượt khám" in page  # the third is a colleague's
    wrong = Form(page, action="/today/sign").typed(pin="0000").send(evening.browser).text
    assert "PIN" in wrong
    assert "2 lượt khám" in wrong
    done = Form(page, action="/today/sign").typed(pin="demo").send(evening.browser).text
    assert "2/2" in done
    again = evening.browser.get("/today/sign").text
    assert "Không còn gì để ký" in again
    desk = evening.server.store.kept("locked", f"Encounter/{evening.visits[0]}")
    assert desk["state"] == "closed"


@pytest.mark.parametrize("evening", ["none"], indirect=True)
def test_without_a_signer_the_page_says_so(evening: Evening) -> None:
    page = evening.browser.get("/today/sign").text
    assert "Chưa cài đặt" in page
    assert 'name="pin"' not in page


def test_the_list_of_today_leads_there(evening: Evening) -> None:
    assert 'href="/today/sign"' in evening.browser.get("/today").text

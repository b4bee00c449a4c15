"""Pages of other origins may use the API only where the operator says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testland import Pack
from tests.worlds import Hub, a_patient

APP = "https://app.example"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization, if-match",
}


@pytest.mark.parametrize("origins", [APP, f"https://x.example, {APP}", "*"])
def test_a_page_of_a_named_origin_may_use_the_api(tmp_path: Path, origins: str) -> None:
    with Hub(tmp_path / "hub", Pack(), cors_origins=origins) as hub:
        hub.put(a_patient("p1"))
        api = hub.software()
        asked = hub.client().options("/fhir/Patient/p1", headers=PREFLIGHT)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] in (APP, "*")
        assert "PUT" in asked.headers["access-control-allow-methods"]
        assert "if-match" in asked.headers["access-control-allow-headers"].lower()
        for path in ("/fhir/Patient/p1", "/fhir/Patient?name=an", "/fhir/Patient/nobody"):
            for _ in range(2):  # the plain way, then the fast door
                answer = api.get(path, headers={"Origin": APP})
                assert answer.headers["access-control-allow-origin"] in (APP, "*")
                shown = answer.headers["access-control-expose-headers"]
                assert {"ETag", "Location", "Content-Location"} <= set(shown.split(", "))
                assert "access-control-allow-credentials" not in answer.headers
        assert hub.client().get("/fhir/metadata").json()["rest"][0]["security"]["cors"] is True
        page = hub.client().get("/signin", headers={"Origin": APP})
        assert "access-control-allow-origin" not in page.headers


def test_a_page_of_another_origin_may_not(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack(), cors_origins=APP) as hub:
        evil = {**PREFLIGHT, "Origin": "https://evil.example"}
        asked = hub.client().options("/fhir/Patient/p1", headers=evil)
        assert asked.status_code == 400
        assert "access-control-allow-origin" not in asked.headers
        answer = hub.software().get("/fhir/Patient?name=an", headers={"Origin": evil["Origin"]})
        assert "access-control-allow-origin" not in answer.headers


def test_at_first_no_page_may(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack()) as hub:
        asked = hub.client().options("/fhir/Patient/p1", headers=PREFLIGHT)
        assert not [name for name in asked.headers if name.startswith("access-control")]
        assert hub.client().get("/fhir/metadata").json()["rest"][0]["security"]["cors"] is False

"""Three promises of the README, each as a short story: a vendor's software by FHIR, the gate and
its audit, the province's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from sokhoe.fhir import encode
from sokhoe.ops import world
from sokhoe.trust import Role
from tests.testland import Pack
from tests.worlds import Hub, a_patient, a_visit

TODAY = date(2026, 11, 23)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack(), warehouse_minutes=0) as made:
        yield made


def test_a_vendor_gets_a_token_sends_a_bundle_and_finds_it_again(hub: Hub) -> None:
    software = hub.software()
    patient = a_patient("p-1", citizen_id="T-00007", system="urn:testland:citizen")
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in (patient, *a_visit(patient, systolic=182))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    sent = software.post("/fhir", content=encode(bundle))
    assert sent.status_code == 200, sent.text
    found = software.get("/fhir/Observation?patient.identifier=T-00007&code=8480-6").json()
    assert found["entry"][0]["resource"]["valueQuantity"]["value"] == 182
    assert software.post("/fhir", content=encode(bundle)).status_code == 200
    history = software.get("/fhir/Patient/p-1/_history").json()
    assert len(history["entry"]) == 1  # sent twice, changed nothing


def test_the_gate_refuses_and_remembers(hub: Hub) -> None:
    hub.put(a_patient("p-1"))
    statistician = hub.signed_in(Role.STATISTICIAN)
    assert statistician.get("/desk").status_code == 403
    narrow = hub.software("system/Observation.rs")
    assert narrow.get("/fhir/Patient/p-1").status_code == 403
    refused = [one.entry for one in hub.store.entries(count=50) if one.entry.outcome == "4"]
    assert any("Patient/p-1" in one.what for one in refused)
    assert hub.gate.verify_audit() == []


def test_the_numbers_show_coverage_and_no_names(hub: Hub) -> None:
    source = world.world_of(hub.site)
    world.register(hub.site, source)
    world.fill(hub.site, source, source.batches(1, 60, TODAY), lambda *_: None, 0)
    hub.settle()
    page = hub.signed_in(Role.STATISTICIAN).get("/numbers")
    assert page.status_code == 200
    assert "80" in page.text  # the target stands beside the figure
    assert "Ada Test" not in page.text
    csv = hub.client().get("/numbers/coverage.csv")
    assert "/signin" in str(csv.url)  # not without signing in

from __future__ import annotations

from pathlib import Path

from tests.sync.world import a_pair, a_patient, a_reading, contents, order


def test_what_a_station_saves_arrives_whole_and_in_order(tmp_path: Path) -> None:
    with a_pair(tmp_path) as (hub, station):
        for number in range(30):
            patient = a_patient(name=f"Người thứ {number}")
            station.save(patient, a_reading(patient["id"]))
            station.save(a_patient(patient["id"], "đổi tên"))
        station.delete("Patient", patient["id"])
        station.send()
        assert contents(hub.store) == contents(station.store)
        assert order(hub.store) == order(station.store)

"""A small province of twelve communes and its hub's memory, on real SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock, settings
from sokhoe.store import open_store
from sokhoe.trust import Delete, Gate, Put
from sokhoe.warehouse import Area, Facility, Loader, Numbers
from sokhoe.warehouse.shelf import Shelf

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)  # a Monday, 10:00 at UTC+7
DAY = 86_400
CITY = "An"  # the commune of everybody who is not given another one


@dataclass(frozen=True)
class Province:
    """Seam `warehouse.places`: communes An, Ba, … named in `address.district`."""

    people: dict[str, int]
    target: float = 0.8
    houses: tuple[str, ...] = ("h1", "h2", "h3")

    def areas(self) -> Sequence[Area]:
        return [
            Area(name.lower(), f"Commune {name}", count, place % 4, place // 4)
            for place, (name, count) in enumerate(self.people.items())
        ]

    def area_of(self, patient: dict[str, Any]) -> str | None:
        for address in patient.get("address", []):
            if address.get("district") in self.people:
                return str(address["district"]).lower()
        return None

    def facilities(self) -> Sequence[Facility]:
        levels = ("Provincial hospital", "Commune health station", "")
        return [
            Facility(f"Organization/{house}", house, f"House {house}", "an", level)
            for house, level in zip(self.houses, levels, strict=True)
        ]


NAMES = ("An", "Ba", "Cu", "Da", "Em", "Ga", "Ha", "Ky", "La", "Mo", "No", "Oi")


@pytest.fixture
def province() -> Province:
    return Province(dict.fromkeys(NAMES, 10))


@dataclass
class Hub:
    """The province's memory, the loader on it, and what the pages would show."""

    folder: Path
    gate: Gate
    province: Province
    below: int = 5
    numbers: Numbers = field(init=False)
    loader: Loader = field(init=False)

    def __post_init__(self) -> None:
        shelf = Shelf(self.folder / "warehouse")
        self.numbers = Numbers(shelf, self.below)
        self.loader = self.new_loader()

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    def new_loader(self) -> Loader:
        """As after a restart."""
        session = self.gate.machine("warehouse")
        return Loader(session, self.province, Shelf(self.warehouse), minutes=0)

    def put(self, *resources: dict[str, Any]) -> None:
        self.gate.machine("ops").commit([Put(one) for one in resources])

    def delete(self, type: str, id: str) -> None:
        self.gate.machine("ops").commit([Delete(type, id)])

    def load(self) -> None:
        for _ in range(100):
            if not self.loader.step():
                return
        raise AssertionError("the loader never came to rest")

    def rows(self, key: str) -> list[dict[str, Any]]:
        self.load()
        return [dict(row) for row in self.numbers.answer(key).rows]


@pytest.fixture
def hub(tmp_path: Path, province: Province) -> Iterator[Hub]:
    store = open_store(f"sqlite:///{tmp_path / 'sokhoe.db'}")
    with clock.standing_at(NOW):
        yield Hub(
            tmp_path,
            Gate(store, settings.load({"data": str(tmp_path), "country": "none"})),
            province,
        )
    store.close()


def a_patient(
    id: str,
    *,
    area: str = CITY,
    birth: str = "1961-03-02",
    gender: str = "male",
    house: str = "h1",
    **more: Any,
) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"text": f"Nguyễn Thị {id}"}],
        "birthDate": birth,
        "gender": gender,
        "address": [{"district": area}],
        "managingOrganization": {"reference": f"Organization/{house}"},
        **more,
    }


def patients(prefix: str, count: int, **given: Any) -> list[dict[str, Any]]:
    return [a_patient(f"{prefix}{number}", **given) for number in range(count)]


def a_person(id: str, *patients: str, **more: Any) -> dict[str, Any]:
    links = [{"target": {"reference": f"Patient/{one}"}} for one in patients]
    return {"resourceType": "Person", "id": id, "link": links, **more}


def a_visit(
    id: str,
    patient: str,
    start: str,
    end: str = "",
    *,
    house: str = "h1",
    status: str = "finished",
) -> dict[str, Any]:
    period = {"start": start, "end": end} if end else {"start": start}
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": period,
        "serviceProvider": {"reference": f"Organization/{house}"},
    }


def a_diagnosis(id: str, patient: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id,
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "recordedDate": "2026-11-20T08:15:00+07:00",
        **more,
    }

"""Communes, facilities and words for the province's numbers.

Fills `warehouse.places` and `warehouse.words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sokhoe.vietnam import code_lists, systems
from sokhoe.vietnam.province import province
from sokhoe.vietnam.resources import organization_id
from sokhoe.warehouse import Area, Facility

LEVELS = {
    "tinh": "Provincial hospital",
    "khu_vuc": "Regional hospital",
    "phong_kham": "Polyclinic",
    "tram": "Commune station",
}


class Places:
    def __init__(self, folder: str) -> None:
        self._province = province(folder)

    @property
    def target(self) -> float:
        return self._province.record_target

    def areas(self) -> Sequence[Area]:
        return [
            Area(one.code, one.name, one.population, one.col, one.row)
            for one in self._province.communes.values()
        ]

    def area_of(self, patient: Mapping[str, Any]) -> str | None:
        """The commune's code beside the city's name; of an old ward the commune it went to."""
        for home in patient.get("address", []):
            for extension in home.get("_city", {}).get("extension", []):
                coded = extension.get("valueCoding", {})
                if systems.key_of(coded.get("system", "")) == "commune":
                    now = self._province.commune_now(coded.get("code", ""))
                    if now:
                        return now
        return None

    def facilities(self) -> Sequence[Facility]:
        return [
            Facility(
                f"Organization/{organization_id(one.code)}",
                one.code,
                one.name,
                one.commune,
                LEVELS.get(one.level, "Other facility"),
            )
            for one in self._province.facilities.values()
        ]


class Words:
    def diagnosis(self, code: str, language: str) -> str:
        """The name of a code or of its three-character category."""
        known = code_lists.diseases()
        found = known.get(code) or next(
            (one for key, one in known.items() if key.partition(".")[0] == code), None
        )
        if found is None:
            return ""
        return found.english if language == "en" else found.name

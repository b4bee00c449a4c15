"""The country pack: what Vietnam answers at each seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.routing import Route

from sokhoe.vietnam import gateway, icd10, systems
from sokhoe.vietnam.catalogue import Catalogue
from sokhoe.vietnam.files import VisitFile
from sokhoe.vietnam.identity import Identity
from sokhoe.vietnam.numbers import Places, Words
from sokhoe.vietnam.province import province
from sokhoe.vietnam.retention import Periods
from sokhoe.vietnam.sender import GatewaySender
from sokhoe.vietnam.world import World


class Pack:
    name = "vietnam"

    def __init__(self, folder: str) -> None:
        province(folder)  # an unknown province stops the start, naming those there are
        self._folder = folder

    @cached_property
    def _seams(self) -> dict[str, Callable[[], Any]]:
        return {
            "people.identity": Identity,
            "exchange.file_kinds": lambda: (VisitFile(),),
            "exchange.episode_system": lambda: systems.uri("visit_number"),
            "exchange.sender": GatewaySender,
            "exchange.code_tables": lambda: (icd10.Table(),),
            "trust.code_lists": icd10.lists,
            "trust.retention": Periods,
            "clinic.catalogue": lambda: Catalogue(self._folder),
            "warehouse.places": lambda: Places(self._folder),
            "warehouse.words": Words,
            "world": lambda: World(self._folder),
        }

    def seam(self, name: str) -> Any:
        make = self._seams.get(name)
        return make() if make else None

    def routes(self, site: Any) -> Sequence[Route]:
        """The gateway for hospital software, at the hub."""
        return gateway.routes(site, VisitFile()) if site.role == "hub" else ()

    def locale(self) -> Path | None:
        return Path(__file__).parent / "locale"

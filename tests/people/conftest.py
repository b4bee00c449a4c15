"""A hub's memory with the index over it, a country of three rules, and a steward with a browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sokhoe.country import NoPack
from sokhoe.people import (
    CardFacts,
    PeopleFollower,
    PersonView,
    followers,
    of_citizen,
    of_patient,
    open_room,
    replay,
    routes,
)
from sokhoe.people.history import event_of
from sokhoe.people.reviews import TOKEN, Review, review_of
from sokhoe.settings import load
from sokhoe.store import Delete, Put, Store, open_store
from sokhoe.trust import Actor, Gate, Role, Session
from sokhoe.web import Site, Texts, cookie_name, make_templates

CITIZEN, INSURANCE = "urn:test:citizen", "urn:test:insurance"
WRONG_NUMBER = "The number says another birth year."
STEWARD = Actor("Practitioner/steward", "Cô Ba", Role.STEWARD, username="steward")
ROOT = Path(__file__).parents[2] / "sokhoe"


class Here:
    """Citizen IDs have 12 digits; digits 5 and 6 are the birth year."""

    citizen_system = CITIZEN
    insurance_system = INSURANCE

    def read_card(self, text: str) -> CardFacts | None:
        return None

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        return [WRONG_NUMBER] if birth_date and number[4:6] != birth_date[2:4] else []

    def is_citizen_id(self, text: str) -> bool:
        return len(text) == 12 and text.isdecimal()


class Pack(NoPack):
    name = "here"

    def seam(self, name: str) -> Any:
        return Here() if name == "people.identity" else None


def a_person(
    id: str,
    *,
    name: str = "Nguyễn Văn An",
    birth: str = "1961-03-02",
    sex: str = "male",
    citizen_id: str = "",
    insurance: str = "",
    place: str = "",
) -> dict[str, Any]:
    """A Patient as a facility sends it."""
    numbers = [(CITIZEN, citizen_id), (INSURANCE, insurance)]
    patient: dict[str, Any] = {"resourceType": "Patient", "id": id, "name": [{"text": name}]}
    identifiers = [{"system": system, "value": value} for system, value in numbers if value]
    if identifiers:
        patient["identifier"] = identifiers
    if birth:
        patient["birthDate"] = birth
    if sex:
        patient["gender"] = sex
    if place:
        patient["managingOrganization"] = {"reference": f"Organization/{place}"}
    return patient


class Index:
    """A hub: put records in, let the follower run, look at what came out."""

    def __init__(self, folder: Path) -> None:
        self.settings = load({"data": str(folder), "role": "hub", "country": "none"})
        self.store: Store = open_store(f"sqlite:///{folder / 'sokhoe.db'}")
        self.gate = Gate(self.store, self.settings)
        rooms = ["web", "people"]
        folders = [ROOT / room / "locale" for room in rooms]
        self.site = Site(self.settings, self.gate, Pack(), Texts(folders), make_templates(rooms))
        open_room(self.site)
        self.follower: PeopleFollower = followers(self.site)[0]

    @property
    def machine(self) -> Session:
        return self.follower.session

    @property
    def desk(self) -> Session:
        return self.gate.session(STEWARD)

    def put(self, *resources: dict[str, Any]) -> None:
        self.gate.machine("ops").commit([Put(one) for one in resources])

    def delete(self, id: str) -> None:
        self.gate.machine("ops").commit([Delete("Patient", id)])

    def settle(self, follower: PeopleFollower | None = None) -> None:
        for _ in range(100):
            if not (follower or self.follower).step():
                return
        raise AssertionError("the follower never came to rest")

    def arrive(self, *resources: dict[str, Any]) -> None:
        """Records arrive and are followed to the end."""
        self.put(*resources)
        self.settle()

    def home(self, id: str) -> PersonView:
        found = of_patient(self.machine, f"Patient/{id}")
        assert found is not None, f"Patient/{id} is linked to nobody"
        return found

    def together(self, *ids: str) -> bool:
        return len({self.home(id).id for id in ids}) == 1

    def of(self, citizen_id: str) -> list[str]:
        """The patients a citizen would see, by id."""
        found = of_citizen(self.machine, citizen_id)
        return [ref.removeprefix("Patient/") for ref in found.patients] if found else []

    def reviews(self, *, all: bool = False) -> list[Review]:
        found = self.machine.search("Task", [("code", TOKEN), ("_count", "1000")]).versions
        return [one for one in map(review_of, found) if all or one.open]

    @property
    def links(self) -> dict[str, str]:
        """Which Person each patient is linked to, from the Persons themselves."""
        found: dict[str, str] = {}
        for version in self.every("Person"):
            for link in version.get("link", []):
                ref = link["target"]["reference"]
                assert ref not in found, f"{ref} is linked twice"
                found[ref] = f"Person/{version['id']}"
        return found

    @property
    def replayed(self) -> dict[str, str]:
        """The same from the history, oldest first."""
        feed = [one for one in self.store.feed(0, 100_000) if one.type == "Provenance"]
        return replay(event for event in (event_of(one.resource) for one in feed) if event)

    def every(self, type: str) -> Sequence[dict[str, Any]]:
        return [one.resource for one in self.machine.search(type, [("_count", "1000")]).versions]

    def browser(self, actor: Actor = STEWARD) -> TestClient:
        app = Starlette(routes=routes(self.site))
        app.state.site = self.site
        browser = TestClient(app, base_url=self.settings.url, follow_redirects=True)
        browser.cookies.set(cookie_name(self.site), self.gate.admit(actor))
        return browser


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    found = Index(tmp_path)
    try:
        yield found
    finally:
        found.store.close()
